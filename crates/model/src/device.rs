//! Devices for tensors.

use crate::{Error, Result};
use std::sync::OnceLock;
use tch::{Cuda, Device};

/// The device with a name: `cpu`, `cuda`, `cuda:N`, or `auto` for a CUDA device if there is
/// one and else the CPU.
///
/// # Errors
/// [`Error::Device`] if there is no such device.
pub fn device(name: &str) -> Result<Device> {
    let number: Option<usize> = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" | "cuda" => Some(0),
        _ => name.strip_prefix("cuda:").and_then(|n| n.parse().ok()),
    };
    let loaded = load_cuda();
    let count = Cuda::device_count();
    match number {
        Some(n) if (n as i64) < count => Ok(Device::Cuda(n)),
        _ if name == "auto" => Ok(Device::Cpu),
        Some(_) if count > 0 => Err(Error::Device(format!(
            "device {name:?}: libtorch sees {count} CUDA devices here"
        ))),
        Some(_) => Err(Error::Device(format!(
            "device {name:?}: libtorch sees no CUDA device here{}; use \"cpu\", or run with a libtorch 2.11 that has CUDA: its lib folder in LD_LIBRARY_PATH is enough",
            loaded.map_or_else(|why| format!(" ({why})"), |()| String::new()),
        ))),
        None => Err(Error::Device(format!(
            "device {name:?}: must be \"auto\", \"cpu\", \"cuda\" or \"cuda:N\""
        ))),
    }
}

/// Loads libtorch's CUDA library, which registers itself. A program that was linked with a
/// libtorch for CPUs needs this to use CUDA, if the libtorch that it runs with has that
/// library. Returns the reason if loading fails.
fn load_cuda() -> std::result::Result<(), String> {
    static LOADED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    LOADED.get_or_init(load).clone()
}

#[cfg(target_os = "linux")]
fn load() -> std::result::Result<(), String> {
    let flags = libc::RTLD_NOW | libc::RTLD_GLOBAL;
    // SAFETY: the library is found where libtorch itself was found, and its initialisers
    // are those that run in any program that is linked with it.
    let library = unsafe { libc::dlopen(c"libtorch_cuda.so".as_ptr(), flags) };
    if !library.is_null() {
        return Ok(());
    }
    // SAFETY: after a failure, `dlerror` returns a string that is valid until the next
    // call.
    let why = unsafe { std::ffi::CStr::from_ptr(libc::dlerror()) };
    Err(why.to_string_lossy().into_owned())
}

#[cfg(not(target_os = "linux"))]
fn load() -> std::result::Result<(), String> {
    Ok(())
}
