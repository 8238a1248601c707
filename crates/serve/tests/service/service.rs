//! A running service with a small model of random weights, and a client that may misbehave.

use attend_artifact::vocabulary::Vocabulary;
use attend_testing::checkpoint;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A service that is ended with the test.
pub struct Service {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The answer's JSON, which must have been given with that status.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// Fails unless it has that status and an error with these words.
    #[track_caller]
    pub fn refused(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        let error = self.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(words), "{words:?} is not in {error:?}");
        assert!(!error.contains('\n'), "{error:?}");
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Seed of weights that say different things of different pictures.
const SEED: u64 = 4;

/// A checkpoint of random weights.
pub fn model(folder: &Path) -> PathBuf {
    let words = ["a", "dog", "cat", "犬", "runs"].map(|word| (word.to_owned(), 9));
    let vocabulary = Vocabulary::new(words, 5, 50);
    let card = checkpoint::card(&vocabulary, [24, 32], [0, 0]);
    let model = folder.join("model");
    checkpoint::write(&model, card, &vocabulary, SEED, false);
    model
}

pub fn command(model: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-serve"));
    command.arg("--model").arg(model).args(["--jobs", "1"]);
    command.env_remove("ATTEND_TOKEN");
    command
}

impl Service {
    /// Starts a service and waits until it is ready.
    pub fn start(options: &[&str]) -> Service {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(&model(folder.path()))
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        let service = Service {
            child,
            address,
            _folder: folder,
        };
        for _ in 0..600 {
            if service.get("/readyz").status == 200 {
                return service;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("never ready");
    }

    /// A connection on which nothing has been sent.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// Sends a request with these header lines, and reads the answer.
    pub fn send(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        let length = format!("Content-Length: {}", body.len());
        let headers = [headers, &[&length, "Connection: close"]].concat();
        let mut stream = self.connect();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n",
            headers.join("\r\n")
        );
        stream.write_all(head.as_bytes()).unwrap();
        // It may be refused before all of it is sent.
        let _ = stream.write_all(body);
        answer(stream)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], b"")
    }

    /// Sends a picture as the body, with this query.
    pub fn caption(&self, query: &str, picture: &[u8]) -> Answer {
        let line = format!("POST /v1/caption?{query}");
        self.send(&line, &["Content-Type: image/png"], picture)
    }

    /// Sends files as a form: names of parts and their bytes.
    pub fn form(&self, headers: &[&str], parts: &[(&str, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (name, bytes) in parts {
            body.extend(
                format!(
                    "--x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n"
                )
                .as_bytes(),
            );
            body.extend(*bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--x--\r\n");
        let headers = [headers, &["Content-Type: multipart/form-data; boundary=x"]].concat();
        self.send("POST /v1/caption", &headers, &body)
    }

    /// The value of a line of `/metrics`; 0 if it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found = lines.find(|(found, _)| *found == name);
        found.map_or(0.0, |(_, value)| value.parse().unwrap())
    }

    pub fn terminate(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end, and returns its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads an answer to the end of its connection.
pub fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let body = bytes[end + 4..].to_vec();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(&body) } else { body };
    Answer { status, head, body }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.iter().position(|byte| *byte == b'\r').unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
}

/// A PNG whose caption depends on `number`.
pub fn picture(number: u32, width: u32, height: u32) -> Vec<u8> {
    let pixel =
        |x: u32, y: u32| Rgb([x * number * 7, y * 5 + number * 40, number * 90].map(|n| n as u8));
    let mut bytes = Cursor::new(Vec::new());
    let picture = RgbImage::from_fn(width, height, pixel);
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}
