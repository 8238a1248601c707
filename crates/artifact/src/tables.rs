//! Writes the tables of a `dataset` artifact.

use crate::dataset::{CaptionRecord, ImageRecord, ObjectRecord, RejectedRecord};
use crate::manifest::short;
use crate::{Record, Staging, ledger};
use attend_program::Result;

pub use crate::dataset::{is_split_name, shard_file, split_order};

/// The rows of a data set's tables: images by split, captions in the order of their images.
#[derive(Debug, Default)]
pub struct Tables {
    /// Rows of `images.parquet`.
    pub images: Vec<ImageRecord>,
    /// Rows of `captions.parquet`.
    pub captions: Vec<CaptionRecord>,
    /// Rows of `objects.parquet`.
    pub objects: Vec<ObjectRecord>,
    /// Rows of `rejected.parquet`.
    pub rejected: Vec<RejectedRecord>,
}

impl Tables {
    /// Writes the tables beside the shards of `staging`, commits the artifact and reports
    /// it. `side` is the images' height and width in pixels.
    ///
    /// # Errors
    /// Those of [`Staging::commit`]; [`attend_program::Error::Internal`] if writing fails.
    pub fn commit(self, staging: Staging, side: u32) -> Result<()> {
        write(&staging, "images.parquet", &self.images)?;
        write(&staging, "captions.parquet", &self.captions)?;
        write(&staging, "objects.parquet", &self.objects)?;
        write(&staging, "rejected.parquet", &self.rejected)?;
        let mut counts = vec![
            ("images".to_owned(), self.images.len() as u64),
            ("captions".to_owned(), self.captions.len() as u64),
            ("objects".to_owned(), self.objects.len() as u64),
            ("rejected".to_owned(), ledger::left_out(&self.rejected)),
            ("image_height".to_owned(), side.into()),
            ("image_width".to_owned(), side.into()),
        ];
        counts.extend(ledger::counts(&self.rejected));
        let counts: Vec<(&str, u64)> = counts.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        let manifest = staging.commit(&counts)?;
        let splits: Vec<String> = self
            .images
            .chunk_by(|a, b| a.split == b.split)
            .map(|split| format!("{} {}", split[0].split, split.len()))
            .collect();
        ledger::report(&self.rejected);
        tracing::info!(
            "dataset of {} images ({}) and {} captions, {}",
            self.images.len(),
            splits.join(", "),
            self.captions.len(),
            short(&manifest.digest)
        );
        if let Some(names) = usual_names(&self.images) {
            tracing::warn!(
                "other stages look for splits train, val and test; dataset.splits = {names} renames them"
            );
        }
        Ok(())
    }
}

fn write<R: Record>(staging: &Staging, name: &str, rows: &[R]) -> Result<()> {
    R::write(&staging.path(name)?, rows)?;
    staging.done(name, Some(rows.len() as u64))
}

/// A value for `dataset.splits` that renames the splits to the names that other stages look
/// for; `None` if they have these names already.
fn usual_names(images: &[ImageRecord]) -> Option<String> {
    let usual = |split: &str| match split.to_ascii_lowercase().as_str() {
        "train" | "training" => Some("train"),
        "val" | "valid" | "validation" | "dev" => Some("val"),
        "test" | "testing" => Some("test"),
        _ => None,
    };
    let splits = images.chunk_by(|a, b| a.split == b.split);
    let splits = splits.map(|images| images[0].split.as_str());
    let splits: Vec<(&str, &str)> = splits
        .map(|split| (split, usual(split).unwrap_or(split)))
        .collect();
    let pairs: Vec<String> = (splits.iter())
        .map(|(split, usual)| format!("{split} = {usual:?}"))
        .collect();
    let other = splits.iter().any(|(split, usual)| split != usual);
    other.then(|| format!("{{ {} }}", pairs.join(", ")))
}
