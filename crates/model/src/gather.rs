//! Copies the rows of a batch, which may be anywhere in memory, into one tensor.

use crate::slices::bytes_mut;
use crate::{Error, Result};
use attend_artifact::shard::Dtype;
use tch::{Device, Kind, Tensor};

/// Makes a tensor (n, shape…) from n rows, each the native-endian numbers of one image.
/// Allocates its memory once and copies each row once.
///
/// # Errors
/// [`Error::Mismatch`] if a row's number of bytes does not fit the shape.
pub fn gather(rows: &[&[u8]], shape: &[i64], dtype: Dtype) -> Result<Tensor> {
    let kind = match dtype {
        Dtype::U8 => Kind::Uint8,
        Dtype::F16 => Kind::Half,
        Dtype::F32 => Kind::Float,
    };
    let bytes = shape.iter().map(|n| *n as usize).product::<usize>() * dtype.bytes();
    if let Some(row) = rows.iter().find(|row| row.len() != bytes) {
        return Err(Error::Mismatch(format!(
            "a row of {} bytes, not {bytes} for {shape:?} of {dtype:?}",
            row.len()
        )));
    }
    let size = [&[rows.len() as i64], shape].concat();
    let mut tensor = Tensor::f_empty(size.as_slice(), (kind, Device::Cpu))
        .map_err(|e| Error::Mismatch(format!("{} rows of {bytes} bytes: {e}", rows.len())))?;
    let room = bytes_mut(&mut tensor).chunks_exact_mut(bytes.max(1));
    room.zip(rows)
        .for_each(|(room, row)| room.copy_from_slice(row));
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_one_after_the_other() {
        let rows: [[u8; 6]; 3] = [[1; 6], [2, 3, 4, 5, 6, 7], [9; 6]];
        let rows = rows.each_ref().map(|row| &row[..]);
        let tensor = gather(&rows, &[2, 3], Dtype::U8).unwrap();
        assert_eq!(tensor.size(), [3, 2, 3]);
        assert_eq!(
            tensor,
            Tensor::from_data_size(&rows.concat(), &[3, 2, 3], Kind::Uint8)
        );
        let numbers = [0.5f32, -1.0].map(f32::to_ne_bytes);
        let tensor = gather(&[numbers.as_flattened()], &[2], Dtype::F32).unwrap();
        assert_eq!(tensor, Tensor::from_slice2(&[[0.5f32, -1.0]]));
        assert_eq!(gather(&[], &[2, 3], Dtype::F16).unwrap().size(), [0, 2, 3]);
        assert!(gather(&[&[0; 5]], &[2, 3], Dtype::U8).is_err());
    }
}
