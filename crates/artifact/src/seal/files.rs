//! The files of a folder, as a manifest lists them.

use crate::manifest::{FILE, FileEntry, is_content};
use crate::shard::TensorShard;
use crate::staging::place::is_hidden;
use crate::{Finding, digest_file};
use attend_program::{At, Result, check_interrupt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

/// Reads and syncs all files below `root`, sorted by name; notes what can't be content.
pub(super) fn read(root: &Path, found: &mut Vec<Finding>) -> Result<Vec<FileEntry>> {
    let mut names = Vec::new();
    walk(root, "", &mut names, found)?;
    names.sort();
    let entry = |name: String| -> Result<FileEntry> {
        check_interrupt()?;
        let path = root.join(&name);
        let file = File::open(&path).at(&path)?;
        file.sync_all().at(&path)?;
        Ok(FileEntry {
            bytes: file.metadata().at(&path)?.len(),
            rows: rows(&path),
            blake3: digest_file(&path)?,
            name,
        })
    };
    names.into_iter().map(entry).collect()
}

/// Collects the names of the files in the folder `below` of `root`.
fn walk(root: &Path, below: &str, names: &mut Vec<String>, found: &mut Vec<Finding>) -> Result<()> {
    let folder = root.join(below);
    for entry in folder.read_dir().at(&folder)? {
        let entry = entry.at(&folder)?;
        let file_name = entry.file_name();
        let name = format!("{below}{}", file_name.to_string_lossy());
        if below.is_empty() && (name == FILE || is_hidden(&name)) {
            continue;
        }
        let file_type = entry.file_type().at(&folder)?;
        let why = match () {
            () if file_type.is_symlink() => "a link; put the file itself here",
            () if !file_type.is_file() && !file_type.is_dir() => "neither a file nor a folder",
            () if file_name.to_str().is_none() => "its name is not UTF-8",
            () if !is_content(&name) => "its name is hidden or no name of content; move it away",
            () if file_type.is_dir() => {
                walk(root, &format!("{name}/"), names, found)?;
                continue;
            }
            () => {
                names.push(name);
                continue;
            }
        };
        found.push(Finding::new(&name, why));
    }
    Ok(())
}

/// The rows of a table or shard; `None` if it is neither.
fn rows(path: &Path) -> Option<u64> {
    match path.extension().and_then(OsStr::to_str) {
        Some("parquet") => {
            let table = ParquetRecordBatchReaderBuilder::try_new(File::open(path).ok()?);
            let rows = table.ok()?.metadata().file_metadata().num_rows();
            u64::try_from(rows).ok()
        }
        Some("arrow") => Some(TensorShard::open(path).ok()?.rows() as u64),
        _ => None,
    }
}
