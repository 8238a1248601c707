//! Photographs in memory: decodes like Pillow's `convert("RGB")` and resizes like its
//! `resize(…, BILINEAR)` (with antialiasing), up to rounding.
//!
//! This crate decides what a file's pixels are, not what a pipeline does with a file that
//! is refused: it opens no files, knows no artifacts and logs nothing.
//!
//! | module | what it does |
//! |---|---|
//! | `photograph` | [`Photograph`], [`DecodeOptions`], [`DecodeError`] |
//! | `decode` | [`decode()`]: decodes any format |
//! | `load` | [`load()`]: decodes, resizes and orders the pixels as a data set holds them |
//! | `jpeg` | decodes JPEG through libjpeg-turbo, and repairs files that break the format's rules but have every pixel |
//! | `other` | decodes PNG, WebP, BMP, GIF and TIFF, and says what any other file is |
//! | `orientation` | finds the orientation in EXIF and XMP, and turns the picture |
//! | `resize` | [`resize()`], [`to_planar`] and [`of_planar`] |
//! | `encode` | [`jpeg()`]: encodes a picture |

mod decode;
mod encode;
mod jpeg;
mod load;
mod orientation;
mod other;
mod photograph;
mod resize;

pub use decode::decode;
pub use encode::jpeg;
pub use load::{Loaded, load};
pub use photograph::{DecodeError, DecodeOptions, Photograph};
pub use resize::{of_planar, resize, to_planar};
