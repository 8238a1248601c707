//! The gradients of a decoder's parameters.

use crate::arena::Arena;
use crate::product::{multiply, product};
use tch::{Kind, Tensor};

/// The gradient of each of a decoder's parameters. Gradients of passes accumulate until
/// [`Gradients::clear`].
pub struct Gradients {
    arena: Arena,
    /// Whether a pass has written here since [`Gradients::clear`].
    written: bool,
    /// The kind that products are computed in.
    kind: Kind,
}

impl Gradients {
    /// Gradients in `arena`, which was made like
    /// [`Decoder::parameters`](super::Decoder::parameters).
    pub fn new(arena: Arena) -> Gradients {
        Gradients {
            kind: arena.numbers().kind(),
            arena,
            written: false,
        }
    }

    /// The gradients by the parameters' names; the next pass changes them.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Makes the next pass overwrite the gradients instead of adding to them.
    pub fn clear(&mut self) {
        self.written = false;
    }

    /// Goes back through a pass, whose products are computed in `kind`, without recording
    /// anything for autograd; `back` writes every gradient.
    pub(super) fn pass<T>(&mut self, kind: Kind, back: impl FnOnce(&Gradients) -> T) -> T {
        self.kind = kind;
        let result = tch::no_grad(|| back(self));
        self.written = true;
        result
    }

    /// The gradient of a parameter, to write to.
    #[expect(clippy::expect_used, reason = "the arena was made like the decoder")]
    pub(super) fn view(&self, name: &str) -> &Tensor {
        self.arena.get(name).expect("a parameter of the decoder")
    }

    /// The gradients of successive parameters as one, to write to; see [`Arena::joined`].
    pub(super) fn joined(&self, names: &[&str]) -> Tensor {
        self.arena.joined(names)
    }

    /// `into = a^T b`, or `+=` if the pass accumulates.
    pub(super) fn product(&self, into: &Tensor, a: &Tensor, b: &Tensor) {
        if self.kind != into.kind() {
            self.add(into, &product(&a.tr(), &b.to_kind(self.kind)));
            return;
        }
        multiply(&mut into.shallow_clone(), &a.tr(), b, self.written);
    }

    /// `into = from`, or `+=` if the pass accumulates.
    pub(super) fn add(&self, into: &Tensor, from: &Tensor) {
        let mut into = into.shallow_clone();
        match self.written {
            true => into += from,
            false => into.copy_(from),
        }
    }

    /// `into =` the sum of the rows, or `+=` if the pass accumulates.
    pub(super) fn add_rows(&self, into: &Tensor, rows: &Tensor) {
        self.add(into, &rows.sum_dim_intlist(0i64, false, None));
    }
}
