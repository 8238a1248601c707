//! The checkpoint that is evaluated.

use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, Error, Input, Result, digest_file};
use attend_model::ModelCard;
use std::path::PathBuf;

/// A checkpoint whose files fit together; its weights are not loaded yet.
pub struct Checkpoint {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is.
    pub card: ModelCard,
    /// Its words.
    pub vocabulary: Vocabulary,
}

impl Checkpoint {
    /// Finds checkpoint `name` in a model artifact, and checks that its
    /// vocabulary is that of `vocabulary`, if that is given.
    ///
    /// # Errors
    /// [`Error::Refused`] where something is missing or doesn't fit.
    pub fn open(model: &Artifact, name: &str, vocabulary: Option<&Artifact>) -> Result<Checkpoint> {
        let file = |file: &str| model.file(&format!("checkpoints/{name}/{file}"));
        file("model.json")?;
        let folder = model.root.join("checkpoints").join(name);
        let card = ModelCard::read(&folder).map_err(Error::refused)?;
        let words = file("vocab.json")?;
        let digest = digest_file(&words)?;
        if let Some(other) = vocabulary {
            let theirs = other.file("vocab.json")?;
            let found = digest_file(&theirs)?;
            if found != digest {
                return Err(Error::refused(format!(
                    "{}: BLAKE3 {found}, but the model {} was trained with another vocabulary, {digest}; \
                     give the vocabulary that it was trained with, or train again with this one",
                    theirs.display(),
                    model.root.display()
                )));
            }
        }
        let vocabulary = Vocabulary::read(&words)?;
        if vocabulary.len() as i64 != card.decoder.vocabulary {
            return Err(Error::refused(format!(
                "{}: {} words, the decoder knows {}; train again",
                words.display(),
                vocabulary.len(),
                card.decoder.vocabulary
            )));
        }
        Ok(Checkpoint {
            folder,
            card,
            vocabulary,
        })
    }

    /// Another model that describes images together with this one: the best checkpoint
    /// of a model artifact, or a checkpoint's folder. Its folder and what the manifest
    /// says of it.
    ///
    /// # Errors
    /// [`Error::Input`] where there is none, [`Error::Refused`] where it has other
    /// words or sees other images.
    pub fn companion(&self, path: &str) -> Result<(PathBuf, Input)> {
        let at = PathBuf::from(path);
        let folders = [at.join("checkpoints/best"), at];
        let folder = (folders.into_iter()).find(|folder| folder.join("model.json").is_file());
        let folder = folder.ok_or_else(|| {
            Error::input(format!(
                "evaluate.ensemble: {path} is neither a model artifact nor a checkpoint's folder"
            ))
        })?;
        let file = folder.join("model.json");
        let card = ModelCard::read(&folder).map_err(Error::refused)?;
        let views = |card: &ModelCard| (card.image_size, card.encoder_blake3.clone());
        let why = match () {
            () if card.vocabulary_blake3 != self.card.vocabulary_blake3 => "another vocabulary",
            () if views(&card) != views(&self.card) => "another encoder or images of another size",
            () => {
                let input = Input {
                    kind: "checkpoint".into(),
                    digest: digest_file(&folder.join("decoder.safetensors"))?,
                };
                return Ok((folder, input));
            }
        };
        Err(Error::refused(format!(
            "{}: trained with {why} than {}",
            file.display(),
            self.folder.display()
        )))
    }
}
