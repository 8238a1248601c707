//! The validation score: captions written freely, as at a user's, against the
//! human ones. Never teacher forcing.

use crate::data::Data;
use crate::network::Network;
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Result, check_interrupt, progress};
use attend_metrics::{Bleu, bleu, tokenize};
use attend_model::{SearchOptions, beam_search};

/// Images that are captioned at a time.
const BATCH: usize = 32;

/// What the model says of the validation images.
pub struct Validation {
    /// BLEU-1 to BLEU-4.
    pub bleu: [f64; 4],
    /// The captions, in the order of the data's validation images.
    pub captions: Vec<String>,
}

/// Captions every validation image once and scores the captions.
///
/// # Errors
/// [`attend_artifact::Error::Interrupted`], or a missing image.
pub fn validate(
    network: &Network,
    data: &Data,
    vocabulary: &Vocabulary,
    beam: usize,
    max_length: usize,
) -> Result<Validation> {
    let options = SearchOptions {
        beam,
        max_length,
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
            let projected = network.look(&data.gather(images)?, false);
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
    let tokens: Vec<Vec<String>> = captions.iter().map(|caption| tokenize(caption)).collect();
    let references: Vec<Vec<Vec<String>>> = data
        .references
        .iter()
        .map(|of_image| of_image.iter().map(|caption| tokenize(caption)).collect())
        .collect();
    let Bleu { corpus, .. } = bleu(&tokens, &references);
    Ok(Validation {
        bleu: corpus,
        captions,
    })
}
