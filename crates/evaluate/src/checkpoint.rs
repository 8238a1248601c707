//! Opens the checkpoint that is evaluated, and those of its ensemble.

use attend_artifact::model::Checkpoint;
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, digest_file};
use attend_program::{Error, Result};
use std::path::Path;

/// Opens checkpoint `name` of a model artifact. Its words must be those of `vocabulary`, if
/// that is given.
///
/// # Errors
/// [`Error::Refused`] if a file is missing or the words differ.
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

/// Finds a member of an ensemble: the best checkpoint of the model artifact at `path`, or
/// the checkpoint folder `path`.
///
/// # Errors
/// [`Error::Input`] if there is none.
pub fn find(path: &str) -> Result<Checkpoint> {
    let found = Checkpoint::find(Path::new(path), "best")?;
    found.ok_or_else(|| {
        Error::input(format!(
            "evaluate.ensemble: {path} is neither a run, a model artifact nor a checkpoint folder"
        ))
    })
}

/// Opens another checkpoint for an ensemble with `first`: the best one of the model
/// artifact at `path`, or the checkpoint folder `path`.
///
/// # Errors
/// [`Error::Input`] if there is none, [`Error::Refused`] if it was trained with other
/// words or with images of another size.
pub fn companion(first: &Checkpoint, path: &str) -> Result<Checkpoint> {
    let checkpoint = find(path)?;
    let (card, other) = (&first.card, &checkpoint.card);
    let why = if other.vocabulary_blake3 != card.vocabulary_blake3 {
        "another vocabulary"
    } else if other.image_size != card.image_size
        || other.encoder_blake3 != card.encoder_blake3
        || !(card.encoder_blake3.is_empty() || other.encoder.is_same(&card.encoder))
    {
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
