//! A server for tests: it answers each request as a closure says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A server on this machine.
pub struct Server {
    /// Its address, without a path.
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers with `answer`, which gets the number of earlier requests, the request's
    /// headers with names in lower case, and the connection. It is closed then.
    pub fn start(answer: impl Fn(usize, &str, &mut TcpStream) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, seen, answer) = (stream.unwrap(), seen.clone(), answer.clone());
                std::thread::spawn(move || {
                    let request = head(&mut stream);
                    let count = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    answer(count, &request, &mut stream);
                });
            }
        });
        Server { url, requests }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn head(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    let (first, rest) = text.split_once("\r\n").unwrap_or((&text, ""));
    format!("{first}\r\n{}", rest.to_lowercase())
}

/// Writes a status line and headers.
pub fn header(out: &mut TcpStream, status: &str, length: usize, more: &str) {
    let _ = write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n\r\n"
    );
}

/// The first byte that a request asks for.
pub fn from(request: &str) -> usize {
    let range = request.split("range: bytes=").nth(1);
    range.map_or(0, |range| range.split('-').next().unwrap().parse().unwrap())
}

/// Answers as a good server does, with the rest that is asked for.
pub fn whole(out: &mut TcpStream, request: &str, content: &[u8], more: &str) {
    let (from, length) = (from(request), content.len());
    match from {
        0 => header(out, "200 OK", length, more),
        _ => {
            let range = format!(
                "Content-Range: bytes {from}-{}/{length}\r\n{more}",
                length - 1
            );
            header(out, "206 Partial Content", length - from, &range);
        }
    }
    let _ = out.write_all(&content[from..]);
}
