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
use crate::ids::Id;
use crate::reference::{Reference, Refusal, refuse};
use crate::source::Source;
use attend_artifact::Input;
use attend_artifact::ledger::Reason;
use attend_program::text::escaped;
use attend_program::{Result, check_interrupt};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::Path;

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
    pub file: Reference,
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

/// Adds images and captions of the `listed` files to `all`, whose folders and archives they
/// are in. `follow_links` is `dataset.follow_links`.
///
/// # Errors
/// [`attend_program::Error::Interrupted`].
pub fn read(
    root: &Path,
    listed: &[Listed],
    follow_links: bool,
    all: &mut Annotations,
) -> Result<()> {
    let groups = Groups::new(listed);
    let texts = || {
        let listed = listed.iter().map(|listed| &listed.file);
        listed.filter(|file| TEXTS.contains(&&*extension(&file.name)))
    };
    let source = Source::open(root, &all.folders, &all.archives, follow_links, texts())?;
    let mut reader = Reader {
        listed,
        source,
        hasher: blake3::Hasher::new(),
        unread: Count::default(),
    };
    all.folders
        .iter()
        .for_each(|folder| reader.hash(folder.as_bytes()));
    all.nested = true;
    let photographs = || groups.photographs.iter().map(|index| &listed[*index]);
    let numbered = photographs().all(|image| number(&image.file.name).is_some());
    let mut used = HashSet::new();
    let mut parts = Count::default();
    for index in &groups.photographs {
        check_interrupt()?;
        let Listed { file, split } = &listed[*index];
        let Some(texts) = groups.texts(file) else {
            parts.add(&file.name);
            continue;
        };
        reader.name(file);
        let place = all.images.len();
        let image_id = match numbered {
            true => number(&file.name).map_or(Id::None, Id::Number),
            false => Id::Number(place as i64),
        };
        let sample = reader.sample(texts);
        used.extend(texts);
        let refused = match groups.first(file).filter(|first| first != index) {
            Some(first) => {
                let first = &listed[first].file.name;
                let detail = format!("{first} has the same name, but for its extension");
                Some(refuse(Reason::DuplicateId, detail))
            }
            None => sample.refusal(),
        };
        all.refused.extend(refused.map(|refusal| (place, refusal)));
        all.images.push(ListedImage {
            image_id: image_id.clone(),
            split: split.map(str::to_owned),
            photograph: file.clone(),
        });
        add(all, image_id, Some(place), sample.captions);
    }
    reader.unread.say("texts can't be read");
    let mut alone = Count::default();
    for texts in groups.alone(&used) {
        check_interrupt()?;
        let Listed { file, split } = &listed[texts[0]];
        let sample = reader.sample(texts);
        let image_id = number(&file.name).map_or(Id::None, Id::Number);
        if let Some(failed) = sample.failed {
            // Its photograph is listed, as one that is missing.
            let place = all.images.len();
            all.images.push(ListedImage {
                image_id: match numbered {
                    true => image_id.clone(),
                    false => Id::Number(place as i64),
                },
                split: split.map(str::to_owned),
                photograph: file.clone(),
            });
            all.refused.insert(place, failed);
            add(all, image_id, Some(place), sample.captions);
        } else if !sample.captions.is_empty() {
            alone.add(&file.name);
            add(all, image_id, None, sample.captions);
        }
    }
    parts.say("pictures are other parts of samples that have a photograph, and not read");
    alone.say("texts have no photograph of their name beside them");
    all.inputs.push(("annotations".into(), reader.input()));
    Ok(())
}

/// Adds the captions of an image.
fn add(all: &mut Annotations, image_id: Id, image: Option<usize>, captions: Vec<String>) {
    for caption in captions {
        all.captions.push(ListedCaption {
            caption_id: Id::Number(all.captions.len() as i64),
            image_id: image_id.clone(),
            image,
            caption,
        });
    }
}

/// The number that a file's name is.
fn number(name: &str) -> Option<i64> {
    let stem = parts(name).0;
    let last = stem.rsplit('/').next().unwrap_or_default();
    let digits = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    last.parse().ok().filter(|_| digits)
}

/// The listed files that belong together, by their indices.
struct Groups<'a> {
    photographs: Vec<usize>,
    /// The photograph that counts for each name without extension: the first by its name.
    first: HashMap<(usize, &'a str), usize>,
    /// The texts of each such name, in the order of [`TEXTS`].
    texts: HashMap<(usize, &'a str), Vec<usize>>,
}

impl<'a> Groups<'a> {
    fn new(listed: &'a [Listed]) -> Groups<'a> {
        let mut groups = Groups {
            photographs: Vec::new(),
            first: HashMap::new(),
            texts: HashMap::new(),
        };
        for (index, Listed { file, .. }) in listed.iter().enumerate() {
            let (stem, _) = parts(&file.name);
            let extension = extension(&file.name);
            if PHOTOGRAPHS.contains(&&*extension) {
                groups.photographs.push(index);
                let first = groups.first.entry((file.folder, stem)).or_insert(index);
                if file.name < listed[*first].file.name {
                    *first = index;
                }
            } else if TEXTS.contains(&&*extension) {
                groups
                    .texts
                    .entry((file.folder, stem))
                    .or_default()
                    .push(index);
            }
        }
        let order = |index: &usize| {
            let extension = extension(&listed[*index].file.name);
            TEXTS.iter().position(|known| *known == extension)
        };
        groups
            .texts
            .values_mut()
            .for_each(|texts| texts.sort_by_key(order));
        groups
    }

    /// The photograph that counts among those of the same name.
    fn first(&self, file: &'a Reference) -> Option<usize> {
        self.first.get(&(file.folder, parts(&file.name).0)).copied()
    }

    /// The texts of a photograph; `None` if it is another part of a sample.
    fn texts(&self, file: &'a Reference) -> Option<&[usize]> {
        let (stem, key) = (parts(&file.name).0, key(&file.name));
        if let Some(texts) = self.texts.get(&(file.folder, stem)) {
            return Some(texts);
        }
        if key != stem && self.first.contains_key(&(file.folder, key)) {
            return None;
        }
        let texts = self.texts.get(&(file.folder, key));
        Some(texts.map_or(&[], Vec::as_slice))
    }

    /// The texts without a photograph, in the order of the list.
    fn alone(&self, used: &HashSet<&usize>) -> Vec<&[usize]> {
        let texts = self.texts.values().map(Vec::as_slice);
        let mut alone: Vec<&[usize]> = texts.filter(|texts| !used.contains(&texts[0])).collect();
        alone.sort_unstable();
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

/// Reads texts, and hashes names and texts.
struct Reader<'a> {
    listed: &'a [Listed],
    source: Source,
    hasher: blake3::Hasher,
    unread: Count,
}

impl Reader<'_> {
    fn name(&mut self, file: &Reference) {
        self.hash(&(file.folder as u64).to_le_bytes());
        self.hash(file.name.as_bytes());
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    fn sample(&mut self, texts: &[usize]) -> Sample {
        let mut sample = Sample::default();
        for text in texts {
            let file = &self.listed[*text].file;
            self.name(file);
            let taken = self
                .text(file)
                .and_then(|text| sample.take(&file.name, &text));
            if let Err(why) = taken {
                let last = file.name.rsplit('/').next().unwrap_or_default();
                sample.unread = Some(format!("{last}: {why}"));
                self.unread.add(&file.name);
            }
        }
        sample
    }

    fn text(&mut self, file: &Reference) -> Result<String, String> {
        /// Maximum size of a text in bytes.
        const TEXT: u64 = 1 << 20;
        self.source.state(file); // notes the file
        let bytes = self.source.read_up_to(file, TEXT);
        let bytes = bytes.map_err(|refusal| refusal.detail)?;
        self.hash(&bytes);
        String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
    }

    fn input(&self) -> Input {
        input(self.hasher.finalize())
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
