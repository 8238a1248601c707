//! What the decoders of this folder differ in: the LSTMs of a step.

use super::linear::{Linear, Products};
use crate::decoder::parameters::Weights;
use tch::Tensor;

/// A step's attention.
pub(super) struct Attended {
    pub query: Tensor,   // (B, A)
    pub alpha: Tensor,   // (B, P)
    pub context: Tensor, // (B, H)
}

/// Attends to the cells, for h (B, H).
pub(super) type Attend<'a> = &'a dyn Fn(&Tensor) -> Attended;

/// The backward pass of [`Attend`]: from the gradient of the context (B, H), and h (B, H), the
/// gradient of h.
pub(super) type AttendBack<'a> =
    &'a mut dyn FnMut(&Attended, Tensor, &mut Products, &Tensor) -> Tensor;

/// The result of a step.
pub(super) struct After<K> {
    pub state: Vec<Tensor>,
    pub kept: K,
}

/// Gradients of what a step begins with.
pub(super) struct Before {
    /// Of the parts of the gates that are known before the step.
    pub known: Tensor,
    pub state: Vec<Tensor>,
}

/// What differs: the LSTMs of a step.
pub(super) trait Core: Send {
    /// Number of the state's tensors, (B, H) each. The first is h, from which the logits are
    /// computed.
    const STATE: usize;

    /// What a step keeps for its backward pass.
    type Kept;

    /// What makes the image's part of the gates, if it has one: from the mean of its attention
    /// cells (n, C), v = dropout(relu(…)) (n, H), and from v the part.
    fn whole(&self) -> Option<[Linear; 2]> {
        None
    }

    /// What makes the words' part of the gates: (N, E) -> (N, …).
    fn word(&self, embedding: i64) -> Linear;

    /// A step, from the parts of the gates that are known before it, whose memory it may use.
    fn advance(
        &self,
        w: &Weights,
        attend: Attend,
        known: Tensor,
        state: &[Tensor],
    ) -> After<Self::Kept>;

    /// The attention of a step.
    fn attended(kept: &Self::Kept) -> &Attended;

    /// The backward pass of a step, from the gradients of its state.
    fn back(
        &self,
        kept: &Self::Kept,
        grad_state: &[Tensor],
        products: &mut Products,
        attend_back: AttendBack,
    ) -> Before;
}
