//! Downloads from servers on this machine that behave as servers do: well, and badly.
#![allow(clippy::unwrap_used, clippy::panic)]

mod program;
mod server;

use attend_fetch::client::Client;
use attend_fetch::download::{Downloader, Outcome};
use attend_fetch::list::Entry;
use attend_program::{Error, Result};
use server::{Server, header, whole};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tempfile::{TempDir, tempdir};

/// A file's content: no two parts of it are alike.
fn content() -> Vec<u8> {
    (0..100_000u32).flat_map(u32::to_le_bytes).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn entry(server: &Server) -> Entry {
    Entry {
        url: format!("{}/data/x.bin", server.url),
        bytes: Some(content().len() as u64),
        about: None,
        sha256: Some(sha256(&content())[..8].to_owned()),
        unpack: Vec::new(),
    }
}

fn bring(entry: &Entry, folder: &TempDir, mirror: Option<&str>) -> Result<Outcome> {
    let downloader = Downloader {
        client: Client::new(Duration::from_millis(700)),
        mirror,
        pause: Duration::from_millis(5),
    };
    downloader.bring(entry, folder.path())
}

/// The file arrives, and nothing else is left.
#[track_caller]
fn arrives(entry: &Entry) {
    let folder = tempdir().unwrap();
    let outcome = bring(entry, &folder, None);
    assert_eq!(outcome.map_err(|e| e.to_string()), Ok(Outcome::Arrived));
    assert_eq!(
        std::fs::read(folder.path().join("x.bin")).unwrap(),
        content()
    );
    assert_eq!(names(folder.path()), ["x.bin"]);
}

/// It is refused with these words, and there is no file of that name.
#[track_caller]
fn fails(entry: &Entry, words: &str) -> TempDir {
    let folder = tempdir().unwrap();
    let why = bring(entry, &folder, None).unwrap_err();
    assert!(matches!(why, Error::Internal(_)), "{why:?}");
    assert!(why.to_string().contains(words), "{why}");
    assert!(!folder.path().join("x.bin").exists());
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_server_that_keeps_cutting_the_connection_delivers_the_whole_file() {
    let server = Server::start(|_, request, out| {
        let (content, from) = (content(), server::from(request));
        let rest = &content[from..];
        let part = &rest[..rest.len().min(90_000)];
        match from {
            0 => header(out, "200 OK", content.len(), "ETag: \"a\""),
            from => {
                let range = format!("Content-Range: bytes {from}-399999/400000\r\nETag: \"a\"");
                header(out, "206 Partial Content", rest.len(), &range);
            }
        }
        let _ = out.write_all(part);
    });
    arrives(&entry(&server));
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    assert!(
        requests[4].contains("range: bytes=360000-"),
        "{}",
        requests[4]
    );
    assert!(requests[4].contains("if-range: \"a\""), "{}", requests[4]);
}

#[test]
fn a_server_that_falls_silent_is_asked_again() {
    let server = Server::start(|count, request, out| {
        if count == 0 {
            header(out, "200 OK", 400_000, "ETag: \"a\"");
            let _ = out.write_all(&content()[..1000]);
            std::thread::sleep(Duration::from_secs(3));
            return;
        }
        whole(out, request, &content(), "ETag: \"a\"");
    });
    arrives(&entry(&server));
    assert!(server.requests()[1].contains("range: bytes=1000-"));
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_beginning() {
    let server = Server::start(|count, _, out| {
        header(out, "200 OK", 400_000, "ETag: \"a\"");
        let end = if count == 0 { 5000 } else { 400_000 };
        let _ = out.write_all(&content()[..end]);
    });
    arrives(&entry(&server));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn parts_of_two_states_of_a_file_are_never_joined() {
    // By If-Range, a good server sends the new file from its beginning; a bad one does not.
    for obeys in [true, false] {
        let server = Server::start(move |count, request, out| match count {
            0 => {
                header(out, "200 OK", 400_000, "ETag: \"old\"");
                let _ = out.write_all(&[7; 5000]);
            }
            _ if obeys => {
                header(out, "200 OK", 400_000, "ETag: \"new\"");
                let _ = out.write_all(&content());
            }
            _ => whole(out, request, &content(), "ETag: \"new\""),
        });
        let mut entry = entry(&server);
        entry.sha256 = None;
        arrives(&entry);
    }
}

#[test]
fn without_a_name_of_its_state_and_without_a_digest_a_file_begins_anew() {
    let server = Server::start(|count, request, out| match count {
        0 => {
            header(out, "200 OK", 400_000, "X: y");
            let _ = out.write_all(&[7; 5000]);
        }
        _ => whole(out, request, &content(), "X: y"),
    });
    let mut entry = entry(&server);
    entry.sha256 = None;
    arrives(&entry);
    assert!(!server.requests()[1].contains("range:"));
}

#[test]
fn redirects_are_followed_but_not_in_a_circle() {
    let server = Server::start(|_, request, out| match request.contains("/data/") {
        true => header(out, "302 Found", 0, "Location: /elsewhere/x.bin"),
        false => whole(out, request, &content(), "ETag: \"a\""),
    });
    arrives(&entry(&server));
    let circle = Server::start(|_, _, out| header(out, "301 Moved", 0, "Location: /data/x.bin"));
    fails(&entry(&circle), "too many redirects");
    assert!(circle.requests().len() < 30);
    let nowhere = Server::start(|_, _, out| header(out, "302 Found", 0, "X: y"));
    fails(&entry(&nowhere), "");
}

#[test]
fn a_server_that_lies_about_lengths_is_refused() {
    // Another size than the list's: not a byte is read.
    let server = Server::start(|_, _, out| header(out, "200 OK", 399_999, "ETag: \"a\""));
    fails(&entry(&server), "has 399999 bytes instead of 400000");
    assert_eq!(server.requests().len(), 1);
    // More is promised than comes, each time.
    let server = Server::start(|_, request, out| {
        let from = server::from(request);
        let range = format!("Content-Range: bytes {from}-399999/400000");
        match from {
            0 => header(out, "200 OK", 400_000, "ETag: \"a\""),
            _ => header(out, "206 Partial Content", 400_000 - from, &range),
        }
        let _ = out.write_all(&content()[from..399_999.max(from)]);
    });
    let folder = fails(&entry(&server), "gave up after 5 requests");
    assert_eq!(names(folder.path()), ["x.bin.part", "x.bin.part.etag"]);
    // Without a length, too much, and too little.
    for (bytes, words) in [
        (500_000, "more bytes came"),
        (300_000, "300000 bytes instead of 400000"),
    ] {
        let server = Server::start(move |_, _, out| {
            let _ = write!(out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            let mut all = content();
            all.resize(bytes, 1);
            let _ = out.write_all(&all);
        });
        fails(&entry(&server), words);
    }
}

#[test]
fn a_range_that_was_not_asked_for_is_not_taken() {
    let server = Server::start(|count, request, out| match count {
        0 => {
            header(out, "200 OK", 400_000, "ETag: \"a\"");
            let _ = out.write_all(&content()[..5000]);
        }
        1 => {
            let range = "Content-Range: bytes 4000-399999/400000\r\nETag: \"a\"";
            header(out, "206 Partial Content", 396_000, range);
            let _ = out.write_all(&content()[4000..]);
        }
        _ => whole(out, request, &content(), "ETag: \"a\""),
    });
    arrives(&entry(&server));
}

#[test]
fn a_file_that_got_shorter_on_the_server_begins_anew() {
    let server = Server::start(|count, request, out| match count {
        0 => {
            header(out, "200 OK", 400_000, "ETag: \"a\"");
            let _ = out.write_all(&content()[..5000]);
        }
        1 => header(
            out,
            "416 Range Not Satisfiable",
            0,
            "Content-Range: bytes */300",
        ),
        _ => whole(out, request, &content(), "ETag: \"b\""),
    });
    arrives(&entry(&server));
}

#[test]
fn what_the_server_does_not_have_is_asked_for_once() {
    for (status, words) in [
        ("404 Not Found", "no such file"),
        ("410 Gone", "no such file"),
        ("403 Forbidden", "answers 403"),
    ] {
        let server = Server::start(move |_, _, out| header(out, status, 0, "X: y"));
        fails(&entry(&server), words);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_busy_server_is_asked_again_but_not_for_ever() {
    let server = Server::start(|count, request, out| match count {
        0 => header(out, "429 Too Many Requests", 0, "Retry-After: 1"),
        1 => header(
            out,
            "503 Service Unavailable",
            0,
            "Retry-After: Thu, 01 Jan 2026 00:00:00 GMT",
        ),
        _ => whole(out, request, &content(), "ETag: \"a\""),
    });
    let began = std::time::Instant::now();
    arrives(&entry(&server));
    assert!(
        began.elapsed() > Duration::from_secs(1),
        "it was asked to wait a second"
    );
    let server = Server::start(|_, _, out| header(out, "500 Internal Server Error", 0, "X: y"));
    fails(
        &entry(&server),
        "the server answers 500; gave up after 5 requests",
    );
    assert_eq!(server.requests().len(), 5);
}

#[test]
fn nobody_listens() {
    let server = Server::start(|_, _, _| ());
    let mut entry = entry(&server);
    entry.url = "http://127.0.0.1:1/x.bin".into();
    fails(&entry, "gave up after 5 requests");
}

#[test]
fn words_that_are_no_http_are_no_file() {
    let server = Server::start(|_, _, out| {
        let _ = out.write_all(b"220 ftp ready\r\n\r\n");
    });
    fails(&entry(&server), "gave up after 5 requests");
}

#[test]
fn other_bytes_of_the_right_size_are_deleted() {
    let server = Server::start(|_, request, out| {
        let mut other = content();
        other[17] ^= 1;
        whole(out, request, &other, "ETag: \"a\"");
    });
    let folder = fails(&entry(&server), "should begin with");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_page_that_asks_for_a_login_is_no_file() {
    let server = Server::start(|_, _, out| {
        header(out, "200 OK", 5, "Content-Type: text/html; charset=utf-8");
        let _ = out.write_all(b"<html");
    });
    fails(&entry(&server), "a web page came instead of the file");
}

#[test]
fn what_is_there_is_not_asked_for_and_another_file_is_not_replaced() {
    let server = Server::start(|_, request, out| whole(out, request, &content(), "ETag: \"a\""));
    let folder = tempdir().unwrap();
    let entry = entry(&server);
    assert_eq!(bring(&entry, &folder, None).unwrap(), Outcome::Arrived);
    assert_eq!(bring(&entry, &folder, None).unwrap(), Outcome::Present);
    assert_eq!(server.requests().len(), 1);
    std::fs::write(folder.path().join("x.bin"), "mine").unwrap();
    let why = bring(&entry, &folder, None).unwrap_err();
    assert!(matches!(why, Error::Input(_)), "{why:?}");
    assert!(
        why.to_string()
            .contains("4 bytes instead of 400000, so it is another file"),
        "{why}"
    );
    assert_eq!(std::fs::read(folder.path().join("x.bin")).unwrap(), b"mine");
}

#[test]
fn a_mirror_is_asked_for_the_path_and_then_for_the_name() {
    let server = Server::start(
        |_, request, out| match request.starts_with("GET /m/x.bin ") {
            true => whole(out, request, &content(), "ETag: \"a\""),
            false => header(out, "404 Not Found", 0, "X: y"),
        },
    );
    let folder = tempdir().unwrap();
    let mut entry = entry(&server);
    entry.url = "http://unreachable.invalid/data/x.bin".into();
    let mirror = format!("{}/m/", server.url);
    assert_eq!(
        bring(&entry, &folder, Some(&mirror)).unwrap(),
        Outcome::Arrived
    );
    let requests = server.requests();
    assert!(
        requests[0].starts_with("GET /m/data/x.bin "),
        "{}",
        requests[0]
    );
}

#[test]
fn an_archive_is_unpacked_and_deleted() {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["annotations/a.json", "annotations/b.json"] {
        archive
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(name.as_bytes()).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    let size = bytes.len() as u64;
    let server = Server::start(move |_, request, out| whole(out, request, &bytes, "ETag: \"a\""));
    let mut entry = entry(&server);
    (entry.bytes, entry.sha256) = (Some(size), None);
    entry.unpack = vec!["annotations/a.json".into()];
    let folder = tempdir().unwrap();
    assert_eq!(bring(&entry, &folder, None).unwrap(), Outcome::Arrived);
    assert_eq!(names(folder.path()), ["annotations"]);
    assert_eq!(names(&folder.path().join("annotations")), ["a.json"]);
    assert_eq!(bring(&entry, &folder, None).unwrap(), Outcome::Present);
    entry.unpack = vec!["c.json".into()];
    let why = bring(&entry, &folder, None).unwrap_err().to_string();
    assert!(why.contains("c.json"), "{why}");
}

#[test]
fn two_at_once_do_not_mix_a_file() {
    let server = Server::start(|_, request, out| {
        std::thread::sleep(Duration::from_millis(300));
        whole(out, request, &content(), "ETag: \"a\"");
    });
    let folder = tempdir().unwrap();
    let entry = entry(&server);
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| bring(&entry, &folder, None)));
        let both = both.map(|one| one.join().unwrap());
        let refused = both.iter().filter(|one| one.is_err()).count();
        assert_eq!(refused, 1, "{both:?}");
    });
    assert_eq!(
        std::fs::read(folder.path().join("x.bin")).unwrap(),
        content()
    );
}
