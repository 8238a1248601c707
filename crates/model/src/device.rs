//! Where tensors are computed.

use crate::{Error, Result};
use std::sync::Once;
use tch::{Cuda, Device};

/// The device of a name: `cpu`, `cuda`, `cuda:N`, or `auto` for a CUDA device
/// where there is one.
///
/// # Errors
/// [`Error::Device`] where there is none such.
pub fn device(name: &str) -> Result<Device> {
    let number: Option<usize> = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" | "cuda" => Some(0),
        _ => name.strip_prefix("cuda:").and_then(|n| n.parse().ok()),
    };
    load_cuda();
    let count = Cuda::device_count();
    match number {
        Some(n) if (n as i64) < count => Ok(Device::Cuda(n)),
        _ if name == "auto" => Ok(Device::Cpu),
        Some(_) => Err(Error::Device(format!(
            "device {name:?}: libtorch sees {count} CUDA devices here; use \"cpu\", or a libtorch with CUDA: its folder in LD_LIBRARY_PATH is enough"
        ))),
        None => Err(Error::Device(format!(
            "device {name:?}: must be \"auto\", \"cpu\", \"cuda\" or \"cuda:N\""
        ))),
    }
}

/// libtorch's part for CUDA registers itself when it is loaded. A program that was
/// linked with a libtorch for CPUs loads it here, where the libtorch that it runs with
/// has one.
fn load_cuda() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(target_os = "linux")]
        // SAFETY: a part of the libtorch that is loaded already; its initialisers are
        // those that run in any program that is linked with it.
        unsafe {
            libc::dlopen(
                c"libtorch_cuda.so".as_ptr(),
                libc::RTLD_NOW | libc::RTLD_GLOBAL,
            );
        }
    });
}
