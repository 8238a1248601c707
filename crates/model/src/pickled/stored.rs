//! Tensors in a file, before their numbers are read.

use super::container::{Container, Storage};
use super::value::{Fault, damage};
use tch::{Kind, Tensor};

type Result<T> = std::result::Result<T, Fault>;

/// A tensor in the file, whose numbers have not been read.
#[derive(Clone)]
pub struct Stored {
    storage: Storage,
    /// Its first element.
    offset: usize,
    /// Number of elements of the storage between its first and its last.
    extent: usize,
    shape: Vec<i64>,
    stride: Vec<i64>,
    /// Number of its elements.
    numel: usize,
}

impl Stored {
    /// A view of a storage.
    ///
    /// # Errors
    /// If it reaches beyond the storage.
    pub(super) fn new(
        storage: Storage,
        offset: usize,
        shape: &[usize],
        stride: &[usize],
    ) -> Result<Stored> {
        let beyond = || damage(format!("a tensor of {shape:?} is beyond its storage"));
        if shape.len() != stride.len() {
            return Err(beyond());
        }
        let numel = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
        let numel = numel.ok_or_else(beyond)?;
        let mut steps = shape.iter().zip(stride).filter(|_| numel > 0);
        let last = steps.try_fold(0usize, |all, (n, step)| {
            all.checked_add((n - 1).checked_mul(*step)?)
        });
        let extent = last
            .ok_or_else(beyond)?
            .saturating_add(usize::from(numel > 0));
        let offset = offset.checked_add(storage.offset).ok_or_else(beyond)?;
        if offset
            .checked_add(extent)
            .is_none_or(|end| end > storage.end)
        {
            return Err(beyond());
        }
        let signed = |sizes: &[usize]| sizes.iter().map(|n| *n as i64).collect();
        Ok(Stored {
            offset,
            extent,
            shape: signed(shape),
            stride: signed(stride),
            numel,
            storage,
        })
    }

    /// Its size in memory.
    pub(super) fn bytes(&self) -> u64 {
        (self.numel as u64).saturating_mul(self.storage.kind.elt_size_in_bytes() as u64)
    }

    /// Its numbers; `None` if they are of a type that no weight has.
    pub(super) fn read(&self, container: &Container) -> Option<Result<Tensor>> {
        let kind = self.storage.kind;
        let float = match kind {
            Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16 => true,
            Kind::Int64 | Kind::Int | Kind::Uint8 => false,
            _ => return None,
        };
        let read = || {
            let size = kind.elt_size_in_bytes();
            let data = container.read(&self.storage, self.offset * size, self.extent * size)?;
            let wrong = |e: tch::TchError| damage(e.to_string());
            let flat = Tensor::f_from_data_size(&data, &[self.extent as i64], kind);
            let view = flat.and_then(|flat| flat.f_as_strided(&self.shape, &self.stride, None));
            let tensor = view.and_then(|view| view.f_contiguous()).map_err(wrong)?;
            match float {
                true => tensor.f_to_kind(Kind::Float).map_err(wrong),
                false => Ok(tensor),
            }
        };
        Some(read())
    }
}
