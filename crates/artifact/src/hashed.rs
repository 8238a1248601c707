//! A file that is hashed and sent to the disk while it is written.

use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// So many bytes are sent to the disk at once.
const SYNC_BYTES: u64 = 16 << 20;

/// Nobody has to read the file again for its digest, nor to wait long for the disk
/// at its end.
pub(crate) struct Hashed {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
    sync: SyncSender<()>,
    syncing: JoinHandle<Result<()>>,
}

impl Hashed {
    pub(crate) fn new(file: File) -> Result<Hashed> {
        let (sync, wanted) = sync_channel(1);
        let same = file.try_clone()?;
        let syncing = Builder::new()
            .name("sync".to_owned())
            .spawn(move || wanted.iter().try_for_each(|()| let_go(&same)))?;
        Ok(Hashed {
            file: BufWriter::new(file),
            hasher: blake3::Hasher::new(),
            bytes: 0,
            sync,
            syncing,
        })
    }

    /// The file, the last of it not synced yet, its size and its BLAKE3 in hexadecimal.
    pub(crate) fn finish(self) -> Result<(File, u64, String)> {
        let file = self.file.into_inner().map_err(|e| e.into_error())?;
        drop(self.sync);
        // The system tells of a failed write once: what the thread heard must count.
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

/// Sends what was written to the disk, and gives its memory back: the next part takes
/// the same pages, which is faster than fresh ones and leaves the system's cache to
/// others. Whoever reads the file reads it from the disk.
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
            // A slow disk still has the last part: this one goes with the next.
            let _ = self.sync.try_send(());
        }
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}
