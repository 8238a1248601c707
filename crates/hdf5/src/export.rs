//! Exports a data set and its vocabulary as the tutorial's files.

use crate::files::Files;
use crate::images::ImagesWriter;
use crate::splits::{SPLITS, order};
use attend_artifact::dataset::{Dataset, ImageRecord, RejectedRecord};
use attend_artifact::ledger::{self, Reason};
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{Artifact, Record};
use attend_program::{At, Error, Progress, Result, check_interrupt, progress};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a data set and its vocabulary as the files that the PyTorch tutorial's
/// scripts read
///
/// Leaves out images without a caption in the vocabulary artifact. Takes the first N
/// captions of an image; repeats them in turn if there are fewer. REJECTED_….parquet
/// lists what is left out. The split restval goes into TRAIN; splits with other names
/// get files of their own, such as DEV_IMAGES_….hdf5. Words keep their ids in the
/// vocabulary. Writes all of the files to DIR or none.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write to
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The artifacts to export: dataset=PATH and vocabulary=PATH
    #[arg(long, value_name = "KIND=PATH", required = true)]
    input: Vec<String>,
    /// Name of the data set in the file names
    #[arg(long, default_value = "coco")]
    name: String,
    /// Number of captions per image
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    captions_per_image: u16,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// Writes the files.
///
/// # Errors
/// [`Error::Refused`] if the vocabulary is another data set's, and those of reading the
/// artifacts and writing the files.
pub fn export(args: &Args) -> Result<()> {
    if args.name.contains(['/', '\0']) {
        return Err(Error::usage(
            "--name: must not contain /, because it is part of file names",
        ));
    }
    let dataset = input(args, "dataset")?;
    let vocabulary = input(args, "vocabulary")?;
    let made_from = vocabulary.manifest.inputs.get("dataset");
    if made_from.map(|input| &input.digest) != Some(&dataset.manifest.digest) {
        return Err(Error::refused(format!(
            "{} was not made from {}; give the vocabulary that was",
            vocabulary.root.display(),
            dataset.root.display()
        )));
    }
    let captions_per_image = usize::from(args.captions_per_image);
    let (words, encoded) = Vocabulary::open_encoded(&vocabulary)?;
    let dataset = Dataset::open(&dataset)?;
    EncodedRecord::check_images(&encoded, &vocabulary, &dataset)?;
    let base = format!(
        "{}_{captions_per_image}_cap_per_img_{}_min_word_freq",
        args.name,
        words.min_count.saturating_sub(1)
    );
    let files = Files::begin(&args.folder, base, args.force)?;
    let progress = progress("export", "images", dataset.images().len() as u64);
    let (captions, mut rejected) = choose(&encoded, captions_per_image);
    let writer = Writer {
        dataset: &dataset,
        captions,
        captions_per_image,
        words: &words,
        files: &files,
        progress,
    };
    for (name, images) in splits(&dataset) {
        writer.split(&name, &images, &mut rejected)?;
    }
    writer.progress.finish();
    if !rejected.is_empty() {
        RejectedRecord::write(&files.path("REJECTED", "parquet"), &rejected)?;
        ledger::report(&rejected);
    }
    write_json(&files.path("WORDMAP", "json"), |out| {
        write_wordmap(&words, out)
    })?;
    files.commit()
}

fn input(args: &Args, kind: &str) -> Result<Artifact> {
    let pairs = args.input.iter().filter_map(|item| item.split_once('='));
    let mut paths = pairs.filter(|(given, _)| *given == kind);
    match (paths.next(), paths.next()) {
        (Some((_, path)), None) => Artifact::open_kind(path.as_ref(), kind),
        _ => Err(Error::usage(format!(
            "export needs --input {kind}=PATH, once"
        ))),
    }
}

/// For each image with captions, `count` of them; and ledger rows for the rest.
fn choose(
    encoded: &[EncodedRecord],
    count: usize,
) -> (HashMap<i64, Vec<&[i32]>>, Vec<RejectedRecord>) {
    let mut captions: HashMap<i64, Vec<&[i32]>> = HashMap::new();
    let mut rejected = Vec::new();
    for caption in encoded {
        let of_image = captions.entry(caption.image_id).or_default();
        if of_image.len() < count {
            of_image.push(&caption.tokens);
        } else {
            let (id, image_id) = (caption.caption_id, caption.image_id);
            let detail = format!("its image has {count} before it (--captions-per-image)");
            rejected.push(RejectedRecord::caption(
                id,
                image_id,
                "",
                Reason::TooMany,
                detail,
            ));
        }
    }
    for of_image in captions.values_mut() {
        let again = of_image.clone().into_iter().cycle();
        of_image.extend(again.take(count - of_image.len()));
    }
    (captions, rejected)
}

/// The images by split: the tutorial's three by its names, then the others.
fn splits(dataset: &Dataset) -> Vec<(String, Vec<&ImageRecord>)> {
    let mut splits: Vec<(String, Vec<&ImageRecord>)> =
        SPLITS.map(|name| (name.to_owned(), Vec::new())).into();
    for image in dataset.images() {
        let name = match image.split.as_str() {
            "restval" => "TRAIN".to_owned(),
            split => split.to_uppercase(),
        };
        match splits.iter_mut().find(|(known, _)| *known == name) {
            Some((_, images)) => images.push(image),
            None => splits.push((name, vec![image])),
        }
    }
    splits.sort_by_key(|(name, _)| order(name));
    splits
}

struct Writer<'a> {
    dataset: &'a Dataset,
    captions: HashMap<i64, Vec<&'a [i32]>>,
    captions_per_image: usize,
    words: &'a Vocabulary,
    files: &'a Files,
    progress: Progress,
}

impl Writer<'_> {
    fn split(
        &self,
        name: &str,
        all: &[&ImageRecord],
        rejected: &mut Vec<RejectedRecord>,
    ) -> Result<()> {
        let mut images: Vec<(&ImageRecord, &Vec<&[i32]>)> = Vec::new();
        for image in all {
            match self.captions.get(&image.image_id) {
                Some(captions) => images.push((image, captions)),
                None => rejected.push(RejectedRecord::image(
                    image.image_id,
                    &image.file_name,
                    Reason::NoCaption,
                    "no caption in the vocabulary artifact",
                )),
            }
        }
        if images.is_empty() {
            tracing::info!("no image for {name}");
            return Ok(());
        }
        let path = |what: &str, end: &str| self.files.path(&format!("{name}_{what}"), end);
        let size = self.dataset.image_size();
        let mut writer = ImagesWriter::create(
            &path("IMAGES", "hdf5"),
            images.len(),
            size,
            self.captions_per_image,
        )?;
        for (image, _) in &images {
            check_interrupt()?;
            writer.push(self.dataset.pixels(image)?)?;
            self.progress.inc(1);
        }
        writer.finish()?;
        let captions = || {
            images
                .iter()
                .flat_map(|(_, captions)| captions.iter().copied())
        };
        let length = self.words.max_length + 2; // <start> and <end>
        write_json(&path("CAPTIONS", "json"), |out| {
            let pad = self.words.pad() as i32;
            write_list(out, captions(), |ids| {
                let mut ids = ids.to_vec();
                ids.resize(length, pad);
                ids
            })
        })?;
        write_json(&path("CAPLENS", "json"), |out| {
            write_list(out, captions(), <[i32]>::len)
        })?;
        tracing::info!("{name}: {} images", images.len());
        Ok(())
    }
}

/// Writes a JSON array, one element at a time.
fn write_list<'a, T: serde::Serialize>(
    out: &mut dyn Write,
    captions: impl Iterator<Item = &'a [i32]>,
    element: impl Fn(&[i32]) -> T,
) -> std::io::Result<()> {
    let mut before = "[";
    for caption in captions {
        out.write_all(before.as_bytes())?;
        serde_json::to_writer(&mut *out, &element(caption))?;
        before = ", ";
    }
    out.write_all(b"]")
}

/// Writes the words in the order of their ids, then the special tokens, as the tutorial
/// does.
fn write_wordmap(words: &Vocabulary, out: &mut dyn Write) -> std::io::Result<()> {
    let specials = [words.unk(), words.start(), words.end(), words.pad()];
    let names = specials.iter().filter_map(|id| words.word(*id));
    let of_words = words.words.iter().map(|word| (word.word.as_str(), word.id));
    let map: serde_json::Map<_, _> = (of_words.chain(names.zip(specials)))
        .map(|(word, id)| (word.to_owned(), id.into()))
        .collect();
    Ok(serde_json::to_writer(out, &map)?)
}

fn write_json(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let mut out = BufWriter::new(File::create(path).at(path)?);
    write(&mut out).at(path)?;
    let file = out.into_inner().map_err(|e| e.into_error()).at(path)?;
    file.sync_all().at(path)
}
