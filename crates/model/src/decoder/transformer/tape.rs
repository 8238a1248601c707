//! What a pass keeps for its way back: for each part of each layer, a function that leads back
//! through it.

use crate::decoder::Gradients;
use tch::Tensor;

/// Leads back through a part of a layer: from the gradient of its result to that of its input.
pub(super) type Back = Box<dyn FnOnce(Tensor, &mut Way) -> Tensor>;

/// What the functions of a [`Tape`] share.
pub(super) struct Way<'a> {
    /// The parameters' gradients.
    pub into: &'a Gradients,
    /// Of the attention of the last layer, which takes it: (n, 1, m, P), the same for all heads.
    pub attention: Option<Tensor>,
    /// Of the images' keys and values, each (n, P, D), the last layer's first.
    pub known: Vec<[Tensor; 2]>,
}

/// The functions of a pass, in the order in which the parts were computed; none of them in a
/// search, so that it keeps nothing.
pub(super) struct Tape(Option<Vec<Back>>);

impl Tape {
    pub fn new(keeps: bool) -> Tape {
        Tape(keeps.then(Vec::new))
    }

    /// Keeps a part's way back.
    pub fn keep(&mut self, back: impl FnOnce() -> Back) {
        if let Some(parts) = &mut self.0 {
            parts.push(back());
        }
    }

    /// From the gradient of the last part's result to that of the first one's input.
    pub fn back(self, grad: Tensor, way: &mut Way) -> Tensor {
        let parts = self.0.into_iter().flatten().rev();
        parts.fold(grad, |grad, back| back(grad, way))
    }
}
