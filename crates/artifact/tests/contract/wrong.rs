//! Deliberately wrong artifacts: `attend-verify` finds everything that is wrong with each,
//! and no reader that a stage uses takes one.

use crate::world::{
    CELLS, CHANNELS, SIDE, World, json, per_image, redigest, remake, rows, table, take,
};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use attend_artifact::dataset::{CaptionRecord, ImageRecord, ObjectRecord, RejectedRecord};
use attend_artifact::evaluation::WordsRecord;
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::verify::judge;
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{Artifact, Record};
use attend_testing::checkpoint;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// A way to spoil an artifact.
struct Fault {
    kind: &'static str,
    spoil: fn(&Path),
    /// Whether the manifest is made right again for the spoilt files.
    remade: bool,
    /// Kinds of the artifacts that it is compared with.
    against: &'static [&'static str],
    /// The beginnings of all findings, in order.
    found: &'static [&'static str],
    /// Whether the stages that read this kind refuse it, too.
    refused: bool,
}

const FAULT: Fault = Fault {
    kind: "dataset",
    spoil: |_| {},
    remade: true,
    against: &[],
    found: &[],
    refused: true,
};

fn manifest(root: &Path, change: fn(&mut Value)) {
    json(&root.join("manifest.json"), change);
}

/// Writes a shard of one number per image, or of images of this data set.
fn shard(path: &Path, column: &str, dtype: Dtype, shape: &[usize], ids: &[i64]) {
    let names = vec!["x"; shape.len()];
    let mut writer = TensorShardWriter::create(path, column, dtype, shape, &names).unwrap();
    let bytes = vec![0; shape.iter().product::<usize>() * dtype.bytes()];
    ids.iter().for_each(|id| writer.push(*id, &bytes).unwrap());
    writer.finish().unwrap();
}

fn pixels(path: &Path, ids: &[i64]) {
    shard(path, "image", Dtype::U8, &[3, SIDE, SIDE], ids);
}

/// Writes features, with this number in all cells of the images from `first` on.
fn features(path: &Path, ids: &[i64], first: i64, number: f32) {
    let shape = [CELLS, CHANNELS];
    let mut writer =
        TensorShardWriter::create(path, "features", Dtype::F32, &shape, &["a", "b"]).unwrap();
    for id in ids {
        let number = if *id >= first { number } else { 0.5 };
        writer
            .push(*id, &number.to_ne_bytes().repeat(CELLS * CHANNELS))
            .unwrap();
    }
    writer.finish().unwrap();
}

/// Replaces bytes of a file by as many others.
fn patch(path: &Path, from: &[u8], to: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    assert_eq!(from.len(), to.len());
    let mut count = 0;
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
        count += 1;
    }
    assert!(count > 0, "{} has no {from:?}", path.display());
    std::fs::write(path, bytes).unwrap();
}

fn strings(path: &Path, names: &[&str]) {
    let column = || Arc::new(StringArray::from(vec!["1"])) as ArrayRef;
    let columns = names.iter().map(|name| (*name, column()));
    table(path, RecordBatch::try_from_iter(columns).unwrap());
}

const BEST: &str = "checkpoints/best";

fn faults() -> Vec<Fault> {
    vec![
        // The manifest.
        Fault {
            spoil: |root| std::fs::remove_file(root.join("manifest.json")).unwrap(),
            remade: false,
            found: &["has no manifest.json"],
            ..FAULT
        },
        Fault {
            spoil: |root| std::fs::write(root.join("manifest.json"), "{\"kind\": ").unwrap(),
            remade: false,
            found: &["manifest.json: not valid JSON (EOF"],
            ..FAULT
        },
        Fault {
            spoil: |root| manifest(root, |value| *value = json!([1])),
            remade: false,
            found: &["manifest.json: not a manifest: not a JSON object"],
            ..FAULT
        },
        Fault {
            spoil: |root| manifest(root, |value| value["schema"] = 99.into()),
            remade: false,
            found: &["manifest.json: schema version 99 is newer"],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                manifest(root, |value| {
                    value.as_object_mut().unwrap().remove("inputs");
                    value["producer"] = "me".into();
                    value["created"] = "today".into();
                });
            },
            remade: false,
            found: &[
                "manifest.json: not a manifest (invalid type: string \"me\"",
                "manifest.json: not a manifest: lacks \"inputs\"",
                "manifest.json: holds \"created\"",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| manifest(root, |value| value["config"]["a"] = 1.into()),
            remade: false,
            found: &["manifest.json: it states the digest "],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                manifest(root, |value| {
                    value["files"].as_array_mut().unwrap().reverse();
                    redigest(value);
                });
            },
            remade: false,
            found: &["manifest.json: \"files\" are not sorted by name"],
            ..FAULT
        },
        Fault {
            kind: "vocabulary",
            spoil: |root| {
                manifest(root, |value| {
                    value["files"][0]["name"] = "../encoded.parquet".into();
                    value["files"][1]["name"] = "/vocab.json".into();
                    redigest(value);
                });
            },
            remade: false,
            found: &[
                "manifest.json: it lists \"../encoded.parquet\"",
                "manifest.json: it lists \"/vocab.json\"",
                "vocab.json: the manifest lists no such file",
                "encoded.parquet: the manifest lists no such file",
            ],
            ..FAULT
        },
        Fault {
            kind: "vocabulary",
            spoil: |root| {
                manifest(root, |value| {
                    value["inputs"] = json!({"data": {"kind": "dataset", "digest": "a"}});
                    value["files"][0]["rows"] = 3.into();
                    value["counts"] = json!({"captions": 7, "words": 3, "tokens_train": 1});
                    redigest(value);
                });
            },
            remade: false,
            found: &[
                "manifest.json: \"inputs\" lacks \"dataset\"",
                "encoded.parquet: 10 rows, the manifest says 3",
                "encoded.parquet: 10 captions, the manifest says 7",
                "encoded.parquet: 15 tokens_train, the manifest says 1",
            ],
            ..FAULT
        },
        // Files.
        Fault {
            spoil: |root| {
                std::fs::remove_file(root.join("captions.parquet")).unwrap();
                std::fs::remove_file(root.join("shards/val-00000.arrow")).unwrap();
            },
            remade: false,
            found: &[
                "shards/val-00000.arrow: No such file",
                "captions.parquet: No such file",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                let path = root.join("images.parquet");
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(path, &bytes[..bytes.len() - 9]).unwrap();
                std::fs::write(root.join("objects.parquet"), "text").unwrap();
            },
            found: &[
                "images.parquet: not a Parquet table",
                "objects.parquet: not a Parquet table",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                let shard = root.join("shards/train-00000.arrow");
                patch(&shard, &[2; 3 * SIDE * SIDE], &[9; 3 * SIDE * SIDE]);
                std::fs::write(root.join("rejected.parquet"), "").unwrap();
            },
            remade: false,
            found: &[
                "shards/train-00000.arrow: damaged: its BLAKE3 is ",
                "rejected.parquet: has 0 bytes, the manifest says ",
                "rejected.parquet: not a Parquet table",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                let shard = root.join("shards/val-00000.arrow");
                std::fs::remove_file(&shard).unwrap();
                std::fs::create_dir(&shard).unwrap();
            },
            remade: false,
            found: &["shards/val-00000.arrow: not a regular file"],
            ..FAULT
        },
        // Tables of a data set.
        Fault {
            spoil: |root| {
                strings(
                    &root.join("images.parquet"),
                    &["image_id", "split", "file_name", "width", "height"],
                );
            },
            found: &[
                "images.parquet: column \"image_id\" is of Utf8, not of Int64; column \"width\" is of Utf8, not of UInt32; column \"height\" is of Utf8, not of UInt32; has no column \"shard\"; has no column \"row\"",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                let path = root.join("captions.parquet");
                let ids = || Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef;
                let texts = || Arc::new(StringArray::from(vec!["train", "val"])) as ArrayRef;
                let columns = [
                    ("caption_id", ids()),
                    ("image_id", ids()),
                    ("split", texts()),
                    ("caption", texts()),
                ];
                table(&path, RecordBatch::try_from_iter(columns).unwrap());
            },
            found: &[
                "captions.parquet: column \"caption_id\" has an empty cell in row 1; column \"image_id\" has an empty cell in row 1",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                rows::<ImageRecord>(&root.join("images.parquet"), |rows| {
                    rows[1] = rows[0].clone();
                    rows[2].width = 0;
                });
            },
            found: &[
                "images.parquet: 1 image ids come twice: 1",
                "images.parquet: 1 images without pixels: 3",
                "shards/train-00000.arrow: 1 rows are of images that images.parquet does not place here: 2",
                "captions.parquet: 2 captions are of images that are not there: caption 200 of image 2, caption 201 of image 2",
                "objects.parquet: 1 objects are in images that are not there: 2",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                rows::<ImageRecord>(&root.join("images.parquet"), |rows| {
                    rows[0].row = 1;
                    rows[1].row = 0;
                    rows[2].shard = "shards/train-00001.arrow".into();
                });
            },
            found: &[
                "images.parquet: 3 images are not where it says: image 1 in row 1 of shards/train-00000.arrow, image 2 in row 0 ",
                "images.parquet: 1 images are not in order of split (train, val, test, others by name), shard and row: 2",
                "shards/train-00000.arrow: 1 rows are of images that images.parquet does not place here: 3",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| rows::<ImageRecord>(&root.join("images.parquet"), |rows| rows.swap(2, 3)),
            found: &[
                "images.parquet: 1 images are not in order of split (train, val, test, others by name), shard and row: 3",
                "captions.parquet: 1 captions do not come in the order of their images: image 10",
                "objects.parquet: 1 objects do not come in the order of their images: image 10",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                rows::<ImageRecord>(&root.join("images.parquet"), |rows| {
                    rows[4].split = "val 2".into();
                });
            },
            found: &[
                "images.parquet: 1 images are in splits whose names",
                "images.parquet: 1 images in a shard of another split: 11 in shards/val-00000.arrow",
                "captions.parquet: 2 captions are in another split than their images",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                rows::<CaptionRecord>(&root.join("captions.parquet"), |rows| {
                    rows[0].image_id = 77;
                    rows[1].caption = " \n".into();
                    rows[2].split = "val".into();
                    rows[4].caption_id = rows[3].caption_id;
                    rows.swap(6, 9);
                });
            },
            found: &[
                "captions.parquet: 1 captions are of images that are not there: caption 100 of image 77",
                "captions.parquet: 1 captions are in another split than their images: caption 200 of image 2",
                "captions.parquet: 1 captions are empty: caption 101 of image 1",
                "captions.parquet: 1 caption ids come twice: 201",
                "captions.parquet: 2 captions do not come in the order of their images: image 10, image 10",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                rows::<ObjectRecord>(&root.join("objects.parquet"), |rows| {
                    rows[0].x = f32::NAN;
                    rows[1].width = 0.8;
                    rows[2].height = -0.1;
                    rows[3].image_id = 5;
                });
            },
            found: &[
                "objects.parquet: 1 objects are in images that are not there: 5",
                "objects.parquet: 1 boxes are no finite numbers: dog in image 1",
                "objects.parquet: 2 boxes leave the image or have no area; they are fractions of its width and height: dog in image 2, dog in image 3",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                let row = RejectedRecord {
                    kind: "picture".into(),
                    reason: String::new(),
                    id: 1,
                    image_id: 1,
                    file_name: String::new(),
                    detail: String::new(),
                };
                RejectedRecord::write(&root.join("rejected.parquet"), &[row]).unwrap();
            },
            found: &[
                "rejected.parquet: 1 rows are of no image, caption or box: row 0: \"picture\"",
                "rejected.parquet: 1 rows have no reason: row 0",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                manifest(root, |value| {
                    value["counts"] = json!({"image_height": 9, "image_width": 8});
                });
            },
            found: &[
                "shards/train-00000.arrow: has images of u8 [3, 8, 8], but the manifest says u8 [3, 9, 8]",
                "shards/val-00000.arrow: has images of u8 [3, 8, 8]",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| manifest(root, |value| value["counts"] = json!({})),
            found: &[
                "manifest.json: \"counts\" lack image_height or image_width",
                "shards/train-00000.arrow: has images of u8 [3, 8, 8], but the manifest says u8 [3, 0, 0]",
                "shards/val-00000.arrow: has images of u8 [3, 8, 8]",
            ],
            ..FAULT
        },
        // Shards of a data set.
        Fault {
            spoil: |root| {
                let path = root.join("shards/train-00000.arrow");
                shard(&path, "image", Dtype::F32, &[3, SIDE, SIDE], &[1, 2, 3]);
                pixels(&root.join("shards/val-00000.arrow"), &[10, 11, 11, 12]);
            },
            found: &[
                "shards/train-00000.arrow: has images of f32 [3, 8, 8], but the manifest says u8",
                "shards/val-00000.arrow: 1 rows are of images that images.parquet does not place here: 12",
                "shards/val-00000.arrow: 1 image ids come twice: 11",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                let path = root.join("shards/train-00000.arrow");
                patch(
                    &path,
                    br#""dim_names":["C","H","W"]}"#,
                    br#""permutation":[2, 0,   1]}"#,
                );
            },
            found: &[
                "shards/train-00000.arrow: the numbers of column \"image\" are in another order (permutation [2, 0, 1])",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                let path = root.join("shards/train-00000.arrow");
                patch(
                    &path,
                    b"arrow.fixed_shape_tensor",
                    b"arrow.fixed_shape_Tensor",
                );
                patch(
                    &root.join("shards/val-00000.arrow"),
                    b"image_id",
                    b"image_no",
                );
            },
            found: &[
                "shards/train-00000.arrow: column \"image\" has no arrow.fixed_shape_tensor metadata",
                "shards/val-00000.arrow: its first column is \"image_no\", not image_id",
            ],
            ..FAULT
        },
        Fault {
            spoil: |root| {
                let path = root.join("shards/train-00000.arrow");
                shard(&path, "pixels", Dtype::U8, &[3, SIDE, SIDE], &[1, 2, 3]);
            },
            found: &["shards/train-00000.arrow: its tensors are called \"pixels\", not image"],
            ..FAULT
        },
        // Vocabularies.
        Fault {
            kind: "vocabulary",
            spoil: |root| {
                json(&root.join("vocab.json"), |value| {
                    value["words"][0]["id"] = 7.into();
                    value["words"][1]["word"] = "a".into();
                    value["words"][2]["word"] = "<unk>".into();
                    value["specials"]["<end>"] = 9.into();
                });
            },
            found: &[
                "vocab.json: word \"a\" has id 7; word \"a\" occurs twice; id 3: \"<unk>\" is not a word; the specials are {",
            ],
            ..FAULT
        },
        Fault {
            kind: "vocabulary",
            spoil: |root| json(&root.join("vocab.json"), |value| value["pieces"] = 1.into()),
            found: &["vocab.json: not a vocabulary (unknown field `pieces`"],
            ..FAULT
        },
        Fault {
            kind: "vocabulary",
            spoil: |root| {
                json(&root.join("vocab.json"), |value| {
                    value["format"] = "attend.vocabulary/7".into();
                });
                strings(
                    &root.join("encoded.parquet"),
                    &["image_id", "split", "tokens"],
                );
            },
            found: &[
                "vocab.json: has format \"attend.vocabulary/7\"",
                "encoded.parquet: has no column \"caption_id\"; column \"image_id\" is of Utf8, not of Int64; column \"tokens\" is of Utf8, not of List(",
            ],
            ..FAULT
        },
        Fault {
            kind: "vocabulary",
            spoil: |root| {
                rows::<EncodedRecord>(&root.join("encoded.parquet"), |rows| {
                    rows[0].tokens = vec![5, 7, 6];
                    rows[1].tokens = vec![5, 0, 6];
                    rows[2].tokens = vec![1, 2, 6];
                    rows[3].tokens = vec![5];
                    rows[4].tokens = vec![5, 1, 1, 1, 1, 1, 6];
                    rows[5].tokens = vec![5, 6];
                    rows[7].caption_id = rows[6].caption_id;
                });
            },
            found: &[
                "encoded.parquet: 2 captions break a rule, the first: begins with 1 and ends with 6, not with 5 for <start> and 6 for <end>: row 2 (caption 200 of image 2), row 3 ",
                "encoded.parquet: 2 captions break a rule, the first: 7 is neither the id of a word nor that of <unk>: row 0 (caption 100 of image 1), row 1 ",
                "encoded.parquet: 2 captions break a rule, the first: has 5 words",
                "encoded.parquet: 1 caption ids come twice: 1000",
            ],
            ..FAULT
        },
        Fault {
            kind: "vocabulary",
            spoil: |root| {
                rows::<EncodedRecord>(&root.join("encoded.parquet"), |rows| {
                    rows[0].image_id = 2;
                    rows[1].split = "val".into();
                    rows[2].caption_id = 999;
                    rows.swap(8, 9);
                });
            },
            against: &["dataset"],
            found: &[
                "encoded.parquet: 1 captions are not in the data set: row 2 (caption 999 of image 2)",
                "encoded.parquet: 2 captions have another image or split in the data set: row 0 (caption 100 of image 2), row 1 ",
                "encoded.parquet: 1 captions do not come in the order of the data set: row 9 ",
            ],
            ..FAULT
        },
        Fault {
            kind: "vocabulary",
            spoil: |root| {
                rows::<EncodedRecord>(&root.join("encoded.parquet"), |rows| {
                    rows.retain(|row| row.split == "val");
                });
            },
            found: &["encoded.parquet: no caption of split \"train\""],
            refused: false, // by the trainer: a split is a matter of its parameters
            ..FAULT
        },
        Fault {
            kind: "vocabulary",
            spoil: |root| {
                manifest(root, |value| {
                    value["inputs"]["dataset"]["digest"] = "0".repeat(64).into();
                });
            },
            against: &["dataset"],
            found: &["manifest.json: was made from the dataset 000000000000…, not from "],
            refused: false, // by the trainer, which compares it with its data set
            ..FAULT
        },
        // Features.
        Fault {
            kind: "features",
            spoil: |root| {
                let train = root.join("shards/train-00000.arrow");
                features(&train, &[1, 2, 3], 2, f32::NAN);
                features(
                    &root.join("shards/val-00000.arrow"),
                    &[10, 11],
                    11,
                    f32::INFINITY,
                );
            },
            found: &[
                "shards/train-00000.arrow: 2 images have features that are NaN or infinite: image 2, image 3",
                "shards/val-00000.arrow: 1 images have features that are NaN or infinite: image 11",
            ],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                features(&root.join("shards/val-00000.arrow"), &[11, 3, 12], 99, 0.0);
            },
            against: &["dataset"],
            found: &[
                "shards/val-00000.arrow: 1 images have features already: image 3",
                "shards: 1 images of the data set have no features: image 10",
                "shards/val-00000.arrow: 1 images are not in the data set: image 12",
                "shards/val-00000.arrow: 2 images are in another shard or row of the data set: image 11, image 3",
            ],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                let path = root.join("shards/val-00000.arrow");
                shard(&path, "features", Dtype::F16, &[CELLS, CHANNELS], &[10, 11]);
                let path = root.join("shards/train-00000.arrow");
                shard(&path, "cells", Dtype::F32, &[CHANNELS, CELLS], &[1, 2, 3]);
            },
            found: &[
                "shards/train-00000.arrow: its tensors are called \"cells\", not features",
                "shards/train-00000.arrow: features [64, 4] of f32, expected [4, 64] of one float type",
            ],
            against: &["dataset"],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                let path = root.join("shards/val-00000.arrow");
                shard(&path, "features", Dtype::F16, &[CELLS, CHANNELS], &[10, 11]);
            },
            found: &["shards/val-00000.arrow: features [4, 64] of f16, expected [4, 64] of f32"],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                manifest(root, |value| {
                    let files = value["files"].as_array_mut().unwrap();
                    files.retain(|file| !file["name"].as_str().unwrap().starts_with("encoder"));
                    value["counts"]["grid_width"] = 0.into();
                });
            },
            found: &[
                "manifest.json: features of [2, 0] cells and 64 channels",
                "shards/train-00000.arrow: features [4, 64] of f32, expected [0, 64]",
                "shards/val-00000.arrow: features [4, 64] of f32, expected [0, 64]",
                "encoder.json: the manifest lists no such file",
            ],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                json(&root.join("encoder.json"), |value| {
                    value["arch"] = "resnet50".into();
                });
            },
            found: &[
                "encoder.safetensors: tensors ",
                "encoder.json: makes 256 channels, the manifest says 64",
            ],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                json(&root.join("encoder.json"), |value| {
                    value["kind"] = "vit".into()
                })
            },
            found: &["encoder.json: "],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                std::fs::write(root.join("encoder.json"), "[]").unwrap();
                std::fs::write(root.join("encoder.safetensors"), "weights").unwrap();
            },
            found: &[
                "encoder.json: missing field `kind`",
                "encoder.safetensors: damaged safetensors",
            ],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                manifest(root, |value| {
                    value["config"] = json!({"features": {"dtype": "f16"}})
                });
            },
            found: &[
                "shards/train-00000.arrow: features [4, 64] of f32, expected [4, 64] of f16",
                "shards/val-00000.arrow: features [4, 64] of f32, expected [4, 64] of f16",
            ],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                let card = json!({
                    "kind": "foreign", "name": "lite0", "image_size": [16, 16], "grid": [2, 3],
                    "channels": 0,
                });
                std::fs::write(root.join("encoder.json"), card.to_string()).unwrap();
            },
            against: &["dataset"],
            found: &["encoder.json: channels = 0 is not in 1..="],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                let card = json!({
                    "kind": "foreign", "name": "lite0", "image_size": [16, 16], "grid": [2, 2],
                    "channels": 64,
                });
                std::fs::write(root.join("encoder.json"), card.to_string()).unwrap();
            },
            against: &["dataset"],
            found: &["encoder.json: the encoder takes images of 16 x 16, not of 8 x 8"],
            ..FAULT
        },
        Fault {
            kind: "features",
            spoil: |root| {
                let card = json!({
                    "kind": "torchscript", "file": "encoder.pt", "image_size": [8, 8],
                    "mean": [0, 0, 0], "std": [1, 1, 1], "output": "map", "skip": 0,
                    "grid": [4, 4], "channels": 64,
                });
                std::fs::write(root.join("encoder.json"), card.to_string()).unwrap();
            },
            found: &[
                "encoder.pt: the manifest lists no such file, but every features artifact has it",
                "manifest.json: features of 2 x 2 cells and 64 channels, but the encoder of encoder.json makes 4 x 4 cells",
            ],
            ..FAULT
        },
        // Models.
        Fault {
            kind: "model",
            spoil: |root| {
                json(&root.join(BEST).join("model.json"), |value| {
                    value["decoder"].as_object_mut().unwrap().remove("hidden");
                });
                std::fs::write(root.join("metrics.jsonl"), "{}\n7\n").unwrap();
            },
            found: &[
                "checkpoints/best/model.json: missing field `hidden`",
                "metrics.jsonl: 1 lines are no JSON objects: 2",
            ],
            ..FAULT
        },
        Fault {
            kind: "model",
            spoil: |root| {
                std::fs::write(root.join(BEST).join("vocab.json"), "{}").unwrap();
                let path = root.join(BEST).join("decoder.safetensors");
                let mut bytes = std::fs::read(&path).unwrap();
                let end = bytes.len();
                bytes[end - 4..].copy_from_slice(&f32::NAN.to_ne_bytes());
                std::fs::write(path, bytes).unwrap();
            },
            found: &[
                "checkpoints/best/decoder.safetensors: damaged: its BLAKE3 is ",
                "checkpoints/best/vocab.json: damaged: its BLAKE3 is ",
                "checkpoints/best/vocab.json: BLAKE3 ",
                "checkpoints/best/decoder.safetensors: tensor init_h.weight holds NaN or infinite numbers",
            ],
            ..FAULT
        },
        Fault {
            kind: "model",
            spoil: |root| {
                manifest(root, |value| {
                    let files = value["files"].as_array_mut().unwrap();
                    files.retain(|file| !file["name"].as_str().unwrap().ends_with("safetensors"));
                });
            },
            found: &["checkpoints/best: 1 files are missing: decoder.safetensors"],
            ..FAULT
        },
        Fault {
            kind: "model",
            spoil: |root| {
                let words = Vocabulary::new([("cat".to_owned(), 1)], 1, 4);
                let card = checkpoint::card(&words, [16, 16], [0, 0]);
                checkpoint::write(&root.join(BEST), card, &words, 7, true);
                manifest(root, |value| {
                    value["inputs"]["features"] = json!({"kind": "features", "digest": "b"});
                });
            },
            against: &["dataset", "features", "vocabulary"],
            found: &[
                "checkpoints/best/model.json: vocabulary_blake3 is that of another vocabulary",
                "checkpoints/best/model.json: trained on features of another encoder",
                "checkpoints/best/model.json: image_size is [16, 16], but the images of the data set have [8, 8]",
                "manifest.json: \"inputs\" lists no dataset, so it was not made from ",
                "manifest.json: was made from the features b…, not from ",
                "manifest.json: \"inputs\" lists no vocabulary, so it was not made from ",
            ],
            refused: false, // by the trainer and the evaluator, which compare them
            ..FAULT
        },
        // Evaluations, which only the report reads.
        Fault {
            kind: "evaluation",
            spoil: |root| {
                per_image(
                    &root.join("per_image.parquet"),
                    &[(10, 1), (10, 1), (11, 3), (1, 3)],
                );
                json(&root.join("scores.json"), |value| {
                    value["images"] = 1.into();
                    value["beams"] = json!({"2": {}});
                });
            },
            against: &["dataset"],
            found: &[
                "per_image.parquet: 1 rows come twice: image 10 at beam size 1",
                "scores.json: \"beams\" are not those of per_image.parquet: 1, 3",
                "scores.json: 1 images, per_image.parquet has 2",
                "per_image.parquet: 1 images of the split have no caption: image 11 at beam size 1",
                "per_image.parquet: 1 images of the split have no caption: image 10 at beam size 3",
                "per_image.parquet: 1 images are not in the split that scores.json names: image 1 at beam size 3",
                "results-beam-1.json: 1 images have another caption in per_image.parquet",
                "results-beam-3.json: 2 images have another caption in per_image.parquet",
                "results.json: the captions of no beam size in per_image.parquet",
                "manifest.json: \"inputs\" lists no dataset",
            ],
            refused: false,
            ..FAULT
        },
        Fault {
            kind: "evaluation",
            spoil: |root| {
                std::fs::write(root.join("scores.json"), "{\"split\": 1}").unwrap();
                std::fs::write(root.join("per_image.parquet"), "").unwrap();
                std::fs::write(root.join("results.json"), "{}").unwrap();
                let twice =
                    r#"[{"image_id": 1, "caption": ""}, {"image_id": 1, "caption": ""}, 7]"#;
                std::fs::write(root.join("results-beam-3.json"), twice).unwrap();
            },
            found: &[
                "per_image.parquet: not a Parquet table",
                "scores.json: 3 keys are missing or of another type: split, images, beams",
                "results-beam-3.json: 1 entries are not {\"image_id\": number, \"caption\": text}: [2]",
                "results-beam-3.json: 1 images come twice: 1",
                "results.json: not a list of results",
            ],
            ..FAULT
        },
        Fault {
            kind: "evaluation",
            spoil: |root| {
                rows::<WordsRecord>(&root.join("words.parquet"), |rows| {
                    rows[0].attention.pop();
                    rows[1].log_probs.pop();
                    rows.push(WordsRecord {
                        words: vec!["a".into(), "cat".into()],
                        log_probs: Vec::new(),
                        attention: vec![0; 8],
                        ..rows[1].clone()
                    });
                });
            },
            found: &[
                "words.parquet: 1 images come twice: 11",
                "words.parquet: 2 images have not one attention for each cell and word, or not one log-probability for each word: 10, 11",
                "words.parquet: 1 images have another caption in results.json, or none: 11",
            ],
            ..FAULT
        },
    ]
}

#[test]
fn whole_artifacts_are_whole_and_taken() {
    let world = World::new();
    for kind in ["dataset", "vocabulary", "features", "model", "evaluation"] {
        let against: &[_] = match kind {
            "vocabulary" | "features" => &[Artifact::open(&world.path("dataset")).unwrap()],
            _ => &[],
        };
        let verdict = judge(&world.path(kind), Some(kind), against).unwrap();
        assert_eq!(verdict.findings, []);
        take(&world.path(kind), kind, &world).unwrap();
        let folder = tempfile::tempdir().unwrap();
        world.copy(kind, folder.path());
        remake(folder.path());
        let verdict = judge(folder.path(), Some("numbers"), &[]).unwrap();
        assert_eq!(
            verdict.findings[0].to_string(),
            format!("manifest.json: an artifact of kind {kind:?}, not \"numbers\"")
        );
        assert_eq!(verdict.findings.len(), 1);
    }
}

#[test]
fn every_wrong_artifact_is_refused_with_all_its_faults_and_no_stage_takes_it() {
    let world = World::new();
    let faults = faults();
    assert!(faults.len() >= 50, "{}", faults.len());
    let mut wrong = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("artifact");
        world.copy(fault.kind, &root);
        (fault.spoil)(&root);
        if fault.remade {
            remake(&root);
        }
        let against = fault.against.iter();
        let against = against.map(|kind| Artifact::open(&world.path(kind)).unwrap());
        let against: Vec<Artifact> = against.collect();
        let verdict = judge(&root, Some(fault.kind), &against).unwrap();
        let said: Vec<String> = verdict.findings.iter().map(|f| f.to_string()).collect();
        let expected = fault.found;
        let all = said.len() == expected.len()
            && said
                .iter()
                .zip(expected)
                .all(|(said, begin)| said.starts_with(begin));
        if !all {
            wrong.push(format!("{number}: {said:#?}, expected {expected:#?}"));
        }
        let taken = take(&root, fault.kind, &world);
        match (fault.refused, taken) {
            (true, Ok(())) => wrong.push(format!("{number} is taken: {expected:#?}")),
            (true, Err(error)) if error.exit_code() != 4 => wrong.push(error.to_string()),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
