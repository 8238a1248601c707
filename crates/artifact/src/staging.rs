//! The folder in which an artifact grows until it is committed.
//!
//! `NAME.staging` stands beside the destination `NAME`. Every finished file is
//! synced and entered in its journal; a run that is killed at any moment leaves
//! the old artifact or none at the destination, and a staging folder from which
//! the next run of the same fingerprint (producer, parameters, inputs) goes on.

use crate::manifest::{FILE, FileEntry, Manifest};
use crate::{At, Error, Result, digest_file};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

const JOURNAL: &str = ".journal.jsonl";
const SCRATCH: &str = ".scratch";
/// Files that are synced at the same time.
const SYNCED_TOGETHER: usize = 32;
/// Digest over the loose files that an artifact was made from; beside the
/// manifest, because paths and times are none of the artifact's content.
pub(crate) const SOURCES: &str = ".sources";

/// An artifact that is being written. All methods may be called from several
/// threads.
pub struct Staging {
    folder: PathBuf,
    destination: PathBuf,
    draft: Manifest,
    sources: Option<String>,
    journal: Mutex<Journal>,
    _lock: File,
}

struct Journal {
    file: File,
    entries: BTreeMap<String, FileEntry>,
}

/// The staging folder of the artifact at `destination`.
pub fn folder_of(destination: &Path) -> PathBuf {
    sibling(destination, ".staging")
}

impl Staging {
    /// Opens the staging folder of `destination`, keeping what an earlier run
    /// with the same draft and sources has finished. `draft` holds all but the
    /// files, counts and digest.
    ///
    /// # Errors
    /// [`Error::Internal`] where the folder can't be made, or another process
    /// is writing the same artifact.
    pub fn open(destination: &Path, draft: Manifest, sources: Option<&str>) -> Result<Staging> {
        if let Some(parent) = destination.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).at(parent)?;
        }
        let folder = folder_of(destination);
        let lock = lock(destination)?;
        let fingerprint =
            blake3::hash(format!("{} {sources:?}", draft.compute_digest()).as_bytes())
                .to_hex()
                .to_string();
        if resumable(&folder, &fingerprint) {
            tracing::info!("going on from {}", folder.display());
        } else {
            remove(&folder)?;
            std::fs::create_dir_all(&folder).at(&folder)?;
        }
        let journal = Journal::open(&folder, &fingerprint)?;
        Ok(Staging {
            folder,
            destination: destination.to_owned(),
            draft,
            sources: sources.map(str::to_owned),
            journal: Mutex::new(journal),
            _lock: lock,
        })
    }

    /// The staging folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where to write the file `name` (with `/`); its folder is made.
    ///
    /// # Errors
    /// [`Error::Internal`] where its folder can't be made.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        make_parent(self.folder.join(name))
    }

    /// A file that outlives an interruption but is no part of the artifact.
    ///
    /// # Errors
    /// [`Error::Internal`] where its folder can't be made.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        make_parent(self.folder.join(SCRATCH).join(name))
    }

    /// Whether `name` has been finished, by this run or an interrupted one.
    pub fn is_done(&self, name: &str) -> bool {
        self.journal().entries.contains_key(name)
    }

    /// Enters a written file as finished: syncs it, takes its digest.
    ///
    /// # Errors
    /// [`Error::Internal`] where it can't be read or synced.
    pub fn done(&self, name: &str, rows: Option<u64>) -> Result<()> {
        self.enter(&[(name, rows)])
    }

    /// Enters many small files as finished, with one write to the journal.
    ///
    /// # Errors
    /// As [`Staging::done`]; none is entered then.
    pub fn done_all(&self, names: &[String]) -> Result<()> {
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
        self.enter(&files)
    }

    fn enter(&self, files: &[(&str, Option<u64>)]) -> Result<()> {
        let entries = std::thread::scope(|scope| {
            // The disk syncs files together that are asked for together.
            let share = files.len().div_ceil(SYNCED_TOGETHER).max(1);
            let threads: Vec<_> = files
                .chunks(share)
                .map(|files| {
                    scope.spawn(|| {
                        files
                            .iter()
                            .map(|file| self.entry(*file))
                            .collect::<Result<Vec<_>>>()
                    })
                })
                .collect();
            let entered = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::internal("syncing a file failed")))
            });
            entered.collect::<Result<Vec<_>>>()
        })?;
        let entries: Vec<FileEntry> = entries.into_iter().flatten().collect();
        let mut lines = String::new();
        for entry in &entries {
            lines += &serde_json::to_string(entry).map_err(Error::internal)?;
            lines.push('\n');
        }
        let mut journal = self.journal();
        journal
            .file
            .write_all(lines.as_bytes())
            .and_then(|()| journal.file.sync_data())
            .at(&self.folder.join(JOURNAL))?;
        journal
            .entries
            .extend(entries.into_iter().map(|entry| (entry.name.clone(), entry)));
        Ok(())
    }

    fn entry(&self, (name, rows): (&str, Option<u64>)) -> Result<FileEntry> {
        let path = self.folder.join(name);
        let file = File::open(&path).at(&path)?;
        file.sync_all().at(&path)?;
        let bytes = file.metadata().at(&path)?.len();
        Ok(FileEntry {
            name: name.to_owned(),
            bytes,
            rows,
            blake3: digest_file(&path)?,
        })
    }

    /// Writes the manifest, syncs, and puts the artifact in its place, instead
    /// of an older one if there is one.
    ///
    /// # Errors
    /// [`Error::Internal`] where the disk refuses; the staging folder stays.
    pub fn commit(self, counts: &[(&str, u64)]) -> Result<Manifest> {
        let mut manifest = self.draft.clone();
        manifest.files = self.journal().entries.values().cloned().collect();
        manifest.counts = counts
            .iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect();
        manifest.digest = manifest.compute_digest();
        remove(&self.folder.join(SCRATCH))?;
        remove_unlisted(&self.folder, "", &manifest)?;
        if let Some(sources) = &self.sources {
            write_synced(&self.folder.join(SOURCES), sources.as_bytes())?;
        }
        let text = serde_json::to_string_pretty(&manifest).map_err(Error::internal)?;
        write_synced(&self.folder.join(FILE), format!("{text}\n").as_bytes())?;
        sync_folders(&self.folder)?;
        replace(&self.folder, &self.destination)?;
        // The journal's work is done; a reader doesn't mind if it stays.
        let _ = std::fs::remove_file(self.destination.join(JOURNAL));
        Ok(manifest)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Journal {
    /// Reads what is finished; a line cut by a crash is taken off.
    fn open(folder: &Path, fingerprint: &str) -> Result<Journal> {
        let path = folder.join(JOURNAL);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .at(&path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).at(&path)?;
        let mut entries = BTreeMap::new();
        let mut good = 0;
        for line in text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
        {
            if good > 0 {
                let Ok(entry) = serde_json::from_str::<FileEntry>(line) else {
                    break;
                };
                if std::fs::metadata(folder.join(&entry.name))
                    .is_ok_and(|meta| meta.len() == entry.bytes)
                {
                    entries.insert(entry.name.clone(), entry);
                }
            }
            good += line.len() as u64;
        }
        file.set_len(good).at(&path)?;
        file.seek(std::io::SeekFrom::End(0)).at(&path)?;
        if good == 0 {
            writeln!(file, "{fingerprint}")
                .and_then(|()| file.sync_data())
                .at(&path)?;
        }
        Ok(Journal { file, entries })
    }
}

fn resumable(folder: &Path, fingerprint: &str) -> bool {
    std::fs::read_to_string(folder.join(JOURNAL))
        .is_ok_and(|text| text.lines().next() == Some(fingerprint))
}

fn lock(destination: &Path) -> Result<File> {
    let path = sibling(destination, ".lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .at(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            tracing::info!(
                "another run is writing {}; waiting for it",
                destination.display()
            );
            file.lock().at(&path)?;
        }
        Err(std::fs::TryLockError::Error(e)) => {
            tracing::warn!(
                "{}: no lock to be had ({e}); going on without",
                path.display()
            );
        }
    }
    Ok(file)
}

fn sibling(destination: &Path, suffix: &str) -> PathBuf {
    let mut name = destination.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    destination.with_file_name(name)
}

fn make_parent(path: PathBuf) -> Result<PathBuf> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).at(parent)?;
    }
    Ok(path)
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).at(folder),
        _ => Ok(()),
    }
}

/// A half-written file of an interrupted run is no part of the artifact.
fn remove_unlisted(root: &Path, prefix: &str, manifest: &Manifest) -> Result<()> {
    let folder = root.join(prefix);
    for entry in std::fs::read_dir(&folder).at(&folder)? {
        let entry = entry.at(&folder)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().at(&folder)?.is_dir() {
            remove_unlisted(root, &format!("{name}/"), manifest)?;
        } else if name != JOURNAL && manifest.file(&name).is_none() {
            std::fs::remove_file(entry.path()).at(&entry.path())?;
        }
    }
    Ok(())
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).at(path)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .at(path)
}

fn sync_folders(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).at(folder)? {
        let entry = entry.at(folder)?;
        if entry.file_type().at(folder)?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)
        .and_then(|file| file.sync_all())
        .at(folder)
}

/// Two renames: between them the old artifact is in `NAME.old`, which the next
/// run takes away.
fn replace(folder: &Path, destination: &Path) -> Result<()> {
    let old = sibling(destination, ".old");
    remove(&old)?;
    if destination.exists() {
        std::fs::rename(destination, &old).at(destination)?;
    }
    std::fs::rename(folder, destination).at(destination)?;
    remove(&old)?;
    match destination.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)
            .and_then(|file| file.sync_all())
            .at(parent),
        None => Ok(()),
    }
}
