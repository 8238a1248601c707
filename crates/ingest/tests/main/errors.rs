//! Errors that stop a run have one clear message and a documented exit code.

use crate::{data_set, fixture, ingest};

/// Runs on `files` and checks the exit code and words of the message.
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
        &["dataset_coco.json:1:1: ", "not valid JSON"],
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

/// Regression: "expected a sequence" was the message for a list.
#[test]
fn what_is_not_the_expected_file_is_named_as_what_it_is() {
    let coco = ["dataset.format=coco", "dataset.splits=[\"train\"]"];
    let captions_file = "annotations/captions_train2014.json";
    let captions = br#"{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"id": 1, "image_id": 1, "caption": "x"}]}"#;
    let instances = br#"{"images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}], "categories": [],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}]}"#;
    let karpathy = br#"{"images": [{"filename": "a.jpg", "imgid": 0, "split": "val", "sentences": [{"raw": "x", "sentid": 0}]}]}"#;
    let results = br#"[{"image_id": 1, "caption": "x"}]"#;
    let lines = b"{\"image_id\": 1, \"caption\": \"x\"}\n{\"image_id\": 2, \"caption\": \"y\"}\n";
    let utf16: Vec<u8> = std::str::from_utf8(captions)
        .unwrap()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [&b"\xff\xfe"[..], &utf16].concat();
    let latin = br#"{"images": [{"id": 1, "file_name": "caf"#;
    let latin = [&latin[..], b"\xe9\"}]}"].concat();
    for (bytes, what) in [
        (&results[..], "a list of captions, as COCO's results are"),
        (b"[1, 2]", "a list, not an object"),
        (lines, "several JSON values (JSON Lines?)"),
        (instances, "COCO's instances: dataset.objects reads them"),
        (karpathy, "Karpathy's format: dataset.format = \"karpathy\""),
        (&utf16, "UTF-16"),
        (&marked, "UTF-16"),
        (
            &latin,
            "invalid unicode code point: not UTF-8 (Latin-1?); save it as UTF-8",
        ),
        (b"\x1f\x8b\x08\0", "gzip; unpack it"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
        (&captions[..60], "ends too early"),
        (
            br#"{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2}], "annotations": []}"#,
            "missing field `file_name` (images[1])",
        ),
        (
            br#"{"images": [{"id": [], "file_name": "a.jpg"}], "annotations": []}"#,
            "(images[0].id)",
        ),
    ] {
        refused(
            &[(captions_file, bytes)],
            &coco,
            3,
            &[
                "captions_train2014.json:",
                what,
                "COCO's captions of train2014",
            ],
        );
    }
    let what = ["dataset_coco.json: COCO's captions: dataset.format = \"coco\" reads them"];
    refused(&[("dataset_coco.json", captions)], &[], 3, &what);
    let both = [
        (captions_file, &captions[..]),
        ("b.json", captions),
        ("train2014/a.jpg", &fixture("grey.jpg")),
    ];
    let set = [&coco[..], &["dataset.objects=b.json"]].concat();
    refused(
        &both,
        &set,
        3,
        &["b.json: COCO's captions", "expected: COCO's instances"],
    );
    let text = ("Flickr8k.token.txt", &marked[..]);
    refused(
        &[text],
        &["dataset.format=flickr8k"],
        3,
        &["Flickr8k.token.txt: UTF-16"],
    );

    // A byte order mark is not an error.
    let folder = data_set(&[
        (captions_file, &[&b"\xef\xbb\xbf"[..], captions].concat()),
        ("train2014/a.jpg", &fixture("grey.jpg")),
    ]);
    ingest(
        &folder,
        "out",
        &[&coco[..], &["dataset.image_size=8"]].concat(),
    )
    .success();
}

/// Regression: one such box stopped the run.
#[test]
fn a_box_that_is_none_is_left_out_alone() {
    let captions = br#"{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "gone.jpg"}, {"id": 1, "file_name": "again.jpg"}, {"id": 4, "file_name": "mute.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "caption": "x"}, {"id": 2, "image_id": 2, "caption": "y"}]}"#;
    let boxes = br#"{"images": [{"id": 1, "width": 9, "height": 9}, {"id": 2, "width": null, "height": 9}, {"id": 3, "width": 9, "height": 9}, {"id": 4, "width": 9, "height": 9}],
        "categories": [{"id": "1", "name": "dog"}], "annotations": [
        {"id": 10, "image_id": 1, "category_id": 1, "bbox": [0, 0, 3, 3, 0.9]},
        {"id": 11, "image_id": 1, "category_id": 1, "bbox": null},
        {"id": 12, "image_id": 1, "category_id": 1},
        {"id": 13, "image_id": 1, "category_id": 1, "bbox": ["0", 0, 3, 3]},
        {"id": 14, "image_id": 1, "category_id": 1, "bbox": [0, 0, 3, 3]},
        {"id": 15, "image_id": 2, "category_id": 1, "bbox": [0, 0, 3, 3]},
        {"id": 16, "image_id": 3, "category_id": 1, "bbox": [0, 0, 3, 3]},
        {"id": 18, "image_id": 4, "category_id": 1, "bbox": [0, 0, 3, 3]},
        {"id": 17, "image_id": 1, "category_id": null, "bbox": [0, 0, 3, 3]}]}"#;
    let folder = data_set(&[
        ("annotations/captions_train2014.json", captions),
        ("b.json", boxes),
        ("train2014/a.jpg", &fixture("grey.jpg")),
    ]);
    let set = [
        "dataset.format=coco",
        "dataset.splits=[\"train\"]",
        "dataset.objects=b.json",
        "dataset.image_size=8",
        "dataset.max_rejected_fraction=0.9",
    ];
    let log = ingest(&folder, "out", &set).success();
    let log = String::from_utf8_lossy(&log.get_output().stderr).into_owned();
    assert!(log.contains("left out boxes: "), "{log}");
    let (_, dataset) = crate::open(&folder, "out");
    assert_eq!(dataset.objects().len(), 1);
    let rows = dataset.rejected().iter().filter(|row| row.kind == "box");
    let rows: Vec<_> = rows.map(|row| (row.id, &*row.reason)).collect();
    let expected = [
        (10, "bad-box"),
        (11, "bad-box"),
        (12, "bad-box"),
        (13, "bad-box"),
        (15, "bad-box"),
        (16, "no-image"),
        (18, "image-rejected"),
        (17, "no-category"),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn parameters() {
    refused(&[], &["dataset.format=coko"], 2, &["coko", "karpathy"]);
    refused(&[], &["dataset.format=hdf5"], 2, &["attend-hdf5"]);
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
        &[
            "not one image can be used (3 missing). First:",
            "image 0 (a.jpg): missing",
        ],
    );
}
