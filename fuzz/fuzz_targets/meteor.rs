//! Compiles METEOR's data from arbitrary files. The library must refuse the files, or compile
//! a file that scores captions, even after damage that its header does not reveal.
//!
//! The first byte chooses how to use the others: as the archive or the table; as the texts
//! inside, separated by bytes 0xFF; or as damage to a compiled file.
#![no_main]

use attend_metrics::meteor::{Data, meteor};
use attend_metrics::tokens::ptb;
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

const TEXTS: [&str; 4] = [
    "function/english.words",
    "nonbreaking/english.prefixes",
    "synonym/english.synsets",
    "synonym/english.exceptions",
];
const GOOD: [&str; 5] = [
    "a\nthe\nof\n",
    "Mr\nNo #NUMERIC_ONLY#\n",
    "dog\n1 2\nhound\n1\nrun\n3\nman\n4\n",
    "man\nmen\nrun\nran\n",
    "0.5\na lot of\nmany\n0.1\nin a hurry\nquickly\n",
];
/// Length of the compiled file's header without the checksum that follows it.
const HEADER: usize = 16 + 8 * 20;

struct Folder(tempfile::TempDir);

impl Folder {
    fn write(&self, archive: &[u8], table: &[u8]) {
        fs::create_dir_all(self.0.path().join("data")).expect("a folder");
        fs::write(self.0.path().join("meteor-1.5.jar"), archive).expect("a file");
        fs::write(self.0.path().join("data/paraphrase-en.gz"), table).expect("a file");
    }
}

static FOLDER: LazyLock<Folder> = LazyLock::new(|| Folder(tempfile::tempdir().expect("a folder")));
static COMPILED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    FOLDER.write(
        &archive(GOOD.map(str::as_bytes)),
        &table(GOOD[4].as_bytes()),
    );
    let file = FOLDER.0.path().join("good.meteor");
    Data::compile(FOLDER.0.path(), &file).expect("good files");
    fs::read(file).expect("a file")
});

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let folder = FOLDER.0.path();
    let file = folder.join("english.meteor");
    match kind % 4 {
        0 => FOLDER.write(bytes, &table(GOOD[4].as_bytes())),
        1 => FOLDER.write(&archive(GOOD.map(str::as_bytes)), bytes),
        2 => {
            let mut texts = bytes.split(|byte| *byte == 0xFF);
            let texts = GOOD.map(|good| texts.next().unwrap_or(good.as_bytes()));
            FOLDER.write(&archive(texts), &table(texts[4]));
        }
        _ => {
            let mut compiled = COMPILED.clone();
            for change in bytes.chunks_exact(4) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
                let length = compiled.len();
                match change[2] {
                    0 => compiled.truncate(at),
                    _ => compiled[at % length.max(1)..]
                        .iter_mut()
                        .take(1)
                        .for_each(|b| *b = change[3]),
                }
            }
            if let Some((header, rest)) = compiled.split_at_mut_checked(HEADER) {
                let sum = crc32c::crc32c(header).to_le_bytes();
                rest.iter_mut().zip(sum).for_each(|(byte, sum)| *byte = sum);
            }
            fs::write(&file, compiled).expect("a file");
            return score(&file);
        }
    }
    if Data::compile(folder, &file).is_ok() {
        Data::open(&file)
            .expect("just compiled")
            .verify()
            .expect("just compiled");
        score(&file);
    }
});

fn score(file: &Path) {
    let Ok(data) = Data::open(file) else { return };
    let said = [
        ptb("A lot of dogs, No. 5, ran in a hurry."),
        ptb("Mr. Hound"),
    ];
    let wrote = [
        vec![ptb("Many hounds run quickly."), ptb("")],
        vec![ptb("the men of Mr. Dog")],
    ];
    let scores = meteor(&data, &said, &wrote);
    assert!(
        scores
            .per_image
            .iter()
            .all(|score| (0.0..=1.0).contains(score)),
        "{scores:?}"
    );
}

fn archive(texts: [&[u8]; 5]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, text) in TEXTS.iter().zip(texts) {
        archive.start_file(*name, stored).expect("memory");
        archive.write_all(text).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
}

fn table(text: &[u8]) -> Vec<u8> {
    let mut table = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    table.write_all(text).expect("memory");
    table.finish().expect("memory")
}
