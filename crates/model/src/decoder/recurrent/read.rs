//! Teacher forcing: the forward pass over known captions. The backward pass is in
//! `backward.rs`.

use super::{Activation, Attended, Cells, Core, EMBEDDING, Known, LOGITS, Recurrent, VECTOR};
use crate::decoder::captions::steps;
use crate::decoder::dropout::dropped;
use crate::decoder::parameters::Weights;
use crate::decoder::{Captions, Images, Output, Reading, Rows};
use tch::{Kind, Tensor};

/// A forward pass of this decoder.
pub(super) struct Read<'a, C: Core> {
    pub decoder: &'a Recurrent<C>,
    pub w: Weights,
    pub images: &'a Images,
    /// The tensors of [`Known`].
    pub known: Vec<Tensor>,
    /// The image of each caption, (B).
    pub image: &'a [i64],
    pub inputs: Tensor,       // (N) tokens
    pub words: Tensor,        // (N, E), after dropout
    pub kept: Vec<C::Kept>,   // of each step
    pub dropped: Tensor,      // (N, H): h_t after dropout
    pub mask: Option<Tensor>, // (N, H)
    pub dropout: f64,
    pub output: Output,
}

impl<C: Core> Recurrent<C> {
    pub(super) fn forward<'a>(
        &'a self,
        images: &'a Images,
        captions: Captions<'a>,
        reading: Reading,
    ) -> Read<'a, C> {
        let dropout = match reading.dropout {
            true => self.config.dropout,
            false => 0.0,
        };
        let device = images.device();
        let w = self.pass_weights(images.kind());
        let known = match images.rows.tensors() {
            // As `project` has computed them, without dropout.
            [_, known @ ..] if !known.is_empty() && dropout == 0.0 => {
                known.iter().map(Tensor::shallow_clone).collect()
            }
            [cells, ..] => self.know(&w, cells, &images.resampling, dropout),
            [] => Vec::new(),
        };
        let of_images = Known::new(&known);
        let scored = (Activation::Tanh, w.get(VECTOR));
        let cells = Cells::of_captions(of_images.embedded, captions.image, scored);
        let image = captions.images(device);
        let counts = captions.counts();
        let inputs = captions.packed(&counts, 0);
        let words = self.embed(&w, &inputs, dropout); // (N, E)
        let gates = self.word().of_rows(&w, &words); // (N, …)
        let mut state = Rows::new(self.start(captions.len()));
        let (mut hiddens, mut kept) = (Vec::new(), Vec::new());
        for (at, b) in steps(&counts) {
            let at_step = |all: &Tensor| all.narrow(0, at, b);
            if b < state.len() {
                state = state.first(b);
            }
            if reading.own_words > 0.0 && at > 0 {
                let own = self.mix(
                    &w,
                    &at_step(&inputs),
                    &state.tensors()[0],
                    reading.own_words,
                );
                at_step(&inputs).copy_(&own);
                at_step(&words).copy_(&self.embed(&w, &own, dropout));
                at_step(&gates).copy_(&self.word().of(&w, &at_step(&words)));
            }
            let image = image.narrow(0, 0, b);
            let after = self.advance(&w, &cells, at_step(&gates), &state, &of_images, &image);
            hiddens.push(after.state[0].shallow_clone());
            kept.push(after.kept);
            state = Rows::new(after.state);
        }
        let hidden = Tensor::cat(&hiddens, 0); // (N, H)
        let (dropped, mask) = dropped(hidden, dropout);
        let alphas: Vec<&Tensor> = (kept.iter())
            .map(|kept| {
                let Attended { alpha, .. } = C::attended(kept);
                alpha
            })
            .collect();
        Read {
            decoder: self,
            output: Output {
                logits: LOGITS.of_rows(&w, &dropped), // (N, V)
                targets: captions.packed(&counts, 1),
                attention: Tensor::cat(&alphas, 0), // (N, P)
                drawn: None,
                counts,
            },
            images,
            image: captions.image,
            inputs,
            words,
            kept,
            dropped,
            mask,
            dropout,
            known,
            w,
        }
    }

    /// Tokens (b), each with this probability replaced by one drawn from the model's
    /// distribution after h (b, H).
    fn mix(&self, w: &Weights, tokens: &Tensor, h: &Tensor, own_words: f64) -> Tensor {
        let probabilities = LOGITS.of(w, h).softmax(-1, None);
        let drawn = probabilities.multinomial(1, true).squeeze_dim(1);
        let own = Tensor::rand(drawn.size(), (Kind::Float, drawn.device())).lt(own_words);
        drawn.where_self(&own, tokens)
    }

    /// The number of words of the vocabulary.
    pub(super) fn vocabulary(&self) -> i64 {
        self.weights.get(EMBEDDING).size()[0]
    }
}
