//! One small artifact of each kind, whole, and ways to spoil copies of them.

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};
use attend_artifact::dataset::Dataset;
use attend_artifact::evaluation::{Evaluation, WORDS, WordsRecord};
use attend_artifact::features::Features;
use attend_artifact::model::weights::check_parameters;
use attend_artifact::model::{
    self, Arch, CHECKPOINTS, Checkpoint, EncoderConfig, LastStage, ResNetConfig, check_finite,
};
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{Artifact, Manifest, Record, Staging, digest_file};
use attend_program::Result;
use attend_testing::{DataSet, Split, Weights, checkpoint, features, vocabulary};
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const SIDE: usize = 8;
pub const CELLS: usize = 4;
pub const CHANNELS: usize = 64;

/// The folder of whole artifacts; each has the name of its kind.
pub struct World(tempfile::TempDir);

pub fn words() -> Vocabulary {
    let words = ["a", "dog", "red"].map(|word| (word.to_owned(), 9));
    Vocabulary::new(words, 1, 4) // <unk> 4, <start> 5, <end> 6
}

pub fn encoder() -> ResNetConfig {
    ResNetConfig {
        arch: Arch::Resnet18,
        last_stage: LastStage::Layer1,
        ..ResNetConfig::default()
    }
}

impl World {
    pub fn new() -> World {
        let world = World(tempfile::tempdir().unwrap());
        let split = |name, first, count| Split { name, first, count };
        let data = DataSet {
            side: SIDE,
            splits: &[split("train", 1, 3), split("val", 10, 2)],
            pixels: &|id| vec![id as u8; 3 * SIDE * SIDE],
            captions: &|_| vec!["A dog.".into(), "a red dog".into()],
            objects: &["dog"],
        };
        let dataset = data.write(&world.path("dataset"));
        vocabulary::write(&world.path("vocabulary"), &dataset, &words());
        let weights = Weights::random(&encoder().parameters(), 1).bytes();
        let cells = |pixels: &[u8]| vec![f32::from(pixels[0]); CELLS * CHANNELS];
        let made_by = EncoderConfig::ResNet(encoder());
        features::write(
            &world.path("features"),
            &dataset,
            &made_by,
            &weights,
            &cells,
        );
        model(&world.path("model"));
        evaluation(&world.path("evaluation"));
        world
    }

    pub fn path(&self, kind: &str) -> PathBuf {
        self.0.path().join(kind)
    }

    /// A copy of the artifact of a kind.
    pub fn copy(&self, kind: &str, to: &Path) {
        copy(&self.path(kind), to);
    }
}

fn model(folder: &Path) {
    let staging = Staging::open(folder, Manifest::draft("model", "test", "1")).unwrap();
    std::fs::write(staging.path("metrics.jsonl").unwrap(), "{\"step\": 1}\n").unwrap();
    staging.done("metrics.jsonl", None).unwrap();
    let best = format!("{CHECKPOINTS}/best");
    let card = checkpoint::card(&words(), [SIDE as i64; 2], [0, 0]);
    checkpoint::write(&staging.folder().join(&best), card, &words(), 1, true);
    for file in [model::CARD, model::WORDS, model::ENCODER, model::DECODER] {
        staging.done(&format!("{best}/{file}"), None).unwrap();
    }
    staging.commit(&[]).unwrap();
}

fn evaluation(folder: &Path) {
    let staging = Staging::open(folder, Manifest::draft("evaluation", "test", "1")).unwrap();
    let caption = |beam: u32| if beam == 1 { "a dog" } else { "a red dog" };
    let rows = [(10, 1), (11, 1), (10, 3), (11, 3)];
    per_image(&staging.path("per_image.parquet").unwrap(), &rows);
    let results = |beam: u32| {
        let result = |id: &i64| json!({"image_id": id, "caption": caption(beam)});
        Value::from([10, 11].iter().map(result).collect::<Vec<_>>())
    };
    let scores = json!({"split": "val", "images": 2, "beams": {"1": {}, "3": {}}});
    for (name, value) in [
        ("results.json", results(3)),
        ("results-beam-1.json", results(1)),
        ("results-beam-3.json", results(3)),
        ("scores.json", scores),
    ] {
        std::fs::write(staging.path(name).unwrap(), value.to_string()).unwrap();
        staging.done(name, None).unwrap();
    }
    staging.done("per_image.parquet", None).unwrap();
    let words = [10, 11].map(|image_id| WordsRecord {
        image_id,
        words: ["a", "red", "dog"].map(str::to_owned).to_vec(),
        log_probs: vec![-0.5, -2.0, -0.25],
        attention: [255, 0, 128, 3].repeat(3),
        grid_height: 2,
        grid_width: 2,
    });
    WordsRecord::write(&staging.path(WORDS).unwrap(), &words).unwrap();
    staging.done(WORDS, Some(2)).unwrap();
    staging.commit(&[]).unwrap();
}

/// Writes a row for each image and beam size; captions are those of [`evaluation`].
pub fn per_image(path: &Path, rows: &[(i64, u32)]) {
    let ids: Int64Array = rows.iter().map(|row| Some(row.0)).collect();
    let beams: UInt32Array = rows.iter().map(|row| Some(row.1)).collect();
    let caption = |beam| if beam == 1 { "a dog" } else { "a red dog" };
    let captions: StringArray = rows.iter().map(|row| Some(caption(row.1))).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("image_id", Arc::new(ids)),
        ("beam", Arc::new(beams)),
        ("caption", Arc::new(captions)),
    ];
    table(path, RecordBatch::try_from_iter(columns).unwrap());
}

/// Writes a table of any columns.
pub fn table(path: &Path, batch: RecordBatch) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(std::fs::copy(&path, &to).unwrap()),
        }
    }
}

/// Changes a JSON file.
pub fn json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// Changes the rows of a table.
pub fn rows<R: Record>(path: &Path, change: impl FnOnce(&mut Vec<R>)) {
    let mut rows = R::read(path).unwrap();
    change(&mut rows);
    R::write(path, &rows).unwrap();
}

/// Writes the manifest that a program would write that made these files: sizes and digests
/// of the files that are there, only those counts that readers need, and the digest.
pub fn remake(root: &Path) {
    let needed = [
        "image_height",
        "image_width",
        "grid_height",
        "grid_width",
        "channels",
    ];
    json(&root.join("manifest.json"), |manifest| {
        for file in manifest["files"].as_array_mut().unwrap() {
            let path = root.join(file["name"].as_str().unwrap());
            if let Ok(meta) = path.metadata() {
                file["bytes"] = meta.len().into();
                file["blake3"] = digest_file(&path).unwrap().into();
                file["rows"] = Value::Null;
            }
        }
        let counts: &mut Map<_, _> = manifest["counts"].as_object_mut().unwrap();
        counts.retain(|name, _| needed.contains(&&**name));
        redigest(manifest);
    });
}

/// Makes the digest right again.
pub fn redigest(manifest: &mut Value) {
    let typed: Manifest = serde_json::from_value(manifest.clone()).unwrap();
    manifest["digest"] = typed.compute_digest().into();
}

/// Takes the artifact as the stages do that read its kind.
pub fn take(root: &Path, kind: &str, world: &World) -> Result<()> {
    let artifact = Artifact::open_kind(root, kind)?;
    artifact.verify()?;
    match kind {
        "dataset" => drop(Dataset::open(&artifact)?),
        "vocabulary" => {
            let (_, encoded) = Vocabulary::open_encoded(&artifact)?;
            let dataset = Dataset::open(&Artifact::open(&world.path("dataset"))?)?;
            EncodedRecord::check_images(&encoded, &artifact, &dataset)?;
        }
        "features" => {
            let features = Features::open(&artifact)?;
            features.check_finite()?;
            let encoder = EncoderConfig::read(&artifact.file("encoder.json")?)?;
            features.check_encoder(&encoder, [SIDE as i64; 2])?;
            let weights = artifact.file(encoder.file().unwrap())?;
            check_parameters(&weights, &encoder.resnet().unwrap().parameters(), true)?;
            check_finite(&weights)?;
        }
        "model" => {
            let checkpoint = Checkpoint::of_artifact(&artifact, "best")?;
            checkpoint.check()?;
            checkpoint.vocabulary()?;
            let card = &checkpoint.card;
            let encoder = card.encoder.resnet().unwrap().parameters();
            check_parameters(&checkpoint.encoder().unwrap(), &encoder, true)?;
            check_parameters(&checkpoint.decoder(), &card.decoder.parameters(), false)?;
            check_finite(&checkpoint.decoder())?;
        }
        "evaluation" => drop(Evaluation::open(&artifact)?),
        _ => {}
    }
    Ok(())
}
