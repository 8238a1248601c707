//! Reads arbitrary bytes as a file of weights. The library must refuse them with one line that
//! names the file, or read them in no more memory than the file's size.
//!
//! The first byte chooses how to use the others: as the file, or as damage to one that PyTorch
//! or safetensors wrote, four bytes per change: position (two), kind of change, value.
#![no_main]

use attend_model::weights;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const GOOD: [&[u8]; 4] = [
    include_bytes!("../../crates/model/tests/fixtures/plain.pth"),
    include_bytes!("../../crates/model/tests/fixtures/legacy.pth"),
    include_bytes!("../../crates/model/tests/fixtures/training.pth"),
    include_bytes!("../../crates/model/tests/fixtures/plain.safetensors"),
];

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let bytes = match GOOD.get(usize::from(kind % 8)) {
        Some(good) => damaged(good, bytes),
        None => bytes.to_vec(),
    };
    let path = FOLDER.path().join("weights");
    std::fs::write(&path, &bytes).expect("a file");
    match weights::read(&path) {
        Ok(dict) => {
            let numbers: usize = dict.values().map(|tensor| tensor.numel()).sum();
            assert!(numbers <= 16 * (bytes.len() + (1 << 20)), "{numbers}");
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.starts_with(&*path.to_string_lossy()), "{message}");
        }
    }
});

fn damaged(good: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut file = good.to_vec();
    for change in changes.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len().max(1);
        match change[2] {
            0 => file.truncate(at),
            1 if file.len() < 1 << 16 => file.extend_from_within(at..),
            _ => file[at..]
                .iter_mut()
                .take(1)
                .for_each(|byte| *byte = change[3]),
        }
    }
    file
}
