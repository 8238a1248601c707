//! Writes the manifest of an artifact whose files a program wrote without one.
//!
//! - `files`: the files of the folder, with their digests and rows. `counts`: counts by kind.

mod counts;
mod files;

use crate::findings::Findings;
use crate::manifest::FILE;
use crate::verify::{Verdict, contents};
use crate::{Artifact, Finding, Manifest};
use attend_program::{Error, Result, whole};
use std::path::Path;

/// Reads all files of the folder `root`, judges them as an artifact of `draft`'s kind that was
/// made from the artifacts `inputs`, and if it is whole, writes its manifest. `draft` is the
/// manifest without files, counts and digest. The files are synced first, and the manifest is
/// written whole or not at all, so that a reader never sees half an artifact.
///
/// If the folder has this manifest already, writes nothing; if it has another one, that is a
/// finding.
///
/// # Errors
/// [`Error::Internal`] of the file system; [`Error::Interrupted`].
pub fn seal(root: &Path, draft: Manifest, inputs: &[Artifact]) -> Result<Verdict> {
    let mut manifest = draft;
    let mut found = Vec::new();
    if root.is_dir() {
        manifest.files = files::read(root, &mut found)?;
    }
    if manifest.files.is_empty() {
        found.push(Finding::new("", "has no files to seal"));
    }
    manifest.counts = counts::counts(root, &manifest, inputs);
    manifest.digest = manifest.compute_digest();
    let artifact = Artifact {
        root: root.to_owned(),
        manifest,
    };
    let mut findings = Findings::new(&artifact, true);
    findings.found = found;
    findings.digests_are_known();
    contents(&mut findings, inputs)?;
    let is_sealed = already(&mut findings)?;
    let findings = findings.found;
    if findings.is_empty() && !is_sealed {
        let text = serde_json::to_string_pretty(&artifact.manifest).map_err(Error::internal)?;
        whole::write_bytes(&root.join(FILE), text + "\n")?;
    }
    Ok(Verdict {
        path: root.to_owned(),
        manifest: Some(artifact.manifest),
        findings,
    })
}

/// Whether the folder has this manifest already; notes another one.
fn already(findings: &mut Findings) -> Result<bool> {
    let Artifact { root, manifest } = findings.artifact;
    if root.join(FILE).symlink_metadata().is_err() {
        return Ok(false);
    }
    let (old, _) = Manifest::examine(root)?;
    if old.as_ref() == Some(manifest) {
        return Ok(true);
    }
    findings.note(FILE, "is that of other contents; remove it to seal these");
    Ok(false)
}
