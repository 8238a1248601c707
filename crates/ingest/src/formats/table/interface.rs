//! The interface of all forms of tables.

use super::columns::Chosen;
use attend_artifact::Input;
use attend_program::Result;
use serde_json::Value;

/// Endings of tables' names.
const ENDINGS: [&str; 7] = ["csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet"];

/// The cells of a row that are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The image: its name, or the row that holds its bytes.
    pub image: Value,
    /// A caption or a list of them, for each column of captions.
    pub captions: Vec<Value>,
    /// The split.
    pub split: Value,
    /// The id.
    pub id: Value,
    /// The ids of the captions.
    pub caption_ids: Value,
}

impl Row {
    /// The row whose cells `cell` gives by column.
    pub fn new(chosen: &Chosen, mut cell: impl FnMut(usize) -> Value) -> Row {
        Row {
            image: cell(chosen.image),
            captions: chosen.captions.iter().map(|column| cell(*column)).collect(),
            split: chosen.split.map_or(Value::Null, &mut cell),
            id: chosen.id.map_or(Value::Null, &mut cell),
            caption_ids: chosen.caption_ids.map_or(Value::Null, &mut cell),
        }
    }
}

/// Takes a row's number and the row, or why it can't be read.
pub type Each<'a> = dyn FnMut(usize, std::result::Result<Row, String>) -> Result<()> + 'a;

/// A table, opened.
pub trait Table {
    /// The names of its columns. Those of a table without header are `1`, `2`, …
    fn columns(&self) -> &[String];

    /// The columns that hold photographs' bytes, and what their folder is called below the
    /// table: references name a row in it.
    fn photographs(&self) -> &[(usize, String)] {
        &[]
    }

    /// What the folder of the photographs is called, if the table holds them.
    fn folder_of(&self, chosen: &Chosen) -> Option<&str> {
        let mut all = self.photographs().iter();
        all.find_map(|(column, folder)| (*column == chosen.image).then_some(folder.as_str()))
    }

    /// What a row's number counts: `line` or `row`.
    fn unit(&self) -> &'static str {
        "line"
    }

    /// Reads the rows. Returns the table as an input of the artifact.
    ///
    /// # Errors
    /// `Error::Input` that names the file and the place in it if no more rows can be read.
    fn rows(&self, chosen: &Chosen, each: &mut Each<'_>) -> Result<Input>;
}

/// Whether a file has the name of a table.
pub fn is_table(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.contains(&&*ending.to_ascii_lowercase())
}
