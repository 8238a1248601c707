//! Each annotation format, and what comes out of it.

use crate::{data_set, fixture, ingest, open};

const SMALL: &str = "dataset.image_size=16";

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
    assert_eq!(open(&folder, "less").1.captions().len(), 2);
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
    // Image 8 is not ours; box 3 has no area, box 4 leaves the image, category 9 is unknown.
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
    let inputs: Vec<_> = artifact
        .manifest
        .inputs
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(inputs, ["captions_train", "captions_val", "objects"]);

    ingest(
        &folder,
        "val",
        &[
            SMALL,
            "dataset.format=coco",
            "dataset.year=2017",
            "dataset.splits=[\"val\"]",
        ],
    )
    .failure()
    .code(2); // the year is a text
    ingest(
        &folder,
        "val",
        &[
            SMALL,
            "dataset.format=coco",
            "dataset.year=\"2017\"",
            "dataset.splits=[\"val\"]",
        ],
    )
    .success();
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
    assert!(dataset.rejected().is_empty());
}
