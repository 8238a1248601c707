//! A foreign encoder's program, beside ours: its cells arrive, and whatever it does wrong is
//! told in one message that names it.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::model::{EncoderConfig, ForeignConfig};
use attend_describe::EncoderCommand;
use attend_describe::coprocess::Coprocess;
use attend_model::{Cells, FrozenEncoder};
use attend_testing::foreign;
use std::time::{Duration, Instant};
use tch::{Kind, Tensor};

const SIDE: i64 = 8;

fn encoder() -> ForeignConfig {
    match foreign::encoder(SIDE, None) {
        EncoderConfig::Foreign(encoder) => encoder,
        _ => panic!("not foreign"),
    }
}

/// The program of the example, with a fault.
fn program(fault: &str) -> Vec<String> {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    let program = folder.join("examples/foreign_encoder");
    let words = [program.to_str().unwrap(), "8", fault];
    words.map(str::to_owned).to_vec()
}

fn start(words: Vec<String>) -> attend_model::Result<Coprocess> {
    let patience = Duration::from_secs(2);
    Coprocess::start(&encoder(), &EncoderCommand { words }, patience)
}

/// Pixels u8 (n, 3, 8, 8).
fn pixels(n: i64) -> (Vec<u8>, Tensor) {
    let bytes: Vec<u8> = (0..n * 192).map(|i| (i * 7 % 251) as u8).collect();
    let tensor = Tensor::from_data_size(&bytes, &[n, 3, SIDE, SIDE], Kind::Uint8);
    (bytes, tensor)
}

#[test]
fn every_image_gets_its_own_cells() {
    let encoder = start(program("")).unwrap();
    for n in [1, 5, 300] {
        let (bytes, pixels) = pixels(n);
        let Cells { cells, grid } = encoder.cells(&pixels).unwrap();
        assert_eq!((cells.size(), grid), (vec![n, 4, 6], [2, 2]));
        let expected: Vec<f32> = bytes.chunks(192).flat_map(foreign::cells).collect();
        assert_eq!(
            Vec::<f32>::try_from(cells.flatten(0, -1)).unwrap(),
            expected
        );
    }
    encoder.end().unwrap();
}

/// What is said of a program that gets three images.
fn said(words: Vec<String>) -> String {
    let named = words[0].clone();
    let ran = || {
        let encoder = start(words)?;
        encoder.cells(&pixels(3).1)?;
        encoder.end()
    };
    let message = ran().unwrap_err().to_string();
    assert!(message.contains(&named), "{message}");
    message
}

#[test]
fn what_a_program_does_wrong_is_told_by_its_name() {
    for (fault, expected) in [
        ("nan", "answered image 2 with NaN"),
        (
            "little",
            "after 28 bytes of the cells of image 2; for each image it writes 96 bytes, f32 [4, 6]",
        ),
        ("much", "wrote more than the cells of 3 images"),
        ("double", "wrote more than the cells of 3 images"),
        ("hang", "has not answered image 2 within 2 s"),
        ("ends", "ended (exit status: 7) before it answered image 2"),
        ("badly", "ended badly (exit status: 7) after 3 images"),
    ] {
        let message = said(program(fault));
        assert!(message.contains(expected), "{message}");
    }
    let ends = said(program("ends"));
    assert!(ends.contains("standard error: no such"), "{ends}");
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let missing = said(words(&["no-such-program", "7"]));
    assert!(missing.contains("looked up on PATH"), "{missing}");
    let missing = said(words(&["./no-such-program"]));
    assert!(
        missing.contains("looked up in the working directory"),
        "{missing}"
    );
    // Programs that read nothing.
    let silent = said(words(&["true"]));
    assert!(silent.contains("before it answered image 1"), "{silent}");
    let endless = said(words(&["yes"]));
    assert!(endless.contains("wrote more than"), "{endless}");
}

#[test]
fn a_program_does_not_outlive_its_encoder() {
    // A shell whose child hangs: both are gone.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", file.display());
    let encoder = start(vec!["sh".into(), "-c".into(), script]).unwrap();
    let begun = Instant::now();
    let pid = loop {
        let pid = std::fs::read_to_string(&file).unwrap_or_default();
        if pid.ends_with('\n') {
            break pid.trim().to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
    };
    let is_there = || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        state.is_ok_and(|state| !state.contains(") Z "))
    };
    assert!(is_there());
    drop(encoder);
    while is_there() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
