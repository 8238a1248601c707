//! The stage, from parameters to commit.

use crate::annotations::Annotations;
use crate::archive::{self, is_archive};
use crate::config::{Config, Section};
use crate::formats;
use crate::formats::layout::Layout;
use crate::objects::{self, BoxFile};
use crate::reference::Reference;
use crate::select::{Candidate, select};
use crate::shards::{self, ShardPlan};
use crate::source::Source;
use crate::split::{self, Hashes};
use crate::{limit, rows};
use attend_artifact::dataset::RejectedRecord;
use attend_artifact::{Input, InputSpec, Piece, Record, Stage, StageSpec};
use attend_program::describe::{Checked, Parts};
use attend_program::{Error, Result, loose};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The stage's name, inputs and output.
pub const SPEC: StageSpec = StageSpec {
    name: "attend-ingest",
    version: env!("CARGO_PKG_VERSION"),
    about: "Reads photographs and captions (COCO, Karpathy's splits, Flickr8k, tables, WebDataset, folders) into a dataset artifact",
    inputs: &[InputSpec {
        kind: "scenes",
        required: false,
    }],
    output: "dataset",
    parts: Parts::Shards,
    // Paths of files, whose contents are recorded by digest, and what changes no output.
    unrecorded: &[
        "dataset.root",
        "dataset.annotations",
        "dataset.objects",
        "dataset.follow_links",
        "dataset.max_rejected_fraction",
        "dataset.refuse_damaged=false",
        "dataset.columns={}",
        "dataset.delimiter=\"\"",
        "dataset.header=null",
        "dataset.split={}",
    ],
    paths: &["dataset.root", "dataset.annotations", "dataset.objects"],
    extends: false,
};

/// Reads the annotations, and finds the photographs' folders.
///
/// # Errors
/// Those that [`run`] would return before it reads a photograph.
pub fn check(stage: &Stage<Config>) -> Result<Checked> {
    let section = &stage.config.dataset;
    section.check()?;
    let layout = formats::find(&section.format)?;
    let scenes = stage.optional_input("scenes");
    if scenes.is_none() && stage.will_have("scenes") {
        return Ok(Checked::default());
    }
    let root = root(scenes.map(|artifact| &*artifact.root), section, &layout)?;
    let listing = list(&root, section, &layout)?;
    (listing.source).check(photographs(&listing.candidates))?;
    let splits: BTreeSet<&str> = match section.split.is_set() {
        true => section.split.names().collect(),
        false => (listing.candidates.iter())
            .map(|candidate| candidate.split.as_str())
            .collect(),
    };
    Ok(Checked {
        splits: Some(splits.into_iter().map(str::to_owned).collect()),
        ..Checked::default()
    })
}

/// Runs the stage.
///
/// # Errors
/// A message for the user, classified by who can fix the cause.
pub fn run(stage: &Stage<Config>) -> Result<()> {
    let section = &stage.config.dataset;
    section.check()?;
    let layout = formats::find(&section.format)?;
    let scenes = stage.optional_input("scenes");
    let root = root(scenes.map(|artifact| &*artifact.root), section, &layout)?;
    let mut listing = list(&root, section, &layout)?;
    let source = &listing.source;
    if !stage.is_part() {
        source.check(photographs(&listing.candidates))?;
    }
    let hashes = match section.split.is_set() {
        true => {
            let mut hashes = Hashes::read(stage.note(split::HASHES));
            let split = &section.split;
            split.assign(&mut listing.candidates, source, &mut hashes, stage.jobs)?;
            Some(hashes)
        }
        false => None,
    };
    // The digest of a scenes artifact covers its photographs.
    let loose = scenes.is_none().then_some(source);
    let runs: Vec<(ShardPlan<'_>, Piece)> = shards::plan(&listing.candidates, section.shard_size)
        .into_iter()
        .map(|run| (run, run.piece(loose)))
        .collect();
    let pieces: Vec<Piece> = runs.iter().map(|(_, piece)| piece.clone()).collect();
    let Some(mut staging) = stage.begin_pieces(&listing.inputs(), &pieces)? else {
        return Ok(());
    };
    if let Some(hashes) = hashes {
        staging.keep_note(split::HASHES, &hashes.bytes())?;
    }
    let to_make = staging.to_make(&pieces)?;
    let objects = objects::read(&listing.boxes, &listing.candidates, &mut listing.rejected)?;
    let made = runs.iter().filter(|(_, piece)| to_make.contains(&piece));
    source.check(made.flat_map(|(run, _)| photographs(run.candidates)))?;
    let outcomes = shards::write(&staging, source, &runs, &to_make, section, stage.jobs)?;
    let Some(outcomes) = outcomes else {
        let count = to_make.len();
        if staging.is_task() {
            tracing::info!("{count} shards are done; --finalize combines them into the data set");
        } else {
            let digest = staging.commit_as_before()?.digest;
            let digest = attend_artifact::manifest::short(&digest);
            tracing::info!("{count} shards made again, {digest} as before");
        }
        return Ok(());
    };
    let mut tables = rows::tables(
        runs.iter().map(|(run, _)| run).zip(outcomes),
        listing.rejected,
    );
    tables.objects = objects::keep(objects, &mut tables.rejected);
    let ledger = staging.path("rejected.parquet")?;
    RejectedRecord::write(&ledger, &tables.rejected)?;
    let (listed, limit) = (listing.listed, section.max_rejected_fraction);
    limit::check(&tables.rejected, listed, limit, &root, &ledger)?;
    tables.commit(staging, section.image_size)
}

/// The annotations, selected, and the photographs' source.
pub(crate) struct Listing {
    /// Number of listed images.
    listed: usize,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) rejected: Vec<RejectedRecord>,
    files: Vec<(String, Input)>,
    boxes: Vec<BoxFile>,
    pub(crate) source: Source,
}

impl Listing {
    /// The files that were read, by their role in the manifest.
    fn inputs(&self) -> Vec<(&str, Input)> {
        let boxes = self.boxes.iter().map(|file| (&file.role, &file.input));
        let files = self.files.iter().map(|(role, input)| (role, input));
        let all = files.chain(boxes);
        all.map(|(role, input)| (role.as_str(), input.clone()))
            .collect()
    }
}

pub(crate) fn photographs(candidates: &[Candidate]) -> impl Iterator<Item = &Reference> {
    candidates.iter().map(|candidate| &candidate.photograph)
}

fn list(root: &Path, section: &Section, layout: &Layout) -> Result<Listing> {
    loose::note(root);
    let annotations = (layout.read)(root, section)?;
    listing(root, section, annotations)
}

/// Selects what can be used, and finds the photographs.
pub(crate) fn listing(
    root: &Path,
    section: &Section,
    mut annotations: Annotations,
) -> Result<Listing> {
    let listed = annotations.images.len();
    if listed == 0 {
        let root = root.display();
        return Err(Error::input(format!(
            "{root}: its annotations list no image"
        )));
    }
    for listed in &mut annotations.captions {
        listed.caption = section.normalise.apply(std::mem::take(&mut listed.caption));
    }
    let boxes = objects::files(root, section)?;
    let files = std::mem::take(&mut annotations.inputs);
    let folders = annotations.folders.clone();
    let archives = std::mem::take(&mut annotations.archives);
    let splits = match section.split.is_set() {
        true => {
            section.split.check_against(&annotations.images)?;
            None
        }
        false => {
            split::some_has_one(&annotations.images, root)?;
            Some(&section.splits)
        }
    };
    let (candidates, rejected) = select(annotations, splits);
    let photographs = photographs(&candidates);
    let source = Source::open(root, &folders, &archives, section.follow_links, photographs)?;
    Ok(Listing {
        listed,
        candidates,
        rejected,
        files,
        boxes,
        source,
    })
}

/// The folder of the data set: the scenes artifact, or `dataset.root`.
fn root(scenes: Option<&Path>, section: &Section, layout: &Layout) -> Result<PathBuf> {
    if let Some(scenes) = scenes {
        return Ok(scenes.to_owned());
    }
    let holds = layout.holds;
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
