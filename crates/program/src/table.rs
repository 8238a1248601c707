//! Text tables with aligned columns.

use crate::text::escaped;
use std::fmt::{Display, Formatter};

/// Alignment of the cells of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Left, for words.
    Left,
    /// Right, for numbers.
    Right,
}

/// Rows of cells. In its text, each column is as wide as its widest cell, with two spaces
/// between columns and none at a line's end; control characters are escaped
/// ([`escaped`]).
pub struct Table {
    columns: Vec<Align>,
    indent: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(columns: impl Into<Vec<Align>>) -> Table {
        Table {
            columns: columns.into(),
            indent: "",
            rows: Vec::new(),
        }
    }

    /// The same table with two spaces before each line.
    pub fn indented(self) -> Table {
        Table {
            indent: "  ",
            ..self
        }
    }

    /// Adds a row, with at most one cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        let cells = cells.into_iter();
        self.rows.push(
            cells
                .map(|cell| escaped(cell.as_ref()).into_owned())
                .collect(),
        );
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl Display for Table {
    /// The lines, without a line break after the last one.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let widths: Vec<usize> = (0..self.columns.len()).map(|n| self.width(n)).collect();
        for (n, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(self.columns.iter().zip(&widths));
            let cells = cells.map(|(cell, (align, width))| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            let line = self.indent.to_owned() + &cells.collect::<Vec<_>>().join("  ");
            let end = if n + 1 < self.rows.len() { "\n" } else { "" };
            write!(f, "{}{end}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_last_word() {
        let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
        table.row(["split", "n", ""]);
        table.row(["훈련", "1000", "a\u{1b}b"]);
        table.row(["x"]);
        assert_eq!(
            table.to_string(),
            "split     n\n훈련     1000  a\\u{1b}b\nx"
        );
        let text = table.indented().to_string();
        assert!(text.starts_with("  split"), "{text}");
        assert!(text.ends_with("\n  x"), "{text}");
    }
}
