//! Types of numbers.

use crate::finite::Float;
use arrow_schema::DataType;

/// Type of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// Unsigned bytes.
    U8,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

impl Dtype {
    /// Its name in configs and messages.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::U8 => "u8",
            Dtype::F16 => "f16",
            Dtype::F32 => "f32",
        }
    }

    /// Size of one number in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Dtype::U8 => 1,
            Dtype::F16 => 2,
            Dtype::F32 => 4,
        }
    }

    /// Whether none of these numbers, native-endian, is infinite or NaN.
    pub fn all_finite(self, bytes: &[u8]) -> bool {
        match self {
            Dtype::U8 => true,
            Dtype::F16 => Float::F16.all_finite(bytes),
            Dtype::F32 => Float::F32.all_finite(bytes),
        }
    }

    pub(super) fn arrow(self) -> DataType {
        match self {
            Dtype::U8 => DataType::UInt8,
            Dtype::F16 => DataType::Float16,
            Dtype::F32 => DataType::Float32,
        }
    }

    pub(super) fn from_arrow(data_type: &DataType) -> Option<Dtype> {
        [Dtype::U8, Dtype::F16, Dtype::F32]
            .into_iter()
            .find(|dtype| dtype.arrow() == *data_type)
    }
}
