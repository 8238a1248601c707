//! The loops of [`super::add_product`], for processors with AVX2 or AVX-512.

use crate::slices::{Columns, Rows};

/// Threads get a multiple of so many columns: whole tiles, whatever their width.
pub(super) const COLUMNS: usize = 6;

/// Whether this processor has the instructions that [`add`] needs.
pub(super) fn is_there() -> bool {
    #[cfg(target_arch = "x86_64")]
    return avx512::is_there() || avx2::is_there();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Adds `x w^T` to some columns: x (b, k), w the rows of these columns.
pub(super) fn add(out: &mut Columns, x: &[f32], k: usize, w: &Rows) {
    #[cfg(target_arch = "x86_64")]
    if avx512::is_there() {
        // SAFETY: the processor has the instructions, as above.
        unsafe { avx512::blocks(out, x, k, w) }
    } else if avx2::is_there() {
        // SAFETY: likewise.
        unsafe { avx2::blocks(out, x, k, w) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (out, x, k, w);
}

/// The same loops for vectors of another width: the processor's `features`, numbers in a
/// vector, columns of a tile, and the operations on vectors. The sums of a tile fill three
/// quarters of the registers, and each loaded number is used `columns` or four times.
#[cfg(target_arch = "x86_64")]
macro_rules! kernel {
    ($name:ident, $features:tt, $lanes:literal, $columns:literal, $zero:ident, $load:ident, $fma:ident, $total:path, $($feature:tt),+) => {
        mod $name {
            use crate::product::kernel::LINE;
            use crate::slices::{Columns, Rows};
            use std::arch::x86_64::{$fma, $load, $zero, _MM_HINT_T0, _mm_prefetch};

            const ROWS: usize = 4;
            const LANES: usize = $lanes;
            const COLUMNS: usize = $columns;
            /// Numbers of a sum that are added before the next tile: those of all rows
            /// stay in the second cache.
            const BLOCK: usize = 512;

            pub fn is_there() -> bool {
                $(is_x86_feature_detected!($feature))&&+
            }

            #[target_feature(enable = $features)]
            pub fn blocks(out: &mut Columns, x: &[f32], k: usize, w: &Rows) {
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
                            let w: [_; COLUMNS] = std::array::from_fn(weights);
                            for (n, (out, x)) in rows.enumerate() {
                                // Prefetches the next tile's weights meanwhile.
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

            #[target_feature(enable = $features)]
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
            #[target_feature(enable = $features)]
            fn tile<const M: usize, const N: usize>(
                x: [&[f32]; M],
                w: [&[f32]; N],
                ahead: usize,
            ) -> [[f32; N]; M] {
                let length = w[0].len();
                assert!(x.iter().chain(&w).all(|row| row.len() == length));
                let mut sums = [[$zero(); N]; M];
                let whole = length / LANES * LANES;
                for k in (0..whole).step_by(LANES) {
                    if ahead > 0 && k.is_multiple_of(LINE) {
                        for row in w {
                            // Only a hint: the address need not be valid.
                            _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(ahead + k).cast());
                        }
                    }
                    // SAFETY: each row has a vector of numbers from k on.
                    let load = |row: &[f32]| unsafe { $load(row.as_ptr().add(k)) };
                    let w = w.map(load);
                    for (x, sums) in x.iter().zip(&mut sums) {
                        let x = load(x);
                        for (w, sum) in w.iter().zip(sums) {
                            *sum = $fma(x, *w, *sum);
                        }
                    }
                }
                let mut out = [[0.0; N]; M];
                for m in 0..M {
                    for n in 0..N {
                        let tail = x[m][whole..].iter().zip(&w[n][whole..]);
                        out[m][n] = $total(sums[m][n]) + tail.map(|(x, w)| x * w).sum::<f32>();
                    }
                }
                out
            }
        }
    };
}

/// Numbers in a cache line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;

#[cfg(target_arch = "x86_64")]
kernel!(
    avx2,
    "avx2,fma",
    8,
    3,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_fmadd_ps,
    crate::product::kernel::total,
    "avx2",
    "fma"
);

#[cfg(target_arch = "x86_64")]
kernel!(
    avx512,
    "avx512f",
    16,
    6,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_fmadd_ps,
    std::arch::x86_64::_mm512_reduce_add_ps,
    "avx512f"
);

/// The sum of eight numbers.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
fn total(eight: std::arch::x86_64::__m256) -> f32 {
    use std::arch::x86_64::{
        _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_ps,
        _mm256_castps256_ps128, _mm256_extractf128_ps,
    };
    let four = _mm_add_ps(
        _mm256_castps256_ps128(eight),
        _mm256_extractf128_ps::<1>(eight),
    );
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}
