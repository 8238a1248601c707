//! Hard attention: the cells that the decoder saw are chosen at random, so that their choice is
//! learned by reward.

use super::{CrossEntropy, Objective, Value};
use crate::decoder::Output;
use crate::product::sum_by;
use tch::Tensor;

/// [`CrossEntropy`] of captions that were read with [`Reading::hard`](crate::Reading::hard),
/// and the attention's part of the variational bound (Xu et al. 2015, section 4.1):
///
/// ```text
/// L = - 1/N sum_captions [ log p(y|s) + reward (log p(y|s) - baseline) log p(s) + entropy H(s) ]
/// ```
///
/// s are the cells that were drawn, H the entropy of the attention, summed over steps; in the
/// second term only p(s) has a gradient. Without label smoothing and with `reward = 1`, and
/// both other weights 0, the expectation of the gradient is that of the expected log p(y|s).
///
/// A further part of the value is `log_prob`, the mean over captions of log p(y|s), whose moving
/// mean is the baseline that the authors use. Output that was read with soft attention has the
/// value of [`CrossEntropy`] alone.
#[derive(Clone, Copy, Debug)]
pub struct HardAttention {
    /// The objective of the words, whose `alpha_c` weighs the attention's regularisation.
    pub words: CrossEntropy,
    /// Weight of what the chosen cells have earned.
    pub reward: f64,
    /// Weight of the entropy.
    pub entropy: f64,
    /// What log p(y|s) of a caption is compared with, independent of the cells drawn. `None`:
    /// the mean of these captions, which is not.
    pub baseline: Option<f64>,
}

/// Keeps the logarithm of an attention of 0 finite.
const TINY: f64 = 1e-20;

impl Objective for HardAttention {
    fn value(&self, output: &Output) -> Value {
        let words = self.words.value(output);
        match &output.drawn {
            Some(drawn) => tch::no_grad(|| self.of_output(words, output, drawn)),
            None => words,
        }
    }
}

impl HardAttention {
    fn of_output(self, words: Value, output: &Output, drawn: &Tensor) -> Value {
        let log_probs = output.logits.log_softmax(-1, None);
        let of_target = log_probs.gather(1, &output.targets.unsqueeze(1), false); // (N, 1)
        let rows = output.caption_of_row();
        let of_caption = sum_by(&rows, output.captions(), &of_target).squeeze_dim(1); // (B)
        let n = rows.len().max(1) as f64;
        let caption = Tensor::from_slice(&rows).to_device(of_caption.device());
        let mean = of_caption.mean(None);
        let above = match self.baseline {
            Some(baseline) => &of_caption - baseline,
            None => &of_caption - &mean,
        };
        let earned = (above * self.reward).index_select(0, &caption); // (N)
        let attention = output.attention.clamp_min(TINY); // (N, P)
        let log_attention = attention.log();
        let drawn = drawn.unsqueeze(1); // (N, 1)
        let log_drawn = log_attention.gather(1, &drawn, false).squeeze_dim(1); // (N)
        let entropy = -(&attention * &log_attention).sum(None);
        let choice = (&earned * log_drawn).sum(None) + entropy * self.entropy;
        let mut parts = words.parts;
        parts.push(("log_prob", mean));
        let of_words = words.gradients;
        Value {
            total: words.total - choice / n,
            parts,
            gradients: Box::new(move |scale| {
                let mut gradients = of_words(scale);
                let of_drawn =
                    earned.unsqueeze(1) / attention.gather(1, &drawn, false) * (-scale / n);
                let of_entropy = (log_attention + 1.0) * (self.entropy * scale / n);
                gradients.attention += of_entropy.scatter_add(1, &drawn, &of_drawn);
                gradients
            }),
        }
    }
}
