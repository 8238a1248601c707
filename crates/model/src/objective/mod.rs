//! Training objectives, each a file here: they return a value, and its gradients with
//! respect to logits and attention.

mod cross_entropy;
mod hard_attention;
mod reward;

pub use cross_entropy::CrossEntropy;
pub use hard_attention::HardAttention;
pub use reward::Reward;

use crate::decoder::{Output, OutputGradients};
use tch::Tensor;

/// The interface of all objectives, which training minimises.
pub trait Objective {
    /// The value for a decoder's output.
    fn value(&self, output: &Output) -> Value;
}

/// The value of an objective for an [`Output`].
pub struct Value {
    /// The scalar that is minimised.
    pub total: Tensor,
    /// Named scalars that are parts of the total.
    pub parts: Vec<(&'static str, Tensor)>,
    gradients: Box<dyn FnOnce(f64) -> OutputGradients>,
}

impl Value {
    /// The part with this name.
    pub fn part(&self, name: &str) -> Option<&Tensor> {
        let named = self.parts.iter().find(|(other, _)| *other == name);
        named.map(|(_, scalar)| scalar)
    }

    /// The gradients of `scale` times the total.
    pub fn gradients(self, scale: f64) -> OutputGradients {
        tch::no_grad(|| (self.gradients)(scale))
    }
}
