//! Tests checks of numbers and digests beyond `manifest.json`: features of other
//! programs, weights, copied checkpoints.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::features::Features;
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::{Artifact, Input, Manifest, Staging, model};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Features of one cell and two channels: shards of (image, numbers).
struct Made<'a> {
    dtype: Dtype,
    shards: &'a [&'a [(i64, [f32; 2])]],
    rows: Option<u64>,
    config: serde_json::Value,
    counts: [u64; 3],
}

const GOOD: Made = Made {
    dtype: Dtype::F32,
    shards: &[
        &[(1, [0.5, -1.0]), (2, [3.0, f32::MAX])],
        &[(7, [0.0, 1.0])],
    ],
    rows: None,
    config: serde_json::Value::Null,
    counts: [1, 1, 2],
};

impl Made<'_> {
    fn write(&self, folder: &Path) -> Artifact {
        let mut draft = Manifest::draft("features", "another-program", "1");
        if !self.config.is_null() {
            draft.config = self.config.clone();
        }
        let dataset = Input {
            kind: "dataset".into(),
            digest: "d".repeat(64),
        };
        draft.inputs.insert("dataset".into(), dataset);
        let staging = Staging::open(folder, draft).unwrap();
        for (n, rows) in self.shards.iter().enumerate() {
            let name = format!("shards/train-{n:05}.arrow");
            let path = staging.path(&name).unwrap();
            let mut writer =
                TensorShardWriter::create(&path, "features", self.dtype, &[1, 2], &["c", "d"])
                    .unwrap();
            for (id, numbers) in *rows {
                let bytes: Vec<u8> = match self.dtype {
                    // The upper half of an f32 is not its f16, but NaN stays NaN and inf inf.
                    Dtype::F16 => (numbers.iter())
                        .flat_map(|n| match n.is_finite() {
                            true => 0x7bffu16.to_ne_bytes(),
                            false => 0x7c00u16.to_ne_bytes(),
                        })
                        .collect(),
                    _ => numbers.iter().flat_map(|n| n.to_ne_bytes()).collect(),
                };
                writer.push(*id, &bytes).unwrap();
            }
            let written = writer.finish().unwrap().rows;
            staging.done(&name, self.rows.or(Some(written))).unwrap();
        }
        let json = r#"{"kind": "foreign", "name": "a", "image_size": [8, 8], "grid": [1, 1], "channels": 2}"#;
        std::fs::write(staging.path("encoder.json").unwrap(), json).unwrap();
        staging.done("encoder.json", None).unwrap();
        let names = ["grid_height", "grid_width", "channels"];
        let counts: Vec<_> = names.into_iter().zip(self.counts).collect();
        staging.commit(&counts).unwrap();
        Artifact::open(folder).unwrap()
    }
}

/// Exit code and standard error of `attend-verify`.
fn verify(folder: &Path) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-verify"));
    let output = command.arg(folder).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), error)
}

#[test]
fn features_with_nan_or_infinite_numbers_are_not_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("good");
    for dtype in [Dtype::F32, Dtype::F16] {
        let _ = std::fs::remove_dir_all(&path);
        Made { dtype, ..GOOD }.write(&path);
        assert_eq!(verify(&path), (0, String::new()));
    }
    for (n, wrong) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY]
        .into_iter()
        .enumerate()
    {
        for dtype in [Dtype::F32, Dtype::F16] {
            let path = folder.path().join(format!("{dtype:?}-{n}"));
            let second = [(7, [0.0, 1.0]), (9, [2.0, wrong])];
            let shards = &[GOOD.shards[0], &second[..]];
            let made = Made {
                dtype,
                shards,
                ..GOOD
            };
            let artifact = made.write(&path);
            artifact.verify().unwrap();
            let (code, error) = verify(&path);
            let named = error.contains("train-00001.arrow") && error.contains("image 9");
            assert!(code == 4 && named, "{dtype:?} {wrong}: {code} {error}");
        }
    }
}

#[test]
fn features_that_contradict_themselves_are_refused_when_opened() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |name: &str, made: Made| {
        let artifact = made.write(&folder.path().join(name));
        let error = Features::open(&artifact).map(drop).unwrap_err();
        assert_eq!(error.exit_code(), 4, "{error}");
        error.to_string()
    };
    let twice: &[&[_]] = &[GOOD.shards[0], &[(2, [0.0, 1.0])]];
    let error = refusal(
        "twice",
        Made {
            shards: twice,
            ..GOOD
        },
    );
    let named = error.contains("train-00001.arrow: 1 images have features already: image 2");
    assert!(named, "{error}");
    let error = refusal(
        "rows",
        Made {
            rows: Some(3),
            ..GOOD
        },
    );
    assert!(error.contains("train-00000.arrow: 2 rows"), "{error}");
    let error = refusal(
        "channels",
        Made {
            counts: [1, 1, 3],
            ..GOOD
        },
    );
    assert!(
        error.contains("features [1, 2] of f32, expected [1, 3]"),
        "{error}"
    );
    for (name, counts) in [("none", [0, 0, 2]), ("many", [1 << 40, 1 << 40, 2])] {
        let error = refusal(
            name,
            Made {
                counts,
                shards: &[],
                ..GOOD
            },
        );
        assert!(error.contains("manifest.json"), "{error}");
    }
    let config = serde_json::json!({ "features": { "dtype": "f16" } });
    let error = refusal("dtype", Made { config, ..GOOD });
    assert!(error.contains("of f32, expected [1, 2] of f16"), "{error}");
}

/// A safetensors file of one tensor of f32, as its documentation describes the format.
fn safetensors(path: &Path, name: &str, numbers: &[f32]) {
    let (n, bytes) = (numbers.len(), 4 * numbers.len());
    let header =
        format!(r#"{{"{name}":{{"dtype":"F32","shape":[{n}],"data_offsets":[0,{bytes}]}}}}"#);
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
    std::fs::write(path, file).unwrap();
}

#[test]
fn weights_that_are_no_numbers_are_not_whole_and_their_tensor_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (n, (tensor, numbers, wrong)) in [
        ("fc.weight", [1.0, -2.0], false),
        ("bn1.running_var", [1.0, 0.0], false),
        ("fc.weight", [1.0, f32::NAN], true),
        ("fc.weight", [f32::NEG_INFINITY, 0.0], true),
        ("layer1.0.bn1.running_var", [1.0, -1e-9], true),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(n.to_string());
        let staging = Staging::open(&path, Manifest::draft("model", "test", "1")).unwrap();
        let name = "checkpoints/best/decoder.safetensors";
        safetensors(&staging.path(name).unwrap(), tensor, &numbers);
        staging.done(name, None).unwrap();
        staging.commit(&[]).unwrap();
        // The other files of a checkpoint are missing, which is reported, too.
        let (code, error) = verify(&path);
        let named = error.contains(name) && error.contains(tensor);
        assert_eq!((code, named), (4, wrong), "{error}");
    }
}

/// The files of a checkpoint with a ResNet, besides `model.json`.
const FILES: [&str; 3] = [model::WORDS, model::ENCODER, model::DECODER];

/// A checkpoint's folder in a model artifact.
fn checkpoint(root: &Path, sealed: bool) {
    let staging = Staging::open(root, Manifest::draft("model", "test", "1")).unwrap();
    let name = |file: &str| format!("checkpoints/best/{file}");
    let folder = staging.path(&name(model::CARD)).unwrap();
    let folder = folder.parent().unwrap();
    for file in FILES {
        std::fs::write(folder.join(file), format!("contents of {file}")).unwrap();
    }
    std::fs::write(folder.join(model::CARD), r#"{"hidden": 7, "dropout": 0.3}"#).unwrap();
    if sealed {
        model::seal(folder, &BTreeMap::new()).unwrap();
    }
    for file in FILES.iter().chain([&model::CARD]) {
        staging.done(&name(file), None).unwrap();
    }
    staging.commit(&[]).unwrap();
}

#[test]
fn one_flipped_bit_in_any_file_of_a_checkpoint_is_named() {
    let root = tempfile::tempdir().unwrap();
    for (kind, sealed) in [("sealed", true), ("of-an-earlier-version", false)] {
        let artifact = root.path().join(kind);
        checkpoint(&artifact, sealed);
        let folder = artifact.join("checkpoints/best");
        model::check(&folder, &FILES).unwrap();
        for file in FILES.iter().chain([&model::CARD]) {
            let path = folder.join(file);
            let whole = std::fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut flipped = whole.clone();
                flipped[at] ^= 1;
                // In JSON, one white space between tokens is as good as another.
                let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes);
                if let (Ok(a), Ok(b)) = (json(&flipped), json(&whole))
                    && a == b
                    && sealed
                {
                    continue;
                }
                std::fs::write(&path, &flipped).unwrap();
                let Err(error) = model::check(&folder, &FILES) else {
                    panic!("{kind}: byte {at} of {file} is changed and nobody sees it");
                };
                // A flipped digest is reported as a fault of its file.
                let named = error.to_string().contains(&*folder.to_string_lossy());
                assert!(error.exit_code() == 4 && named, "{error}");
            }
            std::fs::write(&path, &whole).unwrap();
        }
    }
    // A checkpoint of an earlier version, copied out of its artifact, has no digests.
    let copy = root.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join(model::CARD), "{}").unwrap();
    model::check(&copy, &FILES).unwrap();
    std::fs::write(copy.join(model::CARD), r#"{"blake3": {}}"#).unwrap();
    assert_eq!(model::check(&copy, &[]).unwrap_err().exit_code(), 4);
}
