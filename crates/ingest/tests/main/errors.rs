//! One clear message and a documented exit code for what stops a run.

use crate::{data_set, fixture, ingest};

/// Runs on `files`; the exit code and what must be in the message.
fn refused(files: &[(&str, &[u8])], set: &[&str], code: i32, parts: &[&str]) {
    let folder = data_set(&[files, &[("keep", b"")]].concat());
    let output = ingest(&folder, "out", set).failure().code(code);
    let message = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    assert!(!folder.path().join("out").exists(), "a half-made artifact");
}

#[test]
fn annotation_files() {
    let name = "dataset_coco.json";
    refused(
        &[],
        &[],
        3,
        &[
            "root/dataset_coco.json: no such file",
            "dataset.annotations",
        ],
    );
    let cut = br#"{"images": [{"filename": "a.jpg", "imgid": 1, "spl"#;
    refused(
        &[(name, cut)],
        &[],
        3,
        &["dataset_coco.json:1:50: EOF", "ends too early"],
    );
    let typed = b"{\"images\": [\n  {\"filename\": 3}]}";
    refused(
        &[(name, typed)],
        &[],
        3,
        &["dataset_coco.json:2:17: invalid type: integer `3`, expected a string"],
    );
    let lacking = b"{\"images\": [\n {\"filename\": \"a\", \"imgid\": 1, \"split\": \"val\"}]}";
    refused(
        &[(name, lacking)],
        &[],
        3,
        &["dataset_coco.json:2:", "missing field `sentences`"],
    );
    refused(
        &[(name, b"GIF89a")],
        &[],
        3,
        &["dataset_coco.json:1:1: ", "no valid JSON"],
    );
    refused(
        &[(name, br#"{"images": [{"filename": "\ud800"}]}"#)],
        &[],
        3,
        &["dataset_coco.json:1:"],
    );
    refused(&[(name, br#"{"images": []}"#)], &[], 3, &["list no image"]);
    refused(
        &[("dataset_coco.json/file", b"")],
        &[],
        3,
        &["dataset_coco.json: not a file"],
    );

    let flickr = "dataset.format=flickr8k";
    let bad_line = (
        "Flickr8k.token.txt",
        &b"a.jpg#0\tfine\na.jpg#1 no tab\n"[..],
    );
    refused(
        &[bad_line],
        &[flickr],
        3,
        &["Flickr8k.token.txt:2: expected NAME.jpg#0"],
    );
    let latin = (
        "Flickr8k.token.txt",
        &b"a.jpg#0\tfine\na.jpg#1\tcaf\xe9\n"[..],
    );
    refused(&[latin], &[flickr], 3, &["Flickr8k.token.txt:2: not UTF-8"]);

    let good = br#"{"images": [{"filename": "a.jpg", "imgid": 0, "split": "val",
        "sentences": [{"raw": "x", "sentid": 0}]}]}"#;
    refused(
        &[(name, good)],
        &["dataset.image_dir=photos"],
        3,
        &["root/photos: no such folder"],
    );
    refused(
        &[(name, good)],
        &["dataset.objects=boxes.json"],
        3,
        &["boxes.json: no such file", "dataset.objects"],
    );
    let boxes = (
        "boxes.json",
        &br#"{"images": [], "categories": [],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, NaN, 1]}]}"#[..],
    );
    refused(
        &[(name, good), boxes],
        &["dataset.objects=boxes.json"],
        3,
        &["boxes.json:2:"],
    );
}

#[test]
fn parameters() {
    refused(&[], &["dataset.format=coko"], 2, &["coko", "karpathy"]);
    refused(&[], &["dataset.image_size=0"], 2, &["dataset.image_size"]);
    refused(&[], &["dataset.shard_size=0"], 2, &["dataset.shard_size"]);
    refused(
        &[],
        &["dataset.max_rejected_fraction=1.5"],
        2,
        &["dataset.max_rejected_fraction"],
    );
    refused(
        &[],
        &["dataset.max_rejected_fraction=nan"],
        2,
        &["dataset.max_rejected_fraction"],
    );
    refused(
        &[],
        &["dataset.format=coco", "dataset.splits=[]"],
        2,
        &["dataset.splits"],
    );
    refused(
        &[],
        &["dataset.root=/no/such/place"],
        3,
        &["/no/such/place: no such folder (dataset.root)"],
    );
    refused(&[], &["dataset.root=\"\""], 2, &["dataset.root is empty"]);
}

#[test]
fn too_many_unusable_images() {
    let annotations = br#"{"images": [
        {"filename": "a.jpg", "imgid": 0, "split": "val", "sentences": [{"raw": "x", "sentid": 0}]},
        {"filename": "b.jpg", "imgid": 1, "split": "val", "sentences": [{"raw": "x", "sentid": 1}]},
        {"filename": "c.jpg", "imgid": 2, "split": "val", "sentences": [{"raw": "x", "sentid": 2}]}]}"#;
    let files = [
        ("dataset_coco.json", &annotations[..]),
        ("a.jpg", &fixture("grey.jpg")),
        ("b.jpg", b"hello"),
    ];
    let parts = [
        "2 of 3 images",
        "1 missing, 1 unsupported",
        "dataset.max_rejected_fraction = 0.01",
        "image 1 (b.jpg): unsupported",
        "rejected.parquet",
    ];
    refused(&files, &[], 3, &parts);
    let none = [("dataset_coco.json", &annotations[..])];
    refused(
        &none,
        &["dataset.max_rejected_fraction=1.0"],
        3,
        &["not one image can be used (3 missing)", "rejected.parquet"],
    );
}
