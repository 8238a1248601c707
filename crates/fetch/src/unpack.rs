//! Takes files out of an archive.

use attend_program::{At, Error, Result, progress, whole};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use zip::ZipArchive;

/// Takes the files of these names out of the zip at `path`, into `folder`. A file that is
/// there is kept; each is written whole or not at all.
///
/// # Errors
/// [`Error::Input`] if the archive is damaged or lacks one of them.
pub fn unpack(path: &Path, names: &[String], folder: &Path) -> Result<()> {
    let damaged = |e: &dyn std::fmt::Display| {
        Error::input(format!(
            "{}: {e}; delete it to download it again",
            path.display()
        ))
    };
    let file = File::open(path).at(path)?;
    let mut archive = ZipArchive::new(file).map_err(|e| damaged(&e))?;
    for name in names {
        let target = folder.join(name);
        if target.exists() {
            continue;
        }
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).at(parent)?;
        }
        let mut member = archive
            .by_name(name)
            .map_err(|e| damaged(&format!("{name}: {e}")))?;
        let progress = progress(name, "bytes", member.size());
        whole::write(&target, |file| {
            let mut buffer = vec![0; 1 << 17];
            loop {
                // Its checksum is compared at the end.
                let read = member.read(&mut buffer).map_err(|e| damaged(&e))?;
                match read {
                    0 => return Ok(()),
                    read => file.write_all(&buffer[..read]).at(&target)?,
                }
                progress.inc(read as u64);
            }
        })?;
        progress.finish();
    }
    Ok(())
}
