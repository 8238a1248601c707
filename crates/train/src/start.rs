//! Weights of an earlier run to begin with.

use crate::network::Network;
use attend_artifact::{Artifact, At, Error, Input, Result, digest_file, model};
use attend_model::{ModelCard, weights};
use std::path::{Path, PathBuf};

/// A checkpoint's folder.
pub struct Start {
    folder: PathBuf,
}

impl Start {
    /// The best checkpoint of `artifact`, the stage's input; without one, what
    /// `train.start` means: a model artifact's best checkpoint, or the folder itself.
    /// None where that is empty.
    ///
    /// # Errors
    /// [`Error::Usage`] where both are given, [`Error::Input`] where the second is
    /// nowhere, [`Error::Refused`] where the first has no such checkpoint.
    pub fn find(start: &str, artifact: Option<&Artifact>) -> Result<Option<Start>> {
        if let Some(artifact) = artifact {
            if !start.is_empty() {
                return Err(Error::usage(format!(
                    "train.start = {start} and --input model={}: two models to begin with; give one",
                    artifact.root.display()
                )));
            }
            for file in model::DESCRIBING.iter().chain([&model::CARD]) {
                artifact.file(&format!("checkpoints/best/{file}"))?;
            }
            let folder = artifact.root.join("checkpoints/best");
            return Ok(Some(Start { folder }));
        }
        if start.is_empty() {
            return Ok(None);
        }
        let path = PathBuf::from(start);
        let folders = [path.join("checkpoints/best"), path];
        let folder = folders
            .into_iter()
            .find(|folder| folder.join("model.json").is_file());
        let folder = folder.ok_or_else(|| {
            Error::input(format!(
                "train.start = {start}: neither a model artifact nor a checkpoint's folder"
            ))
        })?;
        Ok(Some(Start { folder }))
    }

    /// Compares its files with their digests.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the one that is damaged.
    pub fn check(&self) -> Result<()> {
        model::check(&self.folder, &model::DESCRIBING)
    }

    /// What it is.
    ///
    /// # Errors
    /// [`Error::Refused`] where its `model.json` doesn't say.
    pub fn card(&self) -> Result<ModelCard> {
        ModelCard::read(&self.folder).map_err(Error::refused)
    }

    /// The file of the encoder's weights.
    pub fn encoder(&self) -> PathBuf {
        self.folder.join("encoder.safetensors")
    }

    fn decoder(&self) -> PathBuf {
        self.folder.join("decoder.safetensors")
    }

    /// What the manifest says of it.
    ///
    /// # Errors
    /// [`Error::Input`] where the file can't be read.
    pub fn input(&self) -> Result<Input> {
        Ok(Input {
            kind: "checkpoint".into(),
            digest: digest_file(&self.decoder())?,
        })
    }

    /// Puts its decoder's weights into a network with the words of `vocabulary`.
    ///
    /// # Errors
    /// [`Error::Refused`] where it was trained with other words or has other sizes.
    pub fn load(&self, network: &mut Network, vocabulary: &Path) -> Result<()> {
        let words = self.folder.join("vocab.json");
        let theirs = std::fs::read(&words).at(&words)?;
        if theirs != std::fs::read(vocabulary).at(vocabulary)? {
            return Err(Error::refused(format!(
                "{}: not the words of {}; begin with a model that was trained with these",
                words.display(),
                vocabulary.display()
            )));
        }
        let path = self.decoder();
        let dict = weights::read(&path).map_err(Error::refused)?;
        let taken = network.start_from(&dict);
        taken.map_err(|e| Error::refused(format!("{}: {e}", path.display())))
    }
}
