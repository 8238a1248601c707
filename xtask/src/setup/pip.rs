//! Downloads files of the Python package index with pip, because it knows the user's
//! proxies, mirrors and certificates.

use super::cache::{Cache, remove};
use super::platform::{LIBTORCH, Platform, Wheel};
use attend_program::text::hex;
use attend_program::{At, Error, Result, say};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// pip's version. If Python or pip is missing, the error says how to install it.
pub fn version() -> Result<String> {
    let output = Command::new("python3").args(["-m", "pip", "--version"]).stdin(Stdio::null()).output().map_err(|e| {
        Error::internal(format!(
            "python3 can't be started ({e}): the set-up downloads with Python's pip; install both \
             (Debian, Ubuntu: `apt-get install python3-pip`), or set LIBTORCH to a libtorch {} of your own",
            LIBTORCH
        ))
    })?;
    if !output.status.success() {
        return Err(Error::internal(format!(
            "python3 has no pip ({}): install it (Debian, Ubuntu: `apt-get install python3-pip`; elsewhere `python3 -m ensurepip`), \
             or set LIBTORCH to a libtorch {} of your own",
            last_line(&output.stderr),
            LIBTORCH
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Downloads a wheel into the cache. It may be there already: from an interrupted run, or
/// put there by hand.
pub fn fetch(cache: &Cache, platform: &Platform, wheel: &Wheel) -> Result<PathBuf> {
    let downloads = cache.downloads();
    let path = downloads.join(wheel.file);
    if path.exists() {
        if sha256(&path)? == wheel.sha256 {
            return Ok(path);
        }
        say!("{} is damaged; downloading it again", path.display());
        remove(&path)?;
    }
    version()?;
    cache.require_room(
        &format!("downloading {}", wheel.requirement),
        wheel.megabytes + 50,
    )?;
    say!("downloading {} ({} MB)", wheel.requirement, wheel.megabytes);
    download(&downloads, platform, wheel)?;
    if !path.exists() {
        return Err(Error::internal(format!(
            "pip did not put {} into {}",
            wheel.file,
            downloads.display()
        )));
    }
    Ok(path)
}

fn download(downloads: &Path, platform: &Platform, wheel: &Wheel) -> Result<()> {
    // pip's temporary folder: on the disk with enough space, and the next run removes
    // what a killed pip leaves there.
    let scratch = downloads.join("tmp");
    remove(&scratch)?;
    std::fs::create_dir_all(&scratch).at(&scratch)?;
    let requirements = scratch.join("requirements.txt");
    std::fs::write(
        &requirements,
        format!("{} --hash=sha256:{}\n", wheel.requirement, wheel.sha256),
    )
    .at(&requirements)?;
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "--no-cache-dir",
        "download",
    ])
    .args([
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        "3.11",
        "--require-hashes",
    ])
    .args(platform.tags.iter().flat_map(|tag| ["--platform", tag]))
    .arg("--requirement")
    .arg(&requirements)
    .arg("--dest")
    .arg(downloads)
    .env("TMPDIR", &scratch)
    .stdin(Stdio::null())
    // Standard output is only for results of tasks, not for pip's progress bar.
    .stdout(std::io::stderr())
    .stderr(Stdio::piped());
    let output = pip
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .map_err(|e| Error::internal(format!("python3 -m pip: {e}")))?;
    let _ = remove(&scratch);
    if output.status.success() {
        return Ok(());
    }
    let _ = remove(&downloads.join(wheel.file));
    Err(explain(
        &String::from_utf8_lossy(&output.stderr),
        downloads,
        wheel,
    ))
}

/// Turns pip's error into one that tells the user what to do.
fn explain(complaint: &str, downloads: &Path, wheel: &Wheel) -> Error {
    let what = wheel.requirement;
    if complaint.contains("DO NOT MATCH THE HASHES") {
        return Error::internal(format!(
            "{what}: what arrived has not the SHA-256 {}: the download was damaged or the package index offers another file; \
             nothing was installed, run the command again",
            wheel.sha256
        ));
    }
    if complaint.contains("No space left on device") {
        return Error::internal(format!(
            "{what}: the disk of {} is full; make room there or set ATTEND_CACHE to another place",
            downloads.display()
        ));
    }
    let said = complaint
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("ERROR: "))
        .map_or_else(|| last_line(complaint.as_bytes()), str::to_owned);
    Error::internal(format!(
        "{what} could not be downloaded; pip says: {said}\n\
         Without a way to a package index, put {} into {} by hand and run this again, or set LIBTORCH to a libtorch {} of your own",
        wheel.file,
        downloads.display(),
        LIBTORCH
    ))
}

fn last_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .trim()
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned()
}

/// SHA-256 of a file, in hexadecimal.
fn sha256(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path).at(path)?, &mut hash).at(path)?;
    Ok(hex(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_abc() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1
        assert_eq!(
            sha256(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
