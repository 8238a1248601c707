//! The program as a user runs it.

use crate::server::{Server, header, whole};
use crate::{content, names, sha256};
use assert_cmd::Command;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::{TempDir, tempdir};

/// A folder with a list of one file of the server.
fn world(server: &Server) -> TempDir {
    let folder = tempdir().unwrap();
    let list = format!(
        "[thing]\nabout = \"a thing\"\nvariable = \"THING\"\nfiles = [{{ url = \"{}/x.bin\", bytes = 400000, sha256 = \"{}\" }}]\n",
        server.url,
        sha256(&content())
    );
    std::fs::write(folder.path().join("list.toml"), list).unwrap();
    folder
}

fn program(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("attend-fetch").unwrap();
    command.args(words).current_dir(folder);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        command.env_remove(name);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn it_says_what_there_is_what_it_would_do_and_what_comes_next() {
    let server = Server::start(|_, request, out| whole(out, request, &content(), "ETag: \"a\""));
    let folder = world(&server);
    let own = program(folder.path(), &[]).assert().success();
    let own = text(&own.get_output().stdout);
    assert!(own.contains("coco2014   20.4 GB  MSCOCO 2014"), "{own}");
    let list = ["--list", "list.toml", "thing", "--to", "in"];
    let dry = program(folder.path(), &[&list[..], &["--dry-run"]].concat())
        .assert()
        .success();
    let dry = text(&dry.get_output().stdout);
    assert!(dry.starts_with("to download  400 kB  SHA-256 "), "{dry}");
    assert!(!folder.path().join("in").exists());
    assert!(server.requests().is_empty());
    let done = program(folder.path(), &list).assert().success();
    let done = text(&done.get_output().stdout);
    let here = folder.path().canonicalize().unwrap();
    assert_eq!(
        done,
        format!("export THING={}\n", here.join("in").display())
    );
    assert_eq!(
        std::fs::read(folder.path().join("in/x.bin")).unwrap(),
        content()
    );
}

#[test]
fn wrong_words_are_answered_with_the_right_ones() {
    let folder = tempdir().unwrap();
    for (words, expected) in [
        (
            &["coco2015"][..],
            "the nearest is coco2014; there are coco2014, coco2017",
        ),
        (
            &["glove", "--mirror", "example.org"],
            "--mirror example.org: expected an address",
        ),
        (&["x", "--list", "none.toml"], "none.toml: no such file"),
    ] {
        let refused = program(folder.path(), words).assert().code(2);
        let log = text(&refused.get_output().stderr);
        assert!(log.contains(expected), "{log}");
    }
    std::fs::write(
        folder.path().join("evil.toml"),
        "[x]\nabout = \"\"\nfiles = [{ url = \"http://h/a.zip\", unpack = [\"../../e\"] }]\n",
    )
    .unwrap();
    let words = ["x", "--list", "evil.toml"];
    let refused = program(folder.path(), &words).assert().code(2);
    assert!(text(&refused.get_output().stderr).contains("lead out of the folder"));
}

#[test]
fn a_proxy_is_obeyed_and_so_is_its_exception() {
    let proxy = Server::start(|_, request, out| match request.starts_with("CONNECT ") {
        true => {
            let _ = out.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
        }
        false => whole(out, request, &content(), "ETag: \"a\""),
    });
    let server = Server::start(|_, request, out| whole(out, request, &content(), "ETag: \"a\""));
    let folder = world(&server);
    let list = ["--list", "list.toml", "thing"];
    let mut direct = program(folder.path(), &list);
    let direct = direct
        .env("HTTP_PROXY", &proxy.url)
        .env("NO_PROXY", "127.0.0.1");
    direct.assert().success();
    assert!(proxy.requests().is_empty());
    std::fs::remove_file(folder.path().join("x.bin")).unwrap();
    let mut through = program(folder.path(), &list);
    let _ = through
        .env("HTTP_PROXY", &proxy.url)
        .timeout(Duration::from_secs(30))
        .output();
    assert!(!proxy.requests().is_empty());
    assert_eq!(server.requests().len(), 1);
}

/// `kill -9` and Ctrl-C leave no half file under its name, and the next run goes on.
#[test]
fn what_was_ended_at_any_moment_goes_on() {
    let server = Server::start(|count, request, out| match count {
        0 | 1 => {
            let from = crate::server::from(request);
            match from {
                0 => header(out, "200 OK", 400_000, "ETag: \"a\""),
                _ => {
                    let range = format!("Content-Range: bytes {from}-399999/400000\r\nETag: \"a\"");
                    header(out, "206 Partial Content", 400_000 - from, &range);
                }
            }
            let _ = out.write_all(&content()[from..from + 100_000]);
            std::thread::sleep(Duration::from_secs(20));
        }
        _ => whole(out, request, &content(), "ETag: \"a\""),
    });
    let folder = world(&server);
    let part = folder.path().join("x.bin.part");
    for (signal, expected, code) in [("KILL", 100_000, None), ("INT", 200_000, Some(130))] {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("attend-fetch"));
        let words = ["--list", "list.toml", "thing"];
        command
            .args(words)
            .current_dir(folder.path())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let arrived = || part.metadata().map_or(0, |meta| meta.len());
        for _ in 0..1000 {
            if arrived() == expected {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(arrived(), expected);
        let pid = child.id().to_string();
        let kill = std::process::Command::new("kill")
            .args(["-s", signal, &pid])
            .status();
        assert!(kill.unwrap().success());
        let began = std::time::Instant::now();
        assert_eq!(child.wait().unwrap().code(), code);
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(
            names(folder.path()),
            ["list.toml", "x.bin.part", "x.bin.part.etag"]
        );
    }
    program(folder.path(), &["--list", "list.toml", "thing"])
        .assert()
        .success();
    assert_eq!(
        std::fs::read(folder.path().join("x.bin")).unwrap(),
        content()
    );
    assert!(server.requests()[2].contains("range: bytes=200000-"));
    assert_eq!(names(folder.path()), ["list.toml", "x.bin"]);
}
