//! Splits by content.

use crate::archives::tar;
use crate::{data_set, fixture, ingest, open, write};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

const SET: [&str; 3] = [
    "dataset.image_size=16",
    "dataset.format=folder",
    "dataset.refuse_damaged=false",
];

/// A photograph of its own for each number: bytes behind the end of a JPEG are not looked at.
fn photograph(number: usize) -> Vec<u8> {
    [fixture("grey.jpg"), number.to_le_bytes().to_vec()].concat()
}

fn put(root: &Path, name: &str, number: usize) {
    write(&root.join(format!("{name}.jpg")), &photograph(number));
    write(&root.join(format!("{name}.txt")), b"a picture");
}

fn photographs(count: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    for number in 0..count {
        put(&folder.path().join("root"), &format!("{number:04}"), number);
    }
    folder
}

/// Each file's split.
fn splits(folder: &TempDir, output: &str) -> BTreeMap<String, String> {
    let (_, dataset) = open(folder, output);
    let images = dataset.images().iter();
    images
        .map(|image| (image.file_name.clone(), image.split.clone()))
        .collect()
}

fn run(folder: &TempDir, output: &str, set: &[&str]) -> BTreeMap<String, String> {
    ingest(folder, output, &[&SET[..], set].concat()).success();
    splits(folder, output)
}

const SPLIT: &str = "dataset.split={ val = 0.2, test = 0.1, seed = 1 }";

#[test]
fn a_photographs_split_depends_on_seed_and_content_only() {
    let folder = photographs(300);
    let first = run(&folder, "out", &[SPLIT]);
    let count = |splits: &BTreeMap<String, String>, name: &str| {
        splits.values().filter(|split| *split == name).count()
    };
    // Three standard deviations of a binomial distribution.
    assert!(
        (39..=81).contains(&count(&first, "val")),
        "{}",
        count(&first, "val")
    );
    assert!(
        (14..=46).contains(&count(&first, "test")),
        "{}",
        count(&first, "test")
    );
    assert_eq!(
        count(&first, "train") + count(&first, "val") + count(&first, "test"),
        300
    );
    // These are the places for ever.
    let val: Vec<&str> = first
        .iter()
        .filter(|(_, split)| *split == "val")
        .map(|(name, _)| &name[..4])
        .collect();
    assert_eq!(val[..4], EXPECTED, "{val:?}");

    // Other names, other order, more photographs, a copy of each: nobody moves.
    let root = folder.path().join("root");
    for number in 0..300 {
        put(
            &root.join("a/copies"),
            &format!("{:03}", 999 - number),
            number,
        );
    }
    for number in 300..330 {
        put(&root, &format!("-{number}"), number);
    }
    let second = run(&folder, "out", &[SPLIT]);
    assert_eq!(second.len(), 630);
    for (name, split) in &first {
        assert_eq!(second[name], *split, "{name}");
        let number: usize = name[..4].parse().unwrap();
        assert_eq!(
            second[&format!("a/copies/{:03}.jpg", 999 - number)],
            *split,
            "{name}"
        );
    }
    let other = run(
        &folder,
        "other",
        &["dataset.split={ val = 0.2, test = 0.1, seed = 2 }"],
    );
    assert_ne!(other, second);

    // In another layout, too.
    let members: Vec<_> = (0..300)
        .flat_map(|number| {
            let text = (format!("{number}.txt"), b"x".to_vec());
            [(format!("{number}.jpg"), photograph(number)), text]
        })
        .collect();
    tar(&root.join("all.tar"), "", &members);
    ingest(
        &folder,
        "tar",
        &[SET[0], "dataset.format=webdataset", SPLIT],
    )
    .success();
    let packed = splits(&folder, "tar");
    for (name, split) in &first {
        let number: usize = name[..4].parse().unwrap();
        assert_eq!(packed[&format!("all.tar/{number}.jpg")], *split, "{name}");
    }
}

const EXPECTED: [&str; 4] = ["0007", "0015", "0019", "0022"];

/// Photographs are read for their hashes once: later runs know them, as long as names, sizes
/// and times are the same.
#[test]
fn hashes_are_kept_in_the_artifact() {
    let folder = photographs(30);
    let set = ["dataset.split={ val = 0.3, seed = 3 }"];
    let first = run(&folder, "out", &set);
    let note = folder.path().join("out/.notes/photographs");
    let hashes = std::fs::read(&note).unwrap();
    assert_eq!(hashes.len(), 30 * 32 + 16);
    attend_artifact::Artifact::open(&folder.path().join("out"))
        .unwrap()
        .verify()
        .unwrap();
    // A note that says otherwise is believed; so it was read, and the photographs were not.
    let (key, value) = hashes[..32].split_at(16);
    let moved = (0..=255u8)
        .map(|byte| {
            let mut note = [key, &[byte; 16], &hashes[32..hashes.len() - 16]].concat();
            let end = blake3::hash(&note).as_bytes()[..16].to_vec();
            note.extend(end);
            note
        })
        .find(|changed| {
            std::fs::write(&note, changed).unwrap();
            run(
                &folder,
                "out",
                &[&set[..], &["dataset.shard_size=7"]].concat(),
            ) != first
        });
    assert!(moved.is_some() && value.len() == 16);
    // A damaged one is not.
    let mut damaged = moved.unwrap();
    damaged[40] ^= 1;
    std::fs::write(&note, damaged).unwrap();
    assert_eq!(
        run(
            &folder,
            "out",
            &[&set[..], &["dataset.shard_size=8"]].concat()
        ),
        first
    );
    assert_eq!(std::fs::read(&note).unwrap(), hashes);
    // A photograph that changed is read again.
    std::fs::write(folder.path().join("root/0000.jpg"), photograph(1)).unwrap();
    let second = run(&folder, "out", &set);
    assert_eq!(second["0000.jpg"], first["0001.jpg"]);
    assert_ne!(std::fs::read(&note).unwrap(), hashes);
}

#[test]
fn shares_that_can_not_be_are_refused() {
    let folder = photographs(3);
    let words = |split: &str, code: i32, words: &str| {
        let set = format!("dataset.split={split}");
        let refused = ingest(&folder, "out", &[&SET[..], &[&set]].concat()).code(code);
        let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(
            message.contains("dataset.split") && message.contains(words),
            "{split}: {message}"
        );
    };
    words(
        "{ val = 0.6, test = 0.5 }",
        2,
        "1.1000 together, more than 1",
    );
    words("{ val = -0.1 }", 2, ".val = -0.1 must be a share");
    words("{ val = 5 }", 2, ".val = 5 must be a share");
    words("{ val = nan }", 2, "must be a share");
    words("{ seed = 1 }", 2, "names no split");
    words("{ train = 0.5, val = 0.1 }", 2, "leave train out");
    words("{ \"a b\" = 0.5 }", 2, "letters, digits");
    words("{ val = \"x\" }", 2, "split");
    words("0.1", 2, "must be a table");
    words("{ val = 0.0001 }", 3, "none of 3 photographs is in val");
    let many: Vec<String> = (0..3_000).map(|n| format!("s{n} = 0.0001")).collect();
    words(
        &format!("{{ {} }}", many.join(", ")),
        3,
        "take another seed",
    );
    // All in one.
    assert!(
        run(&folder, "train", &["dataset.split={ val = 0 }"])
            .values()
            .all(|split| split == "train")
    );
    assert!(
        run(&folder, "test", &["dataset.split={ test = 1.0 }"])
            .values()
            .all(|split| split == "test")
    );
}

#[test]
fn splits_of_the_data_are_replaced_on_request_only() {
    let folder = TempDir::new().unwrap();
    for number in 0..60 {
        let place = ["train", "val", "other"][number % 3];
        put(
            &folder.path().join("root"),
            &format!("{place}/{number:02}"),
            number,
        );
    }
    let refused = ingest(&folder, "out", &[&SET[..], &[SPLIT]].concat()).code(2);
    let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(message.contains("(train 20, val 20)"), "{message}");
    assert!(message.contains("replace = true"), "{message}");
    // Without it, what is in no split is left out, with a reason.
    ingest(&folder, "out", &SET).success();
    let (artifact, dataset) = open(&folder, "out");
    assert_eq!(dataset.images().len(), 40);
    assert_eq!(artifact.manifest.counts["rejected.no-split"], 20);
    let replaced = run(
        &folder,
        "replaced",
        &["dataset.split={ val = 0.4, replace = true }"],
    );
    assert_eq!(replaced.len(), 60);
    let val = replaced.values().filter(|split| *split == "val").count();
    assert!((12..=36).contains(&val), "{val}");

    // Karpathy's file, with a split whose name can't be used and one that would be dropped.
    let entry = |number: usize| {
        serde_json::json!({"filename": format!("{number}.jpg"), "imgid": number,
            "split": (["no name", "restval", "train"][number % 3]),
            "sentences": [{"raw": "x", "sentid": number}]})
    };
    let images: Vec<_> = (0..30).map(entry).collect();
    let folder = data_set(&[(
        "dataset_coco.json",
        serde_json::json!({ "images": images })
            .to_string()
            .as_bytes(),
    )]);
    for number in 0..30 {
        write(
            &folder.path().join(format!("root/{number}.jpg")),
            &photograph(number),
        );
    }
    let set = [
        SET[0],
        "dataset.split={ val = 0.4, replace = true }",
        "dataset.restval=drop",
    ];
    ingest(&folder, "out", &set).success();
    let names: Vec<_> = splits(&folder, "out").into_values().collect();
    assert_eq!(names.len(), 30);
    assert!(names.iter().all(|name| name == "train" || name == "val"));
}

/// A photograph that can't be read has a row as ever.
#[test]
fn a_missing_photograph_is_in_the_ledger() {
    let entry =
        |number: usize| serde_json::json!({"id": number, "file_name": format!("{number}.jpg")});
    let images: Vec<_> = (0..20).map(entry).collect();
    let captions: Vec<_> = (0..20)
        .map(|n| serde_json::json!({"id": n, "image_id": n, "caption": "x"}))
        .collect();
    let file = serde_json::json!({"images": images, "annotations": captions}).to_string();
    let folder = data_set(&[("annotations/captions_train2014.json", file.as_bytes())]);
    for number in 0..18 {
        write(
            &folder.path().join(format!("root/train2014/{number}.jpg")),
            &photograph(number),
        );
    }
    let set = [
        SET[0],
        "dataset.format=coco",
        "dataset.splits=[\"train\"]",
        "dataset.split={ test = 0.5, replace = true }",
        "dataset.max_rejected_fraction=0.5",
    ];
    ingest(&folder, "out", &set).success();
    let (artifact, dataset) = open(&folder, "out");
    assert_eq!(dataset.images().len(), 18);
    assert_eq!(artifact.manifest.counts["rejected.missing"], 2);
}
