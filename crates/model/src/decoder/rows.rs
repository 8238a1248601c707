//! Tensors with common rows.

use tch::{Device, Tensor};

/// Tensors whose first dimension has the same meaning, images or hypotheses. The meaning of
/// each tensor is up to the decoder.
pub struct Rows(Vec<Tensor>);

impl Rows {
    /// Combines tensors with the same number of rows, at least one tensor.
    ///
    /// # Panics
    /// If there is no tensor.
    pub fn new(tensors: Vec<Tensor>) -> Rows {
        assert!(!tensors.is_empty());
        Rows(tensors)
    }

    /// The tensors, in the order given to [`Rows::new`].
    pub fn tensors(&self) -> &[Tensor] {
        &self.0
    }

    /// The tensors, if their number is known.
    ///
    /// # Panics
    /// If their number is another one: these rows are another decoder's.
    #[expect(
        clippy::expect_used,
        reason = "a decoder is given rows that it has made"
    )]
    pub fn each<const K: usize>(&self) -> &[Tensor; K] {
        self.0.as_slice().try_into().expect("rows of this decoder")
    }

    /// Number of rows.
    pub fn len(&self) -> i64 {
        self.0[0].size()[0]
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The device of the tensors.
    pub fn device(&self) -> Device {
        self.0[0].device()
    }

    /// Some rows, in the order of `index` (i64).
    pub fn select(&self, index: &Tensor) -> Rows {
        let index = index.to_device(self.device());
        Rows(self.0.iter().map(|t| t.index_select(0, &index)).collect())
    }

    /// The first `count` rows, without a copy.
    pub fn first(&self, count: i64) -> Rows {
        Rows(self.0.iter().map(|t| t.narrow(0, 0, count)).collect())
    }
}
