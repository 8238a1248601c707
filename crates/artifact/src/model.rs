//! The `model` artifact: checkpoints, and how one that lies anywhere is known to be whole.
//!
//! Beside what the model is, a checkpoint's `model.json` has a key `blake3`: the BLAKE3
//! of each other file of the folder, by name, and under `model.json` that of its own
//! JSON without this key, compact and with sorted keys. It is written last.

use crate::finite::{Float, none};
use crate::manifest::short;
use crate::{At, Error, Manifest, Result, check_interrupt, digest_file};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

/// What a checkpoint's folder has: what the model is.
pub const CARD: &str = "model.json";

/// The files that describing a photograph takes, beside [`CARD`].
pub const DESCRIBING: [&str; 3] = ["vocab.json", "encoder.safetensors", "decoder.safetensors"];

const SEAL: &str = "blake3";

/// BLAKE3 by name of file.
type Digests = BTreeMap<String, String>;

/// Puts the digests of all files of a checkpoint's folder into its `model.json`.
/// `known` are digests that need not be computed.
///
/// # Errors
/// [`Error::Internal`] from the disk.
pub fn seal(folder: &Path, known: &Digests) -> Result<()> {
    let path = folder.join(CARD);
    let card = std::fs::read(&path).at(&path)?;
    let mut card: Map<String, Value> = serde_json::from_slice(&card).at(&path)?;
    let mut digests = Digests::from([(CARD.to_owned(), digest(&card))]);
    for entry in std::fs::read_dir(folder).at(folder)? {
        let entry = entry.at(folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != CARD {
            let digest = match known.get(&name) {
                Some(digest) => digest.clone(),
                None => digest_file(&entry.path())?,
            };
            digests.insert(name, digest);
        }
    }
    card.insert(SEAL.to_owned(), serde_json::to_value(digests).at(&path)?);
    let text = serde_json::to_string_pretty(&card).at(&path)?;
    std::fs::write(&path, text + "\n").at(&path)
}

/// Compares these files of a checkpoint's folder, and its `model.json`, with their
/// digests: those in `model.json`; where it has none, as earlier versions left it, those
/// in the manifest of the artifact that the folder lies in, if it lies in one.
///
/// # Errors
/// [`Error::Refused`] naming the file that is missing or has changed.
pub fn check(folder: &Path, files: &[&str]) -> Result<()> {
    let path = folder.join(CARD);
    let refused = |why: String| Error::refused(format!("{}: {why}", path.display()));
    let text = std::fs::read(&path)
        .map_err(|e| refused(format!("{e}; a checkpoint's folder has this file")))?;
    let mut card: Map<String, Value> = serde_json::from_slice(&text).map_err(|e| {
        refused(format!(
            "not a JSON object ({e}); copy the checkpoint again"
        ))
    })?;
    let sealed = card.remove(SEAL);
    let digests = match &sealed {
        Some(digests) => serde_json::from_value(digests.clone())
            .map_err(|e| refused(format!("{SEAL}: {e}; copy the checkpoint again")))?,
        None => listed(folder)?,
    };
    for name in files.iter().chain([&CARD]) {
        check_interrupt()?;
        let path = folder.join(name);
        let Some(expected) = digests.get(*name) else {
            match sealed {
                Some(_) => {
                    return Err(refused(format!(
                        "{SEAL} lacks {name}; copy the checkpoint again"
                    )));
                }
                None => continue,
            }
        };
        let found = match sealed {
            Some(_) if *name == CARD => digest(&card),
            _ => digest_file(&path).map_err(Error::refused)?,
        };
        if found != *expected {
            return Err(Error::refused(format!(
                "{}: damaged: its BLAKE3 is {}, not {} as when the checkpoint was written; copy it again, or train again",
                path.display(),
                short(&found),
                short(expected)
            )));
        }
    }
    Ok(())
}

fn digest(card: &Map<String, Value>) -> String {
    let mut card = Value::Object(card.clone());
    card.sort_all_objects();
    blake3::hash(card.to_string().as_bytes())
        .to_hex()
        .to_string()
}

/// What the manifest two folders up says of the files in `folder`.
fn listed(folder: &Path) -> Result<Digests> {
    let folder = folder.canonicalize().at(folder)?;
    let names = (
        folder.file_name().and_then(OsStr::to_str),
        folder.ancestors().nth(2),
    );
    let (Some(name), Some(root)) = names else {
        return Ok(Digests::new());
    };
    if !root.join(crate::manifest::FILE).exists() {
        return Ok(Digests::new());
    }
    let prefix = format!("checkpoints/{name}/");
    let files = Manifest::read(root)?.files.into_iter();
    Ok(files
        .filter_map(|file| Some((file.name.strip_prefix(&prefix)?.to_owned(), file.blake3)))
        .collect())
}

/// Looks for numbers in a safetensors file that no weight has: infinite, NaN, or a
/// negative `running_var`.
///
/// # Errors
/// [`Error::Refused`] naming the tensor, or where the file is no such file;
/// [`Error::Interrupted`].
pub fn check_finite(path: &Path) -> Result<()> {
    let refused = |why: String| Error::refused(format!("{}: {why}", path.display()));
    let file = File::open(path).at(path)?;
    // SAFETY: as for shards, artifacts' files are never written to again.
    let map = unsafe { memmap2::Mmap::map(&file) }.at(path)?;
    let tensors = SafeTensors::deserialize(&map).map_err(|e| {
        refused(format!(
            "damaged safetensors ({e}); make the artifact again"
        ))
    })?;
    for (name, tensor) in tensors.iter() {
        check_interrupt()?;
        let float = match tensor.dtype() {
            Dtype::F16 => Float::F16,
            Dtype::BF16 => Float::BF16,
            Dtype::F32 => Float::F32,
            Dtype::F64 => Float::F64,
            _ => continue,
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
