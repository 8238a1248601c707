//! What is minimised. Each objective is a file here: it answers a value, and the
//! gradients of the logits and the attention that it was given.

mod cross_entropy;

pub use cross_entropy::CrossEntropy;

use crate::decoder::{Output, OutputGradients};
use tch::Tensor;

/// Something to minimise.
pub trait Objective {
    /// Judges what a decoder says.
    fn value(&self, output: &Output) -> Value;
}

/// What an objective says of an [`Output`].
pub struct Value {
    /// What is minimised, a scalar.
    pub total: Tensor,
    /// Scalars that it is made of, by name.
    pub parts: Vec<(&'static str, Tensor)>,
    gradients: Box<dyn FnOnce(f64) -> OutputGradients>,
}

impl Value {
    /// The scalar of that name.
    pub fn part(&self, name: &str) -> Option<&Tensor> {
        let named = self.parts.iter().find(|(other, _)| *other == name);
        named.map(|(_, scalar)| scalar)
    }

    /// The gradients of `scale` times the total.
    pub fn gradients(self, scale: f64) -> OutputGradients {
        tch::no_grad(|| (self.gradients)(scale))
    }
}
