//! Training by reward: REINFORCE over captions that the model has drawn itself.

use super::{Objective, Value};
use crate::decoder::{Output, OutputGradients};
use tch::Tensor;

/// Minus the expected reward (Ranzato et al. 2016; Rennie et al. 2017), by its gradient's
/// estimate: the mean over captions of `- weight * log p(caption)`. If the captions were drawn
/// from the model, and a caption's weight is its reward minus a baseline that does not depend on
/// it, the estimate is unbiased.
#[derive(Clone, Debug)]
pub struct Reward {
    /// The weight of each caption, in the order of the pass (B).
    pub weights: Vec<f64>,
    /// Tokens that were never drawn: the model's distribution is that of the others.
    pub never: Vec<i64>,
}

impl Objective for Reward {
    fn value(&self, output: &Output) -> Value {
        tch::no_grad(|| self.of_output(output))
    }
}

impl Reward {
    fn of_output(&self, output: &Output) -> Value {
        let device = output.logits.device();
        let never = Tensor::from_slice(&self.never).to_device(device);
        let possible = output.logits.index_fill(1, &never, f64::NEG_INFINITY);
        let log_probs = possible.log_softmax(-1, None); // (N, V)
        let targets = output.targets.unsqueeze(1); // (N, 1)
        let of_target = log_probs.gather(1, &targets, false).squeeze_dim(1); // (N)
        let captions = output.captions().max(1) as f64;
        let rows = output.caption_of_row();
        let weights: Vec<f64> = (rows.iter())
            .map(|caption| self.weights[*caption as usize] / captions)
            .collect();
        let weights = Tensor::from_slice(&weights)
            .to_device(device)
            .to_kind(of_target.kind()); // (N)
        let mut probs = log_probs;
        let _ = probs.exp_(); // (N, V)
        let attention = output.attention.zeros_like();
        Value {
            total: -(&weights * of_target).sum(None),
            parts: Vec::new(),
            gradients: Box::new(move |scale| {
                // Of - log p: probability - target.
                let mut logits = probs;
                let minus_one = Tensor::full_like(&targets, -1).to_kind(logits.kind());
                let _ = logits.scatter_add_(1, &targets, &minus_one);
                logits *= (weights * scale).unsqueeze(1);
                OutputGradients { logits, attention }
            }),
        }
    }
}
