//! Decoders of one or more LSTMs over embedded words and cells, as ruotianluo's
//! `AttModel` has them, with its parameter names: what they have in common.
//!
//! The embeddings' product with the LSTM's weights comes before the loop over the steps, the
//! logits after it, each one product for all words. The backward pass is written by hand.

mod att2in;
mod backward;
mod linear;
mod lstms;
mod read;
mod up_down;

use self::att2in::Att2in;
use self::linear::Linear;
use self::lstms::{After, Attended, Core};
use self::up_down::UpDown;
use super::additive::{Activation, Cells, Embedded};
use super::dropout::dropped;
use super::parameters::{Weights, pytorchs};
use super::{Captions, Decoder, Images, Pass, Reading, Resampling, Rows, Step};
use attend_artifact::model::DecoderConfig;
use tch::nn::{self, Init};
use tch::{Kind, Tensor, no_grad};

/// The table of the words' embeddings.
const EMBEDDING: &str = "embed.0.weight";
/// The attention's vector w, its bias, which the softmax takes away, and W_q.
const VECTOR: &str = "core.attention.alpha_net.weight";
const VECTOR_BIAS: &str = "core.attention.alpha_net.bias";
const QUERY: Linear = Linear::new("core.attention.h2att.weight", "core.attention.h2att.bias");
const VALUES: Linear = Linear::new("att_embed.0.weight", "att_embed.0.bias");
const KEYS: Linear = Linear::new("ctx2att.weight", "ctx2att.bias");
const LOGITS: Linear = Linear::new("logit.weight", "logit.bias");

/// `att2in` with random weights.
pub(super) fn att2in(p: &nn::Path, config: &DecoderConfig) -> Box<dyn Decoder> {
    let hidden = config.hidden;
    Box::new(Recurrent::new(p, config, Att2in { hidden }))
}

/// `up-down` with random weights.
pub(super) fn up_down(p: &nn::Path, config: &DecoderConfig) -> Box<dyn Decoder> {
    let hidden = config.hidden;
    Box::new(Recurrent::new(p, config, UpDown { hidden }))
}

/// A decoder with this core.
struct Recurrent<C> {
    config: DecoderConfig,
    weights: Weights,
    core: C,
}

/// The tensors of [`Images`] after the cells, with names.
struct Known<'a> {
    embedded: Embedded<'a>, // (n, P, H), (n, P, A)
    /// v (n, H) and the image's part of the gates (n, …), if it has one.
    whole: Option<[&'a Tensor; 2]>,
}

impl<'a> Known<'a> {
    fn new(images: &'a [Tensor]) -> Known<'a> {
        let (values, keys) = (&images[0], &images[1]);
        Known {
            embedded: Embedded { values, keys },
            whole: images.get(2).zip(images.get(3)).map(<[_; 2]>::from),
        }
    }
}

impl<C: Core> Recurrent<C> {
    /// A decoder with random weights, initialised as in PyTorch.
    fn new(p: &nn::Path, config: &DecoderConfig, core: C) -> Recurrent<C> {
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

    /// The words' embeddings after dropout: i64 (N) -> (N, E).
    fn embed(&self, w: &Weights, tokens: &Tensor, dropout: f64) -> Tensor {
        let embedded = Tensor::embedding(w.get(EMBEDDING), tokens, -1, false, false);
        dropped(embedded.relu(), dropout).0
    }

    /// The words' part of the gates.
    fn word(&self) -> Linear {
        self.core.word(self.config.embedding)
    }

    /// The tensors of [`Known`], from the kept cells (n, p, C). The wide product runs over
    /// these: `W_v R f = R W_v f`.
    fn know(
        &self,
        w: &Weights,
        cells: &Tensor,
        resampling: &Resampling,
        dropout: f64,
    ) -> Vec<Tensor> {
        let dropped = |sums: Tensor| dropped(sums.relu(), dropout).0;
        let values = dropped(resampling.spread(VALUES.of_rows(w, cells)));
        let keys = KEYS.of_rows(w, &values);
        let mut known = vec![values, keys];
        if let Some([of_mean, of_v]) = self.core.whole() {
            let mean = resampling.mean(cells, w.get(EMBEDDING).kind());
            let v = dropped(of_mean.of_rows(w, &mean));
            let part = of_v.of_rows(w, &v);
            known.extend([v, part]);
        }
        known
    }

    /// The weights of a pass, with matrices of this kind.
    fn pass_weights(&self, kind: Kind) -> Weights {
        let weights = self.weights.map(|_, tensor| tensor.detach());
        weights.in_kind(kind, EMBEDDING)
    }

    /// The next state, from the words' part of the gates.
    fn advance(
        &self,
        w: &Weights,
        cells: &Cells,
        words: Tensor,
        state: &Rows,
        known: &Known,
        image: &Tensor,
    ) -> After<C::Kept> {
        let gates = match known.whole {
            Some([_, part]) => words + part.index_select(0, image),
            None => words,
        };
        let attend = |h: &Tensor| {
            let query = QUERY.of(w, h); // (B, A)
            let alpha = cells.scores(&query).softmax(-1, None); // (B, P)
            let context = h.empty_like();
            cells.context(&alpha, &context);
            Attended {
                query,
                alpha,
                context,
            }
        };
        self.core.advance(w, &attend, gates, state.tensors())
    }

    fn start(&self, rows: i64) -> Vec<Tensor> {
        let like = self.weights.get(EMBEDDING);
        let zeros = || Tensor::zeros([rows, self.config.hidden], (like.kind(), like.device()));
        (0..C::STATE).map(|_| zeros()).collect()
    }
}

impl<C: Core> Decoder for Recurrent<C> {
    fn project(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        no_grad(|| {
            let images = self.prepare(cells, native);
            let [kept] = images.rows.each();
            let w = self.pass_weights(kept.kind());
            let mut rows = vec![kept.shallow_clone()];
            rows.extend(self.know(&w, kept, &images.resampling, 0.0));
            Images {
                rows: Rows::new(rows),
                ..images
            }
        })
    }

    fn prepare(&self, cells: &Tensor, native: [i64; 2]) -> Images {
        let kind = self.weights.get(EMBEDDING).kind();
        Images::of_cells(cells, native, &self.config, kind)
    }

    fn begin(&self, images: &Images) -> Rows {
        Rows::new(self.start(images.len()))
    }

    fn step(&self, images: &Images, image: &[i64], tokens: &[i64], state: &Rows) -> Step {
        no_grad(|| {
            let w = self.pass_weights(images.kind());
            let known = Known::new(&images.rows.tensors()[1..]);
            let scored = (Activation::Tanh, w.get(VECTOR));
            let cells = Cells::of_hypotheses(known.embedded, image, scored);
            let [image, tokens] =
                [image, tokens].map(|ids| Tensor::from_slice(ids).to_device(images.device()));
            let words = self.word().of(&w, &self.embed(&w, &tokens, 0.0));
            let After { state, kept } = self.advance(&w, &cells, words, state, &known, &image);
            Step {
                logits: LOGITS.of(&w, &state[0]), // (B, V)
                state: Rows::new(state),
                attention: C::attended(&kept).alpha.shallow_clone(),
            }
        })
    }

    fn read<'a>(
        &'a self,
        images: &'a Images,
        captions: Captions<'a>,
        reading: Reading,
    ) -> Box<dyn Pass + 'a> {
        Box::new(no_grad(|| self.forward(images, captions, reading)))
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
