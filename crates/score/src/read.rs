//! The captions: what people wrote, and what a captioner said.
//!
//! - COCO's `captions_*.json` (`annotations` with `image_id` and `caption`) and
//!   results (`[{"image_id", "caption"}]`);
//! - Karpathy's `dataset_*.json` as references;
//! - plain text: line n of each file is a caption of image n.

use attend_artifact::{At, Error, Result};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The captions that people wrote, by image.
pub type References = BTreeMap<i64, Vec<String>>;

/// One caption per image, in the order of the file.
pub type Results = Vec<(i64, String)>;

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

/// Reads the references: one JSON file, or text files with a line per image.
/// `split` chooses images of Karpathy's file.
///
/// # Errors
/// [`Error::Input`] naming the file and the place in it.
pub fn references(paths: &[impl AsRef<Path>], split: Option<&str>) -> Result<References> {
    match paths {
        [path] if is_json(path.as_ref()) => json_references(path.as_ref(), split),
        _ => {
            if let Some(json) = paths.iter().find(|path| is_json(path.as_ref())) {
                return Err(Error::usage(format!(
                    "--references {}: one JSON file holds all references; several files are text files, line by line",
                    json.as_ref().display()
                )));
            }
            text_references(paths)
        }
    }
}

fn json_references(path: &Path, split: Option<&str>) -> Result<References> {
    let text = read(path)?;
    let what = "COCO's captions_*.json or Karpathy's dataset_*.json";
    let file: ReferenceFile = parse(path, &text, what)?;
    let mut references = References::new();
    if let Some(captions) = file.annotations {
        if split.is_some() {
            return Err(Error::usage(format!(
                "--split: {} has no splits; they are in Karpathy's dataset_*.json",
                path.display()
            )));
        }
        for Caption { image_id, caption } in captions {
            let captions = references.entry(image_id).or_default();
            captions.push(caption.into_owned());
        }
        return Ok(references);
    }
    let images = file.images.ok_or_else(|| {
        Error::input(format!(
            "{}: has neither `annotations` nor `images`; expected: {what}",
            path.display()
        ))
    })?;
    let mut splits: Vec<String> = Vec::new();
    for (index, image) in images.into_iter().enumerate() {
        let id = image.cocoid.or(image.imgid).ok_or_else(|| {
            Error::input(format!(
                "{}: images[{index}] has neither `cocoid` nor `imgid`; expected: {what}",
                path.display()
            ))
        })?;
        let name = image.split.unwrap_or_default();
        if split.is_some_and(|split| split != name) {
            if !splits.iter().any(|known| *known == name) {
                splits.push(name.into_owned());
            }
            continue;
        }
        let captions = references.entry(id).or_default();
        if !captions.is_empty() {
            return Err(Error::input(format!(
                "{}: images[{index}]: image {id} stands here a second time",
                path.display()
            )));
        }
        captions.extend(image.sentences.into_iter().map(|s| s.raw.into_owned()));
    }
    if let (true, Some(split)) = (references.is_empty(), split) {
        return Err(Error::input(format!(
            "{}: no image of split {split:?}; it has {}",
            path.display(),
            splits.join(", ")
        )));
    }
    Ok(references)
}

/// Line n of each file is a reference of image n; where it is empty, the image
/// has fewer.
fn text_references(paths: &[impl AsRef<Path>]) -> Result<References> {
    let mut references = References::new();
    let mut first: Option<usize> = None;
    for path in paths {
        let path = path.as_ref();
        let text = read(path)?;
        let lines = lines(path, &text)?;
        if let Some(count) = first.filter(|count| *count != lines.len()) {
            return Err(Error::input(format!(
                "{}: {} lines, but {} has {count}; line n of each file is image n",
                path.display(),
                lines.len(),
                paths[0].as_ref().display()
            )));
        }
        first = Some(lines.len());
        for (id, line) in (1..).zip(lines) {
            let captions = references.entry(id).or_default();
            if !line.trim().is_empty() {
                captions.push(line.to_owned());
            }
        }
    }
    Ok(references)
}

/// Reads results: COCO's JSON, or text with a line per image.
///
/// # Errors
/// [`Error::Input`] naming the file and the place in it; an image that stands
/// twice is such an error, as for the COCO tool.
pub fn results(path: &Path) -> Result<Results> {
    let text = read(path)?;
    if !is_json(path) {
        let lines = lines(path, &text)?.into_iter().map(str::to_owned);
        return Ok((1..).zip(lines).collect());
    }
    let what = r#"COCO results, [{"image_id": 42, "caption": "a dog"}, …]"#;
    let captions: Vec<Caption> = parse(path, &text, what)?;
    let mut places: HashMap<i64, usize> = HashMap::with_capacity(captions.len());
    let mut results = Results::with_capacity(captions.len());
    for (index, Caption { image_id, caption }) in captions.into_iter().enumerate() {
        if let Some(before) = places.insert(image_id, index) {
            return Err(Error::input(format!(
                "{}: image {image_id} has two results, [{before}] and [{index}]; each image has one",
                path.display()
            )));
        }
        results.push((image_id, caption.into_owned()));
    }
    Ok(results)
}

fn is_json(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(Error::input(format!(
            "{}: a folder, not a file",
            path.display()
        ))),
        Ok(_) => std::fs::read(path).at(path),
        Err(e) => Err(Error::input(format!("{}: {e}", path.display()))),
    }
}

fn parse<'a, T: Deserialize<'a>>(path: &Path, text: &'a [u8], what: &str) -> Result<T> {
    serde_json::from_slice(text).map_err(|e| {
        let message = e.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(message, _)| message);
        let hint = if e.is_eof() {
            ": the file ends too early, copy or download it again"
        } else {
            ""
        };
        let place = format!("{}:{}:{}", path.display(), e.line(), e.column());
        Error::input(format!("{place}: {message}{hint}; expected: {what}"))
    })
}

fn lines<'a>(path: &Path, text: &'a [u8]) -> Result<Vec<&'a str>> {
    let text = std::str::from_utf8(text).map_err(|e| {
        let good = &text[..e.valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::input(format!("{}:{line}: not UTF-8", path.display()))
    })?;
    Ok(text.lines().collect())
}
