//! Checks files of weights, without libtorch.

use super::parameters::Parameters;
use crate::finite::{Float, none};
use attend_program::{At, Error, Result, check_interrupt};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::path::Path;

/// Maximum number of names in a message.
const LISTED: usize = 3;

/// Checks a safetensors file for numbers that no weight can have: infinite, NaN, or a
/// negative `running_var`.
///
/// # Errors
/// [`Error::Refused`] naming the tensor, or if the file is not a safetensors file;
/// [`Error::Interrupted`].
pub fn check_finite(path: &Path) -> Result<()> {
    let refused = |why: String| Error::refused(format!("{}: {why}", path.display()));
    let map = map(path)?;
    for (name, tensor) in read(path, &map)?.iter() {
        check_interrupt()?;
        let Some(float) = float(tensor.dtype()) else {
            continue;
        };
        if !float.all_finite(tensor.data()) {
            return Err(refused(format!(
                "tensor {name} holds NaN or infinite numbers"
            )));
        }
        let variance = name.ends_with("running_var") && tensor.dtype() == Dtype::F32;
        if variance && !none(tensor.data(), |n| f32::from_ne_bytes(n) < 0.0) {
            return Err(refused(format!("tensor {name} holds a negative variance")));
        }
    }
    Ok(())
}

/// Compares the names, shapes and types in the header of a safetensors file with those
/// that a model loads from it. An encoder's file (`of_encoder`) may hold other modules,
/// such as a classifier, and all its names may share a prefix, such as `backbone.`.
///
/// # Errors
/// [`Error::Refused`] naming the first few tensors that are missing, unknown, of another
/// shape or not of floats.
pub fn check_parameters(path: &Path, expected: &Parameters, of_encoder: bool) -> Result<()> {
    let map = map(path)?;
    let file = read(path, &map)?;
    let names = file.names();
    let prefix = match of_encoder {
        true => (names.iter())
            .filter_map(|name| name.strip_suffix("conv1.weight"))
            .min_by_key(|prefix| prefix.len())
            .unwrap_or_default(),
        false => "",
    };
    let (mut missing, mut misshapen, mut other_type) = (Vec::new(), Vec::new(), Vec::new());
    for (name, shape) in expected {
        let Ok(tensor) = file.tensor(&format!("{prefix}{name}")) else {
            missing.push(name.clone());
            continue;
        };
        let found: Vec<i64> = tensor.shape().iter().map(|n| *n as i64).collect();
        if found != *shape {
            misshapen.push(format!("{name} {found:?} instead of {shape:?}"));
        }
        if float(tensor.dtype()).is_none() {
            other_type.push(format!("{name} {:?}", tensor.dtype()));
        }
    }
    let unknown = names.iter().filter(|name| !expected.contains_key(**name));
    let unknown = unknown.map(|name| (*name).to_owned()).collect();
    let complaints = [
        ("missing", missing),
        ("unknown", if of_encoder { Vec::new() } else { unknown }),
        ("of another shape", misshapen),
        ("not of floats", other_type),
    ];
    let complaints: Vec<String> = complaints
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, mut names)| {
            let count = names.len();
            names.sort();
            names.truncate(LISTED);
            let more = if count > LISTED { ", …" } else { "" };
            format!("{count} {what}: {}{more}", names.join(", "))
        })
        .collect();
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(Error::refused(format!(
            "{}: tensors {}",
            path.display(),
            complaints.join("; ")
        ))),
    }
}

fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).at(path)?;
    // SAFETY: as for shards, artifacts' files are never written to again.
    unsafe { Mmap::map(&file) }.at(path)
}

fn read<'a>(path: &Path, map: &'a Mmap) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(map).map_err(|e| {
        Error::refused(format!(
            "{}: damaged safetensors ({e}); make the artifact again",
            path.display()
        ))
    })
}

fn float(dtype: Dtype) -> Option<Float> {
    match dtype {
        Dtype::F16 => Some(Float::F16),
        Dtype::BF16 => Some(Float::BF16),
        Dtype::F32 => Some(Float::F32),
        Dtype::F64 => Some(Float::F64),
        _ => None,
    }
}
