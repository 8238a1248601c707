//! What the columns of a table without header hold, by their contents: names of photographs,
//! some of which are there, sentences, splits, and a number for each photograph.

use super::columns::{Chosen, choose};
use super::delimited::{is_photograph, rows};
use super::names::Names;
use crate::config::{Columns, Section};
use crate::formats::splits;
use csv::StringRecord;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Fewer columns are an image and its caption, in this order.
const FEWEST: usize = 3;

/// The ways to read a table by its first rows. There are several if two columns could be
/// the same, and none if no column names photographs or none has words.
pub(super) fn ways(
    root: &Path,
    folder: &str,
    text: &str,
    section: &Section,
) -> Vec<(Section, Vec<String>, Chosen)> {
    let mut ways = Vec::new();
    for delimiter in ['\t', ',', ';', '|'] {
        let rows = rows(text, delimiter);
        let width = rows.first().map_or(0, StringRecord::len);
        if width < FEWEST || rows.iter().any(|row| row.len() != width) {
            continue;
        }
        let table = Table { rows, width };
        for columns in table.columns(root, folder) {
            let section = Section {
                delimiter: delimiter.to_string(),
                header: Some(false),
                columns,
                ..section.clone()
            };
            let names: Vec<String> = (1..=width).map(|number| number.to_string()).collect();
            if let Ok(chosen) = choose(&names, &[], &section.columns) {
                ways.push((section, names, chosen));
            }
        }
        if !ways.is_empty() {
            break;
        }
    }
    ways
}

/// The first rows of a table, each of `width` fields.
struct Table {
    rows: Vec<StringRecord>,
    width: usize,
}

impl Table {
    fn column(&self, at: usize) -> impl Iterator<Item = &str> {
        self.rows.iter().map(move |row| row[at].trim())
    }

    /// What the columns could hold.
    fn columns(&self, root: &Path, folder: &str) -> Vec<Columns> {
        let all = || 0..self.width;
        let photographs = |at: &usize| {
            let named = self.column(*at).all(is_photograph);
            let names = named.then(|| Names::find(root, &[folder, ""], self.column(*at)));
            names.is_some_and(|names| self.column(*at).any(|name| names.has(name)))
        };
        let images: Vec<usize> = all().filter(photographs).collect();
        let splits: Vec<usize> = all()
            .filter(|at| (self.column(*at)).all(|name| splits::of_name(name).is_some()))
            .collect();
        let mut found = Vec::new();
        for image in &images {
            let ids: Vec<usize> = all().filter(|at| self.numbers(*at, *image)).collect();
            let known = [&*images, &*splits, &*ids].concat();
            let rest = all().filter(|at| !known.contains(at) && self.has_words(*at));
            for caption in rest {
                for split in or_none(&splits) {
                    for id in or_none(&ids) {
                        let name = |at: usize| (at + 1).to_string();
                        found.push(Columns {
                            image: name(*image),
                            caption: name(caption),
                            split: split.map_or_else(String::new, name),
                            id: id.map_or_else(String::new, name),
                        });
                    }
                }
            }
        }
        found
    }

    /// Whether a column has a number for each photograph, and for each another one.
    fn numbers(&self, at: usize, image: usize) -> bool {
        let mut of_image = HashMap::new();
        let one_each = self.column(at).zip(self.column(image)).all(|(id, image)| {
            id.parse::<i64>().is_ok() && *of_image.entry(image).or_insert(id) == id
        });
        let distinct: HashSet<&str> = of_image.values().copied().collect();
        one_each && distinct.len() == of_image.len()
    }

    /// Whether most of a column's fields have several words.
    fn has_words(&self, at: usize) -> bool {
        let letters = |word: &&str| word.chars().any(char::is_alphabetic);
        let words = |field: &str| field.split_whitespace().filter(letters).count();
        2 * self.column(at).filter(|field| words(field) > 1).count() > self.rows.len()
    }
}

/// Each of the columns, or none if there are none.
fn or_none(columns: &[usize]) -> Vec<Option<usize>> {
    match columns {
        [] => vec![None],
        some => some.iter().copied().map(Some).collect(),
    }
}
