//! The files of the PyTorch tutorial, which `attend-hdf5` reads: `TRAIN_IMAGES_….hdf5`,
//! `TRAIN_CAPLENS_….json`, `WORDMAP_….json`, …

use super::survey::{Survey, text};
use super::ways::Way;
use crate::formats::layout::Reading;
use crate::formats::look;
use crate::formats::read::read_json;
use attend_program::{Error, Result};
use std::path::Path;

/// What chooses it with `--as`.
pub(super) const FORMAT: &str = "tutorial";

/// A reading for each word map that has a file of images.
pub(super) fn look(path: &Path) -> Vec<Reading> {
    let (root, file) = look::place(path);
    let names = look::files(&root);
    let reading = |name: &String| {
        let base = name.strip_prefix("WORDMAP_")?.strip_suffix(".json")?;
        let end = format!("_IMAGES_{base}.hdf5");
        let has_images = names.iter().any(|name| name.ends_with(&end));
        let is_asked_for = file.as_ref().is_none_or(|file| file.contains(base));
        (has_images && is_asked_for).then(|| Reading {
            what: "the PyTorch tutorial's HDF5 files".to_owned(),
            root: root.clone(),
            settings: vec![("annotations", name.clone().into())],
        })
    };
    names.iter().filter_map(reading).collect()
}

/// Counts the captions by their lengths, which the tutorial keeps in files of their own.
pub(super) fn survey(way: &Way) -> Result<Survey> {
    let root = &way.reading.root;
    let settings = way.reading.settings.iter().cloned();
    let map = way
        .reading
        .settings
        .iter()
        .find_map(|(_, value)| value.as_str());
    let base = map.and_then(|map| map.strip_prefix("WORDMAP_")?.strip_suffix(".json"));
    let base = base.ok_or_else(|| Error::internal("a word map without a name"))?;
    let captions_per_image = (base.split_once("_cap_per_img"))
        .and_then(|(before, _)| before.rsplit_once('_')?.1.parse().ok())
        .filter(|count| *count > 0)
        .ok_or_else(|| {
            let root = root.display();
            Error::input(format!(
                "{root}: {base}: expected …_N_cap_per_img_…, as create_input_files.py names its files"
            ))
        })?;
    let mut survey = Survey {
        what: way.reading.what.clone(),
        label: way.label.clone(),
        pipeline: "tutorial",
        settings: [("root", text(root)?)]
            .into_iter()
            .chain(settings)
            .collect(),
        captions_per_image,
        ..Survey::default()
    };
    let end = format!("_CAPLENS_{base}.json");
    for name in look::files(root) {
        let Some(split) = name.strip_suffix(&end) else {
            continue;
        };
        let what = "the captions' lengths, as create_input_files.py writes them";
        let (lengths, _): (Vec<u32>, _) = read_json(&root.join(&name), what)?;
        let images = lengths.len() / captions_per_image;
        survey
            .splits
            .push((split.to_ascii_lowercase(), images, lengths.len()));
    }
    survey.splits.sort_by_key(|(name, ..)| match name.as_str() {
        "train" => 0,
        "val" => 1,
        _ => 2,
    });
    Ok(survey)
}
