//! Photographs with texts of the same name beside them, in folders or archives.
//!
//! `a/1.jpg` has the captions in `a/1.json`, `a/1.txt` and `a/1.caption`: of the JSON those
//! of `caption` and `captions` (text or a list), of the others one per line. A caption
//! that an earlier of these files has is not taken again. If there is no such text, the key
//! of WebDataset's counts, the name up to its first dot: `1.left.jpg` and `1.right.jpg` have
//! the captions of `1.txt`, unless `1.jpg` has; then they are other parts of that sample,
//! like `1.cls`, and not read.
//!
//! An image's id is its name if all names are numbers, else its index; a caption's id is
//! its index.

use super::open::input;
use crate::annotations::{Annotations, ListedCaption, ListedImage};
use crate::archive::Archive;
use crate::ids::Id;
use crate::reference::{Reference, Refusal, refuse};
use crate::source::Source;
use attend_artifact::ledger::Reason;
use attend_program::text::escaped;
use attend_program::{Result, check_interrupt};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Extensions of photographs, those that can't be decoded included.
pub const PHOTOGRAPHS: [&str; 15] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic",
    "heif", "jp2", "jxl",
];
/// Extensions of texts, in the order in which they are read.
const TEXTS: [&str; 4] = ["json", "txt", "caption", "captions"];

/// A file that a folder or an archive lists.
pub struct Listed {
    /// Its name there.
    pub name: String,
    /// The split that its place says.
    pub split: Option<&'static str>,
}

/// Whether a file of this name is read.
pub fn is_read(name: &str) -> bool {
    let extension = extension(name);
    let hidden = |part: &str| part.starts_with('.') && !matches!(part, "." | "..");
    !name.split('/').any(hidden)
        && (PHOTOGRAPHS.contains(&&*extension) || TEXTS.contains(&&*extension))
}

fn extension(name: &str) -> String {
    parts(name).1.to_ascii_lowercase()
}

/// The photographs among the files `names` of one folder or archive, and those of them that
/// have a text beside them.
pub fn pairs<'a>(names: impl IntoIterator<Item = &'a str>) -> (usize, usize) {
    let names = names.into_iter().filter(|name| is_read(name));
    let (texts, photographs): (Vec<&str>, Vec<&str>) =
        names.partition(|name| TEXTS.contains(&&*extension(name)));
    let texts: HashSet<&str> = texts.into_iter().map(|name| parts(name).0).collect();
    let with = |name: &&&str| texts.contains(parts(name).0) || texts.contains(key(name));
    (photographs.len(), photographs.iter().filter(with).count())
}

/// A name without its extension, and the extension.
fn parts(name: &str) -> (&str, &str) {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[base..].rfind('.') {
        Some(dot) => (&name[..base + dot], &name[base + dot + 1..]),
        None => (name, ""),
    }
}

/// The key of WebDataset's: the name up to the first dot of its last part.
fn key(name: &str) -> &str {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name[base..].find('.').map_or(name.len(), |dot| base + dot);
    &name[..dot]
}

/// Reads folders and archives of samples, one after the other.
pub struct Reader<'a> {
    root: &'a Path,
    /// `dataset.follow_links`
    follow_links: bool,
    all: Annotations,
    /// Over all names and texts, in their order.
    hasher: blake3::Hasher,
    /// Whether all names of photographs are numbers.
    numbered: bool,
    unread: Count,
    others: Count,
    alone: Count,
}

impl<'a> Reader<'a> {
    /// A reader of what is below `root`.
    pub fn new(root: &'a Path, follow_links: bool) -> Reader<'a> {
        Reader {
            root,
            follow_links,
            all: Annotations {
                nested: true,
                ..Annotations::default()
            },
            hasher: blake3::Hasher::new(),
            numbered: true,
            unread: Count::default(),
            others: Count::default(),
            alone: Count::default(),
        }
    }

    /// Reads the `listed` files of a folder below the root; `archive` is open if it is one.
    ///
    /// # Errors
    /// [`attend_program::Error::Interrupted`].
    pub fn folder(
        &mut self,
        folder: String,
        archive: Option<Archive>,
        listed: &[Listed],
    ) -> Result<()> {
        self.hash(folder.as_bytes());
        let archives: Vec<Arc<Archive>> = archive.into_iter().map(Arc::new).collect();
        let groups = Groups::new(listed);
        let texts: Vec<Reference> = (groups.texts.values().flatten())
            .map(|text| reference(0, &text.name))
            .collect();
        let names = [folder];
        let source = Source::open(self.root, &names, &archives, self.follow_links, &texts)?;
        let mut used = HashSet::new();
        for photograph in &groups.photographs {
            check_interrupt()?;
            let Some(texts) = groups.texts(photograph) else {
                self.others.add(&photograph.name);
                continue;
            };
            used.extend(texts.first().map(|text| &text.name));
            let sample = self.sample(&source, texts);
            let first = groups.first[parts(&photograph.name).0];
            let refused = match first.name == photograph.name {
                true => sample.refusal(),
                false => Some(refuse(
                    Reason::DuplicateId,
                    format!("{} has the same name, but for its extension", first.name),
                )),
            };
            self.image(photograph, refused, sample.captions);
        }
        for texts in groups.alone(&used) {
            check_interrupt()?;
            let sample = self.sample(&source, texts);
            match sample.failed {
                // A photograph that is missing.
                Some(failed) => self.image(texts[0], Some(failed), sample.captions),
                None if sample.captions.is_empty() => {}
                None => {
                    self.alone.add(&texts[0].name);
                    self.captions(number(&texts[0].name), None, sample.captions);
                }
            }
        }
        self.all.folders.extend(names);
        self.all.archives.extend(archives);
        Ok(())
    }

    /// All images and captions.
    pub fn finish(mut self) -> Annotations {
        self.unread.say("texts can't be read");
        self.others
            .say("pictures are other parts of samples that have a photograph, and not read");
        self.alone
            .say("texts have no photograph of their name beside them");
        if !self.numbered {
            for (index, image) in self.all.images.iter_mut().enumerate() {
                image.image_id = Id::Number(index as i64);
            }
            for caption in &mut self.all.captions {
                let image = caption.image.map(|index| Id::Number(index as i64));
                caption.image_id = image.unwrap_or_default();
            }
        }
        let digest = input(self.hasher.finalize());
        self.all.inputs.push(("annotations".into(), digest));
        self.all
    }

    fn image(&mut self, listed: &Listed, refused: Option<Refusal>, captions: Vec<String>) {
        self.hash(listed.name.as_bytes());
        let number = number(&listed.name);
        self.numbered &= number.is_some();
        let index = self.all.images.len();
        self.all.images.push(ListedImage {
            image_id: number.map_or(Id::None, Id::Number),
            split: listed.split.map(str::to_owned),
            photograph: reference(self.all.folders.len(), &listed.name),
        });
        let refused = refused.map(|refusal| (index, refusal));
        self.all.refused.extend(refused);
        self.captions(number, Some(index), captions);
    }

    fn captions(&mut self, number: Option<i64>, image: Option<usize>, captions: Vec<String>) {
        for caption in captions {
            self.all.captions.push(ListedCaption {
                caption_id: Id::Number(self.all.captions.len() as i64),
                image_id: number.map_or(Id::None, Id::Number),
                image,
                caption,
            });
        }
    }

    /// What the texts of a sample say.
    fn sample(&mut self, source: &Source, texts: &[&Listed]) -> Sample {
        let mut sample = Sample::default();
        for Listed { name, .. } in texts {
            self.hash(name.as_bytes());
            let text = self.text(source, &reference(0, name));
            if let Err(why) = text.and_then(|text| sample.take(name, &text)) {
                let last = name.rsplit('/').next().unwrap_or_default();
                sample.unread = Some(format!("{last}: {why}"));
                self.unread.add(name);
            }
        }
        sample
    }

    fn text(&mut self, source: &Source, file: &Reference) -> Result<String, String> {
        /// Maximum size of a text in bytes.
        const TEXT: u64 = 1 << 20;
        source.state(file); // notes the file
        let bytes = source.read_up_to(file, TEXT);
        let bytes = bytes.map_err(|refusal| refusal.detail)?;
        self.hash(&bytes);
        String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }
}

fn reference(folder: usize, name: &str) -> Reference {
    let name = name.to_owned();
    Reference { folder, name }
}

/// The number that a file's name is.
fn number(name: &str) -> Option<i64> {
    let stem = parts(name).0;
    let last = stem.rsplit('/').next().unwrap_or_default();
    let digits = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    last.parse().ok().filter(|_| digits)
}

/// The listed files of one folder that belong together.
struct Groups<'a> {
    photographs: Vec<&'a Listed>,
    /// The photograph that counts for each name without extension: the first by its name.
    first: HashMap<&'a str, &'a Listed>,
    /// The texts of each such name, in the order of [`TEXTS`].
    texts: HashMap<&'a str, Vec<&'a Listed>>,
}

impl<'a> Groups<'a> {
    fn new(listed: &'a [Listed]) -> Groups<'a> {
        let mut groups = Groups {
            photographs: Vec::new(),
            first: HashMap::new(),
            texts: HashMap::new(),
        };
        for file in listed {
            let (stem, _) = parts(&file.name);
            let extension = extension(&file.name);
            if PHOTOGRAPHS.contains(&&*extension) {
                groups.photographs.push(file);
                let first = groups.first.entry(stem).or_insert(file);
                if file.name < first.name {
                    *first = file;
                }
            } else if TEXTS.contains(&&*extension) {
                groups.texts.entry(stem).or_default().push(file);
            }
        }
        let order = |text: &&Listed| {
            let extension = extension(&text.name);
            TEXTS.iter().position(|known| *known == extension)
        };
        for texts in groups.texts.values_mut() {
            texts.sort_by_key(order);
        }
        groups
    }

    /// The texts of a photograph; `None` if it is another part of a sample.
    fn texts(&self, photograph: &'a Listed) -> Option<&[&'a Listed]> {
        let (stem, key) = (parts(&photograph.name).0, key(&photograph.name));
        if let Some(texts) = self.texts.get(stem) {
            return Some(texts);
        }
        if key != stem && self.first.contains_key(key) {
            return None;
        }
        Some(self.texts.get(key).map_or(&[], Vec::as_slice))
    }

    /// The texts without a photograph, by name; `used` has the first text of each other one.
    fn alone(&self, used: &HashSet<&String>) -> Vec<&[&'a Listed]> {
        let texts = self.texts.values().map(Vec::as_slice);
        let mut alone: Vec<_> = texts
            .filter(|texts| !used.contains(&texts[0].name))
            .collect();
        alone.sort_by_key(|texts| &texts[0].name);
        alone
    }
}

/// What the texts of a photograph say.
#[derive(Default)]
struct Sample {
    captions: Vec<String>,
    /// Why img2dataset has no photograph.
    failed: Option<Refusal>,
    /// Why a text can't be read.
    unread: Option<String>,
}

impl Sample {
    /// Why the photograph can't be used.
    fn refusal(&self) -> Option<Refusal> {
        let unread = self.unread.as_ref().filter(|_| self.captions.is_empty());
        let unread = unread.map(|why| refuse(Reason::NoCaption, why));
        self.failed.clone().or(unread)
    }

    fn take(&mut self, name: &str, text: &str) -> Result<(), String> {
        let text = text.trim_start_matches('\u{feff}');
        if extension(name) == "json" {
            return self.take_json(text);
        }
        let has = |captions: &[String], caption: &str| {
            captions.iter().any(|known| known.trim() == caption.trim())
        };
        let before = self.captions.len();
        if has(&self.captions, text) {
            return Ok(());
        }
        for line in text.split(['\n', '\r']) {
            if !line.trim().is_empty() && !has(&self.captions[..before], line) {
                self.captions.push(line.to_owned());
            }
        }
        Ok(())
    }

    /// Takes the captions of a JSON, and the status that img2dataset gives a sample.
    fn take_json(&mut self, text: &str) -> Result<(), String> {
        let json: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        let captions = match &json {
            Value::Object(keys) => [keys.get("caption"), keys.get("captions")],
            other => [Some(other), None],
        };
        for captions in captions.into_iter().flatten() {
            let captions = match captions {
                Value::Array(captions) => captions,
                one => std::slice::from_ref(one),
            };
            for caption in captions {
                match caption {
                    Value::String(caption) => self.captions.push(caption.clone()),
                    Value::Null => {}
                    _ => return Err("a caption in it is no text".to_owned()),
                }
            }
        }
        let status = json.get("status").and_then(Value::as_str);
        if let Some(status) = status.filter(|status| *status != "success") {
            let why = json.get("error_message").and_then(Value::as_str);
            let why = why.map_or(String::new(), |why| format!(": {why}"));
            let detail = format!("its status is {status}{why}");
            self.failed = Some(refuse(Reason::Missing, detail));
        }
        Ok(())
    }
}

/// Files of one kind, for one line of the log.
#[derive(Default)]
struct Count {
    count: usize,
    first: String,
}

impl Count {
    fn add(&mut self, name: &str) {
        if self.count == 0 {
            name.clone_into(&mut self.first);
        }
        self.count += 1;
    }

    fn say(&self, what: &str) {
        if self.count > 0 {
            tracing::warn!("{} {what}; first: {}", self.count, escaped(&self.first));
        }
    }
}
