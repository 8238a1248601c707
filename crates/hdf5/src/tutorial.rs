//! Reads the tutorial's files. They lack file names, original sizes and ids of the images,
//! and words that are not in the word map: these are `<unk>` in the captions.

use crate::images::Images;
use crate::splits::order;
use attend_artifact::{Input, digest_file};
use attend_program::{At, Error, Result, loose};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

const WORDMAP: &str =
    "word -> id, as create_input_files.py of the PyTorch tutorial writes it (dataset.root)";
const CAPTIONS: &str = "a list of captions as ids, as create_input_files.py of the PyTorch tutorial writes it (dataset.root)";

/// The part between a split's name and the base in the names of its files.
const KINDS: [&str; 3] = ["_IMAGES_", "_CAPTIONS_", "_CAPLENS_"];

/// Contents of the files.
pub(crate) struct Tutorial {
    /// At least one image.
    pub(crate) splits: Vec<Split>,
    /// The JSON files, with their role in the manifest.
    pub(crate) inputs: Vec<(String, Input)>,
    /// Height and width of all images.
    pub(crate) side: usize,
}

/// The images and captions of a split.
pub(crate) struct Split {
    /// The split's name, in lower case.
    pub(crate) name: String,
    /// Name of the file of images.
    pub(crate) file: String,
    pub(crate) images: Images,
    /// The captions of the first image, of the second, …
    pub(crate) captions: Vec<String>,
    pub(crate) captions_per_image: usize,
}

impl Tutorial {
    /// Reads the word map `wordmap`, or the only one in the folder if that is empty, and
    /// the captions; opens the files of images.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file and the place in it; [`Error::Usage`] if there are
    /// several word maps.
    pub(crate) fn read(root: &Path, wordmap: &str) -> Result<Tutorial> {
        if !root.is_dir() {
            return Err(Error::input(format!(
                "{}: no such folder (dataset.root); expected: the folder that create_input_files.py wrote to",
                root.display()
            )));
        }
        let wordmap = find_wordmap(root, wordmap)?;
        let base = wordmap
            .trim_start_matches("WORDMAP_")
            .trim_end_matches(".json");
        let path = root.join(&wordmap);
        let words = Words::read(&path)?;
        let mut inputs = vec![("wordmap".to_owned(), input(&path)?)];
        let mut splits: Vec<Split> = Vec::new();
        for name in split_names(root, base)? {
            let file = format!("{name}_IMAGES_{base}.hdf5");
            let captions = root.join(format!("{name}_CAPTIONS_{base}.json"));
            if let Some(missing) = [&root.join(&file), &captions]
                .into_iter()
                .find(|it| !it.exists())
            {
                return Err(Error::input(format!(
                    "{}: no such file, but other files of {name} exist; copy it as well, or remove {name}_* to leave that split out",
                    missing.display()
                )));
            }
            loose::note(&root.join(&file));
            let images = Images::open(&root.join(&file))?;
            let first = splits
                .first()
                .map_or(images.size, |first| first.images.size);
            check_size(&images, first, &root.join(&file))?;
            let split = Split::read(name.to_lowercase(), file, images, &captions, &words)?;
            inputs.push((format!("captions_{}", split.name), input(&captions)?));
            splits.push(split);
        }
        match splits.first().map(|first| first.images.size[0]) {
            Some(side) => Ok(Tutorial {
                splits,
                inputs,
                side,
            }),
            None => Err(Error::input(format!(
                "{}: no image in it; expected: *_IMAGES_{base}.hdf5",
                root.display()
            ))),
        }
    }
}

/// A JSON file as an input of the artifact.
fn input(path: &Path) -> Result<Input> {
    loose::note(path);
    Ok(Input {
        kind: "annotations".into(),
        digest: digest_file(path)?,
    })
}

fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let wrong = |why: &dyn std::fmt::Display| {
        Error::input(format!("{}: {why}; expected: {what}", path.display()))
    };
    let file = File::open(path).map_err(|e| wrong(&e))?;
    serde_json::from_reader(BufReader::with_capacity(1 << 20, file)).map_err(|e| wrong(&e))
}

/// The splits with any file in the folder: the tutorial's in its order, then others.
fn split_names(root: &Path, base: &str) -> Result<Vec<String>> {
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
            "{}: {} files are not read, because their names don't end like the word map's; among them {split}_*",
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
    loose::note(root);
    let entries = root.read_dir().at(root)?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.collect())
}

/// Finds the name of the word map.
fn find_wordmap(root: &Path, named: &str) -> Result<String> {
    if !named.is_empty() {
        return Ok(named.to_owned());
    }
    let is_one = |name: &String| name.starts_with("WORDMAP_") && name.ends_with(".json");
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

/// Refuses images of another size than the first split's, or that are not square.
fn check_size(images: &Images, first: [usize; 2], path: &Path) -> Result<()> {
    let [height, width] = images.size;
    let must = match (images.size == first, height == width) {
        (true, true) => return Ok(()),
        (_, false) => "a data set's are square".to_owned(),
        (false, _) => format!("those of the first split are {} x {}", first[0], first[1]),
    };
    Err(Error::input(format!(
        "{}: images of {height} x {width}; {must}",
        path.display()
    )))
}

impl Split {
    fn read(
        name: String,
        file: String,
        images: Images,
        path: &Path,
        words: &Words,
    ) -> Result<Split> {
        let captions: Vec<Vec<i64>> = read_json(path, CAPTIONS)?;
        // All images have the same number; the library doesn't read the attribute for it.
        let each = captions.len() / images.rows.max(1);
        if each == 0 || each * images.rows != captions.len() {
            return Err(Error::input(format!(
                "{}: {} captions, which is not a multiple of the {} images in {file}",
                path.display(),
                captions.len(),
                images.rows
            )));
        }
        let captions = captions.iter().enumerate().map(|(number, ids)| {
            let wrong = |why| format!("{}: caption {number}: {why}", path.display());
            words.text(ids).map_err(|why| Error::input(wrong(why)))
        });
        Ok(Split {
            captions: captions.collect::<Result<_>>()?,
            captions_per_image: each,
            name,
            file,
            images,
        })
    }
}

/// The inverse word map, from ids to words.
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
            return Err("does not begin with <start> and end with <end>".into());
        };
        let word = |id: &i64| {
            let word = self.by_id.get(id).map(String::as_str);
            word.ok_or_else(|| format!("{id} is not an id of the word map"))
        };
        let words: Result<Vec<&str>, String> = ids[..end].iter().map(word).collect();
        Ok(words?.join(" "))
    }
}
