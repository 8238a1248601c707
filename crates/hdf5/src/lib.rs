//! The files that the scripts of the PyTorch tutorial read and write
//! (<https://github.com/sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning>):
//! `create_input_files.py` writes them, `datasets.py` reads them.
//!
//! | file | content |
//! |---|---|
//! | `{TRAIN,VAL,TEST}_IMAGES_{base}.hdf5` | dataset `images`, uint8 [N, 3, H, W]; attribute `captions_per_image` |
//! | `{TRAIN,VAL,TEST}_CAPTIONS_{base}.json` | N x `captions_per_image` lists: `<start>`, words, `<end>`, `<pad>`…, all of one length |
//! | `{TRAIN,VAL,TEST}_CAPLENS_{base}.json` | the length of each caption before the first `<pad>` |
//! | `WORDMAP_{base}.json` | word -> id |
//! | `REJECTED_{base}.parquet` | the ledger; only of an export, and only if it leaves something out |
//!
//! `base` is `{name}_{captions per image}_cap_per_img_{min_word_freq}_min_word_freq`;
//! words seen more than `min_word_freq` times are in the word map. Splits of other names
//! have files of the same kind: `DEV_IMAGES_…` holds `dev`.
//!
//! - [`mod@export`]: writes a data set and its vocabulary as these files; `files` writes all
//!   of them or none.
//! - [`mod@import`]: makes a data set from these files; `tutorial` reads them.
//! - [`images`]: one HDF5 file, image by image; `splits`: the order of the splits.

pub mod export;
mod files;
pub mod images;
pub mod import;
mod splits;
mod tutorial;

pub use export::{Args as ExportArgs, export};
pub use images::{Images, ImagesWriter};
pub use import::{SPEC, check, import};
