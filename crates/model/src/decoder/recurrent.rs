//! Decoders of one or more LSTMs over embedded words and cells, as ruotianluo's
//! `AttModel` has them, with its parameter names: what they have in common.
//!
//! The embeddings' product with the LSTM's weights comes before the loop over the steps, the
//! logits after it, each one product for all words. The backward pass is autograd's.

use super::additive::{Attended, embed};
use super::slots::Slots;
use super::taped::{Weights, prepare, pytorchs, record};
use super::{Captions, Decoder, Images, Pass, Reading, Resampling, Rows, Step};
use attend_artifact::model::DecoderConfig;
use tch::nn::{self, Init};
use tch::{Kind, Tensor, no_grad};

/// The table of the words' embeddings.
const EMBEDDING: &str = "embed.0.weight";

/// A decoder with this core.
pub(super) struct Recurrent<C> {
    config: DecoderConfig,
    weights: Weights,
    core: C,
}

/// What differs: the LSTMs of a step.
pub(super) trait Core: Send {
    /// Number of the state's tensors, (B, H) each. The first is h, from which the logits are
    /// computed.
    const STATE: usize;

    /// The weights of a pass, in the form that the other functions use.
    fn ready(&self, w: Weights) -> Weights {
        w
    }

    /// The image's part of the gates, if it has one: the mean of its attention cells (n, C)
    /// -> (n, …).
    fn image(&self, _w: &Weights, _mean: &Tensor, _dropout: f64) -> Option<Tensor> {
        None
    }

    /// The words' part of the gates: (N, E) -> (N, …).
    fn words(&self, w: &Weights, words: &Tensor) -> Tensor;

    /// The next state and the attention (B, P), from the parts of the gates that are known
    /// before the step.
    fn advance(
        &self,
        w: &Weights,
        cells: &Attended,
        known: &Tensor,
        state: &[Tensor],
    ) -> (Vec<Tensor>, Tensor);
}

impl<C: Core> Recurrent<C> {
    /// A decoder with random weights, initialised as in PyTorch.
    pub fn new(p: &nn::Path, config: &DecoderConfig, core: C) -> Recurrent<C> {
        let shapes = config.parameters();
        let init = |name: &str| match name {
            EMBEDDING => Init::Randn {
                mean: 0.0,
                stdev: 1.0,
            },
            _ => pytorchs(name, &shapes),
        };
        Recurrent {
            weights: Weights::new(p, &shapes, init),
            config: config.clone(),
            core,
        }
    }

    /// The words' part of the gates: i64 (N) -> (N, …).
    fn words(&self, w: &Weights, tokens: &Tensor, dropout: f64) -> Tensor {
        let embedded = Tensor::embedding(w.get(EMBEDDING), tokens, -1, false, false); // (N, E)
        let words = embedded.relu().dropout(dropout, dropout > 0.0);
        self.core.words(w, &words)
    }

    /// Everything about images: values (n, P, H), keys (n, P, A), and the image's part of the
    /// gates, if it has one.
    fn images(
        &self,
        w: &Weights,
        cells: &Tensor,
        resampling: &Resampling,
        dropout: f64,
    ) -> Vec<Tensor> {
        let mut images = Vec::from(embed(w, cells, resampling, dropout));
        let mean = resampling.mean(cells, w.get(EMBEDDING).kind());
        images.extend(self.core.image(w, &mean, dropout));
        images
    }

    /// Logits (N, V) and attention (N, P).
    fn forward(
        &self,
        w: &Weights,
        cells: &Tensor,
        resampling: &Resampling,
        captions: Captions,
        reading: Reading,
    ) -> (Tensor, Tensor) {
        let dropout = match reading.dropout {
            true => self.config.dropout,
            false => 0.0,
        };
        let image = captions.images(cells.device());
        let images = self.images(w, cells, resampling, dropout);
        let of_captions = images.iter().map(|images| images.index_select(0, &image)); // (B, …)
        let mut images = Rows::new(of_captions.collect());
        let counts = captions.counts();
        let tokens = captions.packed(&counts, 0);
        let words = self.words(w, &tokens, dropout).split_with_sizes(&counts, 0);
        let tokens = tokens.split_with_sizes(&counts, 0);
        let mut state = Rows::new(self.start(captions.len(), w));
        let (mut hiddens, mut alphas) = (Vec::new(), Vec::new());
        for (step, b) in counts.iter().enumerate() {
            if *b < state.len() {
                // Of the last step's, so that the gradients of few captions stay small.
                images = images.first(*b);
                state = state.first(*b);
            }
            let words = match reading.own_words > 0.0 && step > 0 {
                true => {
                    let h = &state.tensors()[0];
                    let mixed = self.mix(w, &tokens[step], h, reading.own_words);
                    self.words(w, &mixed, dropout)
                }
                false => words[step].shallow_clone(),
            };
            let (after, alpha) = self.advance(w, images.tensors(), &Slots::each(*b), words, &state);
            hiddens.push(after.tensors()[0].shallow_clone());
            alphas.push(alpha);
            state = after;
        }
        let hidden = Tensor::cat(&hiddens, 0).dropout(dropout, dropout > 0.0); // (N, H)
        (w.linear("logit", &hidden), Tensor::cat(&alphas, 0))
    }

    /// Tokens (b), each with this probability replaced by one drawn from the model's
    /// distribution after h (b, H).
    fn mix(&self, w: &Weights, tokens: &Tensor, h: &Tensor, own_words: f64) -> Tensor {
        no_grad(|| {
            let probabilities = w.linear("logit", h).softmax(-1, None);
            let drawn = probabilities.multinomial(1, true).squeeze_dim(1);
            let own = Tensor::rand(drawn.size(), (Kind::Float, drawn.device())).lt(own_words);
            drawn.where_self(&own, tokens)
        })
    }

    /// The next state and the attention (B, P), from the words' part of the gates.
    fn advance(
        &self,
        w: &Weights,
        images: &[Tensor],
        slots: &Slots,
        words: Tensor,
        state: &Rows,
    ) -> (Rows, Tensor) {
        let known = match images.get(2) {
            Some(image) => words + slots.of_images(image),
            None => words,
        };
        let (values, keys) = (&images[0], &images[1]);
        let cells = Attended {
            values,
            keys,
            slots,
        };
        let (state, attention) = self.core.advance(w, &cells, &known, state.tensors());
        (Rows::new(state), attention)
    }

    fn start(&self, rows: i64, w: &Weights) -> Vec<Tensor> {
        let like = w.get(EMBEDDING);
        let zeros = || Tensor::zeros([rows, self.config.hidden], (like.kind(), like.device()));
        (0..C::STATE).map(|_| zeros()).collect()
    }
}

impl<C: Core> Decoder for Recurrent<C> {
    fn project(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        no_grad(|| {
            let images = self.prepare(cells, native);
            let [kept] = images.rows.each();
            let w = self.core.ready(self.weights.shallow_clone());
            let mut rows = vec![kept.shallow_clone()];
            rows.extend(self.images(&w, kept, &images.resampling, 0.0));
            Images {
                rows: Rows::new(rows),
                ..images
            }
        })
    }

    fn prepare(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        prepare(
            cells,
            native,
            &self.config,
            self.weights.get(EMBEDDING).kind(),
        )
    }

    fn begin(&self, images: &Images) -> Rows {
        Rows::new(self.start(images.len(), &self.weights))
    }

    fn step(&self, images: &Images, image: &[i64], tokens: &[i64], state: &Rows) -> Step {
        no_grad(|| {
            let w = self.core.ready(self.weights.shallow_clone());
            let slots = Slots::new(images.len(), image, images.device());
            let tokens = Tensor::from_slice(tokens).to_device(images.device());
            let words = self.words(&w, &tokens, 0.0);
            let images = &images.rows.tensors()[1..];
            let (state, attention) = self.advance(&w, images, &slots, words, state);
            Step {
                logits: w.linear("logit", &state.tensors()[0]), // (B, V)
                state,
                attention,
            }
        })
    }

    fn read<'a>(
        &'a self,
        images: &'a Images,
        captions: Captions<'a>,
        reading: Reading,
    ) -> Box<dyn Pass + 'a> {
        record(&self.weights, EMBEDDING, images, captions, |w, cells| {
            let w = self.core.ready(w);
            self.forward(&w, cells, &images.resampling, captions, reading)
        })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.weights.list()
    }

    fn embedding(&self) -> &'static str {
        EMBEDDING
    }

    fn word_parameters(&self) -> &'static [&'static str] {
        &[EMBEDDING, "logit.weight", "logit.bias"]
    }
}
