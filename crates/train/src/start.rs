//! Weights of an earlier run to begin with.

use crate::network::Network;
use attend_artifact::{At, Error, Input, Result, digest_file};
use attend_model::weights;
use std::path::{Path, PathBuf};

/// A checkpoint's folder.
pub struct Start {
    folder: PathBuf,
}

impl Start {
    /// Finds the checkpoint that `train.start` means: a model artifact's best one, or
    /// the folder itself. None where it is empty.
    ///
    /// # Errors
    /// [`Error::Input`] where there is none.
    pub fn find(start: &str) -> Result<Option<Start>> {
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
