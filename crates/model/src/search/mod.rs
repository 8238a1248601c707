//! Search for captions over all images of a batch at once: beams, diverse beams, samples.
//!
//! - `options`: [`SearchOptions`]; `hypothesis`: [`Hypothesis`], the result.
//! - `ensemble`: the models that search together; `constraints`: which tokens may follow;
//!   `candidates`: the most probable of them.
//! - `beam`, `sample`: the two ways to go on. `path`: the tokens so far.

mod beam;
mod candidates;
mod constraints;
mod ensemble;
mod hypothesis;
mod options;
mod path;
mod sample;

pub use hypothesis::Hypothesis;
pub use options::{LengthNorm, Sampling, SearchOptions};

use crate::decoder::{Decoder, Images};
use ensemble::Ensemble;
use tch::no_grad;

/// Captions every image with an ensemble of models of one vocabulary, at least one. The
/// probabilities of a step are the mean of the models' probabilities. Each model has its
/// own projection of the same images. The attention is the mean over the models that have
/// the first one's grid.
///
/// Returns each image's hypotheses, best first, at least one. Finished ones rank before those
/// that reached `max_length` without `<end>`, both by [`Hypothesis::score`]; ties keep the
/// order in which they were found.
///
/// A beam search is the tutorial's: a finished hypothesis permanently takes up one place of
/// the beam. Among equally probable continuations, those of the better hypothesis come first,
/// then the smaller ids. Constraints apply before the best are chosen, and do not
/// renormalise the probabilities of what is allowed. An image is done once nothing can
/// change its best `keep` hypotheses any more.
///
/// # Panics
/// If there are no models.
pub fn search(models: &[(&dyn Decoder, &Images)], options: &SearchOptions) -> Vec<Vec<Hypothesis>> {
    let models = Ensemble::new(models);
    no_grad(|| match &options.sampling {
        Some(sampling) => sample::search(models, options, sampling),
        None => beam::search(models, options),
    })
}

#[cfg(test)]
mod tests {
    use crate::weights::{StateDict, read};
    use std::path::Path;
    use tch::Tensor;

    /// What `fixtures/processors.py` wrote.
    pub fn of_hugging_face() -> StateDict {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        read(&tests.join("processors.safetensors")).unwrap()
    }

    pub fn integers(tensor: &Tensor) -> Vec<i64> {
        Vec::try_from(tensor).unwrap()
    }
}
