//! Flickr8k's own text files: `Flickr8k.token.txt` with a caption per line,
//! `NAME.jpg#0<tab>caption`, and a list of file names per split.

use crate::annotations::{AnnotationFile, Annotations, ListedCaption, ListedImage, read_text};
use crate::config::Section;
use attend_artifact::{Error, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

const TOKENS: &str = "Flickr8k.token.txt";
/// The data set calls its validation images `dev`.
const LISTS: [(&str, &str); 3] = [
    ("train", "Flickr_8k.trainImages.txt"),
    ("val", "Flickr_8k.devImages.txt"),
    ("test", "Flickr_8k.testImages.txt"),
];

/// Reads captions and lists. The files have no ids: an image's id is its place
/// among the images of the token file, from 0 (as Karpathy's `imgid`), a
/// caption's id its line, from 0. Images of the token file that are in no list
/// are not part of the data set, as its authors meant it.
///
/// # Errors
/// `Error::Input` naming the file and the line.
pub fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let folder = match section.image_dir.as_str() {
        "" => "Flicker8k_Dataset",
        folder => folder,
    };
    let mut all = Annotations {
        folders: vec![folder.to_owned()],
        ..Annotations::default()
    };

    let path = text_at(root, TOKENS);
    let text = read_text(&path, "Flickr8k's captions (dataset.root)")?;
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
            caption_id: line as i64,
            image_id,
            caption: caption.to_owned(),
        });
    }
    all.files.push(AnnotationFile {
        role: "tokens".into(),
        path,
    });

    for (split, list) in LISTS {
        let path = text_at(root, list);
        let what = format!("the names of Flickr8k's {split} images (dataset.root)");
        for name in read_text(&path, &what)?
            .lines()
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let next = ids.len() as i64;
            let image_id = *ids.entry(name.to_owned()).or_insert(next);
            all.images.push(ListedImage {
                image_id,
                split: split.to_owned(),
                folder: folder.to_owned(),
                name: name.to_owned(),
            });
        }
        all.files.push(AnnotationFile {
            role: format!("images_{split}"),
            path,
        });
    }
    keep_listed(&mut all);
    Ok(all)
}

/// Where a text is: in `root`, or in the archive that it comes in.
fn text_at(root: &Path, name: &str) -> PathBuf {
    let (loose, archive) = (root.join(name), root.join("Flickr8k_text.zip"));
    match !loose.exists() && archive.is_file() {
        true => archive.join(name),
        false => loose,
    }
}

/// `NAME.jpg#0<tab>caption` to name and caption.
fn parse(line: &str) -> Option<(&str, &str)> {
    let (key, caption) = line.split_once('\t')?;
    let (name, number) = key.rsplit_once('#')?;
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (numbered && !name.is_empty()).then_some((name, caption))
}

fn keep_listed(all: &mut Annotations) {
    let listed: std::collections::HashSet<i64> =
        all.images.iter().map(|image| image.image_id).collect();
    let before = all.captions.len();
    all.captions
        .retain(|caption| listed.contains(&caption.image_id));
    if all.captions.len() < before {
        let unused = before - all.captions.len();
        tracing::info!("{unused} captions of images that are in no split's list are not used");
    }
}
