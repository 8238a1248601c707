//! A step of a search: hypotheses of some images, any number of each image.

use super::{AttentionLstm, Projected, bias};
use crate::decoder::additive::{Activation, Cells};
use crate::decoder::{Images, Rows, Step};
use crate::product::{add_product, linear};
use attend_artifact::model::DecoderConfig;
use tch::Tensor;
use tch::nn::Module;

impl AttentionLstm {
    pub(super) fn advance(
        &self,
        images: &Images,
        image: &[i64],
        tokens: &[i64],
        [h, c]: &[Tensor; 2],
    ) -> Step {
        let DecoderConfig { hidden, .. } = self.config;
        let images = Projected::from(images);
        let scored = (Activation::Relu, &self.full_att.ws);
        let cells = Cells::of_hypotheses(images.embedded(), image, scored);
        let query = linear(h, &self.decoder_att.ws, Some(&bias(&self.decoder_att))); // (B, A)
        let alpha = cells.scores(&query).softmax(-1, None); // (B, P)
        let weights = match images.resampling.later() {
            Some(r) => alpha.matmul(r), // (B, p): R^T a
            None => alpha.shallow_clone(),
        };
        let mut gate = linear(h, &self.f_beta.ws, Some(&bias(&self.f_beta))); // (B, C)
        let context = gate.empty_like(); // (B, C)
        cells.context(&weights, &context);
        let context = context * gate.sigmoid_();
        let (_, of_context) = self.input_weights();
        let gates = self.word_gates(tokens); // (B, 4H)
        add_product(&gates, &context, &of_context);
        add_product(&gates, h, &self.weight_hh);
        // PyTorch's order: i, f, g, o.
        let _ = gates.narrow(1, 0, 2 * hidden).sigmoid_();
        let _ = gates.narrow(1, 2 * hidden, hidden).tanh_();
        let _ = gates.narrow(1, 3 * hidden, hidden).sigmoid_();
        let gate = |index: i64| gates.narrow(1, index * hidden, hidden);
        let c = (gate(1) * c).addcmul_(&gate(0), &gate(2)); // (B, H)
        let h = gate(3) * c.tanh(); // (B, H)
        Step {
            logits: linear(&h, &self.fc.ws, Some(&bias(&self.fc))), // (B, V)
            state: Rows::new(vec![h, c]),
            attention: alpha,
        }
    }

    /// The embeddings' half of `W_ih x`, with both biases: (B) -> (B, 4H). Hypotheses often
    /// have the same last word; each word is computed once.
    fn word_gates(&self, tokens: &[i64]) -> Tensor {
        let mut words = tokens.to_vec();
        words.sort_unstable();
        words.dedup();
        let place = tokens
            .iter()
            .map(|token| words.partition_point(|word| word < token) as i64);
        let device = self.embedding.ws.device();
        let place = Tensor::from_slice(&place.collect::<Vec<_>>()).to_device(device);
        let embedded = (self.embedding).forward(&Tensor::from_slice(&words).to_device(device));
        let (of_word, _) = self.input_weights();
        let bias = &self.bias_ih + &self.bias_hh; // (4H)
        linear(&embedded, &of_word, Some(&bias)).index_select(0, &place)
    }
}
