//! Finds, opens and checks checkpoints.

use super::card::ModelCard;
use super::files::{CARD, CHECKPOINTS, DECODER, WORDS};
use super::seal::Sealed;
use crate::vocabulary::Vocabulary;
use crate::{Artifact, Input, digest_file, manifest, staging};
use attend_program::{At, Error, Result, loose};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A checkpoint's folder whose `model.json` has been read. Callers open its other files
/// after [`Checkpoint::check`].
pub struct Checkpoint {
    /// Its folder.
    pub folder: PathBuf,
    /// The contents of its `model.json`.
    pub card: ModelCard,
    sealed: Sealed,
}

impl Checkpoint {
    /// Opens the checkpoint in `folder`.
    ///
    /// # Errors
    /// [`Error::Refused`] naming `model.json` and what is wrong: it can't be read, has an
    /// unknown key, lacks a key, or has invalid sizes.
    pub fn open(folder: &Path) -> Result<Checkpoint> {
        let sealed = Sealed::read(folder)?;
        let card = ModelCard::parse(sealed.card.clone())
            .map_err(|why| Error::refused(format!("{}: {why}", folder.join(CARD).display())))?;
        Ok(Checkpoint {
            folder: folder.to_owned(),
            card,
            sealed,
        })
    }

    /// Opens checkpoint `name` (`best`, `last`, `epoch-00007`) of a model artifact.
    ///
    /// # Errors
    /// [`Error::Refused`] naming a file that the artifact lacks; those of
    /// [`Checkpoint::open`].
    pub fn of_artifact(model: &Artifact, name: &str) -> Result<Checkpoint> {
        let file = |file: &str| model.file(&format!("{CHECKPOINTS}/{name}/{file}"));
        file(CARD)?;
        let checkpoint = Checkpoint::open(&model.root.join(CHECKPOINTS).join(name))?;
        for needed in checkpoint.card.files() {
            file(needed)?;
        }
        Ok(checkpoint)
    }

    /// Opens the checkpoint that a user means by `path`: the folder itself, or checkpoint
    /// `name` of the model artifact there, or, while the training is still running, of that
    /// artifact's staging folder; a run stands for its model. `None` if none of them exists.
    ///
    /// # Errors
    /// [`Error::Refused`] if the artifact is not a whole model; those of
    /// [`Checkpoint::open`].
    pub fn find(path: &Path, name: &str) -> Result<Option<Checkpoint>> {
        let path = &of_run(path);
        let [finished, growing] = places(path).map(|place| place.join(name));
        let found = [path.as_path(), &finished, &growing]
            .into_iter()
            .find(|folder| folder.join(CARD).is_file());
        let Some(folder) = found else {
            return Ok(None);
        };
        if folder == finished && path.join(manifest::FILE).exists() {
            Artifact::open_kind(path, "model")?;
        }
        if folder == growing {
            tracing::info!("the training is not finished: using {}", growing.display());
        }
        Checkpoint::open(folder).map(Some)
    }

    /// Opens the checkpoint at `path`, or those of all epochs that the model there keeps, in
    /// order. The model may be finished or still in training; a run stands for its model.
    ///
    /// # Errors
    /// Those of [`Checkpoint::open`].
    pub fn epochs(path: &Path) -> Result<Vec<Checkpoint>> {
        if path.join(CARD).is_file() {
            return Ok(vec![Checkpoint::open(path)?]);
        }
        let mut epochs = Vec::new();
        for place in places(&of_run(path)) {
            for entry in std::fs::read_dir(&place).into_iter().flatten() {
                let folder = entry.at(&place)?.path();
                let name = folder.file_name().and_then(OsStr::to_str);
                let is_epoch = name.is_some_and(|name| name.starts_with("epoch-"));
                // `epoch-00001.new` and `.old` exist for a moment while it is replaced.
                if is_epoch && folder.extension().is_none() {
                    epochs.push(folder);
                }
            }
            if !epochs.is_empty() {
                break;
            }
        }
        epochs.sort();
        epochs
            .iter()
            .map(|folder| Checkpoint::open(folder))
            .collect()
    }

    /// Compares the files that describing photographs needs with their digests in the
    /// `model.json` that was opened.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the file that is missing or has changed;
    /// [`Error::Interrupted`].
    pub fn check(&self) -> Result<()> {
        self.sealed.check(&self.card.files())
    }

    /// Like [`Checkpoint::check`], for a file of its folder whose digest is known.
    pub(crate) fn compare(&self, name: &str, digest: &str) -> Result<()> {
        self.sealed.compare(name, || Ok(digest.to_owned()))
    }

    /// Reads its vocabulary.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not the one that the decoder was trained with.
    pub fn vocabulary(&self) -> Result<Vocabulary> {
        let path = self.words();
        let digest = digest_file(&path).map_err(Error::refused)?;
        if digest != self.card.vocabulary_blake3 {
            return Err(Error::refused(format!(
                "{}: BLAKE3 {digest} is not {}, the vocabulary that the checkpoint was trained with",
                path.display(),
                self.card.vocabulary_blake3
            )));
        }
        let vocabulary = Vocabulary::read(&path)?;
        if vocabulary.len() as i64 != self.card.decoder.vocabulary {
            return Err(Error::refused(format!(
                "{}: has {} ids, but the decoder knows {}; train again",
                path.display(),
                vocabulary.len(),
                self.card.decoder.vocabulary
            )));
        }
        Ok(vocabulary)
    }

    /// The file of its vocabulary.
    pub fn words(&self) -> PathBuf {
        self.folder.join(WORDS)
    }

    /// The encoder's file; `None` if another program has the encoder.
    pub fn encoder(&self) -> Option<PathBuf> {
        Some(self.folder.join(self.card.encoder.file()?))
    }

    /// The file of the decoder's weights.
    pub fn decoder(&self) -> PathBuf {
        self.folder.join(DECODER)
    }

    /// This checkpoint as an input in a manifest, identified by its decoder's file.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file can't be read.
    pub fn input(&self) -> Result<Input> {
        loose::note(&self.decoder());
        Ok(Input {
            kind: "checkpoint".into(),
            digest: digest_file(&self.decoder())?,
        })
    }
}

/// The model of a run, if this is the folder of one; otherwise the path itself.
fn of_run(path: &Path) -> PathBuf {
    let exists = |path: &Path| places(path).iter().any(|place| place.is_dir());
    let model = path.join("model");
    let is_run = !path.join(CARD).is_file() && !exists(path) && exists(&model);
    if is_run { model } else { path.to_owned() }
}

/// The folders of checkpoints of the model at `path`: of the finished one, and of the one
/// still in training.
fn places(path: &Path) -> [PathBuf; 2] {
    [path.to_owned(), staging::folder_of(path)].map(|model| model.join(CHECKPOINTS))
}
