//! The numbers of tensors as slices: the only module that reads raw pointers of tensors.
//!
//! Every function asserts the conditions for a valid slice: CPU memory, f32, contiguous
//! rows. An empty tensor has an empty slice.

use std::marker::PhantomData;
use tch::{Device, Kind, Tensor};

/// Whether `tensor` is f32 and on the CPU.
pub fn is_readable(tensor: &Tensor) -> bool {
    tensor.device() == Device::Cpu && tensor.kind() == Kind::Float
}

/// The numbers of a contiguous f32 tensor on the CPU.
///
/// # Panics
/// If the tensor is of another kind, on another device, or not contiguous.
pub fn numbers(tensor: &Tensor) -> &[f32] {
    assert!(is_readable(tensor) && tensor.is_contiguous());
    if tensor.numel() == 0 {
        return &[];
    }
    // SAFETY: f32 numbers without gaps in this process's memory, alive as long as the
    // tensor.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel()) }
}

/// Like [`numbers`], but mutable. Other handles of the same memory must not be used as long
/// as the slice lives, which the compiler can't check. Callers write only to tensors that
/// they have made or to which they have the only handle.
///
/// # Panics
/// In the same cases as [`numbers`].
pub fn numbers_mut(tensor: &mut Tensor) -> &mut [f32] {
    assert!(is_readable(tensor) && tensor.is_contiguous());
    if tensor.numel() == 0 {
        return &mut [];
    }
    // SAFETY: as in `numbers`, and no other slice of it is alive.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) }
}

/// The mutable bytes of a contiguous tensor of any kind on the CPU; see [`numbers_mut`].
///
/// # Panics
/// If the tensor is on another device or not contiguous.
pub fn bytes_mut(tensor: &mut Tensor) -> &mut [u8] {
    assert!(tensor.device() == Device::Cpu && tensor.is_contiguous());
    let bytes = tensor.numel() * tensor.kind().elt_size_in_bytes();
    if bytes == 0 {
        return &mut [];
    }
    // SAFETY: bytes without gaps in this process's memory, and no other slice of it is
    // alive.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), bytes) }
}

/// The rows of a matrix, each contiguous, with or without gaps between them.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    numbers: &'a [f32],
    /// Distance between the first numbers of two successive rows.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// The rows of a matrix.
    ///
    /// # Panics
    /// If it is not an f32 matrix on the CPU, or its rows are not contiguous.
    pub fn new(matrix: &'a Tensor) -> Rows<'a> {
        let ([rows, columns], stride) = shape(matrix);
        let numbers = match rows * columns {
            0 => 0,
            _ => (rows - 1) * stride + columns,
        };
        Rows {
            numbers: match numbers {
                0 => &[],
                // SAFETY: from the first to the last number of a live tensor.
                _ => unsafe { std::slice::from_raw_parts(matrix.data_ptr().cast(), numbers) },
            },
            stride,
        }
    }

    /// The rows from `row` on.
    pub fn starting_at(&self, row: usize) -> Rows<'a> {
        Rows {
            numbers: self.row(row),
            ..*self
        }
    }

    /// The numbers from the first of a row on.
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.numbers[row * self.stride..]
    }
}

/// Some columns of a matrix, for one thread to write to.
pub struct Columns<'a> {
    /// Index of the first column.
    pub first: usize,
    /// The part of each row in these columns.
    pub rows: Vec<&'a mut [f32]>,
}

impl Columns<'_> {
    /// Divides the columns of a matrix into parts of `width`; the last one may be narrower.
    ///
    /// For other handles of the same memory, see [`numbers_mut`].
    ///
    /// # Panics
    /// In the same cases as [`Rows::new`], and if `width` is 0.
    pub fn parts(matrix: &mut Tensor, width: usize) -> Vec<Columns<'_>> {
        let ([rows, columns], stride) = shape(matrix);
        assert!(rows <= 1 || columns <= stride);
        let start = matrix.data_ptr().cast::<f32>();
        let part = |first: usize| {
            let count = width.min(columns - first);
            // SAFETY: inside the tensor, and no two of these slices overlap.
            let row = |row: usize| unsafe {
                std::slice::from_raw_parts_mut(start.add(row * stride + first), count)
            };
            Columns {
                first,
                rows: (0..rows).map(row).collect(),
            }
        };
        (0..columns).step_by(width).map(part).collect()
    }
}

/// A matrix with any distances between its numbers, as a BLAS takes it.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    start: *const f32,
    size: [usize; 2],
    strides: [isize; 2],
    of: PhantomData<&'a Tensor>,
}

// SAFETY: it only reads, and lives no longer than the tensor.
unsafe impl Sync for Matrix<'_> {}

impl<'a> Matrix<'a> {
    /// A matrix, which may be transposed.
    ///
    /// # Panics
    /// If it is not an f32 matrix on the CPU.
    pub fn new(matrix: &'a Tensor) -> Matrix<'a> {
        let (size, strides) = (matrix.size(), matrix.stride());
        assert!(is_readable(matrix) && size.len() == 2);
        Matrix {
            start: matrix.data_ptr().cast_const().cast(),
            size: [size[0] as usize, size[1] as usize],
            strides: [strides[0] as isize, strides[1] as isize],
            of: PhantomData,
        }
    }

    /// Numbers of rows and columns.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The rows (`axis` 0) or columns (1) from `first` on.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn part(mut self, axis: usize, first: usize) -> Matrix<'a> {
        assert!(first <= self.size[axis]);
        self.size[axis] -= first;
        let distance = first as isize * self.strides[axis];
        self.start = self.start.wrapping_offset(distance);
        self
    }

    /// The first number, and the distances between rows and between columns.
    pub fn raw(&self) -> (*const f32, [isize; 2]) {
        (self.start, self.strides)
    }
}

/// A [`Matrix`] to write to.
pub struct MatrixMut<'a>(Matrix<'a>);

// SAFETY: it is the only one of these numbers, as far as the compiler knows; see
// [`numbers_mut`].
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// Like [`Matrix::new`]; for other handles of the same memory, see [`numbers_mut`].
    ///
    /// # Panics
    /// Also if rows or columns share numbers.
    pub fn new(matrix: &'a mut Tensor) -> MatrixMut<'a> {
        let matrix = Matrix::new(matrix);
        let [rows, columns] = matrix.size;
        let [down, along] = matrix.strides.map(isize::unsigned_abs);
        assert!(
            (along >= 1 && (rows <= 1 || down >= columns * along))
                || (down >= 1 && (columns <= 1 || along >= rows * down))
        );
        MatrixMut(matrix)
    }

    /// Numbers of rows and columns.
    pub fn size(&self) -> [usize; 2] {
        self.0.size
    }

    /// Divides the rows (`axis` 0) or columns (1) into parts of `count`; the last one may have
    /// fewer.
    pub fn parts(self, axis: usize, count: usize) -> Vec<MatrixMut<'a>> {
        let all = self.0.size[axis];
        let part = |first: usize| {
            let mut part = self.0.part(axis, first);
            part.size[axis] = count.min(all - first);
            MatrixMut(part)
        };
        (0..all).step_by(count).map(part).collect()
    }

    /// Like [`Matrix::raw`].
    pub fn raw(&self) -> (*mut f32, [isize; 2]) {
        (self.0.start.cast_mut(), self.0.strides)
    }
}

/// Numbers of rows and columns of a readable matrix with contiguous rows, and its stride.
fn shape(matrix: &Tensor) -> ([usize; 2], usize) {
    let (size, stride) = (matrix.size(), matrix.stride());
    assert!(is_readable(matrix) && size.len() == 2 && (size[1] <= 1 || stride[1] == 1));
    ([size[0] as usize, size[1] as usize], stride[0] as usize)
}
