//! The stage itself.

use crate::annotations::{AnnotationFile, Annotations};
use crate::archive::{self, is_archive};
use crate::config::{Config, Format, Section};
use crate::photograph::Refusal;
use crate::select::{Candidate, select, usual_names};
use crate::shards::{self, Outcome, Run};
use crate::source::{Source, Where};
use crate::{coco, flickr8k, hdf5, karpathy, ledger, objects};
use attend_artifact::dataset::{CaptionRecord, ImageRecord, ObjectRecord, RejectedRecord};
use attend_artifact::{
    Error, Input, InputSpec, Parts, Piece, Record, Result, Stage, StageSpec, Staging, digest_file,
};
use std::path::{Path, PathBuf};

/// What the stage is.
pub const SPEC: StageSpec = StageSpec {
    name: "attend-ingest",
    version: env!("CARGO_PKG_VERSION"),
    about: "Reads photographs and captions (COCO, Karpathy's splits, Flickr8k, HDF5) into a dataset artifact",
    inputs: &[InputSpec {
        kind: "scenes",
        required: false,
    }],
    output: "dataset",
    parts: Parts::Shards,
    // Where the files are; what is in them is recorded by digest.
    unrecorded: &[
        "dataset.root",
        "dataset.annotations",
        "dataset.objects",
        "dataset.follow_links",
        "dataset.max_rejected_fraction",
        "dataset.refuse_damaged=false",
    ],
};

/// Runs the stage.
///
/// # Errors
/// One message, by who can mend it.
pub fn run(stage: &Stage<Config>) -> Result<()> {
    let section = &stage.config.dataset;
    section.check()?;
    let scenes = stage
        .optional_input("scenes")
        .map(|artifact| artifact.root.clone());
    let root = root(scenes.as_deref(), section)?;
    let mut annotations = read_annotations(&root, section)?;
    let listed = annotations.images.len();
    for listed in &mut annotations.captions {
        listed.caption = section.normalise.apply(std::mem::take(&mut listed.caption));
    }
    let boxes = objects::files(&root, section)?;
    let mut files = std::mem::take(&mut annotations.files);
    files.extend(boxes.iter().cloned());
    let folders = std::mem::take(&mut annotations.folders);
    let (candidates, mut rejected) = select(annotations, section);

    // An artifact's digest says all about the photographs in it.
    let place = Where {
        root: &root,
        folders: &folders,
        follow_links: section.follow_links,
    };
    let source = Source::open(place, &candidates)?;
    if !stage.is_part() {
        source.check(&candidates)?;
    }
    let loose = scenes.is_none().then_some(&source);
    let runs: Vec<(Run<'_>, Piece)> = shards::plan(&candidates, section.shard_size)
        .into_iter()
        .map(|run| (run, run.piece(loose)))
        .collect();
    let pieces: Vec<Piece> = runs.iter().map(|(_, piece)| piece.clone()).collect();
    let Some(staging) = stage.begin_pieces(&inputs(&files)?, &pieces)? else {
        return Ok(());
    };
    let to_make = staging.to_make(&pieces)?;
    let objects = objects::read(&boxes, &candidates, &mut rejected)?;
    let made = runs.iter().filter(|(_, piece)| to_make.contains(&piece));
    source.check(made.flat_map(|(run, _)| run.candidates))?;
    let outcomes = shards::write(&staging, &source, &runs, &to_make, section, stage.jobs)?;
    if outcomes.is_none() && !staging.is_task() {
        let manifest = staging.commit_as_before()?;
        let digest = attend_artifact::manifest::short(&manifest.digest);
        tracing::info!("{} shards made again, {digest} as before", to_make.len());
        return Ok(());
    }
    let Some(outcomes) = outcomes else {
        tracing::info!(
            "{} shards are done; --finalize makes the data set of all",
            to_make.len()
        );
        return Ok(());
    };
    let mut tables = Tables {
        rejected,
        ..Tables::default()
    };
    for ((run, _), outcomes) in runs.iter().zip(outcomes) {
        tables.add(run, outcomes);
    }
    tables.objects = objects::keep(objects, &mut tables.rejected);
    let ledger = staging.path("rejected.parquet")?;
    RejectedRecord::write(&ledger, &tables.rejected)?;
    ledger::check(
        &tables.rejected,
        listed,
        section.max_rejected_fraction,
        &root,
        &ledger,
    )?;
    tables.commit(staging, section)?;
    if let Some(names) = usual_names(&candidates) {
        tracing::warn!(
            "other stages look for splits train, val and test; dataset.splits = {names} calls them so"
        );
    }
    Ok(())
}

/// The folder of the data set: the scenes artifact, or `dataset.root`.
fn root(scenes: Option<&Path>, section: &Section) -> Result<PathBuf> {
    if let Some(scenes) = scenes {
        return Ok(scenes.to_owned());
    }
    let holds = match section.format {
        Format::Coco => {
            "annotations/ and the folders of photographs, such as train2014/ and val2014/"
        }
        Format::Karpathy => "dataset.annotations and the photographs",
        Format::Flickr8k => "Flickr8k.token.txt, Flickr_8k.*Images.txt and Flicker8k_Dataset/",
        Format::Hdf5 => "WORDMAP_*.json, *_CAPTIONS_*.json and *_IMAGES_*.hdf5",
    };
    if section.root.is_empty() {
        return Err(Error::usage(format!(
            "dataset.root is empty; name the folder that holds {holds}, or give --input scenes=PATH"
        )));
    }
    let root = PathBuf::from(&section.root);
    if !root.is_dir() && !is_archive(&root) {
        let name = root.file_name().unwrap_or_default().to_string_lossy();
        let unpack = archive::hint_beside(&root)
            .filter(|hint| hint.starts_with(&format!("there is {name}")));
        let unpack = unpack.map_or(String::new(), |hint| format!("; {hint}"));
        return Err(Error::input(format!(
            "{}: no such folder (dataset.root); it must hold {holds}{unpack}",
            root.display()
        )));
    }
    Ok(root)
}

fn read_annotations(root: &Path, section: &Section) -> Result<Annotations> {
    let annotations = match section.format {
        Format::Coco => coco::read(root, section)?,
        Format::Karpathy => karpathy::read(root, section)?,
        Format::Flickr8k => flickr8k::read(root, section)?,
        Format::Hdf5 => hdf5::read(root, section)?,
    };
    if annotations.images.is_empty() {
        return Err(Error::input(format!(
            "{}: its annotations list no image",
            root.display()
        )));
    }
    Ok(annotations)
}

fn inputs(files: &[AnnotationFile]) -> Result<Vec<(&str, Input)>> {
    files
        .iter()
        .map(|file| {
            let digest = match archive::member(&file.path) {
                Some(content) => blake3::hash(&content?).to_hex().to_string(),
                None => digest_file(&file.path)?,
            };
            Ok((
                file.role.as_str(),
                Input {
                    kind: "annotations".into(),
                    digest,
                },
            ))
        })
        .collect()
}

/// The rows of the artifact's tables.
#[derive(Default)]
struct Tables {
    images: Vec<ImageRecord>,
    captions: Vec<CaptionRecord>,
    objects: Vec<ObjectRecord>,
    rejected: Vec<RejectedRecord>,
}

impl Tables {
    fn add(&mut self, run: &Run<'_>, outcomes: Vec<Outcome>) {
        let mut row = 0;
        for (candidate, outcome) in run.candidates.iter().zip(outcomes) {
            match outcome {
                Outcome::Rejected(refusal) => self.reject(candidate, &refusal),
                Outcome::Kept {
                    width,
                    height,
                    damage,
                    ..
                } => {
                    let note = |damage| ledger::damaged(candidate, damage);
                    self.rejected.extend(damage.map(note));
                    self.keep(candidate, (width, height), run.file(), row);
                    row += 1;
                }
            }
        }
    }

    fn reject(&mut self, candidate: &Candidate, refusal: &Refusal) {
        let (id, name) = (candidate.image_id, candidate.file_name.as_str());
        self.rejected
            .push(ledger::image(id, name, &refusal.reason, &*refusal.detail));
        self.rejected
            .extend(candidate.captions.iter().map(|(caption_id, _)| {
                ledger::caption(*caption_id, id, name, "image-rejected", &*refusal.reason)
            }));
    }

    fn keep(
        &mut self,
        candidate: &Candidate,
        (width, height): (u32, u32),
        shard: String,
        row: u32,
    ) {
        let Candidate {
            image_id,
            split,
            file_name,
            captions,
            ..
        } = candidate;
        self.images.push(ImageRecord {
            image_id: *image_id,
            split: split.clone(),
            file_name: file_name.clone(),
            width,
            height,
            shard,
            row,
        });
        self.captions
            .extend(captions.iter().map(|(caption_id, caption)| CaptionRecord {
                caption_id: *caption_id,
                image_id: *image_id,
                split: split.clone(),
                caption: caption.clone(),
            }));
    }

    fn commit(self, staging: Staging, section: &Section) -> Result<()> {
        write(&staging, "images.parquet", &self.images)?;
        write(&staging, "captions.parquet", &self.captions)?;
        write(&staging, "objects.parquet", &self.objects)?;
        write(&staging, "rejected.parquet", &self.rejected)?;
        let side = u64::from(section.image_size);
        let mut counts = vec![
            ("images".to_owned(), self.images.len() as u64),
            ("captions".to_owned(), self.captions.len() as u64),
            ("objects".to_owned(), self.objects.len() as u64),
            ("rejected".to_owned(), ledger::left_out(&self.rejected)),
            ("image_height".to_owned(), side),
            ("image_width".to_owned(), side),
        ];
        counts.extend(ledger::counts(&self.rejected));
        let counts: Vec<(&str, u64)> = counts.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        let manifest = staging.commit(&counts)?;
        let splits: Vec<String> = self
            .images
            .chunk_by(|a, b| a.split == b.split)
            .map(|split| format!("{} {}", split[0].split, split.len()))
            .collect();
        ledger::report(&self.rejected);
        tracing::info!(
            "dataset of {} images ({}) and {} captions, {}",
            self.images.len(),
            splits.join(", "),
            self.captions.len(),
            attend_artifact::manifest::short(&manifest.digest)
        );
        Ok(())
    }
}

fn write<R: Record>(staging: &Staging, name: &str, rows: &[R]) -> Result<()> {
    R::write(&staging.path(name)?, rows)?;
    staging.done(name, Some(rows.len() as u64))
}
