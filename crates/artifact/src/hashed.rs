//! A file that is hashed and synced while it is written.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Number of bytes after which the file is synced.
const SYNC_BYTES: u64 = 16 << 20;

/// A file being written. It need not be read again for its digest, and the final sync is
/// short.
pub(crate) struct Hashed {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
    sync: SyncSender<()>,
    syncing: JoinHandle<Result<()>>,
}

impl Hashed {
    pub(crate) fn new(file: File) -> Result<Hashed> {
        let (sync, requests) = sync_channel(1);
        let same = file.try_clone()?;
        let syncing = Builder::new()
            .name("sync".to_owned())
            .spawn(move || requests.iter().try_for_each(|()| let_go(&same)))?;
        Ok(Hashed {
            file: BufWriter::new(file),
            hasher: blake3::Hasher::new(),
            bytes: 0,
            sync,
            syncing,
        })
    }

    /// Returns the file (its last part not yet synced), its size and its BLAKE3 in
    /// hexadecimal.
    pub(crate) fn finish(self) -> Result<(File, u64, String)> {
        let file = self.file.into_inner().map_err(|e| e.into_error())?;
        drop(self.sync);
        // The system reports a failed write only once, so an error on the thread must not be
        // lost.
        if let Ok(synced) = self.syncing.join() {
            synced?;
        }
        Ok((
            file,
            self.bytes,
            self.hasher.finalize().to_hex().to_string(),
        ))
    }
}

/// Syncs the file and drops its pages from the page cache: the next part reuses them,
/// which is faster than fresh pages and leaves the cache to others. Readers of the file
/// read it from the disk.
fn let_go(file: &File) -> Result<()> {
    file.sync_data()?;
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed); // only advice
    Ok(())
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        let before = self.bytes / SYNC_BYTES;
        self.bytes += written as u64;
        if self.bytes / SYNC_BYTES > before {
            // If a slow disk is still syncing, the next request syncs this part, too.
            let _ = self.sync.try_send(());
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}
