//! The validation score: captions written freely, as at a user's, against the
//! human ones. Never teacher forcing.

use crate::config::Train;
use crate::data::Data;
use crate::network::Network;
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Result, check_interrupt, progress};
use attend_metrics::{Corpus, Metric, Score, Scorer};
use attend_model::{SearchOptions, beam_search};

/// Images that are captioned at a time.
const BATCH: usize = 32;

/// What the model says of the validation images.
pub struct Validation {
    /// The scores of the captions.
    pub scores: Vec<Score>,
    /// The captions, in the order of the data's validation images.
    pub captions: Vec<String>,
}

impl Validation {
    /// The score of that key; 0 where it was not computed.
    pub fn score(&self, key: &str) -> f64 {
        let mut scores = self.scores.iter();
        scores.find(|s| s.key == key).map_or(0.0, |s| s.corpus)
    }
}

/// Captions every validation image once and scores the captions.
///
/// # Errors
/// [`attend_artifact::Error::Interrupted`], or a missing image.
pub fn validate(
    network: &Network,
    data: &Data,
    vocabulary: &Vocabulary,
    scorer: &Scorer,
    train: &Train,
) -> Result<Validation> {
    let options = SearchOptions {
        beam: train.validation_beam,
        max_length: train.max_length,
        start: vocabulary.start(),
        end: vocabulary.end(),
        pad: vocabulary.pad(),
        unk: Some(vocabulary.unk()),
    };
    let bar = progress("validate", "images", data.validation.len() as u64);
    let mut captions = Vec::new();
    for images in data.validation.chunks(BATCH) {
        check_interrupt()?;
        let hypotheses = tch::no_grad(|| -> Result<_> {
            let projected = network.look(&data.gather(images)?);
            Ok(beam_search(&network.decoder, &projected, &options))
        })?;
        captions.extend(hypotheses.iter().map(|of_image| {
            of_image
                .first()
                .map(|best| vocabulary.decode(&best.tokens))
                .unwrap_or_default()
        }));
        bar.inc(images.len() as u64);
    }
    bar.finish();
    let corpus = Corpus::of_captions(&captions, &data.references);
    let mut metrics = vec![Metric::Bleu, Metric::Rouge, Metric::Cider];
    if scorer.meteor.is_some() {
        metrics.push(Metric::Meteor);
    }
    Ok(Validation {
        scores: scorer.score(&metrics, &corpus),
        captions,
    })
}
