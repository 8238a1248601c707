//! The tutorial's files as annotations. File names, sizes and ids of the images
//! are lost in them, and so are the words that are not in the word map: they stand
//! in the captions as `<unk>`.

use super::{Images, order};
use crate::annotations::{AnnotationFile, Annotations, ListedCaption, ListedImage, read_json};
use crate::config::Section;
use crate::ids::Id;
use attend_artifact::{At, Error, Result};
use std::collections::HashMap;
use std::path::Path;

const WORDMAP: &str =
    "word -> id, as create_input_files.py of the PyTorch tutorial writes it (dataset.root)";
const CAPTIONS: &str = "a list of captions as ids, as create_input_files.py of the PyTorch tutorial writes it (dataset.root)";

/// What stands between a split's name and the base in the names of its files.
const KINDS: [&str; 3] = ["_IMAGES_", "_CAPTIONS_", "_CAPLENS_"];

/// Reads the word map and the captions. Images are numbered through the splits,
/// captions through the images, from 0.
///
/// # Errors
/// `Error::Input` naming the file and the place in it.
pub fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let wordmap = wordmap(root, section)?;
    let base = wordmap
        .trim_start_matches("WORDMAP_")
        .trim_end_matches(".json");
    let words = Words::read(&root.join(&wordmap))?;
    let mut all = Annotations {
        nested: true,
        ..Annotations::default()
    };
    all.files.push(AnnotationFile {
        role: "wordmap".into(),
        path: root.join(&wordmap),
    });
    for name in splits(root, base)? {
        let file = format!("{name}_IMAGES_{base}.hdf5");
        let captions = root.join(format!("{name}_CAPTIONS_{base}.json"));
        if let Some(missing) = [&root.join(&file), &captions]
            .into_iter()
            .find(|it| !it.exists())
        {
            return Err(Error::input(format!(
                "{}: no such file, but others of {name} are there; copy it, too, or to leave that split out take {name}_* away",
                missing.display()
            )));
        }
        let images = Images::open(&root.join(&file))?;
        check_size(&images, &root.join(&file), section)?;
        let split = name.to_lowercase();
        add_split(&mut all, &split, &file, &images, &captions, &words)?;
        all.files.push(AnnotationFile {
            role: format!("captions_{split}"),
            path: captions,
        });
    }
    Ok(all)
}

/// The splits of which any file is there, by the tutorial's names and order, then others.
fn splits(root: &Path, base: &str) -> Result<Vec<String>> {
    let names = names(root)?;
    let of_splits = names
        .iter()
        .filter_map(|name| KINDS.iter().find_map(|kind| name.split_once(kind)));
    let (ours, others): (Vec<_>, Vec<_>) = of_splits.partition(|(_, end)| {
        let end = end.strip_prefix(base);
        end.is_some_and(|end| matches!(end, ".hdf5" | ".json"))
    });
    if let Some((split, _)) = others.first() {
        tracing::warn!(
            "{}: {} files are not read, for their names don't end as the word map's; among them {split}_*",
            root.display(),
            others.len()
        );
    }
    let mut splits: Vec<String> = ours.iter().map(|(split, _)| (*split).to_owned()).collect();
    splits.sort_by(|a, b| (order(a), a).cmp(&(order(b), b)));
    splits.dedup();
    Ok(splits)
}

fn names(root: &Path) -> Result<Vec<String>> {
    let entries = root.read_dir().at(root)?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.collect())
}

/// Name of the word map.
fn wordmap(root: &Path, section: &Section) -> Result<String> {
    let is_one = |name: &String| name.starts_with("WORDMAP_") && name.ends_with(".json");
    if is_one(&section.annotations) {
        return Ok(section.annotations.clone());
    }
    let mut found: Vec<String> = names(root)?.into_iter().filter(is_one).collect();
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Error::input(format!(
            "{}: no WORDMAP_*.json in it; expected: the folder that create_input_files.py wrote to (dataset.root)",
            root.display()
        ))),
        several => Err(Error::usage(format!(
            "{}: several word maps; name one as dataset.annotations: {}",
            root.display(),
            several.join(", ")
        ))),
    }
}

fn check_size(images: &Images, path: &Path, section: &Section) -> Result<()> {
    let [height, width] = images.size;
    let side = section.image_size as usize;
    match (height, width) == (side, side) {
        true => Ok(()),
        false if height == width => Err(Error::usage(format!(
            "{}: its images are {height} x {width}: set dataset.image_size to {height}",
            path.display()
        ))),
        false => Err(Error::input(format!(
            "{}: images of {height} x {width}; a data set's are square",
            path.display()
        ))),
    }
}

fn add_split(
    all: &mut Annotations,
    split: &str,
    file: &str,
    images: &Images,
    path: &Path,
    words: &Words,
) -> Result<()> {
    let captions: Vec<Vec<i64>> = read_json(path, CAPTIONS)?;
    // Equally many of each image; the library doesn't read the attribute that says it.
    let each = captions.len() / images.rows.max(1);
    if each == 0 || each * images.rows != captions.len() {
        return Err(Error::input(format!(
            "{}: {} captions, which is no multiple of the {} images in {file}",
            path.display(),
            captions.len(),
            images.rows
        )));
    }
    let first = all.images.len();
    all.images.extend((0..images.rows).map(|row| ListedImage {
        image_id: Id::Number((first + row) as i64),
        split: Some(split.to_owned()),
        folder: String::new(),
        name: format!("{file}/{row}"),
    }));
    let first_caption = all.captions.len();
    for (number, ids) in captions.iter().enumerate() {
        let caption = words
            .text(ids)
            .map_err(|why| Error::input(format!("{}: caption {number}: {why}", path.display())))?;
        all.captions.push(ListedCaption {
            caption_id: Id::Number((first_caption + number) as i64),
            image_id: Id::Number((first + number / each) as i64),
            image: Some(first + number / each),
            caption,
        });
    }
    Ok(())
}

/// The word map, turned round.
struct Words {
    by_id: HashMap<i64, String>,
    start: i64,
    end: i64,
}

impl Words {
    fn read(path: &Path) -> Result<Words> {
        let ids: HashMap<String, i64> = read_json(path, WORDMAP)?;
        let id = |word: &str| {
            let id = ids.get(word).copied();
            id.ok_or_else(|| Error::input(format!("{}: has no {word}", path.display())))
        };
        let (start, end) = (id("<start>")?, id("<end>")?);
        let mut by_id: HashMap<i64, String> = HashMap::new();
        for (word, id) in ids {
            if let Some(other) = by_id.insert(id, word.clone()) {
                let (a, b) = (word.clone().min(other.clone()), word.max(other));
                return Err(Error::input(format!(
                    "{}: {a:?} and {b:?} have the same id {id}",
                    path.display()
                )));
            }
        }
        Ok(Words { by_id, start, end })
    }

    /// The words between `<start>` and `<end>`.
    fn text(&self, ids: &[i64]) -> Result<String, String> {
        let [start, ids @ ..] = ids else {
            return Err("is empty".into());
        };
        let end = ids.iter().position(|id| *id == self.end);
        let (Some(end), true) = (end, *start == self.start) else {
            return Err("does not stand between <start> and <end>".into());
        };
        let word = |id: &i64| {
            let word = self.by_id.get(id).map(String::as_str);
            word.ok_or_else(|| format!("{id} is no id of the word map"))
        };
        let words: Result<Vec<&str>, String> = ids[..end].iter().map(word).collect();
        Ok(words?.join(" "))
    }
}
