//! The logs of a run: `metrics.jsonl` and TensorBoard events. Neither contains times, so
//! that a resumed run ends with the same files.

use crate::tensorboard::Events;
use attend_image::Photograph;
use attend_program::{At, Error, Result};
use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Name of the file of metrics, as lines of JSON.
pub const LINES: &str = attend_artifact::model::METRICS;
/// Name of the event file.
pub const EVENTS: &str = "events.out.tfevents.0.attend";

/// Quality of the pictures' JPEG.
const QUALITY: u8 = 85;

/// Lengths of both files, for checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// Bytes of `metrics.jsonl`.
    pub lines: u64,
    /// Bytes of the event file.
    pub events: u64,
}

/// Both files, open for appending.
pub struct Metrics {
    path: PathBuf,
    lines: BufWriter<File>,
    events: Events,
}

impl Metrics {
    /// Opens both files in `folder`, truncated to the lengths in a checkpoint.
    ///
    /// # Errors
    /// [`Error::Internal`] of the file system.
    pub fn open(folder: &Path, lengths: Lengths) -> Result<Metrics> {
        let path = folder.join(LINES);
        let lines = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .at(&path)?;
        lines.set_len(lengths.lines).at(&path)?;
        let events = Events::open(&folder.join(EVENTS), lengths.events)?;
        Ok(Metrics {
            path,
            lines: BufWriter::new(lines),
            events,
        })
    }

    /// Logs named numbers; as JSON `{"step", "epoch", "split", …}`.
    ///
    /// # Errors
    /// [`Error::Internal`] of the file system.
    pub fn write(
        &mut self,
        step: u64,
        epoch: u64,
        split: &str,
        values: &[(&str, f64)],
    ) -> Result<()> {
        let mut line = Map::new();
        line.insert("step".into(), json!(step));
        line.insert("epoch".into(), json!(epoch));
        line.insert("split".into(), json!(split));
        line.extend(
            values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value))),
        );
        writeln!(self.lines, "{}", Value::Object(line)).at(&self.path)?;
        let tags: Vec<String> = values
            .iter()
            .map(|(name, _)| format!("{split}/{name}"))
            .collect();
        let tagged: Vec<(&str, f64)> = tags
            .iter()
            .map(String::as_str)
            .zip(values.iter().map(|(_, v)| *v))
            .collect();
        self.events.scalars(step, &tagged)
    }

    /// Appends a picture to the events, at half its size and as JPEG: a run has hundreds.
    ///
    /// # Errors
    /// [`Error::Internal`] of the file system.
    pub fn picture(&mut self, step: u64, tag: &str, picture: &RgbImage) -> Result<()> {
        let photograph = |[width, height]: [u32; 2], rgbx| Photograph {
            width,
            height,
            full: (width, height),
            rgbx,
        };
        let size = [picture.width(), picture.height()];
        let rgbx = picture
            .pixels()
            .flat_map(|Rgb([r, g, b])| [*r, *g, *b, 255]);
        let whole = photograph(size, rgbx.collect());
        let [width, height] = size.map(|side| (side / 2).max(1));
        let half = attend_image::resize(&whole, height, width);
        let jpeg = attend_image::jpeg(&photograph([width, height], half), QUALITY);
        let jpeg = jpeg.map_err(Error::internal)?;
        self.events.picture(step, tag, [width, height], &jpeg)
    }

    /// Writes buffered data to disk and returns the lengths of the files.
    ///
    /// # Errors
    /// [`Error::Internal`] of the file system.
    pub fn flush(&mut self) -> Result<Lengths> {
        self.lines.flush().at(&self.path)?;
        let file = self.lines.get_ref();
        file.sync_data().at(&self.path)?;
        let lines = file.metadata().map_err(Error::internal)?.len();
        Ok(Lengths {
            lines,
            events: self.events.flush()?,
        })
    }
}
