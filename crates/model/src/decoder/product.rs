//! Products of a few rows with a large matrix: what a step of the decoder multiplies.
//!
//! A BLAS first copies the matrix into an order of its own, which takes as long as
//! multiplying it with twenty rows does, and does so again at each step. Here the
//! matrix is read as it lies: its rows and the vectors both run along the sum.

use super::attention::view;
use crate::{parallel, threads};
use tch::{Device, Kind, Tensor};

/// `x w`, computed in w's kind, as numbers of x's.
pub(super) fn product(x: &Tensor, w: &Tensor) -> Tensor {
    let narrow = x.to_kind(w.kind());
    if x.kind() == w.kind() {
        narrow.mm(w)
    } else if x.device() == Device::Cpu {
        narrow.mm(w).to_kind(x.kind())
    } else {
        narrow.mm_dtype(w, x.kind())
    }
}

/// Sums of rows (m, …) that have the same `place`, of n: (n, …). In the same order each
/// time, unlike `index_add_` on CUDA.
pub(super) fn sum_by(place: &[i64], n: i64, rows: &Tensor) -> Tensor {
    let place = Tensor::from_slice(place).to_device(rows.device());
    let which = place.one_hot(n).tr().to_kind(rows.kind()); // (n, m)
    let mut size = rows.size();
    size[0] = n;
    which.mm(&rows.flatten(1, -1)).view(size.as_slice())
}

/// More rows than this are a BLAS's business.
const MOST_ROWS: i64 = 64;

/// Whether [`add_product`] multiplies such rows itself.
pub(super) fn is_own(rows: i64, like: &Tensor) -> bool {
    rows <= MOST_ROWS
        && like.device() == Device::Cpu
        && like.kind() == Kind::Float
        && kernel::is_there()
}

/// `out (b, n) += x (b, k) w^T`, w (n, k); the product is of w's kind.
pub(super) fn add_product(out: &Tensor, x: &Tensor, w: &Tensor) {
    let mut sum = out.shallow_clone();
    if w.kind() != out.kind() {
        sum += product(x, &w.tr());
        return;
    }
    if !is_own(x.size()[0], x) {
        let _ = sum.addmm_(x, &w.tr());
        return;
    }
    let x = x.contiguous();
    let [n, k] = [w.size()[0] as usize, w.size()[1] as usize];
    let (x, w) = (view(&x), Rows::of(w));
    // Each thread has some columns of `out`, whole tiles of them.
    let columns = n.div_ceil(threads()).next_multiple_of(kernel::COLUMNS);
    let parts = (0..n).step_by(columns);
    let parts = parts.map(|first| Columns::of(out, first, columns.min(n - first)));
    parallel(parts.collect(), |_, mut out| {
        let first = out.first;
        kernel::add(&mut out, x, k, &w.from(first));
    });
}

/// Rows of a matrix, each contiguous.
#[derive(Clone, Copy)]
struct Rows<'a> {
    numbers: &'a [f32],
    stride: usize,
}

impl<'a> Rows<'a> {
    fn of(matrix: &'a Tensor) -> Rows<'a> {
        let (size, stride) = (matrix.size(), matrix.stride());
        assert!(stride[1] == 1 && matrix.kind() == Kind::Float);
        let numbers = (size[0] - 1) * stride[0] + size[1];
        Rows {
            // SAFETY: the numbers from the first to the last of a tensor that lives.
            numbers: unsafe {
                std::slice::from_raw_parts(matrix.data_ptr().cast(), numbers as usize)
            },
            stride: stride[0] as usize,
        }
    }

    fn from(&self, row: usize) -> Rows<'a> {
        Rows {
            numbers: &self.numbers[row * self.stride..],
            ..*self
        }
    }

    fn row(&self, row: usize) -> &'a [f32] {
        &self.numbers[row * self.stride..]
    }
}

/// Some columns of a matrix, of one thread.
struct Columns<'a> {
    first: usize,
    rows: Vec<&'a mut [f32]>,
}

impl Columns<'_> {
    fn of(matrix: &Tensor, first: usize, count: usize) -> Columns<'_> {
        let (size, stride) = (matrix.size(), matrix.stride());
        assert!(stride[1] == 1 && first + count <= size[1] as usize);
        let start = matrix.data_ptr().cast::<f32>();
        let rows = (0..size[0] as usize)
            // SAFETY: inside the tensor, and no two of these slices overlap.
            .map(|row| unsafe {
                let row = start.add(row * stride[0] as usize + first);
                std::slice::from_raw_parts_mut(row, count)
            })
            .collect();
        Columns { first, rows }
    }
}

#[cfg(target_arch = "x86_64")]
mod kernel {
    use super::{Columns, Rows};
    use std::arch::x86_64::{
        __m256, _MM_HINT_T0, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_prefetch,
        _mm_shuffle_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_setzero_ps,
    };

    /// Columns and rows of a tile: its sums fill twelve of sixteen registers.
    pub const COLUMNS: usize = 3;
    const ROWS: usize = 4;
    /// Numbers of a sum that are added before the next tile: those of all rows stay
    /// in the second cache.
    const BLOCK: usize = 512;
    const LANES: usize = 8;

    pub fn is_there() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
    }

    pub fn add(out: &mut Columns, x: &[f32], k: usize, w: &Rows) {
        // SAFETY: callers have asked `is_there`.
        unsafe { blocks(out, x, k, w) }
    }

    #[target_feature(enable = "avx2,fma")]
    fn blocks(out: &mut Columns, x: &[f32], k: usize, w: &Rows) {
        let columns = out.rows.first().map_or(0, |row| row.len());
        let stride = w.stride;
        let mut block = Vec::with_capacity(out.rows.len() * BLOCK.min(k));
        for first in (0..k).step_by(BLOCK) {
            let length = BLOCK.min(k - first);
            block.clear();
            for row in x.chunks_exact(k) {
                block.extend_from_slice(&row[first..][..length]);
            }
            for column in (0..columns).step_by(COLUMNS) {
                let weights = |n: usize| &w.row(column + n)[first..][..length];
                let rows = (out.rows.chunks_mut(ROWS)).zip(block.chunks(ROWS * length));
                if column + COLUMNS <= columns {
                    let w = [weights(0), weights(1), weights(2)];
                    for (n, (out, x)) in rows.enumerate() {
                        // The next tile's weights are on their way meanwhile.
                        let ahead = if n == 0 { COLUMNS * stride } else { 0 };
                        tiles(out, column, x, w, ahead);
                    }
                } else {
                    for (out, x) in rows {
                        for n in 0..columns - column {
                            tiles(out, column + n, x, [weights(n)], 0);
                        }
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn tiles<const N: usize>(
        out: &mut [&mut [f32]],
        column: usize,
        x: &[f32],
        w: [&[f32]; N],
        ahead: usize,
    ) {
        let length = w[0].len();
        let row = |m: usize| &x[m * length..][..length];
        match out.len() {
            4 => put(
                out,
                column,
                tile([row(0), row(1), row(2), row(3)], w, ahead),
            ),
            3 => put(out, column, tile([row(0), row(1), row(2)], w, ahead)),
            2 => put(out, column, tile([row(0), row(1)], w, ahead)),
            _ => put(out, column, tile([row(0)], w, ahead)),
        }
    }

    fn put<const M: usize, const N: usize>(
        out: &mut [&mut [f32]],
        column: usize,
        sums: [[f32; N]; M],
    ) {
        for (out, sums) in out.iter_mut().zip(sums) {
            for (out, sum) in out[column..].iter_mut().zip(sums) {
                *out += sum;
            }
        }
    }

    /// The scalar products of M with N vectors of the same length.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn tile<const M: usize, const N: usize>(
        x: [&[f32]; M],
        w: [&[f32]; N],
        ahead: usize,
    ) -> [[f32; N]; M] {
        let length = w[0].len();
        assert!(x.iter().chain(&w).all(|row| row.len() == length));
        let mut sums = [[_mm256_setzero_ps(); N]; M];
        let whole = length / LANES * LANES;
        for k in (0..whole).step_by(LANES) {
            if ahead > 0 && k.is_multiple_of(2 * LANES) {
                for row in w {
                    // A hint: where it points need not be there.
                    _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(ahead + k).cast());
                }
            }
            // SAFETY: eight numbers from k on are inside each row.
            let eight = |row: &[f32]| unsafe { _mm256_loadu_ps(row.as_ptr().add(k)) };
            let w = w.map(eight);
            for (x, sums) in x.iter().zip(&mut sums) {
                let x = eight(x);
                for (w, sum) in w.iter().zip(sums) {
                    *sum = _mm256_fmadd_ps(x, *w, *sum);
                }
            }
        }
        let mut out = [[0.0; N]; M];
        for m in 0..M {
            for n in 0..N {
                let tail = x[m][whole..].iter().zip(&w[n][whole..]);
                out[m][n] = total(sums[m][n]) + tail.map(|(x, w)| x * w).sum::<f32>();
            }
        }
        out
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn total(eight: __m256) -> f32 {
        let four = _mm_add_ps(
            _mm256_castps256_ps128(eight),
            _mm256_extractf128_ps::<1>(eight),
        );
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod kernel {
    use super::{Columns, Rows};

    pub const COLUMNS: usize = 1;

    pub fn is_there() -> bool {
        false
    }

    pub fn add(_: &mut Columns, _: &[f32], _: usize, _: &Rows) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_libtorchs() {
        tch::manual_seed(1);
        let like = (Kind::Double, Device::Cpu);
        for (b, n, k) in [
            (1, 1, 1),
            (2, 5, 9),
            (3, 7, 520),
            (7, 10, 1030),
            (33, 16, 513),
        ] {
            let [x, w] = [[b, k], [n, k + 3]].map(|size| Tensor::randn(size, like));
            let out = Tensor::randn([b, n + 2], like);
            let w = w.narrow(1, 2, k);
            let expected = out.narrow(1, 1, n) + x.mm(&w.tr());
            let float = |tensor: &Tensor| tensor.to_kind(Kind::Float);
            let own = float(&out);
            let wide = float(&w.contiguous().constant_pad_nd([2, 1]));
            add_product(&own.narrow(1, 1, n), &float(&x), &wide.narrow(1, 2, k));
            let off = own.narrow(1, 1, n).to_kind(Kind::Double) - expected;
            assert!(off.abs().max().double_value(&[]) < 1e-4, "{b} {n} {k}");
            // What lies beside the columns is as it was.
            assert_eq!(own.select(1, 0), float(&out.select(1, 0)));
            assert_eq!(own.select(1, n + 1), float(&out.select(1, n + 1)));
        }
    }
}
