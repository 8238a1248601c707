//! What is refused, and that good requests are answered afterwards.

use crate::service::{Service, answer, command, model, picture};
use attend_testing::Run;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

#[test]
fn hostile_bodies_get_one_clear_sentence() {
    let service = Service::start(&["--max-pixels", "10000"]);
    let good = picture(1, 40, 30);
    let expected = service.caption("", &good).ok();
    service.caption("", b"").refused(400, "the body is empty");
    service
        .caption("", b"milk, bread")
        .refused(415, "unsupported");
    service
        .caption("", &good[..good.len() / 2])
        .refused(422, "truncated");
    service
        .caption("", &picture(1, 101, 100))
        .refused(413, "101 x 100 pixels");
    // a bomb: a PNG that claims 2^31 - 1 columns and rows
    let mut bomb = good.clone();
    bomb[16..24].copy_from_slice(&[0x7f, 255, 255, 255, 0x7f, 255, 255, 255]);
    let refused = service.caption("", &bomb);
    assert!([413, 422].contains(&refused.status), "{}", refused.text());
    for (kind, body, status, words) in [
        ("text/plain", &good[..], 415, "curl: -H 'Content-Type"),
        ("application/x-www-form-urlencoded", &good, 415, "curl: -H"),
        ("application/json", b"[]", 400, "must be an object"),
        ("application/json", b"{", 400, "JSON: "),
        ("application/json", b"{}", 400, "images: must be a list"),
        ("application/json", br#"{"images": []}"#, 400, "no picture"),
        (
            "application/json",
            br#"{"images": ["?"]}"#,
            400,
            "images[0]: not base64",
        ),
        (
            "application/json",
            br#"{"images": [""], "beam": 3}"#,
            400,
            "\"beam\" is no key",
        ),
        ("multipart/form-data", b"x", 400, "multipart/form-data: "),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\n\r\n",
            400,
            "multipart/form-data: ",
        ),
        (
            "multipart/form-data; boundary=x",
            b"--x--\r\n",
            400,
            "no picture",
        ),
    ] {
        let content = format!("Content-Type: {kind}");
        service
            .send("POST /v1/caption", &[&content], body)
            .refused(status, words);
    }
    let twice = service.send(
        "POST /v1/caption?beam=2",
        &["Content-Type: application/json"],
        br#"{"images": [""], "options": {"beam": 2}}"#,
    );
    twice.refused(400, "in the query and in the body");
    service
        .form(&[], &[("options", b"3"), ("f", &good)])
        .refused(400, "options: must be");
    // a word that would fill the log and the answer
    let long = "x".repeat(5000);
    let refused = service.caption(&format!("{long}=1"), &good);
    assert!(refused.status == 400 && refused.body.len() < 1000);
    assert_eq!(service.caption("", &good).ok(), expected);
}

#[test]
fn what_is_not_there_is_said_in_json() {
    let service = Service::start(&[]);
    service.get("/nothing").refused(404, "/openapi.json");
    let wrong = service.get("/v1/caption");
    wrong.refused(405, "another method");
    assert_eq!(wrong.header("Allow"), Some("POST"));
    let elsewhere = ["Content-Type: image/png", "Sec-Fetch-Site: cross-site"];
    let elsewhere = service.send("POST /v1/caption", &elsewhere, &picture(1, 40, 30));
    elsewhere.refused(403, "pages from elsewhere");
    assert!(
        service
            .get("/")
            .header("Access-Control-Allow-Origin")
            .is_none()
    );
}

#[test]
fn pages_of_the_named_origin_may_ask() {
    let service = Service::start(&["--cors", "https://example.org"]);
    let asked = service.send(
        "POST /v1/caption",
        &[
            "Content-Type: image/png",
            "Origin: https://example.org",
            "Sec-Fetch-Site: cross-site",
        ],
        &picture(1, 40, 30),
    );
    asked.ok();
    let allowed = asked.header("Access-Control-Allow-Origin");
    assert_eq!(allowed, Some("https://example.org"));
}

#[test]
fn without_the_token_only_page_health_and_document_are_answered() {
    let service = Service::start(&["--token", "sesame"]);
    let one = picture(1, 40, 30);
    let ask = |headers: &[&str]| {
        let headers = [headers, &["Content-Type: image/png"]].concat();
        service.send("POST /v1/caption", &headers, &one)
    };
    let refused = ask(&[]);
    refused.refused(401, "Authorization: Bearer TOKEN");
    assert_eq!(refused.header("WWW-Authenticate"), Some("Bearer"));
    for wrong in [
        "Bearer sesam",
        "Bearer ",
        "Bearer sesame2",
        "Basic sesame",
        "sesame",
    ] {
        ask(&[&format!("Authorization: {wrong}")]).refused(401, "token");
    }
    ask(&["Authorization: Bearer sesame"]).ok();
    for (path, status) in [
        ("/", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/openapi.json", 200),
        ("/metrics", 401),
        ("/v1/model", 401),
    ] {
        assert_eq!(service.get(path).status, status, "{path}");
    }
    let document = service.get("/openapi.json").ok();
    assert!(document["paths"]["/v1/caption"]["post"]["responses"]["401"].is_object());
}

#[test]
fn wider_than_this_machine_needs_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let mut wide = command(&model);
    wide.args(["--listen", "0.0.0.0:0"])
        .refused(2, &["--token-file", "--open"]);
    let file = folder.path().join("token");
    std::fs::write(&file, "\n").unwrap();
    let mut empty = command(&model);
    empty
        .arg("--token-file")
        .arg(&file)
        .refused(2, &["the token is empty"]);
    let mut nowhere = command(&model);
    nowhere
        .args(["--listen", "nonsense"])
        .refused(2, &["--listen nonsense"]);
    command(folder.path()).refused(4, &["has no checkpoint"]);
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut second = command(&model(folder.path()));
    second
        .args(["--listen", &address])
        .refused(2, &[&address, "in use"]);
}

#[test]
fn a_body_beyond_the_limit_is_refused_though_it_is_sent_to_the_end() {
    let service = Service::start(&["--max-body", "1"]);
    let large = vec![0; 8 << 20];
    service
        .caption("", &large)
        .refused(413, "larger than 1 MiB");
    // of unknown length
    let mut stream = service.connect();
    let head = "POST /v1/caption HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"10000\r\n", &vec![0; 0x10000][..], b"\r\n"].concat();
    for _ in 0..128 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n");
    answer(stream).refused(413, "larger than 1 MiB");
}

#[test]
fn slow_clients_lose_their_patience_not_ours() {
    let service = Service::start(&["--body-timeout", "1"]);
    let one = picture(1, 40, 30);
    let mut stream = service.connect();
    let head = format!(
        "POST /v1/caption HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        one.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&one[..20]).unwrap();
    let mut silent = service.connect();
    silent.write_all(b"GET / HT").unwrap();
    service.caption("", &one).ok();
    answer(stream).refused(408, "did not arrive within 1 s");
    // a head that never ends: the connection is closed
    let started = Instant::now();
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    service.caption("", &one).ok();
}

#[test]
fn a_client_that_goes_away_half_way_leaves_nothing_behind() {
    let service = Service::start(&["--max-memory", "1", "--queue", "2"]);
    let one = picture(1, 400, 300);
    for _ in 0..20 {
        let mut stream = service.connect();
        let head = format!(
            "POST /v1/caption HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n",
            one.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&one[..one.len() / 2]).unwrap();
    }
    let gone = r#"attend_requests_total{route="/v1/caption",status="400"}"#;
    let other = r#"attend_requests_total{route="/v1/caption",status="499"}"#;
    for _ in 0..100 {
        if service.metric(gone) + service.metric(other) == 20.0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    service.caption("", &one).ok();
    assert_eq!(service.metric("attend_waiting_pictures"), 0.0);
}

#[test]
fn bodies_share_a_bounded_memory() {
    let service = Service::start(&["--max-memory", "1"]);
    let one = picture(1, 40, 30);
    let mut stream = service.connect();
    let head = format!(
        "POST /v1/caption HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        1 << 20
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![0; (1 << 20) - 20]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let refused = service.caption("", &vec![0; 100_000]);
    refused.refused(429, "try again");
    assert_eq!(refused.header("Retry-After"), Some("1"));
    drop(stream);
    std::thread::sleep(Duration::from_millis(300));
    service.caption("", &one).ok();
}
