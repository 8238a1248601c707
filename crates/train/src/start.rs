//! Initial weights from a model that was trained before.

use crate::network::Network;
use attend_artifact::Artifact;
use attend_artifact::model::Checkpoint;
use attend_artifact::vocabulary::Vocabulary;
use attend_model::weights;
use attend_program::{Error, Result};
use std::collections::HashMap;
use std::path::Path;
use tch::{Device, Tensor};

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
                "train.start = {start}: neither a run, a model artifact nor a checkpoint folder"
            ))),
        },
    }
}

/// Copies the decoder's weights of a checkpoint into a network for `words`. If the checkpoint
/// was trained with other words, those in common begin with its weights, whatever their ids;
/// the network's weights of the others stay as they are.
///
/// # Errors
/// [`Error::Refused`] if there is no word in common, or the sizes differ.
pub fn load(start: &Checkpoint, network: &mut Network, words: &Vocabulary) -> Result<()> {
    let [is, wanted] = [&start.card, &network.card].map(|card| card.decoder.arch);
    if is != wanted {
        return Err(Error::refused(format!(
            "{}: its decoder is {is}, but decoder.arch = \"{wanted}\"; give both the same",
            start.folder.display()
        )));
    }
    let known = start.vocabulary()?;
    let path = start.decoder();
    let refused = |why: String| Error::refused(format!("{}: {why}", path.display()));
    let mut dict = weights::read(&path).map_err(Error::refused)?;
    let (from, to) = in_common(&known, words);
    if !known.is_empty() && from.len() == SPECIALS {
        return Err(Error::refused(format!(
            "{}: no word in common with this vocabulary; start from a model that was trained with some of its words",
            start.words().display()
        )));
    }
    if from != to || known.len() != words.len() {
        tracing::info!(
            "{} of {} words begin with the weights of {}; the others are new",
            from.len() - SPECIALS,
            words.words.len(),
            start.folder.display()
        );
    }
    let [from, to] = [from, to].map(|ids| Tensor::from_slice(&ids));
    let own = network.decoder_weights();
    for name in network.decoder.word_parameters() {
        let (Some(own), Some(given)) = (own.get(*name), dict.get_mut(*name)) else {
            continue;
        };
        let mut shape = own.size();
        shape[0] = known.len() as i64;
        if given.size() != shape || given.kind() != own.kind() {
            let is = (given.size(), given.kind());
            return Err(refused(format!(
                "{name} is {is:?} instead of {:?}",
                (shape, own.kind())
            )));
        }
        let rows = given.index_select(0, &from);
        *given = own.to_device(Device::Cpu).copy().index_copy(0, &to, &rows);
    }
    let taken = network.start_from(&dict);
    taken.map_err(|e| refused(e.to_string()))
}

/// Number of tokens that all vocabularies have in common.
const SPECIALS: usize = 4;

/// The ids of the tokens that two vocabularies have in common: those of `known`, and those of
/// `words`, in ascending order.
fn in_common(known: &Vocabulary, words: &Vocabulary) -> (Vec<i64>, Vec<i64>) {
    let known: HashMap<&str, i64> = tokens(known).collect();
    let common = tokens(words).filter_map(|(token, id)| Some((*known.get(token)?, id)));
    common.unzip()
}

fn tokens(words: &Vocabulary) -> impl Iterator<Item = (&str, i64)> {
    (0..words.len() as i64).filter_map(|id| Some((words.word(id)?, id)))
}
