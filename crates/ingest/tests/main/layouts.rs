//! Data sets as found in practice: they are read in place if possible, or else the message
//! says what they are.

use crate::archives::{Member, tar, zip};
use crate::reproducible::{digests, run};
use crate::{data_set, fixture, ingest, open, write};
use attend_artifact::Record;
use attend_artifact::dataset::RejectedRecord;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const NAMES: [&str; 4] = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"];

/// Karpathy's file for images in a folder, with one caption each.
fn listed(folder: &str, names: &[&str]) -> Vec<u8> {
    let image = |(id, name): (usize, &&str)| {
        serde_json::json!({"filepath": folder, "filename": name, "imgid": id, "split": "val",
            "sentences": [{"raw": format!("picture {id}"), "sentid": id}]})
    };
    let images: Vec<_> = names.iter().enumerate().map(image).collect();
    serde_json::json!({ "images": images })
        .to_string()
        .into_bytes()
}

/// The photographs, two of them the same file.
fn photographs() -> Vec<Member> {
    let files = ["rgb420.jpg", "grey.jpg", "rgb420.jpg", "progressive.jpg"];
    let pairs = NAMES.iter().zip(files);
    pairs
        .map(|(name, file)| ((*name).to_owned(), fixture(file)))
        .collect()
}

/// Output and exit code of a run into `out`.
fn says(folder: &TempDir, set: &[&str]) -> (String, i32) {
    let set = [&["dataset.image_size=16"], set].concat();
    let assert = ingest(folder, "out", &set);
    let output = assert.get_output();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    (log, output.status.code().unwrap())
}

/// Reasons and details by file name.
fn rejected(folder: &TempDir) -> BTreeMap<String, (String, String)> {
    let rows = RejectedRecord::read(&open(folder, "out").0.file("rejected.parquet").unwrap());
    let images = rows.unwrap().into_iter().filter(|row| row.kind == "image");
    images
        .map(|row| (row.file_name, (row.reason, row.detail)))
        .collect()
}

/// A zip whose central directory and headers have these names, nothing packed.
fn renamed(path: &Path, members: &[Member], from: &str, to: &str) {
    zip(path, from, members);
    let mut bytes = std::fs::read(path).unwrap();
    assert_eq!(from.len(), to.len());
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    std::fs::write(path, bytes).unwrap();
}

/// A header of a tar with a link.
fn link(kind: tar::EntryType, name: &str, target: &str) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_path(name).unwrap();
    header.set_link_name(target).unwrap();
    header.set_size(0);
    header.set_cksum();
    header
}

/// Makes an archive.
type Make<'a> = dyn Fn(&Path) + 'a;

/// In any arrangement of the photographs, the data set is the same byte for byte.
#[test]
fn every_layout_is_the_same_data_set() {
    let folder = data_set(&[("dataset_coco.json", &listed("photos", &NAMES))]);
    let root = folder.path().join("root");
    let members = photographs();
    for (name, bytes) in &members {
        write(&root.join("photos").join(name), bytes);
    }
    run(&folder, "loose", "2", &[]).success();
    std::fs::rename(root.join("photos"), folder.path().join("kept")).unwrap();
    let make: &[(&str, &Make<'_>)] = &[
        ("photos.zip", &|path| zip(path, "photos/", &members)),
        ("photos.ZIP", &|path| zip(path, "", &members)),
        ("photos.Tar", &|path| tar(path, "./photos/", &members)),
        ("other name.zip", &|path| zip(path, "photos/", &members)),
        ("other.tar", &|path| tar(path, "photos/", &members)),
        // An inner folder of another name, and what macOS adds.
        ("photos.zip", &|path| {
            let mut more: Vec<Member> = members
                .iter()
                .map(|(n, b)| (format!("x/y/{n}"), b.clone()))
                .collect();
            more.extend(
                members
                    .iter()
                    .map(|(n, _)| (format!("__MACOSX/x/y/._{n}"), b"Mac OS X".to_vec())),
            );
            more.push((".DS_Store".into(), vec![0; 10]));
            zip(path, "", &more);
        }),
        ("photos.zip", &|path| {
            renamed(path, &members, "photos/", "photos\\")
        }),
        ("photos.zip", &|path| {
            // After a program that unpacks it, and before a comment.
            zip(path, "photos/", &members);
            let archive = [&b"#!/bin/sh\nexit 1\n"[..], &std::fs::read(path).unwrap()].concat();
            let end = archive.len() - 2;
            let comment = b"a comment";
            let length = (comment.len() as u16).to_le_bytes();
            std::fs::write(path, [&archive[..end], &length, comment].concat()).unwrap();
        }),
        ("photos.zip", &|path| tar(path, "photos/", &members)), // only its name is a zip's
        ("photos.tar", &|path| {
            // Two concatenated tars, and zeros up to a full record.
            let (first, second) = members.split_at(2);
            tar(path, "photos/", first);
            let mut all = std::fs::read(path).unwrap();
            all.resize(all.len().next_multiple_of(10240), 0);
            tar(path, "photos/", second);
            all.extend(std::fs::read(path).unwrap());
            std::fs::write(path, all).unwrap();
        }),
        ("photos.tar", &|path| {
            // c.jpg is a.jpg again, and b.jpg a link to a file beside the photographs.
            let mut archive = tar::Builder::new(std::fs::File::create(path).unwrap());
            let mut put = |name: &str, bytes: &[u8]| {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, name, bytes).unwrap();
            };
            put("photos/a.jpg", &members[0].1);
            put("blobs/b", &members[1].1);
            put("photos/d.jpg", &members[3].1);
            for header in [
                link(tar::EntryType::Link, "photos/c.jpg", "photos/a.jpg"),
                link(tar::EntryType::Symlink, "photos/b.jpg", "../blobs/b"),
            ] {
                archive.append(&header, &b""[..]).unwrap();
            }
            archive.finish().unwrap();
        }),
        ("photos.zip", &|path| {
            let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
            let options = zip::write::SimpleFileOptions::default().large_file(true);
            for (name, bytes) in &members[..3] {
                archive
                    .start_file(format!("photos/{name}"), options)
                    .unwrap();
                archive.write_all(bytes).unwrap();
            }
            archive.start_file("d", options).unwrap();
            archive.write_all(&members[3].1).unwrap();
            archive
                .add_symlink("photos/d.jpg", "../d", options)
                .unwrap();
            archive.finish().unwrap();
        }),
    ];
    for (number, (name, make)) in make.iter().enumerate() {
        make(&root.join(name));
        let output = format!("out-{number}");
        run(&folder, &output, "2", &[]).success();
        assert_eq!(
            digests(&folder, &output),
            digests(&folder, "loose"),
            "{number} {name}"
        );
        std::fs::remove_file(root.join(name)).unwrap();
    }
}

/// Archives made by GNU tar and similar programs, if they are installed.
#[test]
fn archives_of_other_programs() {
    let folder = data_set(&[("dataset_coco.json", &listed("photos", &NAMES))]);
    let root = folder.path().join("root");
    for (name, bytes) in photographs() {
        write(&root.join("photos").join(name), &bytes);
    }
    std::fs::remove_file(root.join("photos/c.jpg")).unwrap();
    std::fs::hard_link(root.join("photos/a.jpg"), root.join("photos/c.jpg")).unwrap();
    run(&folder, "loose", "2", &[]).success();
    let script = r#"set -e
        tar --format=$FORMAT -cf photos.tar photos
        tar --format=$FORMAT -cf more.tar photos/d.jpg
        tar -Af photos.tar more.tar
        rm -r more.tar photos"#;
    for format in ["gnu", "pax", "ustar", "v7"] {
        let keep = TempDir::new().unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(&root)
            .arg(keep.path())
            .status()
            .unwrap();
        assert!(copied.success());
        let mut make = Command::new("sh");
        make.args(["-c", script]).env("FORMAT", format);
        let made = make.current_dir(keep.path().join("root")).status();
        let made = made.unwrap();
        if !made.success() {
            eprintln!("skipped: no GNU tar");
            return;
        }
        run(&keep, "out", "2", &[]).success();
        assert_eq!(digests(&keep, "out"), digests(&folder, "loose"), "{format}");
    }
}

#[test]
fn flickr8k_is_read_as_it_is_downloaded() {
    let tokens = "a.jpg#0\tone\nb.jpg#0\ttwo\nc.jpg#0\tthree\nd.jpg#0\tfour\n";
    let texts = [
        ("Flickr8k.token.txt", tokens),
        ("Flickr_8k.trainImages.txt", "a.jpg\nb.jpg\n"),
        ("Flickr_8k.devImages.txt", "c.jpg\n"),
        ("Flickr_8k.testImages.txt", "d.jpg\n"),
    ];
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("root");
    for (name, text) in texts {
        write(&root.join(name), text.as_bytes());
    }
    for (name, bytes) in photographs() {
        write(&root.join("Flicker8k_Dataset").join(name), &bytes);
    }
    run(&folder, "loose", "2", &["dataset.format=flickr8k"]).success();
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::create_dir(&root).unwrap();
    let macos = |name: &str| {
        (
            format!("__MACOSX/Flicker8k_Dataset/._{name}"),
            vec![0, 5, 22, 7],
        )
    };
    let inner = photographs()
        .into_iter()
        .map(|(name, bytes)| (format!("Flicker8k_Dataset/{name}"), bytes));
    let members: Vec<Member> = inner.chain(NAMES.map(macos)).collect();
    zip(&root.join("Flickr8k_Dataset.zip"), "", &members);
    let text = texts.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    zip(&root.join("Flickr8k_text.zip"), "", &text);
    run(&folder, "out", "2", &["dataset.format=flickr8k"]).success();
    assert_eq!(digests(&folder, "out"), digests(&folder, "loose"));
    let inner = "dataset.image_dir=Flickr8k_Dataset.zip/Flicker8k_Dataset";
    run(&folder, "named", "2", &["dataset.format=flickr8k", inner]).success();
    assert_eq!(open(&folder, "named").1.images().len(), 4);
    let (log, code) = says(
        &folder,
        &[
            "dataset.format=flickr8k",
            "dataset.image_dir=Flickr8k_Dataset.zip/photos",
        ],
    );
    assert!(
        code == 3 && log.contains("no such folder; it has Flicker8k_Dataset"),
        "{log}"
    );
}

#[test]
fn a_link_per_photograph_is_followed_where_the_config_says_so() {
    use std::os::unix::fs::symlink;
    let folder = data_set(&[("dataset_coco.json", &listed("photos", &NAMES))]);
    let root = folder.path().join("root");
    for (name, bytes) in photographs() {
        write(&root.join("photos").join(name), &bytes);
    }
    run(&folder, "loose", "2", &[]).success();
    for (name, bytes) in photographs() {
        let blob = folder.path().join("blobs").join(&name);
        write(&blob, &bytes);
        std::fs::remove_file(root.join("photos").join(&name)).unwrap();
        symlink(
            format!("../../blobs/{name}"),
            root.join("photos").join(&name),
        )
        .unwrap();
    }
    let (log, code) = says(&folder, &[]);
    assert!(
        code == 3 && log.contains("4 outside-root") && log.contains("dataset.follow_links"),
        "{log}"
    );
    // One is not a link: images that were left out are tried again once the key is set.
    std::fs::remove_file(root.join("photos/a.jpg")).unwrap();
    write(&root.join("photos/a.jpg"), &photographs()[0].1);
    run(&folder, "out", "2", &["dataset.max_rejected_fraction=1.0"]).success();
    assert_eq!(open(&folder, "out").1.images().len(), 1);
    run(&folder, "out", "2", &["dataset.follow_links=true"]).success();
    assert_eq!(digests(&folder, "out"), digests(&folder, "loose"));
    // Names still can't lead out.
    write(
        &root.join("dataset_coco.json"),
        &listed("", &["photos/a.jpg", "../blobs/b.jpg"]),
    );
    let set = [
        "dataset.follow_links=true",
        "dataset.max_rejected_fraction=1.0",
    ];
    let (log, code) = says(&folder, &[&set[..], &["dataset.image_dir=."]].concat());
    assert!(code == 0 && log.contains("1 outside-root"), "{log}");
}

#[test]
fn what_is_not_read_in_place_is_named() {
    let names = [
        "photos.tar.gz",
        "photos.rar",
        "photos.7z",
        "Photos.TGZ",
        "photos.tar.zst",
        "photos.z01",
    ];
    for name in names {
        let folder = data_set(&[("dataset_coco.json", &listed("", &NAMES)), (name, b"")]);
        let (log, code) = says(&folder, &["dataset.image_dir=photos"]);
        assert!(
            code == 3
                && log.contains(&format!("there is {name}, a"))
                && log.contains("unpack it (`"),
            "{log}"
        );
    }
    for (content, words) in [
        (&b"\x1f\x8b\x08\0"[..], "packed by gzip"),
        (b"Rar!\x1a\x07\x01\0", "packed by RAR"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a Git LFS pointer",
        ),
    ] {
        for name in ["photos.zip", "photos.tar"] {
            let folder = data_set(&[
                ("dataset_coco.json", &listed("photos", &NAMES)),
                (name, content),
            ]);
            let (log, code) = says(&folder, &[]);
            assert!(
                code == 3 && log.contains(words) && log.contains(name),
                "{log}"
            );
        }
    }
    let folder = data_set(&[("annotations_trainval2014.zip", b"")]);
    let (log, code) = says(&folder, &["dataset.format=coco"]);
    assert!(
        code == 3 && log.contains("`unzip annotations_trainval2014.zip`"),
        "{log}"
    );
    // The last part of a split archive.
    let folder = data_set(&[("dataset_coco.json", &listed("photos", &NAMES))]);
    let path = folder.path().join("root/photos.zip");
    zip(&path, "", &photographs());
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len() - 22;
    bytes[end + 4..end + 8].copy_from_slice(&[1, 0, 1, 0]);
    std::fs::write(&path, bytes).unwrap();
    let (log, code) = says(&folder, &[]);
    assert!(
        code == 3 && log.contains("split zip") && log.contains("zip -s 0"),
        "{log}"
    );
}

#[test]
fn two_archives_that_hold_the_folder_are_both_named() {
    let folder = data_set(&[("dataset_coco.json", &listed("photos", &NAMES))]);
    for name in ["one.zip", "two.zip"] {
        zip(
            &folder.path().join("root").join(name),
            "photos/",
            &photographs(),
        );
    }
    let (log, code) = says(&folder, &[]);
    assert!(
        code == 3 && log.contains("one.zip") && log.contains("two.zip"),
        "{log}"
    );
}

/// The ledger names a file with nearly the same name.
#[test]
fn names_that_differ_in_case_are_named() {
    let list = listed("photos", &["a.jpg", "IMG.JPG", "cafe\u{301}.jpg"]);
    let members: Vec<Member> = [
        ("a.jpg", "grey.jpg"),
        ("img.jpg", "grey.jpg"),
        ("café.jpg", "grey.jpg"),
    ]
    .map(|(name, file)| (name.to_owned(), fixture(file)))
    .into();
    let check = |folder: &TempDir| {
        let (log, code) = says(folder, &["dataset.max_rejected_fraction=1.0"]);
        assert_eq!(code, 0, "{log}");
        let rejected = rejected(folder);
        let (reason, detail) = &rejected["photos/IMG.JPG"];
        assert!(
            reason == "missing" && detail.contains("img.jpg"),
            "{detail}"
        );
        assert!(rejected["photos/cafe\u{301}.jpg"].1.contains("café.jpg"));
    };
    let folder = data_set(&[("dataset_coco.json", &list)]);
    for (name, bytes) in &members {
        write(&folder.path().join("root/photos").join(name), bytes);
    }
    check(&folder);
    for make in [zip, tar] {
        let folder = data_set(&[("dataset_coco.json", &list)]);
        make(&folder.path().join("root/photos.zip"), "photos/", &members);
        check(&folder);
    }
    // Also for a folder.
    let folder = data_set(&[("dataset_coco.json", &list), ("Photos/a.jpg", b"")]);
    let (log, code) = says(&folder, &[]);
    assert!(code == 3 && log.contains("there is Photos"), "{log}");
}

/// The ledger says why a member can't be read.
#[test]
fn members_that_are_no_photographs_are_named() {
    let names = [
        "a.jpg",
        "out.jpg",
        "root.jpg",
        "gone.jpg",
        "hard.jpg",
        "sparse.jpg",
        "pipe.jpg",
        "loop.jpg",
    ];
    let folder = data_set(&[("dataset_coco.json", &listed("photos", &names))]);
    let mut archive = tar::Builder::new(Vec::new());
    let bytes = fixture("grey.jpg");
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    archive
        .append_data(&mut header, "photos/a.jpg", &bytes[..])
        .unwrap();
    for (kind, name, target) in [
        (tar::EntryType::Symlink, "out.jpg", "../../elsewhere.jpg"),
        (tar::EntryType::Symlink, "root.jpg", "/etc/passwd"),
        (tar::EntryType::Symlink, "gone.jpg", "nothing.jpg"),
        (tar::EntryType::Symlink, "loop.jpg", "loop.jpg"),
        (tar::EntryType::Link, "hard.jpg", "photos/nothing.jpg"),
        (tar::EntryType::Fifo, "pipe.jpg", "x"),
    ] {
        let header = link(kind, &format!("photos/{name}"), target);
        archive.append(&header, &b""[..]).unwrap();
    }
    // A sparse file as by GNU tar in pax format: under another name.
    archive
        .append_pax_extensions([
            ("GNU.sparse.major", &b"1"[..]),
            ("GNU.sparse.name", b"photos/sparse.jpg"),
        ])
        .unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(5);
    header.set_entry_type(tar::EntryType::Regular);
    archive
        .append_data(
            &mut header,
            "photos/GNUSparseFile.0/sparse.jpg",
            &b"1\n0\n5"[..],
        )
        .unwrap();
    write(
        &folder.path().join("root/photos.tar"),
        &archive.into_inner().unwrap(),
    );
    let (log, code) = says(&folder, &["dataset.max_rejected_fraction=1.0"]);
    assert_eq!(code, 0, "{log}");
    let rejected = rejected(&folder);
    for (name, reason, words) in [
        ("out.jpg", "outside-root", "out of its archive"),
        ("root.jpg", "outside-root", "out of its archive"),
        ("gone.jpg", "unreadable", "photos/nothing.jpg"),
        ("loop.jpg", "unreadable", "links"),
        ("hard.jpg", "unreadable", "hard link"),
        ("pipe.jpg", "unreadable", "not a regular file"),
        ("sparse.jpg", "unsupported", "sparse"),
    ] {
        let (found, detail) = &rejected[&format!("photos/{name}")];
        assert!(
            found == reason && detail.contains(words),
            "{name}: {found}: {detail}"
        );
    }
    assert_eq!(open(&folder, "out").1.images().len(), 1);
}

/// Like other programs, the stage does not read what follows the end marker; but it
/// refuses a truncated archive, also after a complete one.
#[test]
fn a_tar_behind_another_that_is_cut_is_refused() {
    let folder = data_set(&[("dataset_coco.json", &listed("photos", &NAMES))]);
    let path = folder.path().join("root/photos.tar");
    tar(&path, "photos/", &photographs());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], b"no tar at all"].concat()).unwrap();
    let (log, code) = says(&folder, &[]);
    assert!(
        code == 0 && log.contains("what follows its end marker is not read"),
        "{log}"
    );
    for cut in [512, 700, whole.len() - 1024] {
        std::fs::write(&path, [&whole, &whole[..cut]].concat()).unwrap();
        let (log, code) = says(&folder, &["dataset.image_size=17"]);
        assert!(
            code == 3 && log.contains("ends before its end marker"),
            "{cut}: {log}"
        );
    }
}

/// Names from annotations and archives are escaped to one line on the terminal, and kept
/// unchanged in the ledger.
#[test]
fn control_characters_in_names_stay_in_the_ledger() {
    let name = "a\u{1b}[2J\nerror: b\u{202e}.jpg";
    let folder = data_set(&[("dataset_coco.json", &listed("photos", &["a.jpg", name]))]);
    let members = [
        ("a.jpg".into(), fixture("grey.jpg")),
        ("A\u{1b}[2J\nerror: b\u{202e}.jpg".into(), vec![]),
    ];
    zip(&folder.path().join("root/photos.zip"), "photos/", &members);
    let (log, code) = says(&folder, &["dataset.max_rejected_fraction=1.0"]);
    assert_eq!(code, 0, "{log}");
    assert!(
        log.contains(r"a\u{1b}[2J\nerror: b\u{202e}.jpg") && !log.contains('\u{1b}'),
        "{log}"
    );
    assert_eq!(
        log.lines()
            .filter(|line| line.starts_with("error:"))
            .count(),
        0,
        "{log}"
    );
    assert!(rejected(&folder).contains_key(&format!("photos/{name}")));
    let (log, _) = says(
        &folder,
        &["dataset.max_rejected_fraction=0.0", "dataset.image_size=17"],
    );
    assert_eq!(
        log.lines()
            .filter(|line| line.starts_with("error:"))
            .count(),
        1,
        "{log}"
    );
}
