//! Tables: a row for each image or caption, in CSV, TSV and other delimited text, JSON Lines
//! and lists, or Parquet.
//!
//! - `interface`: what all forms of tables have in common; `delimited`, `json`, `parquet`:
//!   the forms; `literal`: a list of captions as text.
//! - `columns`: which column holds what; `contents`: the same for a table without header;
//!   `names`: where the photographs are; `listing`: images and captions of all rows.
//! - `look`: which tables a folder has.

mod columns;
mod contents;
mod delimited;
mod interface;
mod json;
mod listing;
mod literal;
mod look;
mod names;
mod parquet;

use super::layout::Layout;
use super::read::read_text;
use super::splits;
use crate::annotations::Annotations;
use crate::config::Section;
use crate::parquet_file;
use attend_program::glob::expand;
use attend_program::{Error, Result};
use columns::choose;
use interface::Table;
use listing::{Entry, Listing};
use names::Names;
use std::path::Path;

/// The layout `table`.
pub const LAYOUT: Layout = Layout {
    name: "table",
    holds: "dataset.annotations (CSV, TSV, JSON Lines, JSON or Parquet) and the photographs, unless they are in it",
    look: look::look,
    read,
};

const WHAT: &str =
    "a table, or a pattern of tables such as data/*.parquet (dataset.root, dataset.annotations)";

/// Reads all tables.
fn read(root: &Path, section: &Section) -> Result<Annotations> {
    let mut listing = Listing::begin(Annotations {
        nested: true,
        restval: section.restval,
        ..Annotations::default()
    });
    let files = files(root, &section.annotations)?;
    for file in &files {
        add(&mut listing, root, file, section)?;
    }
    let place = root.join(&section.annotations);
    listing
        .end()
        .map_err(|why| Error::input(format!("{}: {why}", place.display())))
}

/// The tables' names below `root`.
fn files(root: &Path, pattern: &str) -> Result<Vec<String>> {
    match pattern.contains(['*', '?', '[', '{']) {
        true => expand(root, pattern),
        false => Ok(vec![pattern.to_owned()]),
    }
}

/// Opens a table, whose form its content decides.
fn open(path: &Path, section: &Section) -> Result<Box<dyn Table>> {
    if parquet_file::is_parquet(path) {
        return Ok(Box::new(parquet::open(path)?));
    }
    let (text, input) = read_text(path, WHAT)?;
    if text.trim().is_empty() {
        return Err(Error::input(format!("{}: an empty file", path.display())));
    }
    Ok(match json::is_json(&text) {
        true => Box::new(json::open(path, text, input, section)?),
        false => Box::new(delimited::open(path, text, input, section)?),
    })
}

/// Adds the rows of a table, which is called `file` below `root`.
fn add(listing: &mut Listing, root: &Path, file: &str, section: &Section) -> Result<()> {
    let path = root.join(file);
    let table = open(&path, section)?;
    let photographs: Vec<usize> = table
        .photographs()
        .iter()
        .map(|(column, _)| *column)
        .collect();
    let chosen = choose(table.columns(), &photographs, &section.columns)
        .map_err(|undecided| Error::input(format!("{}: {}", path.display(), undecided.why)))?;
    let split = splits::of_path(file);
    let mut entries = Vec::new();
    let input = table.rows(&chosen, &mut |number, row| {
        match row.and_then(|row| Entry::read(row, &chosen, split, section)) {
            Ok(entry) => entries.push(entry),
            Err(why) => listing.reject(&format!("{file}, {} {number}", table.unit()), &why),
        }
        Ok(())
    })?;
    listing.input(input);
    if let Some(column) = table.folder_of(&chosen) {
        let folder = listing.folder(format!("{file}/{column}"));
        entries
            .into_iter()
            .for_each(|entry| listing.add(folder, entry, &chosen));
        return Ok(());
    }
    if let Some(entry) = entries.first().filter(|entry| entry.name.contains("://")) {
        return Err(Error::input(format!(
            "{}: its images are addresses ({}), which are not fetched here; img2dataset does, and dataset.format = \"webdataset\" reads what it writes",
            path.display(),
            entry.name
        )));
    }
    let beside = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folders = match section.image_dir.as_str() {
        "" if !file.starts_with('/') => vec![beside, ""],
        folder => vec![folder],
    };
    let names = Names::find(root, &folders, entries.iter().map(|entry| &*entry.name));
    let folder = listing.folder(names.folder.clone());
    for mut entry in entries {
        entry.name = names.resolve(&entry.name);
        listing.add(folder, entry, &chosen);
    }
    Ok(())
}
