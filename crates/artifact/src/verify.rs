//! Whether an artifact, whoever made it, holds what the contract says: more than can be
//! checked each time that it is opened.

use crate::dataset::{Dataset, RejectedRecord};
use crate::features::Features;
use crate::record::record;
use crate::vocabulary::Vocabulary;
use crate::{Artifact, At, Error, Record, Result, model};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;

/// All that is wrong with an artifact's content, file by file. Bytes are compared by
/// [`Artifact::verify`].
///
/// # Errors
/// [`Error::Refused`] where a file can't be read as what it is.
pub fn faults(artifact: &Artifact) -> Result<Vec<Error>> {
    let mut faults = Faults {
        artifact,
        found: Vec::new(),
    };
    match artifact.manifest.kind.as_str() {
        "dataset" => dataset(&mut faults)?,
        "vocabulary" => drop(Vocabulary::open_encoded(artifact)?),
        "features" => features(&mut faults)?,
        "model" => checkpoints(&mut faults)?,
        "evaluation" => evaluation(&mut faults)?,
        _ => {}
    }
    for file in &artifact.manifest.files {
        if file.name.ends_with(".safetensors") {
            faults.add(model::check_finite(&artifact.root.join(&file.name)))?;
        }
    }
    Ok(faults.found)
}

struct Faults<'a> {
    artifact: &'a Artifact,
    found: Vec<Error>,
}

impl Faults<'_> {
    /// `which` of a file are `what`.
    fn all<T: Display>(&mut self, file: &str, what: &str, which: impl IntoIterator<Item = T>) {
        let which: Vec<T> = which.into_iter().collect();
        let first: Vec<String> = which.iter().take(3).map(T::to_string).collect();
        if !which.is_empty() {
            let more = if which.len() > 3 { ", …" } else { "" };
            let first = first.join(", ");
            self.note(file, format_args!("{} {what}: {first}{more}", which.len()));
        }
    }

    fn note(&mut self, file: &str, what: impl Display) {
        let path = self.artifact.root.join(file);
        self.found
            .push(Error::refused(format!("{}: {what}", path.display())));
    }

    /// Notes what a check finds.
    fn add(&mut self, checked: Result<()>) -> Result<()> {
        match checked {
            Err(Error::Refused(why)) => self.found.push(Error::Refused(why)),
            other => other?,
        }
        Ok(())
    }

    /// A count of the manifest, where it has one of this name, against what is there.
    fn count(&mut self, file: &str, name: &str, there: usize) {
        match self.artifact.manifest.counts.get(name) {
            Some(said) if *said != there as u64 => {
                self.note(
                    file,
                    format_args!("{there} {name}, the manifest says {said}"),
                );
            }
            _ => {}
        }
    }

    fn json(&self, file: &str) -> Result<Value> {
        let path = self.artifact.file(file)?;
        let text = std::fs::read(&path).at(&path)?;
        serde_json::from_slice(&text)
            .map_err(|e| Error::refused(format!("{}: not valid JSON ({e})", path.display())))
    }

    /// A JSON file that must hold an object; else that is noted.
    fn object(&mut self, file: &str) -> Map<String, Value> {
        match self.json(file) {
            Ok(Value::Object(object)) => return object,
            Ok(_) => self.note(file, "not a JSON object"),
            Err(error) => self.found.push(error),
        }
        Map::new()
    }
}

/// What comes a second time.
fn twice<T: Copy + Eq + Hash>(ids: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    ids.filter(|id| !seen.insert(*id)).collect()
}

fn dataset(faults: &mut Faults) -> Result<()> {
    let dataset = Dataset::open(faults.artifact)?;
    let (images, captions) = (dataset.images(), dataset.captions());
    let file = "images.parquet";
    let ids = images.iter().map(|image| image.image_id);
    faults.all(file, "image ids come twice", twice(ids));
    let elsewhere = images.iter().filter(|image| {
        let name = image.shard.strip_prefix("shards/");
        name.and_then(|name| name.rsplit_once('-'))
            .map(|(split, _)| split)
            != Some(&image.split)
    });
    let elsewhere = elsewhere.map(|image| format!("{} in {}", image.image_id, image.shard));
    faults.all(file, "images in a shard of another split", elsewhere);
    let empty = images
        .iter()
        .filter(|image| image.width == 0 || image.height == 0);
    faults.all(
        file,
        "images without pixels",
        empty.map(|image| image.image_id),
    );
    faults.count(file, "images", images.len());
    let named: HashSet<(&str, i64)> = (images.iter())
        .map(|image| (image.shard.as_str(), image.image_id))
        .collect();
    let mut shards: Vec<_> = dataset.shards().collect();
    shards.sort_by_key(|(name, _)| *name);
    for (name, shard) in shards {
        let unnamed = shard
            .ids()
            .iter()
            .filter(|id| !named.contains(&(name, **id)));
        faults.all(
            name,
            "rows are of images that images.parquet does not place here",
            unnamed,
        );
        faults.all(name, "image ids come twice", twice(shard.ids().iter()));
    }

    let splits: HashMap<i64, &str> = (images.iter())
        .map(|image| (image.image_id, image.split.as_str()))
        .collect();
    let file = "captions.parquet";
    let said = |caption: &crate::dataset::CaptionRecord| {
        format!(
            "caption {} of image {}",
            caption.caption_id, caption.image_id
        )
    };
    let lost = captions
        .iter()
        .filter(|c| !splits.contains_key(&c.image_id));
    faults.all(
        file,
        "captions are of images that are not there",
        lost.map(said),
    );
    let other = captions.iter().filter(|caption| {
        let split = splits.get(&caption.image_id);
        split.is_some_and(|split| **split != caption.split)
    });
    faults.all(
        file,
        "captions are in another split than their images",
        other.map(said),
    );
    let blank = captions.iter().filter(|c| c.caption.trim().is_empty());
    faults.all(file, "captions are empty", blank.map(said));
    let ids = captions.iter().map(|caption| caption.caption_id);
    faults.all(file, "caption ids come twice", twice(ids));
    faults.count(file, "captions", captions.len());

    let (file, objects) = ("objects.parquet", dataset.objects());
    let lost = objects.iter().filter(|o| !splits.contains_key(&o.image_id));
    faults.all(
        file,
        "objects are in images that are not there",
        lost.map(|o| o.image_id),
    );
    let numbers = objects.iter().filter(|o| {
        let numbers = [o.x, o.y, o.width, o.height];
        !numbers.iter().all(|number| number.is_finite())
    });
    let numbers = numbers.map(|o| format!("{} in image {}", o.name, o.image_id));
    faults.all(file, "boxes are no finite numbers", numbers);
    faults.count(file, "objects", objects.len());
    // Images that are used although their files are damaged stand there, too.
    let left_out = |row: &&RejectedRecord| row.reason != "damaged";
    let left_out = dataset.rejected().iter().filter(left_out).count();
    faults.count("rejected.parquet", "rejected", left_out);
    Ok(())
}

fn features(faults: &mut Faults) -> Result<()> {
    let features = Features::open(faults.artifact)?;
    faults.count("shards", "images", features.ids().count());
    faults.object("encoder.json");
    faults.add(features.check_finite())
}

fn checkpoints(faults: &mut Faults) -> Result<()> {
    let files = &faults.artifact.manifest.files;
    let inside = |name: &str| -> Option<String> {
        let (folder, _) = name.strip_prefix("checkpoints/")?.split_once('/')?;
        Some(format!("checkpoints/{folder}"))
    };
    let mut folders: BTreeSet<String> =
        files.iter().filter_map(|file| inside(&file.name)).collect();
    folders.insert("checkpoints/best".into());
    for folder in folders {
        let digest = |name: &str| {
            let entry = faults.artifact.manifest.file(&format!("{folder}/{name}"));
            entry.map(|entry| entry.blake3.clone())
        };
        let needed = [
            "model.json",
            "vocab.json",
            "decoder.safetensors",
            "encoder.safetensors",
        ];
        let missing: Vec<&str> = (needed.into_iter())
            .filter(|name| digest(name).is_none())
            .collect();
        let (words, encoder) = (digest("vocab.json"), digest("encoder.safetensors"));
        let has_state = digest("state.json").is_some();
        if missing.is_empty() {
            faults.add(model::check(
                &faults.artifact.root.join(&folder),
                &model::DESCRIBING,
            ))?;
        }
        faults.all(&folder, "files are missing", &missing);
        if !missing.contains(&"model.json") {
            let file = format!("{folder}/model.json");
            let card = faults.object(&file);
            let said = card.get("vocabulary_blake3").and_then(Value::as_str);
            if words.is_some() && said != words.as_deref() {
                faults.note(
                    &file,
                    "vocabulary_blake3 is not that of the vocab.json beside it",
                );
            }
            let said = card.get("encoder_blake3").and_then(Value::as_str);
            if said.is_some_and(|said| !said.is_empty()) && said != encoder.as_deref() {
                faults.note(
                    &file,
                    "encoder_blake3 is not that of the encoder.safetensors beside it",
                );
            }
        }
        if has_state {
            faults.object(&format!("{folder}/state.json"));
        }
        if let Ok(path) = faults.artifact.file(&format!("{folder}/vocab.json"))
            && let Err(error) = Vocabulary::read(&path)
        {
            faults.found.push(error);
        }
    }
    Ok(())
}

/// What `per_image.parquet` has at least.
struct PerImage {
    image_id: i64,
    caption: String,
}

record!(PerImage {
    image_id: Int64Array as Int64,
    caption: StringArray as Utf8,
});

fn evaluation(faults: &mut Faults) -> Result<()> {
    PerImage::read(&faults.artifact.file("per_image.parquet")?)?;
    faults.object("scores.json");
    faults.artifact.file("results.json")?;
    let files = faults.artifact.manifest.files.iter();
    let results =
        files.filter(|file| file.name.starts_with("results") && file.name.ends_with(".json"));
    for file in results {
        let Value::Array(results) = faults.json(&file.name)? else {
            faults.note(&file.name, "not a list of results");
            continue;
        };
        let id = |result: &Value| {
            result.get("caption")?.as_str()?;
            result.get("image_id")?.as_i64()
        };
        let ids: Vec<Option<i64>> = results.iter().map(id).collect();
        let strange = (0..ids.len()).filter(|n| ids[*n].is_none());
        let what = "entries are not {\"image_id\": number, \"caption\": text}";
        faults.all(&file.name, what, strange.map(|n| format!("[{n}]")));
        let again = twice(ids.iter().flatten());
        faults.all(&file.name, "images come twice", again);
        faults.count(&file.name, "images", results.len());
    }
    Ok(())
}
