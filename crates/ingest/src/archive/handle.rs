//! An archive's file. A data set may have more archives than a process may have open files.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Number of archives that stay open.
const OPEN: usize = 128;

/// The archives that were opened last.
static LAST: Mutex<VecDeque<Arc<File>>> = Mutex::new(VecDeque::new());

/// A file that is open while it is read, and for some time afterwards.
pub(super) struct Handle {
    path: PathBuf,
    identity: [i64; 4],
    file: Mutex<Weak<File>>,
}

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Handle> {
        let file = Arc::new(File::open(path)?);
        let handle = Handle {
            path: path.to_owned(),
            identity: identity(&file.metadata()?),
            file: Mutex::new(Arc::downgrade(&file)),
        };
        keep(file);
        Ok(handle)
    }

    /// The open file.
    pub(super) fn get(&self) -> io::Result<Arc<File>> {
        let mut known = locked(&self.file);
        if let Some(file) = known.upgrade() {
            return Ok(file);
        }
        let file = Arc::new(File::open(&self.path)?);
        if identity(&file.metadata()?) != self.identity {
            return Err(io::Error::other("its archive changed while it was read"));
        }
        *known = Arc::downgrade(&file);
        keep(file.clone());
        Ok(file)
    }

    /// Its modification time, in nanoseconds.
    pub(super) fn changed(&self) -> i64 {
        self.identity[3]
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(file: Arc<File>) {
    let mut last = locked(&LAST);
    last.push_back(file);
    if last.len() > OPEN {
        last.pop_front();
    }
}

fn identity(meta: &Metadata) -> [i64; 4] {
    let changed = (meta.mtime().wrapping_mul(1_000_000_000)).wrapping_add(meta.mtime_nsec());
    [
        meta.dev() as i64,
        meta.ino() as i64,
        meta.len() as i64,
        changed,
    ]
}
