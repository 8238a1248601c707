//! Captions from files: what people wrote, and what a captioner said.
//!
//! - COCO's `captions_*.json` (`annotations` with `image_id` and `caption`) and
//!   results (`[{"image_id", "caption"}]`);
//! - Karpathy's `dataset_*.json` as references;
//! - plain text: line n of each file is a caption of image n.
//!
//! What is not named `*.json` is text. Captions that need no unescaping are not
//! copied.
//!
//! ```
//! use attend_metrics::captions::{File, references, results};
//!
//! # fn main() -> Result<(), attend_metrics::Error> {
//! let wrote = br#"{"annotations": [{"image_id": 7, "caption": "A dog runs."}]}"#;
//! let files = [File::new("captions.json", *wrote)]; // or File::read
//! let said = File::new("results.json", br#"[{"image_id": 7, "caption": "A dog."}]"#);
//! assert_eq!(references(&files, None)?[&7], ["A dog runs."]);
//! assert_eq!(results(&said)?, [(7, "A dog.".into())]);
//! # Ok(())
//! # }
//! ```

use crate::Error;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The captions that people wrote, by image.
pub type References<'a> = BTreeMap<i64, Vec<Cow<'a, str>>>;

/// One caption per image, in the order of the file.
pub type Results<'a> = Vec<(i64, Cow<'a, str>)>;

/// A file with captions, as bytes; its name says what they are.
pub struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl File {
    /// A file that is in memory already.
    pub fn new(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> File {
        File {
            path: path.into(),
            bytes: bytes.into(),
        }
    }

    /// Reads a file whole.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(path: &Path) -> Result<File, Error> {
        if path.is_dir() {
            return Err(Error::malformed(path, "a folder, not a file"));
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Ok(File::new(path, bytes))
    }

    fn is_json(&self) -> bool {
        let extension = self.path.extension();
        extension.is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
    }

    fn malformed(&self, what: impl Into<String>) -> Error {
        Error::malformed(&self.path, what)
    }

    fn parse<'a, T: Deserialize<'a>>(&'a self, expected: &str) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|e| {
            let message = e.to_string();
            let message = message
                .rsplit_once(" at line ")
                .map_or(&*message, |(m, _)| m);
            let hint = match e.is_eof() {
                true => ": the file ends too early, copy or download it again",
                false => "",
            };
            self.malformed(format!(
                "line {}, column {}: {message}{hint}; expected: {expected}",
                e.line(),
                e.column()
            ))
        })
    }

    fn lines(&self) -> Result<Vec<&str>, Error> {
        let text = std::str::from_utf8(&self.bytes).map_err(|e| {
            let good = &self.bytes[..e.valid_up_to()];
            let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
            self.malformed(format!("line {line}: not UTF-8"))
        })?;
        Ok(text.lines().collect())
    }
}

#[derive(Deserialize)]
struct ReferenceFile<'a> {
    #[serde(borrow)]
    annotations: Option<Vec<Caption<'a>>>,
    #[serde(borrow)]
    images: Option<Vec<Image<'a>>>,
}

#[derive(Deserialize)]
struct Caption<'a> {
    image_id: i64,
    #[serde(borrow)]
    caption: Cow<'a, str>,
}

/// An image of Karpathy's file; COCO's own images have none of this.
#[derive(Deserialize)]
struct Image<'a> {
    imgid: Option<i64>,
    cocoid: Option<i64>,
    #[serde(borrow)]
    split: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sentences: Vec<Sentence<'a>>,
}

#[derive(Deserialize)]
struct Sentence<'a> {
    #[serde(borrow)]
    raw: Cow<'a, str>,
}

/// The references of one JSON file, or of text files with a line per image: where
/// a line is empty, its image has one reference fewer. `split` chooses images of
/// Karpathy's file.
///
/// # Errors
/// [`Error::Malformed`] naming the file and the place in it.
pub fn references<'a>(files: &'a [File], split: Option<&str>) -> Result<References<'a>, Error> {
    match files {
        [file] if file.is_json() => json_references(file, split),
        _ => match files.iter().find(|file| file.is_json()) {
            Some(json) => Err(json.malformed(
                "one JSON file holds all references; several files are text files, line by line",
            )),
            None => text_references(files),
        },
    }
}

fn json_references<'a>(file: &'a File, split: Option<&str>) -> Result<References<'a>, Error> {
    let expected = "COCO's captions_*.json or Karpathy's dataset_*.json";
    let content: ReferenceFile = file.parse(expected)?;
    let mut references = References::new();
    if let Some(captions) = content.annotations {
        if split.is_some() {
            return Err(file.malformed("has no splits; they are in Karpathy's dataset_*.json"));
        }
        for Caption { image_id, caption } in captions {
            references.entry(image_id).or_default().push(caption);
        }
        return Ok(references);
    }
    let images = content.images.ok_or_else(|| {
        file.malformed(format!(
            "has neither `annotations` nor `images`; expected: {expected}"
        ))
    })?;
    let mut splits: Vec<Cow<str>> = Vec::new();
    for (index, image) in images.into_iter().enumerate() {
        let id = image.cocoid.or(image.imgid).ok_or_else(|| {
            file.malformed(format!(
                "images[{index}] has neither `cocoid` nor `imgid`; expected: {expected}"
            ))
        })?;
        let name = image.split.unwrap_or_default();
        if split.is_some_and(|split| split != name) {
            if !splits.contains(&name) {
                splits.push(name);
            }
            continue;
        }
        let captions = references.entry(id).or_default();
        if !captions.is_empty() {
            return Err(file.malformed(format!(
                "images[{index}]: image {id} stands here a second time"
            )));
        }
        captions.extend(image.sentences.into_iter().map(|sentence| sentence.raw));
    }
    match split.filter(|_| references.is_empty()) {
        Some(split) => Err(file.malformed(format!(
            "no image of split {split:?}; it has {}",
            splits.join(", ")
        ))),
        None => Ok(references),
    }
}

fn text_references(files: &[File]) -> Result<References<'_>, Error> {
    let mut references = References::new();
    let mut first: Option<usize> = None;
    for file in files {
        let lines = file.lines()?;
        if let Some(count) = first.filter(|count| *count != lines.len()) {
            return Err(file.malformed(format!(
                "{} lines, but {} has {count}; line n of each file is image n",
                lines.len(),
                files[0].path.display()
            )));
        }
        first = Some(lines.len());
        for (id, line) in (1..).zip(lines) {
            let captions = references.entry(id).or_default();
            if !line.trim().is_empty() {
                captions.push(line.into());
            }
        }
    }
    Ok(references)
}

/// The results of a file: COCO's JSON, or text with a line per image.
///
/// # Errors
/// [`Error::Malformed`] naming the file and the place in it; an image that stands
/// twice is such an error, as for the COCO tool.
pub fn results(file: &File) -> Result<Results<'_>, Error> {
    if !file.is_json() {
        return Ok((1..)
            .zip(file.lines()?.into_iter().map(Cow::from))
            .collect());
    }
    let expected = r#"COCO results, [{"image_id": 42, "caption": "a dog"}, …]"#;
    let captions: Vec<Caption> = file.parse(expected)?;
    let mut places: HashMap<i64, usize> = HashMap::with_capacity(captions.len());
    let mut results = Results::with_capacity(captions.len());
    for (index, Caption { image_id, caption }) in captions.into_iter().enumerate() {
        if let Some(before) = places.insert(image_id, index) {
            return Err(file.malformed(format!(
                "image {image_id} has two results, [{before}] and [{index}]; each image has one"
            )));
        }
        results.push((image_id, caption));
    }
    Ok(results)
}
