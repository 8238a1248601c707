//! Reads the annotations of a data set as the stage does, and counts.

use super::photographs::{self, Place};
use super::ways::Way;
use super::{splits, tutorial};
use crate::annotations::Annotations;
use crate::config::Section;
use crate::formats::layout::Layout;
use crate::reference::Reference;
use crate::stage::{self, Listing};
use attend_artifact::ledger;
use attend_program::{At, Error, Result};
use std::collections::HashSet;
use std::path::{Path, absolute};
use toml::Value;

/// Number of captions that are looked at.
const CAPTIONS: usize = 10_000;

/// Number of images up to which all photographs are read to divide them by content.
const HASHED: usize = 20_000;

/// What is said of data without splits.
const NONE: &str = "it has no splits to train and to judge by, so the photographs are divided";

/// What a data set is.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// In a few words.
    pub(super) what: String,
    /// What chooses this reading with `--as`.
    pub(super) label: String,
    /// The pipeline that reads it.
    pub(super) pipeline: &'static str,
    /// The keys of `[dataset]`.
    pub(super) settings: Vec<(&'static str, Value)>,
    /// Each split's name, images and captions.
    pub(super) splits: Vec<(String, usize, usize)>,
    /// Whether the splits are made by content.
    pub(super) made: bool,
    /// The shares of val and test, if the splits are made by content and not counted.
    pub(super) by_content: Option<f64>,
    /// What the annotations leave out, with reasons and counts; may be empty.
    pub(super) left_out: String,
    /// Number of images whose photograph is not there.
    pub(super) missing: usize,
    /// Name of the first photograph.
    pub(super) first: Option<String>,
    /// Median width and height of photographs.
    pub(super) size: Option<(u32, u32)>,
    /// Maximum number of captions of an image.
    pub(super) captions_per_image: usize,
    /// Whether many images have the same caption several times.
    pub(super) repeats: bool,
    /// Whether captions have other letters than those of ASCII.
    pub(super) other_letters: bool,
}

impl Survey {
    /// Number of images in all splits.
    pub(super) fn images(&self) -> usize {
        self.splits.iter().map(|(_, images, _)| images).sum()
    }

    /// Number of captions in all splits.
    pub(super) fn captions(&self) -> usize {
        self.splits.iter().map(|(.., captions)| captions).sum()
    }

    /// Number of captions to train on, about.
    pub(super) fn train_captions(&self) -> usize {
        let captions = self.captions();
        match self.by_content {
            Some(share) => (captions as f64 * (1.0 - 2.0 * share)) as usize,
            None => {
                let train = self.splits.iter().find(|(name, ..)| name == "train");
                train.map_or(captions, |(.., captions)| *captions)
            }
        }
    }

    /// Whether there is such a split.
    pub(super) fn has(&self, split: &str) -> bool {
        self.by_content.is_some() || self.splits.iter().any(|(name, ..)| name == split)
    }

    /// How the images are divided.
    pub(super) fn division(&self) -> String {
        if let Some(share) = self.by_content {
            let percent = share * 100.0;
            return format!("{NONE} by their content: {percent:.0} % each into val and test");
        }
        let splits = self.splits.iter();
        let splits =
            splits.map(|(name, images, captions)| format!("{name} {images} ({captions} captions)"));
        let splits = splits.collect::<Vec<_>>().join(", ");
        match self.made {
            true => format!("{NONE} by their content: {splits}"),
            false => splits,
        }
    }

    /// What it is, how much there is, how it is divided, and what is wrong with it.
    pub(super) fn description(&self) -> String {
        let (images, captions) = (self.images(), self.captions());
        let mut lines = vec![
            format!("{}: {images} images, {captions} captions", self.what),
            self.division(),
        ];
        match self.size {
            Some((width, height)) => {
                lines.push(format!("photographs of usually {width} x {height} pixels"));
            }
            None if self.pipeline == "captioning" => lines.push(
                "none of the photographs that were looked at can be decoded; ingest says why"
                    .to_owned(),
            ),
            None => (),
        }
        if !self.left_out.is_empty() {
            lines.push(format!("left out: {}", self.left_out));
        }
        if self.missing > 0 {
            lines.push(format!(
                "missing: {} of {images} photographs; ingest fails if more than 1 % can't be used (dataset.max_rejected_fraction)",
                self.missing
            ));
        }
        lines.join("\n")
    }
}

/// Surveys a data set: once for each folder that its photographs may be in.
pub(super) fn take(way: &Way, elsewhere: Option<&Path>) -> Result<Vec<Survey>> {
    let Some(layout) = &way.layout else {
        return tutorial::survey(way).map(|survey| vec![survey]);
    };
    let root = &way.reading.root;
    let mut settings = vec![("format", way.format.into()), ("root", text(root)?)];
    let given = way
        .reading
        .settings
        .iter()
        .filter(|(key, _)| *key != "split");
    settings.extend(given.cloned());
    if let Some(elsewhere) = elsewhere {
        settings.push(("image_dir", text(&absolute(elsewhere).at(elsewhere)?)?));
    }
    let section = section(&settings)?;
    let annotations = (layout.read)(root, &section)?;
    let places = match elsewhere {
        Some(_) => vec![Place::default()],
        None => photographs::find(root, &annotations, section.follow_links)?,
    };
    let mut surveys = Vec::new();
    let (count, mut first) = (places.len(), Some(annotations));
    for place in places {
        let annotations = match first.take() {
            Some(annotations) => annotations,
            None => (layout.read)(root, &section)?,
        };
        let mut survey = at(way, layout, settings.clone(), annotations, &place)?;
        if let (true, Some(folder)) = (count > 1, &place.folder) {
            survey.label = format!("{}:{folder}", way.label);
            survey.what = format!("{}, with the photographs in {folder}", survey.what);
        }
        surveys.push(survey);
    }
    Ok(surveys)
}

/// Surveys a data set whose photographs are at `place`.
fn at(
    way: &Way,
    layout: &Layout,
    mut settings: Vec<(&'static str, Value)>,
    mut annotations: Annotations,
    place: &Place,
) -> Result<Survey> {
    if let Some(folder) = &place.folder {
        settings.retain(|(key, _)| *key != "image_dir");
        settings.push(("image_dir", folder.clone().into()));
        annotations.folders = vec![folder.clone()];
    }
    if place.follow_links {
        settings.push(("follow_links", true.into()));
    }
    let listed = annotations.images.len();
    let (setting, by_content) = splits::needed(layout.name, &annotations);
    settings.extend(setting);
    let section = section(&settings)?;
    let mut listing = stage::listing(&way.reading.root, &section, annotations)?;
    let missing = (listing.candidates.iter())
        .filter(|image| listing.source.state(&image.photograph) == photographs::NOT_THERE)
        .count();
    let images = listing.candidates.len();
    let is_counted = section.split.is_set() && images <= HASHED && missing < images;
    if is_counted && let Some(seed) = splits::assign(&section.split, &mut listing)? {
        splits::set_seed(&mut settings, seed);
    }
    let mut survey = Survey {
        what: way.reading.what.clone(),
        label: way.label.clone(),
        pipeline: "captioning",
        settings,
        by_content: by_content.filter(|_| !is_counted),
        missing,
        made: section.split.is_set(),
        left_out: ledger::sums(listing.rejected.iter()),
        ..Survey::default()
    };
    count(&mut survey, &listing);
    if survey.images() == 0 {
        let root = way.reading.root.display();
        let left_out = &survey.left_out;
        return Err(Error::input(format!(
            "{root}: {}: none of {listed} images can be used: {left_out}",
            survey.what
        )));
    }
    let all: Vec<&Reference> = stage::photographs(&listing.candidates).collect();
    survey.first = listing
        .candidates
        .first()
        .map(|image| image.file_name.clone());
    survey.size = photographs::size(&listing.source, &all)?;
    Ok(survey)
}

/// Counts images and captions, and looks at the captions.
fn count(survey: &mut Survey, listing: &Listing) {
    let candidates = &listing.candidates;
    for images in candidates.chunk_by(|a, b| a.split == b.split) {
        let captions = images.iter().map(|image| image.captions.len()).sum();
        let split = (images[0].split.clone(), images.len(), captions);
        survey.splits.push(split);
    }
    let lengths = candidates.iter().map(|image| image.captions.len());
    survey.captions_per_image = lengths.max().unwrap_or(1);
    let (mut seen, mut distinct, mut letters, mut other) = (0, 0, 0, 0);
    for image in candidates {
        let texts = || image.captions.iter().map(|(_, text)| text.as_str());
        seen += texts().count();
        distinct += texts().collect::<HashSet<_>>().len();
        let all = texts().flat_map(str::chars).filter(|c| c.is_alphabetic());
        for c in all {
            letters += 1;
            other += usize::from(!c.is_ascii());
        }
        if seen > CAPTIONS {
            break;
        }
    }
    survey.repeats = distinct * 4 < seen * 3;
    survey.other_letters = other * 50 > letters;
}

/// `[dataset]` with these keys.
fn section(settings: &[(&'static str, Value)]) -> Result<Section> {
    let pairs = settings.iter().cloned();
    let table: toml::Table = pairs.map(|(key, value)| (key.to_owned(), value)).collect();
    table.try_into().map_err(Error::internal)
}

/// A path as a config's value.
pub(super) fn text(path: &Path) -> Result<Value> {
    let text = path.to_str().map(|text| Value::String(text.to_owned()));
    text.ok_or_else(|| {
        let path = path.display();
        Error::usage(format!(
            "{path}: its name is not UTF-8, so no config can name it"
        ))
    })
}
