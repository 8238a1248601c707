//! The parameters of the stage.

use attend_artifact::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization;

/// The sections that this stage reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `[dataset]`
    pub dataset: Section,
}

/// `[dataset]`: what to read and how. The defaults are Karpathy's COCO.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    /// The layout of the data set, one of [`crate::formats::LAYOUTS`].
    pub format: String,
    /// The folder that all other paths are relative to. Not recorded. Empty
    /// where an input artifact `scenes` stands in for it. May be a zip or tar
    /// archive of the photographs where `annotations` is an absolute path.
    pub root: String,
    /// The annotation file of format `karpathy`. Not recorded, its content is.
    pub annotations: String,
    /// Folder of the photographs under `root`: for `karpathy` the images'
    /// `filepath` comes below it; for `flickr8k` empty means
    /// `Flicker8k_Dataset`; for `coco` empty means `{split}{year}`, and of another
    /// folder that one in it, where it is there (`images/train2017/`), or itself.
    /// Any of these may be a zip or tar archive instead, named here or standing in
    /// the folder's place, or a folder in one (`photos.zip/inner`).
    pub image_dir: String,
    /// Whether links lead to photographs outside of these folders: data sets in a
    /// hub's cache or on shared storage may be one link per photograph. Not recorded.
    pub follow_links: bool,
    /// The year in the file and folder names of format `coco`.
    pub year: String,
    /// The splits of format `coco` to read. The official set has captions for
    /// `train` and `val` alone, hence no `test`. Of any format, splits with other
    /// names than `train`, `val` and `test`: a table of what to call them, such as
    /// `{ Train = "train", dev = "val" }`; `coco` then reads those alone.
    pub splits: Splits,
    /// What Karpathy's `restval` (the part of COCO's validation images that he
    /// left over) counts as.
    pub restval: Restval,
    /// What becomes of characters that can be written in several ways: `é` as one
    /// character or as two.
    pub normalise: Normalise,
    /// COCO instance files with the boxes of objects, or empty. Not recorded,
    /// their content is.
    pub objects: Files,
    /// Height and width of all images in the artifact, in pixels. The
    /// photographs are resized to it without keeping their aspect ratio.
    pub image_size: u32,
    /// Whether photographs are turned as their EXIF orientation says, or else their
    /// XMP. TIFFs are turned always, as in Pillow. Boxes of
    /// `objects` are not turned with them.
    pub exif_orientation: bool,
    /// Whether JPEGs are decoded fast instead of exactly: to a half, a quarter or
    /// an eighth of their size where that still covers `image_size`, and with
    /// plain upsampling of colours. The pixels are then no longer Pillow's.
    pub fast: bool,
    /// Images per shard (before rejected ones are taken out).
    pub shard_size: usize,
    /// The fraction of all listed images that may be rejected before the run
    /// fails. Not recorded.
    pub max_rejected_fraction: f64,
    /// Photographs of more pixels are rejected as `too-large`.
    pub max_pixels: u64,
    /// Whether photographs are rejected, as `corrupt`, that break their format's rules
    /// although every pixel is there: a PNG without its end or with a wrong checksum, a
    /// JPEG without its end marker or with wrong restart markers. Otherwise they are
    /// read, and the ledger has them as `damaged`. Recorded only where it is true.
    pub refuse_damaged: bool,
}

impl Default for Section {
    fn default() -> Self {
        Section {
            format: "karpathy".into(),
            root: String::new(),
            annotations: "dataset_coco.json".into(),
            image_dir: String::new(),
            follow_links: false,
            year: "2014".into(),
            splits: Splits::Names(vec!["train".into(), "val".into()]),
            restval: Restval::Train,
            normalise: Normalise::None,
            objects: Files::One(String::new()),
            image_size: 256,
            exif_orientation: false,
            fast: false,
            shard_size: 1024,
            max_rejected_fraction: 0.01,
            max_pixels: attend_image::DecodeOptions::default().max_pixels,
            refuse_damaged: false,
        }
    }
}

/// What becomes of Karpathy's `restval` images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restval {
    /// They join `train`, as in all published results.
    Train,
    /// They stay a split of their own.
    #[default]
    Restval,
    /// They are not part of the data set.
    Drop,
}

/// Unicode's normalisation forms (UAX 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalise {
    /// Captions stay as they are.
    None,
    /// Composed where that can be.
    Nfc,
    /// Composed, and compatible characters made one: `ﬁ` is `fi`, `２` is `2`.
    Nfkc,
}

impl Normalise {
    /// A caption in this form.
    pub fn apply(self, caption: String) -> String {
        match self {
            _ if caption.is_ascii() => caption,
            Normalise::None => caption,
            Normalise::Nfc => caption.nfc().collect(),
            Normalise::Nfkc => caption.nfkc().collect(),
        }
    }
}

/// The splits to read, and what to call them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Splits {
    /// By their own names.
    Names(Vec<String>),
    /// The source's name to the artifact's.
    Renamed(BTreeMap<String, String>),
}

impl Splits {
    /// The source's names.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Splits::Names(names) => names.iter().map(String::as_str).collect(),
            Splits::Renamed(names) => names.keys().map(String::as_str).collect(),
        }
    }

    /// The artifact's name for a split of the source, if the table has one.
    pub fn renamed(&self, name: &str) -> Option<&String> {
        match self {
            Splits::Names(_) => None,
            Splits::Renamed(names) => names.get(name),
        }
    }
}

/// One file or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Files {
    /// One; empty for none.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Files {
    /// The names that are not empty.
    pub fn names(&self) -> Vec<&str> {
        let names: Vec<&str> = match self {
            Files::One(name) => vec![name],
            Files::Many(names) => names.iter().map(String::as_str).collect(),
        };
        names.into_iter().filter(|name| !name.is_empty()).collect()
    }
}

impl Section {
    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the key.
    pub fn check(&self) -> Result<()> {
        let refuse =
            |key: &str, must: &str| Err(Error::usage(format!("dataset.{key} must be {must}")));
        if !(1..=4096).contains(&self.image_size) {
            return refuse("image_size", "between 1 and 4096 pixels");
        }
        if !(1..=1 << 20).contains(&self.shard_size) {
            return refuse("shard_size", "between 1 and 1048576 images");
        }
        if !(0.0..=1.0).contains(&self.max_rejected_fraction) {
            return refuse("max_rejected_fraction", "between 0 and 1");
        }
        Ok(())
    }
}
