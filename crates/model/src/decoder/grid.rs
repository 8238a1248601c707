//! From the encoder's grid to the one that attention weighs: adaptive average pooling as a
//! matrix R (P, p).

use tch::{Device, Kind, Tensor};

/// How the attention grid is made from the encoder's native one. The wide products run over
/// the grid with fewer cells.
pub enum Resampling {
    /// The grids are the same.
    None,
    /// Native cells are kept; R (P, p) is applied to results computed from them.
    Later(Tensor),
    /// Cells are pooled first, by R (P, p).
    Before(Tensor),
}

impl Resampling {
    /// From `native` to `grid`, each [height, width]; [0, 0] means the native one. Also
    /// returns the attention grid.
    pub fn new(
        native: [i64; 2],
        grid: [i64; 2],
        (kind, device): (Kind, Device),
    ) -> ([i64; 2], Resampling) {
        if grid == [0, 0] || grid == native {
            return (native, Resampling::None);
        }
        let r = pooling_matrix(native, grid, device).to_kind(kind); // (P, p)
        match r.size()[0] < r.size()[1] {
            true => (grid, Resampling::Before(r)),
            false => (grid, Resampling::Later(r)),
        }
    }

    /// R, if it is applied later.
    pub fn later(&self) -> Option<&Tensor> {
        match self {
            Resampling::Later(r) => Some(r),
            Resampling::None | Resampling::Before(_) => None,
        }
    }

    /// R, if it was applied first.
    pub fn before(&self) -> Option<&Tensor> {
        match self {
            Resampling::Before(r) => Some(r),
            Resampling::None | Resampling::Later(_) => None,
        }
    }

    /// The cells that are kept: (n, native cells, C) -> (n, p, C).
    pub(super) fn keep(&self, cells: &Tensor) -> Tensor {
        match self.before() {
            Some(r) => r.to_kind(cells.kind()).matmul(cells),
            None => cells.contiguous(),
        }
    }

    /// From results of the kept cells to those of the attention cells: (n, p, …) -> (n, P, …).
    pub(super) fn spread(&self, cells: Tensor) -> Tensor {
        match self.later() {
            Some(r) => r.to_kind(cells.kind()).matmul(&cells),
            None => cells,
        }
    }

    /// The backward pass of [`Resampling::spread`]: (n, P, …) -> (n, p, …).
    pub(super) fn spread_back(&self, grad: Tensor) -> Tensor {
        match self.later() {
            Some(r) => r.to_kind(grad.kind()).tr().matmul(&grad),
            None => grad,
        }
    }

    /// The backward pass of [`Resampling::keep`], to the encoder's cells.
    pub(super) fn keep_back(&self, grad: Tensor) -> Tensor {
        match self.before() {
            Some(r) => r.to_kind(grad.kind()).tr().matmul(&grad),
            None => grad,
        }
    }

    /// The backward pass of [`Resampling::mean`], for p kept cells: (n, C) -> a view of
    /// (n, p, C).
    pub(super) fn mean_back(&self, grad: &Tensor, cells: i64) -> Tensor {
        let share = match self.later() {
            Some(r) => r.mean_dim(0i64, false, None).to_kind(grad.kind()), // (p)
            None => {
                let options = (grad.kind(), grad.device());
                Tensor::full([cells], 1.0 / cells as f64, options)
            }
        };
        grad.unsqueeze(1) * share.view([1, -1, 1])
    }

    /// The mean of the attention cells, from the kept ones (n, p, C): (n, C) of `kind`.
    pub(super) fn mean(&self, cells: &Tensor, kind: Kind) -> Tensor {
        match self.later() {
            Some(r) => {
                let share = r.mean_dim(0i64, true, None); // (1, p)
                let mean = share.to_kind(cells.kind()).matmul(cells);
                mean.squeeze_dim(1).to_kind(kind)
            }
            None => cells.mean_dim(1i64, false, kind),
        }
    }

    pub(super) fn shallow_clone(&self) -> Resampling {
        match self {
            Resampling::None => Resampling::None,
            Resampling::Later(r) => Resampling::Later(r.shallow_clone()),
            Resampling::Before(r) => Resampling::Before(r.shallow_clone()),
        }
    }
}

fn pooling_matrix(native: [i64; 2], grid: [i64; 2], device: Device) -> Tensor {
    let cells = native[0] * native[1];
    let identity =
        Tensor::eye(cells, (Kind::Double, device)).view([cells, 1, native[0], native[1]]); // (p, 1, h, w)
    identity
        .adaptive_avg_pool2d(grid)
        .view([cells, grid[0] * grid[1]])
        .tr()
        .contiguous() // (P, p)
}
