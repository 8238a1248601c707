//! Cross entropy with label smoothing, and doubly stochastic attention.

use super::{Objective, Value};
use crate::decoder::{Output, OutputGradients};
use crate::product::sum_by;
use tch::Tensor;

/// Mean cross entropy over tokens without padding, plus the doubly stochastic
/// regularisation (Xu et al. 2015, section 4.2.1): mean over captions and cells of
/// `(1 - sum_t a)^2`.
///
/// The parts of the value are `cross_entropy`, without label smoothing, and `attention`,
/// without its weight.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropy {
    /// Weight of the doubly stochastic regularisation.
    pub alpha_c: f64,
    /// Label smoothing: share of the target probability that is spread evenly over all
    /// words.
    pub smoothing: f64,
}

impl Objective for CrossEntropy {
    fn value(&self, output: &Output) -> Value {
        tch::no_grad(|| self.of_output(output))
    }
}

impl CrossEntropy {
    fn of_output(self, output: &Output) -> Value {
        let CrossEntropy { alpha_c, smoothing } = self;
        let log_probs = output.logits.log_softmax(-1, None); // (N, V)
        let targets = output.targets.unsqueeze(1); // (N, 1)
        let cross_entropy = -log_probs.gather(1, &targets, false).mean(None);
        let rows = output.caption_of_row();
        let sums = sum_by(&rows, output.captions(), &output.attention); // (B, P)
        let attention = (1f64 - &sums).square().mean(None);
        let smoothed = match smoothing {
            0.0 => cross_entropy.shallow_clone(),
            _ => &cross_entropy * (1.0 - smoothing) - log_probs.mean(None) * smoothing,
        };
        Value {
            total: smoothed + &attention * alpha_c,
            parts: vec![("cross_entropy", cross_entropy), ("attention", attention)],
            gradients: Box::new(move |scale| OutputGradients {
                logits: logits_gradient(log_probs, &targets, smoothing, scale),
                attention: attention_gradient(&sums, &rows, alpha_c * scale),
            }),
        }
    }
}

/// The gradient of the logits: (probability - target) / N, in the memory of the
/// log-probabilities.
fn logits_gradient(mut log_probs: Tensor, targets: &Tensor, smoothing: f64, scale: f64) -> Tensor {
    let size = log_probs.size();
    let (n, words) = (size[0] as f64, size[1] as f64);
    let mut logits = log_probs.exp_();
    if smoothing > 0.0 {
        logits -= smoothing / words;
    }
    let options = (logits.kind(), logits.device());
    let right = Tensor::full([size[0], 1], smoothing - 1.0, options);
    let _ = logits.scatter_add_(1, targets, &right);
    logits *= scale / n;
    logits
}

/// The gradient of the attention, the same at each step of a caption: (N, P).
fn attention_gradient(sums: &Tensor, rows: &[i64], scale: f64) -> Tensor {
    let grad_caption = (sums - 1f64) * (2.0 * scale / sums.numel() as f64); // (B, P)
    let rows = Tensor::from_slice(rows).to_device(sums.device());
    grad_caption.index_select(0, &rows)
}
