//! The files that the scripts of the PyTorch tutorial read and write
//! (<https://github.com/sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning>):
//! `create_input_files.py` writes them, `datasets.py` reads them.
//!
//! | file | content |
//! |---|---|
//! | `{TRAIN,VAL,TEST}_IMAGES_{base}.hdf5` | dataset `images`, uint8 [N, 3, H, W]; attribute `captions_per_image` |
//! | `{TRAIN,VAL,TEST}_CAPTIONS_{base}.json` | N x `captions_per_image` lists: `<start>`, words, `<end>`, `<pad>`…, all of one length |
//! | `{TRAIN,VAL,TEST}_CAPLENS_{base}.json` | of each, how many there are before the first `<pad>` |
//! | `WORDMAP_{base}.json` | word -> id |
//! | `REJECTED_{base}.parquet` | only of an export, and only where it leaves something out: the ledger |
//!
//! `base` is `{name}_{captions per image}_cap_per_img_{min_word_freq}_min_word_freq`;
//! words seen more than `min_word_freq` times are in the word map. Splits of other names
//! have files of the same kind: `DEV_IMAGES_…` holds `dev`.
//!
//! [`export()`] makes them of a data set and its vocabulary; [`read`] makes a data
//! set of them, the format `hdf5` of `[dataset]`.

mod export;
mod images;
mod import;

pub use export::{Args as ExportArgs, export};
pub use images::{Images, ImagesWriter};
pub use import::read;

use attend_artifact::{Error, Result};
use std::ffi::OsString;

/// The tutorial's names of splits.
const SPLITS: [&str; 3] = ["TRAIN", "VAL", "TEST"];

/// Place of a name among the tutorial's, and after them the others'.
fn order(name: &str) -> usize {
    let known = SPLITS.iter().position(|known| *known == name);
    known.unwrap_or(SPLITS.len())
}

/// What the stage's help says about this.
pub const HELP: &str = "\
The PyTorch tutorial's files:
  attend-ingest --import hdf5 DIR --output PATH
      the same as --set dataset.format=hdf5 --set dataset.root=DIR
  attend-ingest --export hdf5 DIR --input dataset=PATH --input vocabulary=PATH
      see attend-ingest --export --help";

/// The stage's command line, `--import hdf5 DIR` put in its own words.
///
/// # Errors
/// [`Error::Usage`] where that is something else.
pub fn import_arguments(mut arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    let Some(at) = arguments.iter().position(|argument| argument == "--import") else {
        return Ok(arguments);
    };
    let end = arguments.len().min(at + 3);
    let given: Vec<OsString> = arguments.splice(at..end, []).collect();
    let folder = match given.as_slice() {
        [_, format, folder] if format == "hdf5" => folder.to_str(),
        _ => None,
    };
    let folder = folder.ok_or_else(|| Error::usage("--import: expected hdf5 and a folder"))?;
    // A JSON string is a TOML string, too.
    let folder = serde_json::to_string(folder).map_err(Error::internal)?;
    let words = ["--set".into(), "dataset.format=hdf5".into(), "--set".into()];
    let words = words.into_iter().chain([format!("dataset.root={folder}")]);
    arguments.splice(at..at, words.map(OsString::from));
    Ok(arguments)
}
