//! TensorBoard event files: scalars and pictures, as the length-delimited, checksummed
//! protocol buffers that TensorBoard reads.
//!
//! Format: TFRecord (length, masked CRC-32C of the length, data, masked CRC-32C
//! of the data) around `tensorflow.Event` messages. The wall time is the step,
//! so that the same run writes the same bytes.

use attend_program::{At, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// An event file, open for appending.
pub struct Events {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Events {
    /// Opens an event file for appending, truncated to `length` bytes; a new one (`length`
    /// 0) begins with the version.
    ///
    /// # Errors
    /// [`attend_program::Error::Internal`] of the file system.
    pub fn open(path: &Path, length: u64) -> Result<Events> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .at(path)?;
        file.set_len(length).at(path)?;
        let mut events = Events {
            path: path.to_owned(),
            file: BufWriter::new(file),
        };
        if length == 0 {
            let mut event = Vec::new();
            double(&mut event, 1, 0.0);
            bytes(&mut event, 3, b"brain.Event:2");
            events.record(&event)?;
        }
        Ok(events)
    }

    /// Appends named numbers of a step.
    ///
    /// # Errors
    /// [`attend_program::Error::Internal`] of the file system.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut entry = Vec::new();
            bytes(&mut entry, 1, tag.as_bytes());
            varint(&mut entry, (2 << 3) | 5);
            entry.extend((*value as f32).to_le_bytes());
            bytes(&mut summary, 1, &entry);
        }
        self.summary(step, &summary)
    }

    /// Appends a picture of a step: a JPEG or PNG file and its width and height.
    ///
    /// # Errors
    /// [`attend_program::Error::Internal`] of the file system.
    pub fn picture(&mut self, step: u64, tag: &str, size: [u32; 2], file: &[u8]) -> Result<()> {
        let mut picture = Vec::new();
        let numbers = [size[1], size[0], 3]; // height, width, RGB
        for (field, number) in (1u64..).zip(numbers) {
            varint(&mut picture, field << 3);
            varint(&mut picture, number.into());
        }
        bytes(&mut picture, 4, file);
        let mut entry = Vec::new();
        bytes(&mut entry, 1, tag.as_bytes());
        bytes(&mut entry, 4, &picture);
        let mut summary = Vec::new();
        bytes(&mut summary, 1, &entry);
        self.summary(step, &summary)
    }

    fn summary(&mut self, step: u64, summary: &[u8]) -> Result<()> {
        let mut event = Vec::new();
        double(&mut event, 1, step as f64);
        varint(&mut event, 2 << 3);
        varint(&mut event, step);
        bytes(&mut event, 5, summary);
        self.record(&event)
    }

    /// Writes buffered data to disk and returns the length of the file.
    ///
    /// # Errors
    /// [`attend_program::Error::Internal`] of the file system.
    pub fn flush(&mut self) -> Result<u64> {
        self.file.flush().at(&self.path)?;
        let file = self.file.get_ref();
        file.sync_data().at(&self.path)?;
        Ok(file.metadata().at(&self.path)?.len())
    }

    fn record(&mut self, data: &[u8]) -> Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(data);
        record.extend(masked_crc(data).to_le_bytes());
        self.file.write_all(&record).at(&self.path)
    }
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xA282_EAD8)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, field: u64, data: &[u8]) {
    varint(out, (field << 3) | 2);
    varint(out, data.len() as u64);
    out.extend(data);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    varint(out, (field << 3) | 1);
    out.extend(value.to_le_bytes());
}
