//! Initial weights from a model that was trained before.

use crate::network::Network;
use attend_artifact::Artifact;
use attend_artifact::model::Checkpoint;
use attend_artifact::vocabulary::Vocabulary;
use attend_model::weights;
use attend_program::{Error, Result};
use std::path::Path;

/// The best checkpoint of `artifact`, the stage's input, or without one the checkpoint at
/// `train.start`. `None` if that is empty.
///
/// # Errors
/// [`Error::Usage`] if both are given, [`Error::Input`] if there is no checkpoint at
/// `train.start`, [`Error::Refused`] if the checkpoint of `artifact` is missing or damaged.
pub fn find(start: &str, artifact: Option<&Artifact>) -> Result<Option<Checkpoint>> {
    match artifact {
        Some(artifact) if !start.is_empty() => Err(Error::usage(format!(
            "train.start = {start} and --input model={}: two models to begin with; give one",
            artifact.root.display()
        ))),
        Some(artifact) => Checkpoint::of_artifact(artifact, "best").map(Some),
        None if start.is_empty() => Ok(None),
        None => match Checkpoint::find(Path::new(start), "best")? {
            Some(checkpoint) => Ok(Some(checkpoint)),
            None => Err(Error::input(format!(
                "train.start = {start}: neither a model artifact nor a checkpoint folder"
            ))),
        },
    }
}

/// Copies the decoder's weights of a checkpoint into a network. Both must have the words
/// of the file `vocabulary`, with the same ids.
///
/// # Errors
/// [`Error::Refused`] if it was trained with other words or has other sizes.
pub fn load(start: &Checkpoint, network: &mut Network, vocabulary: &Path) -> Result<()> {
    let known = start.vocabulary()?;
    let words = |vocabulary: &Vocabulary| -> Vec<String> {
        let words = vocabulary.words.iter();
        words.map(|word| word.word.clone()).collect()
    };
    if words(&known) != words(&Vocabulary::read(vocabulary)?) {
        return Err(Error::refused(format!(
            "{}: not the words of {}; start from a model that was trained with these",
            start.words().display(),
            vocabulary.display()
        )));
    }
    let path = start.decoder();
    let dict = weights::read(&path).map_err(Error::refused)?;
    let taken = network.start_from(&dict);
    taken.map_err(|e| Error::refused(format!("{}: {e}", path.display())))
}
