//! The tutorial's files as annotations. File names, sizes and ids of the images
//! are lost in them, and so are the words that are not in the word map: they stand
//! in the captions as `<unk>`.

use super::{Images, SPLITS};
use crate::annotations::{AnnotationFile, Annotations, ListedCaption, ListedImage, read_json};
use crate::config::Section;
use attend_artifact::{At, Error, Result};
use std::collections::HashMap;
use std::path::Path;

const WHAT: &str = "a file that create_input_files.py of the PyTorch tutorial wrote (dataset.root)";

/// Reads the word map and the captions. Images are numbered through the splits,
/// captions through the images, from 0.
///
/// # Errors
/// `Error::Input` naming the file and the place in it.
pub fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let wordmap = wordmap(root, section)?;
    let base = wordmap.trim_start_matches("WORDMAP_");
    let words = Words::read(&root.join(&wordmap))?;
    let mut all = Annotations::default();
    all.files.push(AnnotationFile {
        role: "wordmap".into(),
        path: root.join(&wordmap),
    });
    for (name, ours) in SPLITS {
        let file = format!("{name}_IMAGES_{}.hdf5", base.trim_end_matches(".json"));
        if root.join(&file).exists() {
            let captions = root.join(format!("{name}_CAPTIONS_{base}"));
            let images = Images::open(&root.join(&file))?;
            check_size(&images, &root.join(&file), section)?;
            add_split(&mut all, ours[0], &file, &images, &captions, &words)?;
            all.files.push(AnnotationFile {
                role: format!("captions_{}", ours[0]),
                path: captions,
            });
        }
    }
    Ok(all)
}

/// Name of the word map.
fn wordmap(root: &Path, section: &Section) -> Result<String> {
    let is_one = |name: &String| name.starts_with("WORDMAP_") && name.ends_with(".json");
    if is_one(&section.annotations) {
        return Ok(section.annotations.clone());
    }
    let entries = root.read_dir().at(root)?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = names.filter(is_one).collect();
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
    let captions: Vec<Vec<i64>> = read_json(path, WHAT)?;
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
        image_id: (first + row) as i64,
        split: split.to_owned(),
        folder: String::new(),
        name: format!("{file}/{row}"),
    }));
    let first_caption = all.captions.len();
    for (number, ids) in captions.iter().enumerate() {
        let caption = words
            .text(ids)
            .map_err(|why| Error::input(format!("{}: caption {number}: {why}", path.display())))?;
        all.captions.push(ListedCaption {
            caption_id: (first_caption + number) as i64,
            image_id: (first + number / each) as i64,
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
        let ids: HashMap<String, i64> = read_json(path, WHAT)?;
        let id = |word: &str| {
            let id = ids.get(word).copied();
            id.ok_or_else(|| Error::input(format!("{}: has no {word}", path.display())))
        };
        Ok(Words {
            start: id("<start>")?,
            end: id("<end>")?,
            by_id: ids.into_iter().map(|(word, id)| (id, word)).collect(),
        })
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
