//! `attend-train average`: averages the weights of several checkpoints of the same sizes
//! into one model.
//!
//! The last epochs of a run are near the same minimum. Their mean is often better than each
//! of them and never costs more to run.

use attend_artifact::model::{Checkpoint, ModelCard};
use attend_artifact::staging::apart;
use attend_artifact::{Artifact, Manifest, Staging, model};
use attend_model::weights::{self, StateDict};
use attend_program::{At, Error, Result};
use clap::Parser;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Averages the weights of checkpoints.
#[derive(Parser)]
#[command(name = "attend-train average", version)]
pub struct Args {
    /// Checkpoint folders; a model artifact stands for all epochs that it keeps
    #[arg(value_name = "CHECKPOINT", required = true)]
    checkpoints: Vec<PathBuf>,
    /// Where to put the model artifact
    #[arg(long)]
    output: PathBuf,
    /// Delete an existing model even if it took more than a minute to make
    #[arg(long)]
    discard: bool,
}

/// Writes a model artifact with the averaged weights as its `checkpoints/best`.
///
/// # Errors
/// [`Error::Input`] if a checkpoint is missing, [`Error::Refused`] if they differ in
/// sizes or vocabulary.
pub fn average(args: &Args) -> Result<()> {
    let mut checkpoints = Vec::new();
    for path in &args.checkpoints {
        let found = Checkpoint::epochs(path)?;
        if found.is_empty() {
            return Err(Error::input(format!(
                "{}: neither a checkpoint folder nor a model that keeps epochs (train.keep_last, train.keep_best)",
                path.display()
            )));
        }
        checkpoints.extend(found);
    }
    let [first, _, ..] = &checkpoints[..] else {
        return Err(Error::input(format!(
            "{}: only one checkpoint; averaging needs at least two (train.keep_last, train.keep_best keep more)",
            args.checkpoints[0].display()
        )));
    };
    apart(&args.output, args.checkpoints.iter().map(PathBuf::as_path))?;
    let mut card = first.card.clone();
    let mut decoder = Mean::default();
    let mut encoder = Mean::default();
    let mut draft = Manifest::draft("model", "attend-train", env!("CARGO_PKG_VERSION"));
    if let Some(run) = (first.folder)
        .ancestors()
        .nth(2)
        .and_then(|root| Artifact::open(root).ok())
    {
        draft.inputs = run.manifest.inputs;
    }
    for (n, checkpoint) in checkpoints.iter().enumerate() {
        checkpoint.check()?;
        let other = &checkpoint.card;
        let same = |card: &ModelCard| {
            let frozen = card.encoder.resnet().is_none();
            (
                card.encoder.clone(),
                card.decoder.clone(),
                card.vocabulary_blake3.clone(),
                frozen.then(|| card.encoder_blake3.clone()),
            )
        };
        if same(other) != same(&card) {
            return Err(Error::refused(format!(
                "{}: other sizes, another encoder or another vocabulary than {}",
                checkpoint.folder.display(),
                first.folder.display()
            )));
        }
        if other.encoder_blake3 != card.encoder_blake3 {
            card.encoder_blake3 = String::new();
        }
        decoder.add(&checkpoint.decoder())?;
        if let (Some(_), Some(file)) = (other.encoder.resnet(), checkpoint.encoder()) {
            encoder.add(&file)?;
        }
        let name = format!("checkpoint-{n}");
        draft.inputs.insert(name, checkpoint.input()?);
        tracing::info!("{}", checkpoint.folder.display());
    }
    let staging = Staging::open_with(&args.output, draft, args.discard)?;
    let best = format!("{}/best", model::CHECKPOINTS);
    model::write(
        &staging.folder().join(&best),
        &card,
        &first.words(),
        |new| {
            decoder.write(&new.join(model::DECODER))?;
            match first.encoder() {
                _ if card.encoder_blake3.is_empty() => encoder.write(&new.join(model::ENCODER)),
                // A frozen encoder is the same in all checkpoints, byte for byte.
                Some(file) => {
                    let path = new.join(file.file_name().unwrap_or_default());
                    std::fs::copy(file, &path).map(drop).at(&path)
                }
                None => Ok(()),
            }
        },
    )?;
    for name in card.files().iter().chain([&model::CARD]) {
        staging.done(&format!("{best}/{name}"), None)?;
    }
    staging.commit(&[("checkpoints", checkpoints.len() as u64)])?;
    Ok(())
}

/// Running sum of weights, in f64, for their mean.
#[derive(Default)]
struct Mean {
    sums: StateDict,
    count: f64,
}

impl Mean {
    fn add(&mut self, path: &Path) -> Result<()> {
        model::check_finite(path)?;
        let dict = weights::read(path).map_err(Error::refused)?;
        let wrong = |name: &str| {
            Error::refused(format!(
                "{}: {name} has another shape than in the first file",
                path.display()
            ))
        };
        self.count += 1.0;
        if self.sums.is_empty() {
            let double = |(name, tensor): (String, Tensor)| (name, tensor.to_kind(Kind::Double));
            self.sums = dict.into_iter().map(double).collect();
            return Ok(());
        }
        for (name, sum) in &mut self.sums {
            let other = dict.get(name).filter(|other| other.size() == sum.size());
            *sum += other.ok_or_else(|| wrong(name))?.to_kind(Kind::Double);
        }
        match dict.keys().find(|name| !self.sums.contains_key(*name)) {
            Some(name) => Err(wrong(name)),
            None => Ok(()),
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let mean = |(name, sum): (&String, &Tensor)| {
            (name.clone(), (sum / self.count).to_kind(Kind::Float))
        };
        weights::write(path, &self.sums.iter().map(mean).collect()).map_err(Error::internal)
    }
}
