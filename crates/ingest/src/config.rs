//! The parameters of the stage.

use crate::shares::SplitByContent;
use attend_program::{Error, Result};
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
    /// Layout of the data set: `karpathy`, `coco`, `flickr8k`, `table` (CSV, TSV, JSON
    /// Lines, JSON, Parquet), `webdataset` (tars of photographs and texts) or `folder`
    /// (photographs with a text file beside each).
    pub format: String,
    /// Folder that all other paths are relative to; empty if an input artifact `scenes`
    /// takes its place. May be a zip or tar archive of the photographs if `annotations` is
    /// an absolute path. Not recorded in the manifest.
    pub root: String,
    /// Annotation file of format `karpathy`; for `table`, a file or a pattern of
    /// names (`data/*.parquet`, `{train,val}.csv`); for `webdataset`, its tars
    /// by a pattern of names (`train-*.tar`, `{00000..00099}.tar`; all tars below `root` if
    /// it is empty or not set). Not recorded, but the content of annotations is.
    pub annotations: String,
    /// Which columns of a `table` hold what: `image` (a file's name, or its bytes),
    /// `caption` (a caption or a list of them; `caption` also means `caption_0`,
    /// `caption_1`, …), `split` and `id` (the image's). Each is found by the usual names if
    /// it is not given. Columns without a header are called `1`, `2`, … Recorded if given.
    pub columns: Columns,
    /// Character between the fields of a `table` that is text; empty: `,`, a tab, `;`, `|`
    /// or a space, whichever fits the first lines. With a space, the image's name ends at
    /// the first one. Recorded if given.
    pub delimiter: String,
    /// Whether the first line of a `table` that is text names its columns. If not given, it
    /// does if columns are found by it. Recorded if given.
    pub header: Option<bool>,
    /// Folder of the photographs under `root`. For `karpathy`, the images' `filepath` is
    /// relative to it. For `table`, empty means the table's own folder or, if the first
    /// photograph is not there, `root`; names without folder or extension are looked for in
    /// all folders below it. For `flickr8k`, empty means `Flicker8k_Dataset`. For `coco`, empty
    /// means `{split}{year}`; otherwise photographs are in `{split}{year}` below this
    /// folder if that exists (`images/train2017/`), or else in the folder itself. Instead
    /// of a folder there may be a zip or tar archive, named here or in the folder's place,
    /// or a folder in one (`photos.zip/inner`).
    pub image_dir: String,
    /// Whether to follow links to photographs outside of these folders: in a hub's cache
    /// or on shared storage, each photograph may be a link. Not recorded.
    pub follow_links: bool,
    /// Year in the file and folder names of format `coco`.
    pub year: String,
    /// Splits of format `coco` to read; the official data set has captions for `train` and
    /// `val` only. For any format it can be a table that renames splits, such as
    /// `{ Train = "train", dev = "val" }`; `coco` then reads only those.
    pub splits: Splits,
    /// Splits by content, for data that has none: `{ val = 0.05, test = 0.05, seed = 1 }`
    /// puts 5 % of the photographs each in `val` and `test`, and the rest in `train`. A
    /// photograph's split depends on the seed and its file's bytes only: photographs that
    /// are added later move no others, and two copies of one are in the same split. With
    /// `replace = true`, these splits replace those that the data has.
    pub split: SplitByContent,
    /// What to do with Karpathy's `restval`, those of COCO's validation images that are in
    /// neither his val nor his test split: `train` adds them to that split, `restval` keeps
    /// them as a split of their own, `drop` leaves them out.
    pub restval: Restval,
    /// Unicode normalisation of captions: `é` can be one character or two.
    pub normalise: Normalise,
    /// COCO instance files with the boxes of objects, or empty. Not recorded, but their
    /// content is.
    pub objects: Files,
    /// Height and width of all images in the artifact, in pixels. Photographs are resized
    /// to it without keeping their aspect ratio.
    pub image_size: u32,
    /// Whether to rotate photographs by their EXIF orientation, or by that in their XMP if
    /// there is none. TIFFs are always rotated, as in Pillow. Boxes of `objects` are not.
    pub exif_orientation: bool,
    /// Whether to decode JPEGs fast instead of exactly: at a half, a quarter or an eighth
    /// of their size if that still covers `image_size`, and with simple upsampling of
    /// colours. The pixels then differ from Pillow's.
    pub fast: bool,
    /// Images per shard, including those that are then rejected.
    pub shard_size: usize,
    /// Maximum fraction of the listed images that may be rejected; beyond it the run fails.
    /// Not recorded.
    pub max_rejected_fraction: f64,
    /// Maximum number of pixels of a photograph; larger ones are rejected as `too-large`.
    pub max_pixels: u64,
    /// Whether to reject, as `corrupt`, photographs that have all pixels but violate their
    /// format: a PNG without its end or with a wrong checksum, a JPEG without its end
    /// marker or with wrong restart markers. If false, they are used, and the ledger lists
    /// them as `damaged`. Recorded only if true.
    pub refuse_damaged: bool,
}

impl Default for Section {
    fn default() -> Self {
        Section {
            format: "karpathy".into(),
            root: String::new(),
            annotations: "dataset_coco.json".into(),
            columns: Columns::default(),
            delimiter: String::new(),
            header: None,
            image_dir: String::new(),
            follow_links: false,
            year: "2014".into(),
            splits: Splits::Names(vec!["train".into(), "val".into()]),
            split: SplitByContent::default(),
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

/// Names of a table's columns; empty ones are found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// The image: the name of its file, or its bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Its captions.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub caption: String,
    /// Its split.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub split: String,
    /// Its id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
}

/// What to do with Karpathy's `restval` images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restval {
    /// Add them to `train`, as in all published results.
    Train,
    /// Keep them as a split of their own.
    #[default]
    Restval,
    /// Leave them out.
    Drop,
}

/// Unicode's normalisation forms (UAX 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalise {
    /// No normalisation.
    None,
    /// Composed characters where they exist.
    Nfc,
    /// Composed, with compatible characters unified: `ﬁ` is `fi`, `２` is `2`.
    Nfkc,
}

impl Normalise {
    /// Converts a caption to this form.
    pub fn apply(self, caption: String) -> String {
        match self {
            _ if caption.is_ascii() => caption,
            Normalise::None => caption,
            Normalise::Nfc => caption.nfc().collect(),
            Normalise::Nfkc => caption.nfkc().collect(),
        }
    }
}

/// The splits to read, and their names in the artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Splits {
    /// Splits that keep their names.
    Names(Vec<String>),
    /// The source's names, each with the artifact's.
    Renamed(BTreeMap<String, String>),
}

impl Splits {
    /// The names in the source.
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
    /// One file; empty for none.
    One(String),
    /// Several files.
    Many(Vec<String>),
}

impl Files {
    /// The names, without empty ones.
    pub fn names(&self) -> Vec<&str> {
        let names: Vec<&str> = match self {
            Files::One(name) => vec![name],
            Files::Many(names) => names.iter().map(String::as_str).collect(),
        };
        names.into_iter().filter(|name| !name.is_empty()).collect()
    }
}

impl Section {
    /// Refuses invalid values.
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
        self.split.check()?;
        if !(0.0..=1.0).contains(&self.max_rejected_fraction) {
            return refuse("max_rejected_fraction", "between 0 and 1");
        }
        if self.delimiter.len() > 1 {
            return refuse("delimiter", "one character, such as \",\" or \"\\t\"");
        }
        Ok(())
    }
}
