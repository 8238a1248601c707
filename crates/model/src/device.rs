//! Where tensors are computed.

use crate::{Error, Result};
use tch::{Cuda, Device};

/// The device of a name: `cpu`, `cuda`, `cuda:N`, or `auto` for a CUDA device
/// where there is one.
///
/// # Errors
/// [`Error::Device`] where there is none such.
pub fn device(name: &str) -> Result<Device> {
    let number: Option<usize> = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => return Ok(Device::cuda_if_available()),
        "cuda" => Some(0),
        _ => name.strip_prefix("cuda:").and_then(|n| n.parse().ok()),
    };
    let count = Cuda::device_count();
    match number {
        Some(n) if (n as i64) < count => Ok(Device::Cuda(n)),
        Some(_) => Err(Error::Device(format!(
            "device {name:?}: libtorch sees {count} CUDA devices here; use \"cpu\""
        ))),
        None => Err(Error::Device(format!(
            "device {name:?}: must be \"auto\", \"cpu\", \"cuda\" or \"cuda:N\""
        ))),
    }
}
