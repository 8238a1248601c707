//! Tensors that have their rows in common.

use tch::{Device, Tensor};

/// Tensors whose first dimension counts the same rows: of images, or of hypotheses. Which
/// tensor is which is the decoder's own business.
pub struct Rows(Vec<Tensor>);

impl Rows {
    /// Tensors of as many rows each, at least one.
    ///
    /// # Panics
    /// Where there is none.
    pub fn new(tensors: Vec<Tensor>) -> Rows {
        assert!(!tensors.is_empty());
        Rows(tensors)
    }

    /// The tensors, in the order in which they were given.
    pub fn tensors(&self) -> &[Tensor] {
        &self.0
    }

    /// The tensors, where it is known how many they are.
    ///
    /// # Panics
    /// Where there are more or fewer: these rows are another decoder's.
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

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.0[0].device()
    }

    /// Some rows, in the order of `index` (i64).
    pub fn select(&self, index: &Tensor) -> Rows {
        let index = index.to_device(self.device());
        Rows(self.0.iter().map(|t| t.index_select(0, &index)).collect())
    }

    /// The first rows, without a copy.
    pub fn first(&self, count: i64) -> Rows {
        Rows(self.0.iter().map(|t| t.narrow(0, 0, count)).collect())
    }
}
