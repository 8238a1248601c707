//! The checkpoints that describe: the one that is evaluated, and those beside it.

use attend_artifact::model::{Checkpoint, ModelCard};
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, digest_file};
use attend_program::{Error, Result};
use std::path::Path;

/// Opens checkpoint `name` of a model artifact, and its words, which must be those of
/// `vocabulary`, if that is given.
///
/// # Errors
/// [`Error::Refused`] where something is missing or doesn't fit.
pub fn open(
    model: &Artifact,
    name: &str,
    vocabulary: Option<&Artifact>,
) -> Result<(Checkpoint, Vocabulary)> {
    let checkpoint = Checkpoint::of_artifact(model, name)?;
    if let Some(other) = vocabulary {
        let theirs = other.file("vocab.json")?;
        let (found, digest) = (digest_file(&theirs)?, &checkpoint.card.vocabulary_blake3);
        if found != *digest {
            return Err(Error::refused(format!(
                "{}: BLAKE3 {found}, but the model {} was trained with another vocabulary, {digest}; \
                 give the vocabulary that it was trained with, or train again with this one",
                theirs.display(),
                model.root.display()
            )));
        }
    }
    let words = checkpoint.vocabulary()?;
    Ok((checkpoint, words))
}

/// Opens another checkpoint, which describes images together with `first`: the best one
/// of the model at `path`, or the folder itself.
///
/// # Errors
/// [`Error::Input`] where there is none, [`Error::Refused`] where it has other words or
/// sees other images.
pub fn companion(first: &Checkpoint, path: &str) -> Result<Checkpoint> {
    let found = Checkpoint::find(Path::new(path), "best")?;
    let checkpoint = found.ok_or_else(|| {
        Error::input(format!(
            "evaluate.ensemble: {path} is neither a model artifact nor a checkpoint's folder"
        ))
    })?;
    let (card, other) = (&first.card, &checkpoint.card);
    let views = |card: &ModelCard| (card.image_size, card.encoder_blake3.clone());
    let why = if other.vocabulary_blake3 != card.vocabulary_blake3 {
        "another vocabulary"
    } else if views(other) != views(card) {
        "another encoder or images of another size"
    } else {
        return Ok(checkpoint);
    };
    Err(Error::refused(format!(
        "{}: trained with {why} than {}",
        checkpoint.folder.join("model.json").display(),
        first.folder.display()
    )))
}
