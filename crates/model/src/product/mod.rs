//! Products of matrices.
//!
//! In a step of the decoder, a few rows are multiplied with a large matrix. A BLAS first copies
//! the matrix into its own order, at each step again, which takes as long as multiplying it with
//! twenty rows. Here the matrix is read in place: its rows and the vectors are both contiguous
//! along the sum.

mod kernel;
mod large;

use crate::slices::{Columns, Rows, is_readable, numbers};
use crate::{parallel, threads};
use tch::{Device, Tensor};

/// `x w`, computed in w's kind and returned in x's.
pub(crate) fn product(x: &Tensor, w: &Tensor) -> Tensor {
    let narrow = x.to_kind(w.kind());
    if x.kind() == w.kind() {
        let mut out = Tensor::empty([x.size()[0], w.size()[1]], (x.kind(), x.device()));
        multiply(&mut out, &narrow, w, false);
        out
    } else if x.device() == Device::Cpu {
        narrow.mm(w).to_kind(x.kind())
    } else {
        narrow.mm_dtype(w, x.kind())
    }
}

/// `out = a b`, or `out += a b` if `add`; all of one kind.
pub(crate) fn multiply(out: &mut Tensor, a: &Tensor, b: &Tensor, add: bool) {
    if *large::IS_FASTER && is_readable(out) {
        large::multiply(out, a, b, add);
    } else if add {
        let _ = out.addmm_(a, b);
    } else {
        let _ = a.mm_out(out, b);
    }
}

/// `x w^T + bias`, computed in w's kind and returned in x's: (…, in) -> (…, out).
pub(crate) fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Tensor {
    if x.kind() == w.kind() && !is_readable(x) {
        return x.linear(w, bias.map(|bias| bias.to_kind(x.kind())));
    }
    let mut size = x.size();
    let rows = x.reshape([-1, w.size()[1]]);
    let out = match bias {
        Some(bias) => bias.to_kind(x.kind()).repeat([rows.size()[0], 1]),
        None => Tensor::zeros([rows.size()[0], w.size()[0]], (x.kind(), x.device())),
    };
    add_product(&out, &rows, w);
    size.pop();
    size.push(w.size()[0]);
    out.view(size.as_slice())
}

/// For each of n places, the sum of the rows (m, …) with this `place`: (n, …). The order of
/// summation is fixed, unlike that of `index_add_` on CUDA.
pub(crate) fn sum_by(place: &[i64], n: i64, rows: &Tensor) -> Tensor {
    let place = Tensor::from_slice(place).to_device(rows.device());
    let which = place.one_hot(n).tr().to_kind(rows.kind()); // (n, m)
    let mut size = rows.size();
    size[0] = n;
    which.mm(&rows.flatten(1, -1)).view(size.as_slice())
}

/// With more rows than the first number, libtorch's BLAS is faster, with more than the second
/// [`large`].
const MOST_ROWS: [i64; 2] = [64, 400];

/// A transposed copy of w, if [`through`] reads it in place for so many rows.
pub(crate) fn across(rows: i64, w: &Tensor) -> Option<Tensor> {
    reads_in_place(rows, w).then(|| w.tr().contiguous())
}

/// `y w`, as in a step's way back; `across` is w transposed, if there is such a copy.
pub(crate) fn through(y: &Tensor, w: &Tensor, across: &Option<Tensor>) -> Tensor {
    match across {
        Some(across) => {
            let out = Tensor::zeros([y.size()[0], across.size()[0]], (y.kind(), y.device()));
            add_product(&out, y, across);
            out
        }
        None => product(y, w),
    }
}

/// Whether [`add_product`] reads the matrix in place, instead of calling a BLAS.
fn reads_in_place(rows: i64, like: &Tensor) -> bool {
    let most = MOST_ROWS[usize::from(*large::IS_FASTER)];
    rows <= most && is_readable(like) && kernel::is_there()
}

/// `out (b, n) += x (b, k) w^T`, w (n, k); the product is computed in w's kind.
pub(crate) fn add_product(out: &Tensor, x: &Tensor, w: &Tensor) {
    let mut sum = out.shallow_clone();
    if w.kind() != out.kind() {
        sum += product(x, &w.tr());
        return;
    }
    if !reads_in_place(x.size()[0], x) {
        multiply(&mut sum, x, &w.tr(), true);
        return;
    }
    let x = x.contiguous();
    let [n, k] = [w.size()[0] as usize, w.size()[1] as usize];
    if n == 0 || k == 0 {
        return;
    }
    let (x, w) = (numbers(&x), Rows::new(w));
    // Each thread has some columns of `out`, a multiple of the tiles' width.
    let columns = n.div_ceil(threads()).next_multiple_of(kernel::COLUMNS);
    parallel(Columns::parts(&mut sum, columns), |_, mut out| {
        let first = out.first;
        kernel::add(&mut out, x, k, &w.starting_at(first));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

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
            // Other columns are unchanged.
            assert_eq!(own.select(1, 0), float(&out.select(1, 0)));
            assert_eq!(own.select(1, n + 1), float(&out.select(1, n + 1)));
        }
    }
}
