//! Reads captions from files: references that people wrote and results of a captioner.
//!
//! A file is recognised by its content, whatever its name:
//!
//! - JSON: COCO's `captions_*.json` (`annotations` with `image_id` and `caption`)
//!   and results (`[{"image_id", "caption"}]`), Karpathy's `dataset_*.json`, and
//!   `{"42": "a dog"}` or `{"42": ["a dog", "the dog"]}`;
//! - JSON Lines: an object such as `{"image_id": 42, "caption": "a dog"}` on each line;
//! - tables: CSV, also with tabs, `;` or `|`, whose header names the columns; or, without
//!   a header, `42<tab>a dog`, `42.jpg,a dog` and Flickr8k's `42.jpg#0<tab>a dog`;
//! - plain text: line n of each file is a caption of image n.
//!
//! Any other file is refused with a message that says what it is. In objects and tables
//! the key of an image is `image_id`, `img_id`, `cocoid`, `imgid`, `image`, `file_name`,
//! `filename`, `image_name`, `image_path` or `id`, the key of a caption `caption`,
//! `captions`, `text`, `comment`, `raw`, `sentence` or `sentences`; if there are several,
//! the first in these lists wins. Captions that need no unescaping are not copied.
//!
//! `kind` recognises a file, `json` and `table` read its rows, `id` compares names of
//! images, and `pair` finds each result's references.
//!
//! ```
//! use attend_metrics::captions::{File, pair, references, results};
//!
//! # fn main() -> Result<(), attend_metrics::Error> {
//! let references_json = br#"{"annotations": [{"image_id": 7, "caption": "A dog runs."}]}"#;
//! let files = [File::new("captions.json", *references_json)]; // or File::read
//! let results_file = File::new("results.csv", "image,caption\n000007.jpg,A dog.\n");
//! let pairs = pair(results(&results_file)?, references(&files, None)?)?;
//! assert_eq!(pairs.results[0].1, "A dog.");
//! assert_eq!(pairs.references, [["A dog runs."]]);
//! # Ok(())
//! # }
//! ```

mod file;
mod id;
mod image;
mod json;
mod kind;
mod pair;
mod read;
mod row;
mod table;

pub use file::File;
pub use id::Id;
pub use image::{Captions, Image};
pub use pair::{Pairs, pair};
pub use read::{references, results};
