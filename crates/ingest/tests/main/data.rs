//! Each annotation format, and the resulting data set.

use crate::{data_set, fixture, ingest, open};
use attend_artifact::dataset::Dataset;

const SMALL: &str = "dataset.image_size=16";

/// Kind, id and reason of each ledger row.
fn left_out(dataset: &Dataset) -> Vec<(&str, i64, &str)> {
    let rows = dataset.rejected().iter();
    rows.map(|row| (&*row.kind, row.id, &*row.reason)).collect()
}

/// Image, split and file.
fn images(dataset: &Dataset) -> Vec<(i64, &str, &str)> {
    let images = dataset.images().iter();
    images
        .map(|image| (image.image_id, &*image.split, &*image.file_name))
        .collect()
}

/// Caption, image and text.
fn captions(dataset: &Dataset) -> Vec<(i64, i64, &str)> {
    let captions = dataset.captions().iter();
    captions
        .map(|caption| (caption.caption_id, caption.image_id, &*caption.caption))
        .collect()
}

#[test]
fn karpathy_file_with_its_splits() {
    let annotations = br#"{"dataset": "coco", "images": [
        {"filepath": "val2014", "filename": "a.jpg", "imgid": 0, "cocoid": 42, "split": "test",
         "sentences": [{"raw": "A cat.", "sentid": 7, "tokens": ["a", "cat"], "imgid": 0}], "sentids": [7]},
        {"filepath": "val2014", "filename": "b.png", "imgid": 1, "cocoid": 43, "split": "restval",
         "sentences": [{"raw": " Two\ncats ", "sentid": 9}, {"raw": "cats", "sentid": 8}]},
        {"filepath": "train2014", "filename": "c.jpg", "imgid": 2, "cocoid": 9, "split": "train",
         "sentences": [{"raw": "Une \u00e9glise", "sentid": 1}]}]}"#;
    let folder = data_set(&[
        ("dataset_coco.json", annotations),
        ("val2014/a.jpg", &fixture("rgb420.jpg")),
        ("val2014/b.png", &fixture("grey.png")),
        ("train2014/c.jpg", &fixture("cmyk.jpg")),
    ]);
    ingest(&folder, "out", &[SMALL]).success();
    let (artifact, dataset) = open(&folder, "out");

    let images: Vec<_> = dataset
        .images()
        .iter()
        .map(|i| {
            (
                i.image_id,
                &*i.split,
                &*i.file_name,
                i.width,
                i.height,
                &*i.shard,
                i.row,
            )
        })
        .collect();
    assert_eq!(
        images,
        [
            (
                43,
                "train",
                "val2014/b.png",
                75,
                61,
                "shards/train-00000.arrow",
                0
            ),
            (
                9,
                "train",
                "train2014/c.jpg",
                75,
                61,
                "shards/train-00000.arrow",
                1
            ),
            (
                42,
                "test",
                "val2014/a.jpg",
                75,
                61,
                "shards/test-00000.arrow",
                0
            ),
        ]
    );
    let captions: Vec<_> = dataset
        .captions()
        .iter()
        .map(|c| (c.caption_id, c.image_id, &*c.split, &*c.caption))
        .collect();
    assert_eq!(
        captions,
        [
            (9, 43, "train", " Two\ncats "),
            (8, 43, "train", "cats"),
            (1, 9, "train", "Une église"),
            (7, 42, "test", "A cat."),
        ]
    );
    assert!(dataset.rejected().is_empty() && dataset.objects().is_empty());
    for (name, count) in [
        ("images", 3),
        ("captions", 4),
        ("rejected", 0),
        ("image_height", 16),
        ("image_width", 16),
    ] {
        assert_eq!(artifact.count(name), count, "{name}");
    }

    ingest(&folder, "apart", &[SMALL, "dataset.restval=restval"]).success();
    let (_, apart) = open(&folder, "apart");
    let splits: Vec<_> = apart.images().iter().map(|image| &*image.split).collect();
    assert_eq!(splits, ["train", "test", "restval"]);
    ingest(&folder, "less", &[SMALL, "dataset.restval=drop"]).success();
    let (_, less) = open(&folder, "less");
    assert_eq!(less.captions().len(), 2);
    let dropped = [
        ("image", 43, "no-split"),
        ("caption", 9, "image-rejected"),
        ("caption", 8, "image-rejected"),
    ];
    assert_eq!(left_out(&less), dropped);
    assert!(less.rejected()[0].detail.contains("dataset.restval"));
}

#[test]
fn pixels_in_the_shard_are_pillows() {
    let annotations = br#"{"images": [{"filename": "a.jpg", "imgid": 5, "split": "val",
        "sentences": [{"raw": "x", "sentid": 0}]}]}"#;
    let folder = data_set(&[
        ("d.json", annotations),
        ("images/a.jpg", &fixture("rgb420.jpg")),
    ]);
    ingest(
        &folder,
        "out",
        &[
            SMALL,
            "dataset.annotations=d.json",
            "dataset.image_dir=images",
        ],
    )
    .success();
    let (_, dataset) = open(&folder, "out");
    assert_eq!(dataset.images()[0].file_name, "images/a.jpg");
    let planar = dataset.pixels(&dataset.images()[0]).unwrap();
    let pillows = fixture("rgb420.jpg.square.rgb"); // (16, 16, 3)
    assert_eq!(planar.len(), pillows.len());
    for (i, expected) in pillows.iter().enumerate() {
        let found = planar[(i % 3) * 16 * 16 + i / 3];
        assert!(
            found.abs_diff(*expected) <= 1,
            "channel {} of pixel {}",
            i % 3,
            i / 3
        );
    }
}

#[test]
fn official_coco_with_boxes() {
    let train = br#"{"info": {}, "licenses": [], "type": "captions",
        "images": [{"id": 3, "file_name": "t.jpg", "width": 75, "height": 61, "license": 1}],
        "annotations": [{"image_id": 3, "id": 30, "caption": "one"}, {"image_id": 3, "id": 31, "caption": "two"}]}"#;
    let val = br#"{"images": [{"id": 1, "file_name": "v.jpg"}],
        "annotations": [{"image_id": 1, "id": 10, "caption": "three"}]}"#;
    // Image 8 is not listed; box 2 has no area, box 3 extends beyond the image, and
    // category 9 is unknown.
    let instances = br#"{"images": [{"id": 3, "width": 200, "height": 100}, {"id": 8, "width": 1, "height": 1}],
        "annotations": [
            {"image_id": 3, "category_id": 1, "bbox": [50, 25, 100, 50], "segmentation": [[1, 2]], "iscrowd": 0},
            {"image_id": 8, "category_id": 1, "bbox": [0, 0, 1, 1]},
            {"image_id": 3, "category_id": 1, "bbox": [50, 25, 0, 50]},
            {"image_id": 3, "category_id": 2, "bbox": [150, 75, 100, 50]},
            {"image_id": 3, "category_id": 9, "bbox": [0, 0, 5, 5]}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "tree"}]}"#;
    let folder = data_set(&[
        ("annotations/captions_train2017.json", train),
        ("annotations/captions_val2017.json", val),
        ("annotations/instances.json", instances),
        ("train2017/t.jpg", &fixture("rgb444.jpg")),
        ("val2017/v.jpg", &fixture("progressive.jpg")),
    ]);
    let set = [
        SMALL,
        "dataset.format=coco",
        "dataset.year=\"2017\"",
        "dataset.objects=[\"annotations/instances.json\"]",
    ];
    ingest(&folder, "out", &set).success();
    let (artifact, dataset) = open(&folder, "out");
    let images: Vec<_> = dataset
        .images()
        .iter()
        .map(|i| (i.image_id, &*i.split, &*i.file_name))
        .collect();
    assert_eq!(
        images,
        [(3, "train", "train2017/t.jpg"), (1, "val", "val2017/v.jpg")]
    );
    let objects: Vec<_> = dataset
        .objects()
        .iter()
        .map(|o| (o.image_id, &*o.name, [o.x, o.y, o.width, o.height]))
        .collect();
    assert_eq!(
        objects,
        [
            (3, "dog", [0.25, 0.25, 0.5, 0.5]),
            (3, "tree", [0.75, 0.75, 0.25, 0.25])
        ]
    );
    let rows = [
        ("box", 1, "no-image"),
        ("box", 2, "bad-box"),
        ("box", 4, "no-category"),
    ];
    assert_eq!(left_out(&dataset), rows);
    let inputs: Vec<_> = artifact
        .manifest
        .inputs
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(inputs, ["captions_train", "captions_val", "objects"]);

    // The year is a string, but needs no quotes.
    let val = "dataset.splits=[\"val\"]";
    let set = [SMALL, "dataset.format=coco", "dataset.year=2017", val];
    ingest(&folder, "val", &set).success();
    assert_eq!(open(&folder, "val").1.images().len(), 1);
}

#[test]
fn flickr8k_text_files() {
    let tokens = "b.jpg#0\tA dog .\nb.jpg#1\tDogs , # 2 of them .\nunused.jpg#0\tNobody\n\
                  a.jpg#0\tA cat .\nc#1.jpg#0\tA cow .\n";
    let folder = data_set(&[
        ("Flickr8k.token.txt", tokens.as_bytes()),
        ("Flickr_8k.trainImages.txt", b"a.jpg\n"),
        ("Flickr_8k.devImages.txt", b"c#1.jpg\r\n"),
        ("Flickr_8k.testImages.txt", b"b.jpg"),
        ("Flicker8k_Dataset/a.jpg", &fixture("grey.jpg")),
        ("Flicker8k_Dataset/b.jpg", &fixture("rgb422.jpg")),
        ("Flicker8k_Dataset/c#1.jpg", &fixture("rgb420.jpg")),
    ]);
    ingest(&folder, "out", &[SMALL, "dataset.format=flickr8k"]).success();
    let (_, dataset) = open(&folder, "out");
    let images: Vec<_> = dataset
        .images()
        .iter()
        .map(|i| (i.image_id, &*i.split, &*i.file_name))
        .collect();
    assert_eq!(
        images,
        [
            (2, "train", "Flicker8k_Dataset/a.jpg"),
            (3, "val", "Flicker8k_Dataset/c#1.jpg"),
            (0, "test", "Flicker8k_Dataset/b.jpg")
        ]
    );
    let captions: Vec<_> = dataset
        .captions()
        .iter()
        .map(|c| (c.caption_id, c.image_id, &*c.caption))
        .collect();
    assert_eq!(
        captions,
        [
            (3, 2, "A cat ."),
            (4, 3, "A cow ."),
            (0, 0, "A dog ."),
            (1, 0, "Dogs , # 2 of them .")
        ]
    );
    // Regression: images in no list vanished without a row.
    let rows = [("image", 1, "no-split"), ("caption", 2, "image-rejected")];
    assert_eq!(left_out(&dataset), rows);
}

/// Regression: all of val was `duplicate-id`, although each file's captions name
/// images of that file.
#[test]
fn ids_that_begin_anew_in_each_split() {
    let file = |names: [&str; 2], captions: [&str; 2]| {
        serde_json::json!({
            "images": [{"id": 0, "file_name": names[0]}, {"id": 1, "file_name": names[1]}],
            "annotations": [{"id": 0, "image_id": 0, "caption": captions[0]},
                {"id": 1, "image_id": 1, "caption": captions[1]}]
        })
        .to_string()
    };
    let train = file(["a.jpg", "b.jpg"], ["one", "two"]);
    let val = file(["a.jpg", "c.jpg"], ["three", "four"]);
    let boxes = r#"{"images": [{"id": 1, "file_name": "c.jpg", "width": 10, "height": 10}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]},
            {"id": 6, "image_id": 0, "category_id": 1, "bbox": [0, 0, 5, 5]}],
        "categories": [{"id": 1, "name": "dog"}]}"#;
    let picture = fixture("grey.jpg");
    let folder = data_set(&[
        ("annotations/captions_train2014.json", train.as_bytes()),
        ("annotations/captions_val2014.json", val.as_bytes()),
        ("boxes.json", boxes.as_bytes()),
        ("train2014/a.jpg", &picture),
        ("train2014/b.jpg", &picture),
        ("val2014/a.jpg", &picture),
        ("val2014/c.jpg", &picture),
    ]);
    let set = [SMALL, "dataset.format=coco", "dataset.objects=boxes.json"];
    let log = ingest(&folder, "out", &set).success();
    let log = String::from_utf8_lossy(&log.get_output().stderr).into_owned();
    assert!(
        log.contains("start over in split \"val\": 10 is added"),
        "{log}"
    );
    let (_, dataset) = open(&folder, "out");
    let expected = [
        (0, "train", "train2014/a.jpg"),
        (1, "train", "train2014/b.jpg"),
        (10, "val", "val2014/a.jpg"),
        (11, "val", "val2014/c.jpg"),
    ];
    assert_eq!(images(&dataset), expected);
    let expected = [
        (0, 0, "one"),
        (1, 1, "two"),
        (2, 10, "three"),
        (3, 11, "four"),
    ];
    assert_eq!(captions(&dataset), expected);
    // The image's name decides that the first box's image is in val; for the other box, two
    // images have the id.
    assert_eq!(dataset.objects()[0].image_id, 11);
    assert_eq!(left_out(&dataset), [("box", 6, "no-image")]);
    assert!(dataset.rejected()[0].detail.contains("several splits"));
}

/// The same file in two splits is one image, with any ids.
#[test]
fn one_image_in_two_splits_is_taken_once() {
    let file = |id: i64| {
        serde_json::json!({
            "images": [{"id": 1, "file_name": "a.jpg"}],
            "annotations": [{"id": id, "image_id": 1, "caption": "x"}]
        })
        .to_string()
    };
    let folder = data_set(&[
        ("annotations/captions_train2014.json", file(1).as_bytes()),
        ("annotations/captions_val2014.json", file(2).as_bytes()),
        ("images/a.jpg", &fixture("grey.jpg")),
    ]);
    let set = [
        SMALL,
        "dataset.format=coco",
        "dataset.image_dir=images",
        "dataset.max_rejected_fraction=0.5",
    ];
    ingest(&folder, "out", &set).success();
    let (_, dataset) = open(&folder, "out");
    assert_eq!(images(&dataset), [(1, "train", "images/a.jpg")]);
    let rows = [
        ("image", 1, "duplicate-id"),
        ("caption", 2, "image-rejected"),
    ];
    assert_eq!(left_out(&dataset), rows);
}

/// Regression: sentences were `duplicate-id` from the second image on, and ids as text were
/// not accepted.
#[test]
fn ids_that_begin_anew_in_each_image_and_ids_as_text() {
    let image = |id: &str, name: &str, captions: [&str; 2]| {
        serde_json::json!({"filename": name, "imgid": id, "split": "train", "sentences": [
            {"raw": captions[0], "sentid": 0}, {"raw": captions[1], "sentid": "1"}]})
    };
    let list = [
        image("0007", "a.jpg", ["one", "two"]),
        image("img_b", "b.jpg", ["three", "four"]),
        image("img_c", "c.jpg", ["five", "six"]),
    ];
    let json = serde_json::json!({ "images": list }).to_string();
    let picture = fixture("grey.jpg");
    let folder = data_set(&[
        ("dataset_coco.json", json.as_bytes()),
        ("a.jpg", &picture),
        ("b.jpg", &picture),
        ("c.jpg", &picture),
    ]);
    ingest(&folder, "out", &[SMALL]).success();
    let (_, dataset) = open(&folder, "out");
    let ids: Vec<i64> = dataset
        .images()
        .iter()
        .map(|image| image.image_id)
        .collect();
    assert_eq!(ids, [7, 8, 9]);
    let expected = [
        (0, 7, "one"),
        (1, 7, "two"),
        (2, 8, "three"),
        (3, 8, "four"),
        (4, 9, "five"),
        (5, 9, "six"),
    ];
    assert_eq!(captions(&dataset), expected);
    assert!(dataset.rejected().is_empty());

    // COCO's captions name their image by the same id, as a number or as text.
    let coco = br#"{"images": [{"id": "391895", "file_name": "a.jpg"}, {"id": 12.0, "file_name": "b.jpg"}],
        "annotations": [{"id": null, "image_id": 391895, "caption": "one"},
            {"image_id": "000000000012", "caption": "two"}, {"id": 3, "image_id": 12, "caption": null}]}"#;
    let folder = data_set(&[
        ("annotations/captions_train2014.json", coco),
        ("train2014/a.jpg", &picture),
        ("train2014/b.jpg", &picture),
    ]);
    let set = [SMALL, "dataset.format=coco", "dataset.splits=[\"train\"]"];
    ingest(&folder, "out", &set).success();
    let (_, dataset) = open(&folder, "out");
    assert_eq!(captions(&dataset), [(4, 391_895, "one"), (5, 12, "two")]);
    assert_eq!(left_out(&dataset), [("caption", 3, "empty-caption")]);
}

/// Splits such as `Train` and `dev`: a key renames them, and a message says so.
#[test]
fn splits_of_other_names_are_mapped_by_a_key() {
    let image = |id: i64, split: &str| {
        serde_json::json!({"filename": "a.jpg", "imgid": id, "split": split,
            "sentences": [{"raw": "x", "sentid": id}]})
    };
    let list = [
        image(0, "Train"),
        image(1, "dev"),
        image(2, "hold out"),
        image(3, "restval"),
    ];
    let json = serde_json::json!({ "images": list }).to_string();
    let folder = data_set(&[
        ("dataset_coco.json", json.as_bytes()),
        ("a.jpg", &fixture("grey.jpg")),
    ]);
    let many = "dataset.max_rejected_fraction=0.5";
    let log = ingest(&folder, "out", &[SMALL, many]).success();
    let log = String::from_utf8_lossy(&log.get_output().stderr).into_owned();
    for hint in [
        "{ train = \"train\", Train = \"train\", dev = \"val\" }",
        "{ \"hold out\" = ",
    ] {
        assert!(log.contains(&format!("dataset.splits = {hint}")), "{log}");
    }
    let map = r#"dataset.splits={ Train = "train", dev = "val", "hold out" = "test" }"#;
    ingest(&folder, "mapped", &[SMALL, map]).success();
    let (_, mapped) = open(&folder, "mapped");
    let splits: Vec<_> = images(&mapped)
        .iter()
        .map(|(id, split, _)| (*id, *split))
        .collect();
    assert_eq!(
        splits,
        [(0, "train"), (3, "train"), (1, "val"), (2, "test")]
    );

    let file = br#"{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"id": 1, "image_id": 1, "caption": "x"}]}"#;
    let folder = data_set(&[
        ("annotations/captions_validation.json", file),
        ("validation/a.jpg", &fixture("grey.jpg")),
    ]);
    let map = r#"dataset.splits={ validation = "val" }"#;
    ingest(
        &folder,
        "out",
        &[SMALL, "dataset.format=coco", "dataset.year=", map],
    )
    .success();
    let expected = [(1, "val", "validation/a.jpg")];
    assert_eq!(images(&open(&folder, "out").1), expected);
}

/// Regression: the message advised `dataset.image_dir`, which this format ignored.
#[test]
fn coco_photographs_in_a_folder_of_images() {
    let file = |id: i64| {
        serde_json::json!({"images": [{"id": id, "file_name": "a.jpg"}],
            "annotations": [{"id": id, "image_id": id, "caption": "x"}]})
        .to_string()
    };
    for (place, of_splits) in [("images", false), ("images/", true)] {
        let (train, val) = match of_splits {
            true => ("images/train2014/a.jpg", "images/val2014/a.jpg"),
            false => ("images/a.jpg", "images/a.jpg"),
        };
        let folder = data_set(&[
            ("annotations/captions_train2014.json", file(1).as_bytes()),
            ("annotations/captions_val2014.json", file(2).as_bytes()),
            (train, &fixture("grey.jpg")),
            (val, &fixture("grey.jpg")),
        ]);
        let refused = ingest(&folder, "out", &[SMALL, "dataset.format=coco"]).code(3);
        let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(message.contains("dataset.image_dir"), "{message}");
        let place = format!("dataset.image_dir={place}");
        ingest(&folder, "out", &[SMALL, "dataset.format=coco", &place]).success();
        let expected = [(1, "train", train), (2, "val", val)];
        assert_eq!(images(&open(&folder, "out").1), expected);
    }
}
