//! `attend-train average`: one model of several checkpoints of the same sizes, the mean
//! of their weights.
//!
//! The epochs of one run near its end lie in one valley; their mean is often better than
//! each of them and never costs more to run.

use attend_artifact::{Artifact, At, Error, Input, Manifest, Result, Staging, digest_file, model};
use attend_model::ModelCard;
use attend_model::weights::{self, StateDict};
use clap::Parser;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Averages the weights of checkpoints.
#[derive(Parser)]
#[command(name = "attend-train average", version)]
pub struct Args {
    /// Checkpoints' folders; of a model artifact all epochs that it keeps
    #[arg(value_name = "CHECKPOINT", required = true)]
    checkpoints: Vec<PathBuf>,
    /// Where to put the model artifact
    #[arg(long)]
    output: PathBuf,
}

/// Writes a model artifact with the mean as its `checkpoints/best`.
///
/// # Errors
/// [`Error::Input`] where a checkpoint is missing, [`Error::Refused`] where they are not
/// of one kind.
pub fn average(args: &Args) -> Result<()> {
    let mut folders = Vec::new();
    for path in &args.checkpoints {
        folders.extend(checkpoints(path)?);
    }
    let (Some(first), Some(_)) = (folders.first(), folders.get(1)) else {
        return Err(Error::input(format!(
            "{}: one checkpoint; two or more have a mean (train.keep_last, train.keep_best keep more)",
            args.checkpoints[0].display()
        )));
    };
    let mut card = ModelCard::read(first).map_err(Error::refused)?;
    let mut decoder = Mean::default();
    let mut encoder = Mean::default();
    let mut draft = Manifest::draft("model", "attend-train", env!("CARGO_PKG_VERSION"));
    if let Some(run) = first
        .ancestors()
        .nth(2)
        .and_then(|root| Artifact::open(root).ok())
    {
        draft.inputs = run.manifest.inputs;
    }
    for (n, folder) in folders.iter().enumerate() {
        model::check(folder, &model::DESCRIBING)?;
        let other = ModelCard::read(folder).map_err(Error::refused)?;
        let same = |card: &ModelCard| {
            (
                card.encoder.clone(),
                card.decoder.clone(),
                card.vocabulary_blake3.clone(),
            )
        };
        if same(&other) != same(&card) {
            return Err(Error::refused(format!(
                "{}: other sizes or another vocabulary than {}",
                folder.display(),
                first.display()
            )));
        }
        if other.encoder_blake3 != card.encoder_blake3 {
            card.encoder_blake3 = String::new();
        }
        let path = folder.join("decoder.safetensors");
        decoder.add(&path)?;
        encoder.add(&folder.join("encoder.safetensors"))?;
        let input = Input {
            kind: "checkpoint".into(),
            digest: digest_file(&path)?,
        };
        draft.inputs.insert(format!("checkpoint-{n}"), input);
        tracing::info!("{}", folder.display());
    }
    let staging = Staging::open(&args.output, draft)?;
    let put = |name: &str, write: &dyn Fn(&Path) -> Result<()>| {
        let name = format!("checkpoints/best/{name}");
        write(&staging.path(&name)?)?;
        staging.done(&name, None)
    };
    let copy = |from: PathBuf| move |path: &Path| std::fs::copy(&from, path).map(drop).at(path);
    put("vocab.json", &copy(first.join("vocab.json")))?;
    if card.encoder_blake3.is_empty() {
        put("encoder.safetensors", &|path| encoder.write(path))?;
    } else {
        // A frozen encoder is the same in all of them, to the byte.
        put(
            "encoder.safetensors",
            &copy(first.join("encoder.safetensors")),
        )?;
    }
    put("decoder.safetensors", &|path| decoder.write(path))?;
    let json = serde_json::to_string_pretty(&card).map_err(Error::internal)?;
    put(model::CARD, &|path| {
        std::fs::write(path, &json).at(path)?;
        model::seal(path.parent().unwrap_or(path), &BTreeMap::new())
    })?;
    staging.commit(&[("checkpoints", folders.len() as u64)])?;
    Ok(())
}

/// The checkpoints that a path means.
fn checkpoints(path: &Path) -> Result<Vec<PathBuf>> {
    if path.join("model.json").is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let folder = path.join("checkpoints");
    let mut epochs = Vec::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten() {
        let entry = entry.at(&folder)?;
        if entry.file_name().to_string_lossy().starts_with("epoch-") {
            epochs.push(entry.path());
        }
    }
    epochs.sort();
    match epochs.is_empty() {
        true => Err(Error::input(format!(
            "{}: neither a checkpoint's folder nor a model that keeps epochs (train.keep_last, train.keep_best)",
            path.display()
        ))),
        false => Ok(epochs),
    }
}

/// The mean of files of weights, in f64.
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
                "{}: {name} is not as in the first file",
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
