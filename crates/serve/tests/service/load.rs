//! Many at once, and the end.

use crate::service::{Service, answer, picture};
use std::io::Write;
use std::time::Duration;

/// Sends all pictures at the same time; the captions in their order.
fn together(service: &Service, pictures: &[Vec<u8>], query: &str) -> Vec<(u16, String)> {
    std::thread::scope(|scope| {
        let ask = |picture| scope.spawn(move || service.caption(query, picture));
        let asked: Vec<_> = pictures.iter().map(Vec::as_slice).map(ask).collect();
        let ended = asked.into_iter().map(|one| one.join().unwrap());
        ended
            .map(|answer| (answer.status, answer.json()["caption"].to_string()))
            .collect()
    })
}

#[test]
fn waiting_pictures_become_batches_and_get_the_captions_that_they_get_alone() {
    let service = Service::start(&["--cache", "0", "--batch", "8"]);
    let pictures: Vec<Vec<u8>> = (0..32).map(|n| picture(n, 300, 200)).collect();
    let alone: Vec<(u16, String)> = pictures
        .iter()
        .map(|picture| {
            (
                200,
                service.caption("", picture).ok()["caption"].to_string(),
            )
        })
        .collect();
    let count = service.metric("attend_batch_pictures_count");
    assert_eq!(together(&service, &pictures, ""), alone);
    let batches = service.metric("attend_batch_pictures_count") - count;
    assert!((4.0..32.0).contains(&batches), "{batches} batches");
}

#[test]
fn searches_of_different_options_are_not_mixed() {
    let service = Service::start(&["--cache", "0"]);
    let one = picture(1, 40, 30);
    let short = service.caption("max_length=2", &one).ok();
    let long = service.caption("max_length=6", &one).ok();
    std::thread::scope(|scope| {
        for n in 0..24 {
            let (query, expected) = match n % 2 {
                0 => ("max_length=2", &short),
                _ => ("max_length=6", &long),
            };
            let (service, one) = (&service, &one);
            scope.spawn(move || {
                assert_eq!(
                    service.caption(query, one).ok()["caption"],
                    expected["caption"]
                )
            });
        }
    });
}

#[test]
fn a_full_queue_is_said_and_nobody_else_suffers() {
    let service = Service::start(&["--queue", "1", "--cache", "0"]);
    let pictures: Vec<Vec<u8>> = (0..12).map(|n| picture(n, 900, 900)).collect();
    let answered = together(&service, &pictures, "");
    let statuses: Vec<u16> = answered.iter().map(|(status, _)| *status).collect();
    assert!(
        statuses.iter().all(|status| [200, 429].contains(status)),
        "{statuses:?}"
    );
    assert!(
        statuses.contains(&200) && statuses.contains(&429),
        "{statuses:?}"
    );
    service.caption("", &pictures[0]).ok();
    let two = service.form(&[], &[("a", &pictures[0]), ("b", &pictures[1])]);
    two.refused(413, "2 pictures are more than 1 at once");
}

#[test]
fn what_was_accepted_is_answered_before_the_end() {
    let mut service = Service::start(&["--cache", "0", "--batch", "2"]);
    let pictures: Vec<Vec<u8>> = (0..24).map(|n| picture(n, 600, 400)).collect();
    let line = "POST /v1/caption HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n";
    let mut streams = Vec::new();
    for picture in &pictures {
        let mut stream = service.connect();
        write!(stream, "{line}Content-Length: {}\r\n\r\n", picture.len()).unwrap();
        stream.write_all(&picture[..picture.len() - 1]).unwrap();
        streams.push(stream);
    }
    let idle = service.connect();
    std::thread::sleep(Duration::from_millis(300));
    service.terminate();
    std::thread::sleep(Duration::from_millis(300));
    // The last byte comes after the signal.
    for (stream, picture) in streams.iter_mut().zip(&pictures) {
        stream.write_all(&picture[picture.len() - 1..]).unwrap();
    }
    for stream in streams {
        let answered = answer(stream);
        answered.ok();
        assert_eq!(answered.header("Connection"), Some("close"));
    }
    drop(idle);
    assert_eq!(service.ended(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut service = Service::start(&[]);
    let mut stream = service.connect();
    let head = "POST /v1/caption HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    service.terminate();
    // Signals within two seconds are the same request.
    std::thread::sleep(Duration::from_millis(2300));
    service.terminate();
    assert_eq!(service.ended(), Some(130));
}
