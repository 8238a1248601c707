//! Malicious and damaged files: each is rejected for its documented reason, in time, and
//! nothing is written elsewhere.

use crate::archives::{Member, tar, zip};
use crate::{data_set, fixture, open, write};
use attend_artifact::Record;
use attend_artifact::dataset::RejectedRecord;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time limit of each run.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the stage and checks that it ends in time, writes only its output, and does not
/// panic.
fn run(folder: &TempDir, set: &[&str]) -> Output {
    let before = names(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-ingest"));
    command.arg("--output").arg(folder.path().join("out"));
    let root = format!("dataset.root={:?}", folder.path().join("root"));
    let all = [
        &[
            &*root,
            "dataset.image_size=16",
            "dataset.max_rejected_fraction=1.0",
        ],
        set,
    ]
    .concat();
    command.args(all.iter().map(|item| format!("--set={item}")));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(!said(&output).contains("panicked"), "{}", said(&output));
    let new = names(folder.path());
    let new = new.iter().filter(|name| !before.contains(name));
    let others: Vec<_> = new.filter(|name| !name.starts_with("out")).collect();
    assert!(others.is_empty(), "{others:?}");
    output
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap().map(Result::unwrap);
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Karpathy's file for images with these names, with one caption each, and for a good one.
fn listed(names: &[&str]) -> Vec<u8> {
    let image = |(id, name): (usize, &&str)| {
        serde_json::json!({"filename": name, "imgid": id, "split": "val",
            "sentences": [{"raw": "x", "sentid": id}]})
    };
    let images: Vec<_> = [&["good.jpg"], names]
        .concat()
        .iter()
        .enumerate()
        .map(image)
        .collect();
    serde_json::json!({ "images": images })
        .to_string()
        .into_bytes()
}

/// Reasons by file name.
fn reasons(folder: &TempDir) -> BTreeMap<String, String> {
    let rows = RejectedRecord::read(&open(folder, "out").0.file("rejected.parquet").unwrap());
    let images = rows.unwrap().into_iter().filter(|row| row.kind == "image");
    images.map(|row| (row.file_name, row.reason)).collect()
}

/// Runs on these files and checks that each is rejected for its reason, except the good
/// one.
fn rejected(files: &[(&str, Vec<u8>, &str)], more: impl FnOnce(&Path)) {
    let names: Vec<&str> = files.iter().map(|(name, ..)| *name).collect();
    let list = listed(&names);
    let folder = data_set(&[
        ("dataset_coco.json", &list),
        ("good.jpg", &fixture("rgb420.jpg")),
    ]);
    let root = folder.path().join("root");
    for (name, bytes, _) in files
        .iter()
        .filter(|(_, bytes, _)| *bytes != MADE_ELSEWHERE)
    {
        write(&root.join(name), bytes);
    }
    more(&root);
    let output = run(&folder, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let found = reasons(&folder);
    let wrong = files
        .iter()
        .filter(|(name, _, reason)| found.get(*name).map(String::as_str) != Some(reason));
    let wrong: Vec<_> = wrong
        .map(|(name, _, reason)| (name, reason, found.get(*name)))
        .collect();
    assert!(wrong.is_empty(), "name, expected, found: {wrong:#?}");
    assert_eq!(found.len(), files.len(), "{found:?}");
}

const MADE_ELSEWHERE: &[u8] = b"made elsewhere";

fn elsewhere() -> Vec<u8> {
    MADE_ELSEWHERE.to_vec()
}

/// The first `hundredths` hundredths of a file.
fn cut(name: &str, hundredths: usize) -> Vec<u8> {
    let bytes = fixture(name);
    bytes[..bytes.len() * hundredths / 100].to_vec()
}

/// A file with some bytes replaced.
fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// The offset of a marker segment in a JPEG.
fn marker(jpeg: &[u8], kind: u8) -> usize {
    jpeg.windows(2).position(|two| two == [0xff, kind]).unwrap()
}

/// A PNG with this header, with a correct checksum, and the chunks of another one.
fn png(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([depth, colour, 0, 0, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    header.extend(crc.sum().to_be_bytes());
    patched(fixture("rgba.png"), 12, &header)
}

#[test]
fn pictures() {
    let jpeg = || fixture("rgb420.jpg");
    let size = marker(&jpeg(), 0xc0) + 5; // height and width, two bytes each
    let tables = marker(&jpeg(), 0xc4);
    let noise: Vec<u8> = (0..60u32).map(|n| (n * 151 % 251) as u8).collect();
    // The last scan of a progressive JPEG, a thousand times.
    let progressive = fixture("progressive.jpg");
    let last = progressive
        .windows(2)
        .rposition(|two| two == [0xff, 0xda])
        .unwrap();
    let end = progressive.len() - 2;
    let mut scans = progressive[..end].to_vec();
    (0..1000).for_each(|_| scans.extend(&progressive[last..end]));
    scans.extend([0xff, 0xd9]);
    let gif = fixture("rgb.gif");
    let bmp = |width: i32, height: i32| {
        let mut bmp = b"BM".to_vec();
        let offset = 54u32;
        for number in [
            offset,
            0,
            offset,
            40,
            width as u32,
            height as u32,
            1 | 24 << 16,
        ] {
            bmp.extend(number.to_le_bytes());
        }
        bmp.resize(offset as usize + 64, 0);
        bmp
    };
    // A directory whose next directory is itself.
    let tiff = [
        &b"II*\0\x08\0\0\0\x01\0\0\x01\x03\0\x01\0\0\0\x01\0\0\0\x08\0\0\0"[..],
        &[0; 32],
    ]
    .concat();
    rejected(
        &[
            ("empty.jpg", vec![], "truncated"),
            ("one-byte.jpg", vec![0xff], "unsupported"),
            ("text.jpg", b"hello".to_vec(), "unsupported"),
            (
                "html.jpg",
                b"<!DOCTYPE html><title>404</title>".to_vec(),
                "unsupported",
            ),
            (
                "pdf.jpg",
                b"%PDF-1.7\n%\xe2\xe3\xcf\xd3".to_vec(),
                "unsupported",
            ),
            (
                "svg.jpg",
                b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
                "unsupported",
            ),
            ("archive.jpg", b"PK\x03\x04rest".to_vec(), "unsupported"),
            ("start-only.jpg", cut("rgb420.jpg", 1), "truncated"),
            ("cut-10.jpg", cut("rgb420.jpg", 10), "truncated"),
            ("cut-50.jpg", cut("rgb420.jpg", 50), "truncated"),
            ("cut-99.jpg", cut("rgb420.jpg", 99), "truncated"),
            (
                "cut-progressive.jpg",
                cut("progressive.jpg", 60),
                "truncated",
            ),
            (
                "nothing-between.jpg",
                vec![0xff, 0xd8, 0xff, 0xd9],
                "corrupt",
            ),
            (
                "huge.jpg",
                patched(jpeg(), size, &[0xff, 0xdc, 0xff, 0xdc]),
                "too-large",
            ),
            ("no-rows.jpg", patched(jpeg(), size, &[0, 0]), "corrupt"),
            (
                "no-columns.jpg",
                patched(jpeg(), size + 2, &[0, 0]),
                "corrupt",
            ),
            ("odd-depth.jpg", patched(jpeg(), size - 1, &[99]), "corrupt"),
            (
                "bad-tables.jpg",
                patched(jpeg(), tables + 4, &noise),
                "corrupt",
            ),
            ("thousand-scans.jpg", scans, "corrupt"),
            (
                "signature-only.png",
                fixture("rgba.png")[..8].to_vec(),
                "truncated",
            ),
            ("cut-25.png", cut("rgba.png", 25), "truncated"),
            ("cut-90.png", cut("rgba.png", 90), "truncated"),
            ("nothing.png", png(0, 0, 8, 6), "corrupt"),
            ("bomb.png", png(30_000, 30_000, 8, 6), "too-large"),
            (
                "largest.png",
                png(0x7fff_ffff, 0x7fff_ffff, 8, 6),
                "unsupported",
            ),
            ("taller.png", png(75, 4000, 8, 6), "corrupt"),
            ("odd-depth.png", png(75, 61, 7, 6), "corrupt"),
            ("odd-colour.png", png(75, 61, 8, 9), "corrupt"),
            (
                "bad-sum.png",
                patched(fixture("rgba.png"), 29, &[1, 2, 3, 4]),
                "corrupt",
            ),
            (
                "long-chunk.png",
                patched(fixture("rgba.png"), 33, &[0xff; 4]),
                "truncated",
            ),
            ("huge.gif", patched(gif.clone(), 6, &[0xff; 4]), "too-large"),
            ("cut.gif", gif[..gif.len() / 2].to_vec(), "truncated"),
            ("cut.webp", cut("lossy.webp", 60), "truncated"),
            (
                "longer.webp",
                patched(fixture("lossy.webp"), 4, &[0xff; 4]),
                "truncated",
            ),
            ("huge.bmp", bmp(60_000, 60_000), "too-large"),
            ("negative.bmp", bmp(-5, 5), "corrupt"),
            ("short.bmp", bmp(50, 50), "truncated"),
            ("endless.tiff", tiff, "corrupt"),
            // Made below.
            ("folder.jpg", elsewhere(), "unreadable"),
            ("pipe.jpg", elsewhere(), "unreadable"),
            ("large.jpg", elsewhere(), "too-large"),
            ("device.jpg", elsewhere(), "outside-root"),
            ("good.jpg/below.jpg", elsewhere(), "missing"),
        ],
        |root| {
            std::fs::create_dir(root.join("folder.jpg")).unwrap();
            let made = Command::new("mkfifo").arg(root.join("pipe.jpg")).status();
            assert!(made.unwrap().success());
            let large = std::fs::File::create(root.join("large.jpg")).unwrap();
            large.set_len(300 << 20).unwrap(); // of which the disk holds nothing
            std::os::unix::fs::symlink("/dev/zero", root.join("device.jpg")).unwrap();
        },
    );
}

#[test]
fn file_names() {
    let long = "n".repeat(5000);
    rejected(
        &[
            ("../out.jpg", elsewhere(), "outside-root"),
            ("a/../../out.jpg", elsewhere(), "outside-root"),
            ("/etc/passwd", elsewhere(), "outside-root"),
            ("..", elsewhere(), "outside-root"),
            ("nul\0.jpg", elsewhere(), "outside-root"),
            ("..\\out.jpg", elsewhere(), "missing"),
            ("good.jpg/", elsewhere(), "missing"),
            (".", elsewhere(), "unreadable"),
            ("", elsewhere(), "unreadable"),
            ("~/out.jpg", elsewhere(), "missing"),
            ("$HOME/out.jpg", elsewhere(), "missing"),
            (&long, elsewhere(), "unreadable"),
        ],
        |_| {},
    );
}

/// Annotation files: exit code 3 and these words in the message, or accepted if there are
/// none.
#[test]
fn annotations() {
    let image = |rest: &str| {
        format!(r#"{{"images": [{{"filename": "good.jpg", "split": "val", "imgid": 1, {rest}}}]}}"#)
            .into_bytes()
    };
    let caption = |raw: &str| {
        image(&format!(
            r#""sentences": [{{"raw": "x", "sentid": 0}}, {raw}]"#
        ))
    };
    let good = || caption(r#"{"raw": "y", "sentid": 1}"#);
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let refused: [(&str, Vec<u8>, &str); 20] = [
        ("empty", vec![], "ends too early"),
        ("cut", good()[..40].to_vec(), "ends too early"),
        ("a number", b"7".to_vec(), "invalid type"),
        ("null", b"null".to_vec(), "invalid type"),
        ("a list", b"[]".to_vec(), "dataset_coco.json"),
        ("a picture", fixture("rgb420.jpg"), "not valid JSON"),
        ("zeros", vec![0; 4096], "not valid JSON"),
        ("deep", deep.clone(), "invalid type"),
        (
            "deep inside",
            [b"{\"more\": ", &*deep, b"}"].concat(),
            "missing field",
        ),
        (
            "NaN as id",
            caption(r#"{"raw": "y", "sentid": NaN}"#),
            "not valid JSON",
        ),
        (
            "infinity as id",
            caption(r#"{"raw": "y", "sentid": Infinity}"#),
            "not valid JSON",
        ),
        (
            "a fraction as id",
            caption(r#"{"raw": "y", "sentid": 1.5}"#),
            "images[0].sentences[1].sentid",
        ),
        (
            "a huge id",
            caption(r#"{"raw": "y", "sentid": 1e30}"#),
            "invalid value",
        ),
        (
            "a key twice",
            caption(r#"{"raw": "y", "raw": "z", "sentid": 1}"#),
            "duplicate field",
        ),
        (
            "half a surrogate",
            caption(r#"{"raw": "\ud83d", "sentid": 1}"#),
            "dataset_coco.json:1:",
        ),
        (
            "surrogates the wrong way",
            caption(r#"{"raw": "\udc00\ud83d", "sentid": 1}"#),
            "dataset_coco.json:1:",
        ),
        (
            "a control character",
            caption("{\"raw\": \"\u{1}\", \"sentid\": 1}"),
            "not valid JSON",
        ),
        (
            "no escape",
            caption(r#"{"raw": "\x41", "sentid": 1}"#),
            "not valid JSON",
        ),
        (
            "Latin-1",
            caption("{\"raw\": \"?\", \"sentid\": 1}")
                .iter()
                .map(|&b| if b == b'?' { 0xe9 } else { b })
                .collect(),
            "dataset_coco.json:1:",
        ),
        (
            "two values",
            [good(), good()].concat(),
            "several JSON values",
        ),
    ];
    for (what, bytes, words) in refused {
        let folder = data_set(&[
            ("dataset_coco.json", &bytes),
            ("good.jpg", &fixture("rgb420.jpg")),
        ]);
        let output = run(&folder, &[]);
        assert_eq!(output.status.code(), Some(3), "{what}: {}", said(&output));
        assert!(said(&output).contains(words), "{what}: {}", said(&output));
        assert_eq!(
            said(&output)
                .lines()
                .filter(|line| line.starts_with("error:"))
                .count(),
            1
        );
        assert!(!folder.path().join("out").exists(), "{what}");
    }
    let bom = ["\u{feff}".as_bytes(), &good()].concat();
    let negative = caption(r#"{"raw": "y", "sentid": -9223372036854775808}"#);
    let odd = caption(r#"{"raw": "\u0000\u202e👩‍👩‍👧 \uffff", "sentid": 1}"#);
    for (what, bytes, captions) in [
        ("a byte order mark", bom, 2),
        ("a negative id", negative, 2),
        ("odd characters", odd, 2),
        (
            "white space of all kinds",
            caption("{\"raw\": \"\u{a0}\u{3000}\\t\\r\\n\", \"sentid\": 1}"),
            1,
        ),
        (
            "nothing that shows",
            caption(r#"{"raw": "\u0007\u0000\u200b\ufeff\u00ad", "sentid": 1}"#),
            1,
        ),
        (
            "an id as text",
            caption(r#"{"raw": "y", "sentid": "1"}"#),
            2,
        ),
        (
            "an id of 64 bits",
            caption(r#"{"raw": "y", "sentid": 9223372036854775808}"#),
            2,
        ),
        ("no id", caption(r#"{"raw": "y"}"#), 2),
        (
            "null as caption",
            caption(r#"{"raw": null, "sentid": 1}"#),
            1,
        ),
        ("an id twice", caption(r#"{"raw": "y", "sentid": 0}"#), 1),
    ] {
        let folder = data_set(&[
            ("dataset_coco.json", &bytes),
            ("good.jpg", &fixture("rgb420.jpg")),
        ]);
        let output = run(&folder, &[]);
        assert!(output.status.success(), "{what}: {}", said(&output));
        assert_eq!(open(&folder, "out").1.captions().len(), captions, "{what}");
    }
    let folder = data_set(&[("good.jpg", &fixture("rgb420.jpg"))]);
    let pipe = folder.path().join("root/dataset_coco.json");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let output = run(&folder, &[]);
    assert!(output.status.code() == Some(3) && said(&output).contains("not a file"));
}

/// A damaged archive stops the run; a damaged member is rejected.
#[test]
fn archives() {
    let member = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    let good = member("good.jpg", &fixture("rgb420.jpg"));
    let noise = member("hurt.jpg", &fixture("grey.jpg"));
    let whole = |make: fn(&Path, &str, &[Member])| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        make(&path, "", &[good.clone(), noise.clone()]);
        std::fs::read(path).unwrap()
    };
    let (zipped, tarred) = (whole(zip), whole(tar));
    let central = zipped
        .windows(4)
        .rposition(|four| four == b"PK\x01\x02")
        .unwrap();
    let local = zipped
        .windows(4)
        .rposition(|four| four == b"PK\x03\x04")
        .unwrap();
    let both = |at: usize, with: &[u8]| {
        let bytes = patched(zipped.clone(), central + at, with);
        patched(bytes, local + at - 2, with)
    };
    let run_on = |name: &str, bytes: &[u8]| {
        let list = listed(&["hurt.jpg"]);
        let list = String::from_utf8(list).unwrap();
        let list = list.replace("\"filename\"", "\"filepath\":\"photos\",\"filename\"");
        let folder = data_set(&[("dataset_coco.json", list.as_bytes()), (name, bytes)]);
        let output = run(&folder, &[]);
        (folder, output)
    };
    let mut bomb = vec![];
    let zeros = vec![0; 300 << 20];
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb");
        zip(&path, "", &[good.clone(), member("hurt.jpg", &zeros)]);
        bomb.extend(std::fs::read(path).unwrap());
    }
    for (what, bytes, reason) in [
        ("a bomb", bomb, "too-large"),
        ("another checksum", both(16, &[1, 2, 3, 4]), "corrupt"),
        ("a lie about the size", both(24, &[9, 0, 0, 0]), "corrupt"),
        ("more size than content", both(24, &[9, 9, 9, 0]), "corrupt"),
        ("a password", both(8, &[1, 0]), "unsupported"),
        ("an unknown method", both(10, &[77, 0]), "unsupported"),
        (
            "no such place",
            patched(zipped.clone(), central + 42, &[1, 0, 0, 0]),
            "corrupt",
        ),
        (
            "another's place",
            patched(zipped.clone(), central + 42, &[0, 0, 0, 0]),
            "corrupt",
        ),
        (
            "another name",
            patched(zipped.clone(), central + 46, b"gone"),
            "missing",
        ),
    ] {
        let (folder, output) = run_on("photos.zip", &bytes);
        assert!(output.status.success(), "{what}: {}", said(&output));
        let found = reasons(&folder).remove("photos/hurt.jpg");
        assert_eq!(found.as_deref(), Some(reason), "{what}");
    }
    let second = tarred.len() / 2 / 512 * 512;
    let header = (0..tarred.len())
        .step_by(512)
        .rfind(|at| tarred[*at..].starts_with(b"hurt"))
        .unwrap();
    assert!(header <= second + 4096);
    for (what, name, bytes) in [
        ("an empty zip", "photos.zip", vec![]),
        (
            "half a zip",
            "photos.zip",
            zipped[..zipped.len() / 2].to_vec(),
        ),
        ("a zip of zeros", "photos.zip", vec![0; 1000]),
        (
            "a tar's checksum",
            "photos.tar",
            patched(tarred.clone(), header + 148, b"0000000"),
        ),
        (
            "a tar's size",
            "photos.tar",
            patched(tarred.clone(), header + 124, b"zzzzzzzzzzz"),
        ),
        (
            "half a header",
            "photos.tar",
            tarred[..header + 100].to_vec(),
        ),
        (
            "half a member",
            "photos.tar",
            tarred[..header + 700].to_vec(),
        ),
        (
            "a tar cut between members",
            "photos.tar",
            tarred[..header].to_vec(),
        ),
        ("an empty tar", "photos.tar", vec![]),
        ("a tar's endless name", "photos.tar", endless_name()),
    ] {
        let (folder, output) = run_on(name, &bytes);
        assert_eq!(output.status.code(), Some(3), "{what}: {}", said(&output));
        assert!(
            said(&output).contains(&format!("root/{name}: ")),
            "{what}: {}",
            said(&output)
        );
        assert!(!folder.path().join("out").exists());
    }
    for members in [1 << 23, u64::MAX] {
        let (_, output) = run_on("photos.zip", &counted(members));
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains("too many members"));
    }
}

/// A tar with a name of 64 MiB.
fn endless_name() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(64 << 20);
    header.set_cksum();
    let name = vec![b'n'; 64 << 20];
    [header.as_bytes(), &*name, &[0; 1024]].concat()
}

/// A 64-bit zip whose end record states this number of members.
fn counted(members: u64) -> Vec<u8> {
    let mut zip = b"PK\x06\x06".to_vec();
    zip.extend(44u64.to_le_bytes());
    zip.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [members, members, members.saturating_mul(46), 0] {
        zip.extend(number.to_le_bytes());
    }
    zip.extend(b"PK\x06\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0");
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([0xff; 12]);
    zip.extend([0, 0]);
    zip
}
