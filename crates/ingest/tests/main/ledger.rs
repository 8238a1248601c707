//! The ledger: each image and caption that can't be used is in it once, with its reason.

use crate::{data_set, fixture, ingest, open};
use std::process::Command;

/// A white BMP, larger than the other pictures.
fn large_bmp() -> Vec<u8> {
    let (side, offset) = (200u32, 54u32);
    let mut bmp = b"BM".to_vec();
    for number in [
        offset + side * side * 3,
        0,
        offset,
        40,
        side,
        side,
        1 | 24 << 16,
    ] {
        bmp.extend(number.to_le_bytes());
    }
    bmp.resize(offset as usize, 0);
    bmp.resize((offset + side * side * 3) as usize, 255);
    bmp
}

#[test]
fn every_reason_and_nothing_else() {
    // id, file, caption; captions get 10 * id as their id
    let images = [
        (1, "good.jpg", "fine"),
        (2, "missing.jpg", "gone"),
        (3, "cut.jpg", "half"),
        (4, "empty.jpg", "nothing"),
        (5, "text.jpg", "words"),
        (6, "flipped.png", "noise"),
        (7, "large.bmp", "white"),
        (8, "folder.jpg", "a folder"),
        (9, "pipe.jpg", "a pipe"),
        (10, "../outside.jpg", "secret"),
        (11, "/etc/hostname", "secret"),
        (12, "good.jpg", " \\t\\n "),
        (1, "extraneous.jpg", "again"),
        (14, "extraneous.jpg", "fine too"),
        (15, "good.jpg/below.jpg", "below a file"),
    ];
    let list: Vec<String> = images
        .iter()
        .map(|(id, file, _)| format!(r#"{{"id": {id}, "file_name": "{file}"}}"#))
        .collect();
    let mut captions: Vec<String> = images
        .iter()
        .enumerate()
        .map(|(i, (id, _, caption))| {
            format!(
                r#"{{"id": {}, "image_id": {id}, "caption": "{caption}"}}"#,
                10 * (i + 1)
            )
        })
        .collect();
    captions.push(r#"{"id": 500, "image_id": 99, "caption": "of no image"}"#.into());
    captions.push(r#"{"id": 10, "image_id": 1, "caption": "of an id that was"}"#.into());
    captions.push(r#"{"id": 501, "image_id": 14, "caption": ""}"#.into());
    let json = format!(
        r#"{{"images": [{}], "annotations": [{}]}}"#,
        list.join(","),
        captions.join(",")
    );
    let folder = data_set(&[
        ("annotations/captions_train2014.json", json.as_bytes()),
        ("train2014/good.jpg", &fixture("rgb420.jpg")),
        ("train2014/extraneous.jpg", &fixture("extraneous.jpg")),
        ("train2014/cut.jpg", &fixture("cut.jpg")),
        ("train2014/empty.jpg", b""),
        ("train2014/text.jpg", b"This is a text file.\n"),
        ("train2014/flipped.png", &fixture("flipped.png")),
        ("train2014/large.bmp", &large_bmp()),
        ("train2014/folder.jpg/file", b""),
        ("outside.jpg", &fixture("rgb420.jpg")),
    ]);
    let pipe = folder.path().join("root/train2014/pipe.jpg");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let set = [
        "dataset.format=coco",
        "dataset.splits=[\"train\"]",
        "dataset.image_size=8",
        "dataset.max_pixels=10000",
        "dataset.max_rejected_fraction=1.0",
    ];
    let run = ingest(&folder, "out", &set).success();
    let (artifact, dataset) = open(&folder, "out");

    let kept: Vec<_> = dataset
        .images()
        .iter()
        .map(|image| (image.image_id, image.row))
        .collect();
    assert_eq!(kept, [(1, 0), (14, 1)]);
    // The second image 1 was refused, but its caption names the first.
    let captions: Vec<_> = dataset
        .captions()
        .iter()
        .map(|c| (c.caption_id, c.image_id))
        .collect();
    assert_eq!(captions, [(10, 1), (130, 1), (140, 14)]);

    let mut rejected: Vec<_> = dataset
        .rejected()
        .iter()
        .map(|row| (&*row.kind, row.id, &*row.reason))
        .collect();
    rejected.sort();
    let mut expected = vec![
        ("image", 2, "missing"),
        ("image", 3, "truncated"),
        ("image", 4, "truncated"),
        ("image", 5, "unsupported"),
        ("image", 6, "corrupt"),
        ("image", 7, "too-large"),
        ("image", 8, "unreadable"),
        ("image", 9, "unreadable"),
        ("image", 10, "outside-root"),
        ("image", 11, "outside-root"),
        ("image", 12, "no-caption"),
        ("image", 1, "duplicate-id"),
        ("image", 15, "missing"),
        ("caption", 120, "empty-caption"),
        ("caption", 501, "empty-caption"),
        ("caption", 500, "no-image"),
        ("caption", 10, "duplicate-id"),
    ];
    let follow = [20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 150];
    expected.extend(follow.map(|id| ("caption", id, "image-rejected")));
    expected.sort();
    assert_eq!(rejected, expected);
    assert_eq!(artifact.count("rejected"), expected.len() as u64);
    // Nothing is lost: each listed image and caption is either in the data set or in the
    // ledger.
    assert_eq!(
        images.len(),
        kept.len() + rejected.iter().filter(|row| row.0 == "image").count()
    );
    assert_eq!(
        images.len() + 3,
        captions.len() + rejected.iter().filter(|row| row.0 == "caption").count()
    );

    let log = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(
        log.contains("left out images: ") && log.contains("2 outside-root"),
        "{log}"
    );
    assert!(
        log.contains("left out captions: 2 empty-caption, 1 duplicate-id, 1 no-image"),
        "{log}"
    );
    for row in dataset.rejected() {
        assert!(
            !row.detail.contains(folder.path().to_str().unwrap()),
            "{row:?}"
        );
    }
}

#[test]
fn hostile_split_names_stay_in_the_artifact() {
    let annotations = br#"{"images": [
        {"filename": "a.jpg", "imgid": 0, "split": "../../../evil", "sentences": [{"raw": "x", "sentid": 0}]},
        {"filename": "a.jpg", "imgid": 1, "split": "", "sentences": [{"raw": "x", "sentid": 1}]},
        {"filename": "a.jpg", "imgid": 2, "split": "train", "sentences": [{"raw": "x", "sentid": 2}]}]}"#;
    let folder = data_set(&[
        ("dataset_coco.json", annotations),
        ("a.jpg", &fixture("grey.jpg")),
    ]);
    ingest(&folder, "out", &["dataset.max_rejected_fraction=0.7"]).success();
    let (_, dataset) = open(&folder, "out");
    let rejected: Vec<_> = dataset
        .rejected()
        .iter()
        .map(|row| (row.id, &*row.reason))
        .collect();
    assert_eq!(
        rejected,
        [
            (0, "bad-split"),
            (1, "bad-split"),
            (0, "image-rejected"),
            (1, "image-rejected")
        ]
    );
}

/// A damaged file with all pixels is used and listed, or refused if the config says so.
#[test]
fn a_damaged_photograph_is_used_and_said() {
    let png = fixture("rgba.png");
    let jpeg = fixture("restarts.jpg");
    let trailer = [&jpeg[..jpeg.len() - 2], b"\0\0SEFT"].concat();
    let annotations = br#"{"images": [
        {"filename": "good.jpg", "imgid": 0, "split": "train", "sentences": [{"raw": "one", "sentid": 0}]},
        {"filename": "cut.png", "imgid": 1, "split": "train", "sentences": [{"raw": "two", "sentid": 1}]},
        {"filename": "trailer.jpg", "imgid": 2, "split": "train", "sentences": [{"raw": "three", "sentid": 2}]}]}"#;
    let folder = data_set(&[
        ("dataset_coco.json", annotations),
        ("good.jpg", &jpeg),
        ("cut.png", &png[..png.len() - 12]),
        ("trailer.jpg", &trailer),
    ]);
    let small = "dataset.image_size=8";
    let run = ingest(&folder, "out", &[small]).success();
    let log = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(
        log.contains("used 2 damaged images") && !log.contains("left out"),
        "{log}"
    );
    let (artifact, dataset) = open(&folder, "out");
    assert_eq!((dataset.images().len(), dataset.captions().len()), (3, 3));
    let rows = dataset.rejected().iter();
    let rows: Vec<_> = rows
        .map(|row| (row.id, &*row.reason, &*row.detail))
        .collect();
    let damage = [
        (1, "damaged", "no end chunk"),
        (2, "damaged", "no end marker"),
    ];
    assert_eq!(rows, damage);
    assert_eq!(
        (artifact.count("rejected"), artifact.count("damaged")),
        (0, 2)
    );
    // The default does not change the digests of good data sets.
    assert!(
        !artifact
            .manifest
            .config
            .to_string()
            .contains("refuse_damaged")
    );

    let refuse = "dataset.refuse_damaged=true";
    ingest(
        &folder,
        "out",
        &[small, refuse, "dataset.max_rejected_fraction=1"],
    )
    .success();
    let (artifact, dataset) = open(&folder, "out");
    assert_eq!(dataset.images().len(), 1);
    assert_eq!(artifact.manifest.counts["rejected.corrupt"], 2);
}

#[test]
fn too_large_names_the_key() {
    let annotations = br#"{"images": [
        {"filename": "a.jpg", "imgid": 0, "split": "train", "sentences": [{"raw": "one", "sentid": 0}]},
        {"filename": "b.bmp", "imgid": 1, "split": "train", "sentences": [{"raw": "two", "sentid": 1}]}]}"#;
    let folder = data_set(&[
        ("dataset_coco.json", annotations),
        ("a.jpg", &fixture("rgb420.jpg")),
        ("b.bmp", &large_bmp()),
    ]);
    let set = [
        "dataset.max_pixels=10000",
        "dataset.max_rejected_fraction=1",
    ];
    ingest(&folder, "out", &set).success();
    let (_, dataset) = open(&folder, "out");
    let detail = &dataset.rejected()[0].detail;
    assert!(
        detail.contains("200 x 200") && detail.contains("dataset.max_pixels"),
        "{detail}"
    );
}
