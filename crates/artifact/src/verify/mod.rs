//! Judges an artifact of any program: what `attend-verify` calls whole, every stage takes.
//!
//! Reads every byte once. Lists everything that is wrong, not the first thing only: the
//! manifest, the files of each kind, and what must match another artifact.
//!
//! - `evaluation`, `features`, `model`: what readers do not check themselves.
//! - `against`: keys that must match between artifacts.

mod against;
mod evaluation;
mod features;
mod model;

use crate::dataset::Dataset;
use crate::findings::Findings;
use crate::manifest::FILE;
use crate::model::check_finite;
use crate::vocabulary::Vocabulary;
use crate::{Artifact, Finding, Manifest};
use attend_program::Result;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The kinds whose content is judged. Of others only manifest and digests are.
pub const KINDS: [&str; 5] = ["dataset", "vocabulary", "features", "model", "evaluation"];

/// What was found about an artifact.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Its folder.
    pub path: PathBuf,
    /// Its manifest, as far as it could be read.
    pub manifest: Option<Manifest>,
    /// What is wrong, file by file.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    /// The artifact's kind and digest; empty if its manifest can't be read.
    pub fn identity(&self) -> [&str; 2] {
        let manifest = self.manifest.as_ref();
        manifest.map_or([""; 2], |it| [&it.kind, &it.digest])
    }
}

/// Judges the artifact in `root`; it must be of the kind `kind`, if that is given, and match
/// the artifacts `against`.
///
/// # Errors
/// [`attend_program::Error::Refused`] if one of `against` is itself not whole;
/// [`attend_program::Error::Internal`] of the file system;
/// [`attend_program::Error::Interrupted`].
pub fn judge(root: &Path, kind: Option<&str>, against: &[Artifact]) -> Result<Verdict> {
    let (manifest, mut found) = Manifest::examine(root)?;
    if let Some(manifest) = &manifest {
        if let Some(kind) = kind.filter(|kind| *kind != manifest.kind) {
            let why = format!("an artifact of kind {:?}, not {kind:?}", manifest.kind);
            found.push(Finding::new(FILE, why));
        }
        let artifact = Artifact {
            root: root.to_owned(),
            manifest: manifest.clone(),
        };
        let mut findings = Findings::new(&artifact, true);
        findings.found = found;
        contents(&mut findings, against)?;
        found = findings.found;
    }
    Ok(Verdict {
        path: root.to_owned(),
        manifest,
        findings: found,
    })
}

/// Notes everything that is wrong with the files that the manifest lists.
pub(crate) fn contents(findings: &mut Findings, against: &[Artifact]) -> Result<()> {
    let artifact = findings.artifact;
    match artifact.manifest.kind.as_str() {
        "dataset" => drop(Dataset::examine(findings)?),
        "vocabulary" => vocabulary(findings, against)?,
        "features" => features::check(findings, against)?,
        "model" => model::check(findings, against)?,
        "evaluation" => evaluation::check(findings, against)?,
        _ => {}
    }
    against::inputs(findings, against);
    for file in &artifact.manifest.files {
        let path = findings.file(&file.name)?;
        if let Some(path) = path.filter(|_| file.name.ends_with(".safetensors")) {
            findings.add(check_finite(&path))?;
        }
    }
    // Two checks of one file may find the same damage.
    let mut seen = HashSet::new();
    (findings.found).retain(|finding| seen.insert(finding.clone()));
    Ok(())
}

fn vocabulary(findings: &mut Findings, against: &[Artifact]) -> Result<()> {
    let (words, encoded) = Vocabulary::examine(findings)?;
    if words.is_some() && !encoded.iter().any(|caption| caption.split == "train") {
        findings.note("encoded.parquet", "no caption of split \"train\"");
    }
    against::captions(findings, &encoded, against)
}
