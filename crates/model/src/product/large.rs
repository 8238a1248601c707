//! Large products where libtorch's are slow: its BLAS, MKL, uses AVX-512 on Intel's processors
//! alone.

use crate::slices::{Matrix, MatrixMut};
use crate::{parallel, threads};
use std::sync::LazyLock;
use tch::Tensor;

/// Whether [`multiply`] is faster than libtorch on this processor.
pub(super) static IS_FASTER: LazyLock<bool> = LazyLock::new(is_faster);

fn is_faster() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f") && {
        let vendor = std::arch::x86_64::__cpuid(0);
        [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes) == [*b"Auth", *b"enti", *b"cAMD"]
    };
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Threads get a multiple of so many rows or columns.
const TILE: usize = 32;

/// `out = a b`, or `out += a b` if `add`: a (m, k), b (k, n), out (m, n), f32 on the CPU. The
/// number of threads does not change the result.
pub(super) fn multiply(out: &mut Tensor, a: &Tensor, b: &Tensor, add: bool) {
    let (a, b, out) = (Matrix::new(a), Matrix::new(b), MatrixMut::new(out));
    let ([m, n], k) = (out.size(), a.size()[1]);
    assert!(a.size()[0] == m && b.size() == [k, n]);
    // Each thread packs the other matrix for itself: divide the longer side.
    let axis = usize::from(n > m);
    let part = m.max(n).div_ceil(threads()).next_multiple_of(TILE);
    parallel(out.parts(axis, part), |place, out| {
        let [a, b] = match axis {
            0 => [a.part(0, place * part), b],
            _ => [a, b.part(1, place * part)],
        };
        let [m, n] = out.size();
        let (a, b, out) = (a.raw(), b.raw(), out.raw());
        let beta = if add { 1.0 } else { 0.0 };
        // SAFETY: all three have at least these sizes, and `out` is this thread's alone.
        unsafe {
            matrixmultiply::sgemm(
                m, k, n, 1.0, a.0, a.1[0], a.1[1], b.0, b.1[0], b.1[1], beta, out.0, out.1[0],
                out.1[1],
            );
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn large_products_are_libtorchs() {
        tch::manual_seed(1);
        let like = (Kind::Double, Device::Cpu);
        for [m, k, n] in [
            [1, 1, 1],
            [70, 33, 5],
            [5, 40, 150],
            [300, 513, 65],
            [4, 0, 3],
        ] {
            let [a, b] = [[k, m], [k, n]].map(|size| Tensor::randn(size, like));
            let wide = Tensor::randn([m, n + 2], like);
            let float = |tensor: &Tensor| tensor.to_kind(Kind::Float);
            let (a32, b32) = (float(&a), float(&b));
            for add in [false, true] {
                let own = float(&wide);
                multiply(&mut own.narrow(1, 1, n), &a32.tr(), &b32, add);
                let mut expected = wide.narrow(1, 1, n) * f64::from(u8::from(add));
                expected += a.tr().mm(&b);
                let off = own.narrow(1, 1, n).to_kind(Kind::Double) - expected;
                assert!(off.abs().max().double_value(&[]) < 1e-4, "{m} {k} {n}");
                // Other columns are unchanged.
                assert_eq!(own.select(1, 0), float(&wide.select(1, 0)));
                assert_eq!(own.select(1, n + 1), float(&wide.select(1, n + 1)));
            }
        }
    }
}
