//! Reads arbitrary bytes as an archive of photographs. Ingest must refuse them with one
//! message that names the archive, or read them. Then each file name must give content or a
//! reason, the same one every time.
//!
//! The first byte chooses how to use the others: as a zip or a tar, or as damage to a valid
//! one, four bytes per change: position (two), kind of change, value. The target recomputes
//! the checksums of a damaged tar's headers.
#![no_main]

use attend_artifact::Error;
use attend_artifact::ledger::Reason;
use attend_ingest::name::plain;
use attend_ingest::reference::Reference;
use attend_ingest::source::Source;
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::io::{Cursor, Write};
use std::sync::LazyLock;

/// Of photographs in the folder `p`.
const NAMES: [&str; 6] = ["a", "b", "c", "p/a", "", ".."];
const CONTENT: [(&str, &[u8]); 3] = [("p/a", b"stored"), ("b", &[7; 3000]), ("./p/c", b"")];
const BLOCK: usize = 512;

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder"));
static PHOTOGRAPHS: LazyLock<Vec<Reference>> = LazyLock::new(|| {
    let photograph = |name: &str| Reference { folder: 0, name: name.into() };
    NAMES.map(photograph).into()
});
static ZIP: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (number, (name, content)) in CONTENT.iter().enumerate() {
        let method = match number {
            1 => zip::CompressionMethod::Deflated,
            _ => zip::CompressionMethod::Stored,
        };
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(method)
            .large_file(number == 2);
        archive.start_file(*name, options).expect("memory");
        archive.write_all(content).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
});
static TAR: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut archive = tar::Builder::new(Vec::new());
    let long = "p/".repeat(100) + "a";
    for (name, content) in CONTENT.iter().chain([&(&*long, &b"long"[..])]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive
            .append_data(&mut header, name, *content)
            .expect("memory");
    }
    archive.into_inner().expect("memory")
});

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    match kind % 4 {
        0 => read("p.zip", bytes),
        1 => read("p.tar", bytes),
        2 => read("p.zip", &damaged(&ZIP, bytes)),
        _ => read("p.tar", &summed(damaged(&TAR, bytes))),
    }
});

fn damaged(good: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut archive = good.to_vec();
    for change in changes.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        let at = at % archive.len().max(1);
        match change[2] {
            0 => archive.truncate(at),
            1 if archive.len() < 1 << 16 => archive.extend_from_within(at..),
            _ => archive[at..]
                .iter_mut()
                .take(1)
                .for_each(|byte| *byte = change[3]),
        }
    }
    archive
}

fn summed(mut archive: Vec<u8>) -> Vec<u8> {
    for block in archive.as_chunks_mut::<BLOCK>().0 {
        let header = tar::Header::from_byte_slice(block);
        if header.as_ustar().is_some() || header.as_gnu().is_some() {
            let mut header = header.clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
    archive
}

fn read(name: &str, bytes: &[u8]) {
    let root = FOLDER.path();
    for old in ["p.zip", "p.tar"] {
        let _ = fs::remove_file(root.join(old));
    }
    let archive = root.join(name);
    fs::write(&archive, bytes).expect("a file");
    let folders = ["p".into()];
    let source = Source::open(root, &folders, false, &*PHOTOGRAPHS).expect("nobody interrupts");
    match source.check(&*PHOTOGRAPHS) {
        Ok(()) => {}
        Err(Error::Input(message)) => {
            assert!(
                message.starts_with(&*archive.to_string_lossy()),
                "{message}"
            );
            return;
        }
        Err(e) => panic!("{e}"),
    };
    for photograph in &*PHOTOGRAPHS {
        let (name, found) = (&photograph.name, source.read(photograph));
        assert_eq!(found, source.read(photograph), "{name}");
        let state = source.state(photograph);
        let known = state != [-1; 3];
        match found {
            Ok(content) => {
                assert!(known && plain(name).is_some(), "{name}");
                assert_eq!(content.len() as i64, state[0], "{name}");
            }
            Err(refusal) => {
                assert_eq!(known, refusal.reason != Reason::Missing, "{name}: {refusal:?}");
            }
        }
    }
}
