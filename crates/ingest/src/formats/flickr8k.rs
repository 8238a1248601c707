//! Flickr8k's own text files: `Flickr8k.token.txt` with a caption per line,
//! `NAME.jpg#0<tab>caption`, and a list of file names per split.

use super::layout::{Layout, Reading};
use super::look;
use super::read::read_text;
use crate::annotations::{Annotations, ListedCaption, ListedImage};
use crate::config::Section;
use crate::ids::Id;
use crate::reference::Reference;
use attend_program::{Error, Result};
use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};

/// The layout `flickr8k`.
pub const LAYOUT: Layout = Layout {
    name: "flickr8k",
    holds: "Flickr8k.token.txt, Flickr_8k.*Images.txt and Flicker8k_Dataset/",
    look,
    read,
};

/// A reading if all text files are there, loose or in the archive that they are shipped in.
fn look(path: &Path) -> Result<Vec<Reading>> {
    let (root, file) = look::place(path);
    let lists = LISTS.map(|(_, list)| list);
    let names = || iter::once(TOKENS).chain(lists);
    let is_there = |name: &str| {
        let path = text_at(&root, name);
        path.is_file() || path.parent().is_some_and(Path::is_file)
    };
    let is_ours = file.is_none_or(|file| names().any(|name| file == name));
    let reading = (is_ours && names().all(is_there)).then(|| Reading {
        what: "Flickr8k's own files".to_owned(),
        root,
        settings: Vec::new(),
    });
    Ok(reading.into_iter().collect())
}

/// The file of captions.
pub const TOKENS: &str = "Flickr8k.token.txt";
/// The splits and their lists; Flickr8k calls the validation images `dev`.
const LISTS: [(&str, &str); 3] = [
    ("train", "Flickr_8k.trainImages.txt"),
    ("val", "Flickr_8k.devImages.txt"),
    ("test", "Flickr_8k.testImages.txt"),
];

/// Reads captions and lists. The files have no ids: an image's id is its index among the
/// images of the token file (as Karpathy's `imgid`), a caption's id its line, both from 0.
/// Images of the token file that are in no list are in no split, as intended by the
/// authors.
fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let folder = match section.image_dir.as_str() {
        "" => "Flicker8k_Dataset",
        folder => folder,
    };
    let mut all = Annotations {
        folders: vec![folder.to_owned()],
        nested: true,
        ..Annotations::default()
    };

    let path = text_at(root, TOKENS);
    let (text, input) = read_text(&path, "Flickr8k's captions (dataset.root)")?;
    all.inputs.push(("tokens".into(), input));
    let mut ids: HashMap<String, i64> = HashMap::new();
    for (line, content) in text
        .lines()
        .enumerate()
        .filter(|(_, content)| !content.trim().is_empty())
    {
        let (name, caption) = parse(content).ok_or_else(|| {
            Error::input(format!(
                "{}:{}: expected NAME.jpg#0, a tab and a caption",
                path.display(),
                line + 1
            ))
        })?;
        let next = ids.len() as i64;
        let image_id = *ids.entry(name.to_owned()).or_insert(next);
        all.captions.push(ListedCaption {
            caption_id: Id::Number(line as i64),
            image_id: Id::Number(image_id),
            image: None,
            caption: caption.to_owned(),
        });
    }

    let image = |name: &str, id: i64, split: Option<&str>| ListedImage {
        image_id: Id::Number(id),
        split: split.map(str::to_owned),
        photograph: Reference {
            folder: 0,
            name: name.to_owned(),
        },
    };
    for (split, list) in LISTS {
        let path = text_at(root, list);
        let what = format!("the names of Flickr8k's {split} images (dataset.root)");
        let (text, input) = read_text(&path, &what)?;
        all.inputs.push((format!("images_{split}"), input));
        for name in text.lines().map(str::trim).filter(|name| !name.is_empty()) {
            let next = ids.len() as i64;
            let image_id = *ids.entry(name.to_owned()).or_insert(next);
            all.images.push(image(name, image_id, Some(split)));
        }
    }
    let mut index: HashMap<Id, usize> = HashMap::new();
    for (at, image) in all.images.iter().enumerate() {
        index.entry(image.image_id.clone()).or_insert(at);
    }
    let unlisted = ids
        .iter()
        .filter(|(_, id)| !index.contains_key(&Id::Number(**id)));
    let mut unlisted: Vec<(i64, &str)> = unlisted.map(|(name, id)| (*id, name.as_str())).collect();
    unlisted.sort_unstable();
    for (id, name) in unlisted {
        index.insert(Id::Number(id), all.images.len());
        all.images.push(image(name, id, None));
    }
    for caption in &mut all.captions {
        caption.image = index.get(&caption.image_id).copied();
    }
    Ok(all)
}

/// The path of a text file: in `root`, or in the archive that it is shipped in.
fn text_at(root: &Path, name: &str) -> PathBuf {
    let (loose, archive) = (root.join(name), root.join("Flickr8k_text.zip"));
    match !loose.exists() && archive.is_file() {
        true => archive.join(name),
        false => loose,
    }
}

/// Splits `NAME.jpg#0<tab>caption` into name and caption.
fn parse(line: &str) -> Option<(&str, &str)> {
    let (key, caption) = line.split_once('\t')?;
    let (name, number) = key.rsplit_once('#')?;
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (numbered && !name.is_empty()).then_some((name, caption))
}
