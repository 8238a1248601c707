//! Which tables a folder has, and how each could be read.

use super::columns::{Chosen, Undecided, choose};
use super::interface::{Table, is_table};
use super::names::Names;
use super::{contents, delimited, json, parquet};
use crate::config::Section;
use crate::formats::layout::Reading;
use crate::formats::{look, splits};
use crate::parquet_file;
use attend_program::{Result, check_interrupt};
use glob::Pattern;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Maximum number of tables that are opened.
const OPENED: usize = 30;
/// Number of first lines whose keys are compared with the photographs.
const SAMPLE: usize = 20;

/// Finds tables in a folder and in those in it, or at a file. Tables of one data set, for
/// its splits or in parts, are one reading.
pub(super) fn look(path: &Path) -> Result<Vec<Reading>> {
    let (root, file) = look::place(path);
    let names = file.map_or_else(|| look::files(&root), |file| vec![file]);
    let names: Vec<String> = names.into_iter().filter(|name| is_table(name)).collect();
    // Those at the top come first: a folder of photographs may have thousands of texts.
    let mut groups: BTreeMap<(bool, String), Vec<&String>> = BTreeMap::new();
    for name in &names {
        let key = (name.contains('/'), shape(name));
        groups.entry(key).or_default().push(name);
    }
    let mut readings = Vec::new();
    for ((_, shape), group) in groups.into_iter().take(OPENED) {
        check_interrupt()?;
        let pattern = pattern(&shape, &group, &names);
        let split = group.iter().all(|name| splits::of_path(name).is_some());
        for (section, columns, chosen) in ways(&root, group[0], Section::default()) {
            readings.push(reading(&root, &pattern, split, &section, &columns, &chosen));
        }
    }
    Ok(readings)
}

/// A name with `*` for the words that say a split and for numbers.
fn shape(name: &str) -> String {
    let mut shape = String::new();
    for word in name.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let end = word
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(word.len());
        let (word, rest) = word.split_at(end);
        let varies = splits::of_name(word).is_some()
            || (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()));
        shape += if varies { "*" } else { word };
        shape += rest;
    }
    shape
}

/// A pattern that matches the names of a group, and no others.
fn pattern(shape: &str, group: &[&String], names: &[String]) -> String {
    if let [one] = group {
        return (*one).clone();
    }
    let pattern = Pattern::new(shape).ok();
    let matched = |pattern: Pattern| names.iter().filter(|name| pattern.matches(name)).count();
    match pattern.map(matched) == Some(group.len()) {
        true => shape.to_owned(),
        false => {
            let names: Vec<&str> = group.iter().map(|name| name.as_str()).collect();
            format!("{{{}}}", names.join(","))
        }
    }
}

/// The ways to read a table: its columns, and what they hold. There are several if a
/// column could be chosen in several ways.
fn ways(root: &Path, name: &str, section: Section) -> Vec<(Section, Vec<String>, Chosen)> {
    let found = columns(&root.join(name), &section).and_then(|(columns, photographs)| {
        let chosen = choose(&columns, &photographs, &section.columns)?;
        Ok((columns, chosen))
    });
    let choices = match found {
        Ok((columns, chosen)) => return vec![(section, columns, chosen)],
        Err(Undecided { choices, .. }) => choices,
    };
    let Some((key, names)) = choices else {
        let begin = look::begin(&root.join(name));
        let found = contents::ways(root, folder(name), whole_lines(&begin), &section);
        return match found.is_empty() {
            true => by_keys(root, name, section).into_iter().collect(),
            false => found,
        };
    };
    let ways_with = |column: String| {
        let mut section = section.clone();
        match key {
            "image" => section.columns.image = column,
            "caption" => section.columns.caption = column,
            _ => section.columns.split = column,
        }
        ways(root, name, section)
    };
    names.into_iter().flat_map(ways_with).collect()
}

/// The columns of a table, and those of photographs' bytes, by its beginning.
fn columns(path: &Path, section: &Section) -> Result<(Vec<String>, Vec<usize>), Undecided> {
    let begin = look::begin(path);
    if parquet_file::is_parquet(path) {
        let table = parquet::open(path).map_err(|e| e.to_string())?;
        let photographs = table.photographs().iter().map(|(column, _)| *column);
        return Ok((table.columns().to_vec(), photographs.collect()));
    }
    if !json::is_json(&begin) {
        return Ok((
            delimited::recognise(whole_lines(&begin), section)?.1,
            Vec::new(),
        ));
    }
    let text = begin.trim_start();
    let text = text.strip_prefix('[').unwrap_or(text);
    let mut rows = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    let row = rows.next().and_then(|row| row.ok());
    let row = row.ok_or_else(|| "no rows".to_owned())?;
    Ok((row.into_iter().map(|(key, _)| key).collect(), Vec::new()))
}

/// A text's beginning without its last line, which may be cut.
fn whole_lines(begin: &str) -> &str {
    begin.rfind('\n').map_or(begin, |end| &begin[..end])
}

/// The folder that a table is in.
fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A text whose lines begin with keys of photographs, without header.
fn by_keys(
    root: &Path,
    name: &str,
    mut section: Section,
) -> Option<(Section, Vec<String>, Chosen)> {
    let begin = look::begin(&root.join(name));
    for delimiter in [" ", "\t", ","] {
        let lines = begin
            .lines()
            .filter(|line| !line.trim().is_empty())
            .take(SAMPLE);
        let keys: Option<Vec<&str>> = lines
            .map(|line| Some(line.split_once(delimiter)?.0.trim()))
            .collect();
        let keys = keys.filter(|keys| !keys.is_empty());
        let found = keys.is_some_and(|keys| {
            let names = Names::find(root, &[folder(name), ""], keys.iter().copied());
            keys.iter().all(|key| names.has(key))
        });
        if found {
            section.delimiter = delimiter.to_owned();
            section.header = Some(false);
            let columns = vec!["1".to_owned(), "2".to_owned()];
            let chosen = choose(&columns, &[], &section.columns).ok()?;
            return Some((section, columns, chosen));
        }
    }
    None
}

/// The reading for people, and the keys that it needs.
fn reading(
    root: &Path,
    pattern: &str,
    split: bool,
    section: &Section,
    columns: &[String],
    chosen: &Chosen,
) -> Reading {
    let captions: Vec<String> = (chosen.captions.iter())
        .map(|column| format!("{:?}", columns[*column]))
        .collect();
    let mut what = format!(
        "the table {pattern}, with images in column {:?} and captions in {}",
        columns[chosen.image],
        captions.join(", ")
    );
    if section.header == Some(false) {
        for (column, holds) in [(chosen.split, "splits"), (chosen.id, "ids")] {
            what +=
                &column.map_or_else(String::new, |at| format!(", {holds} in {:?}", columns[at]));
        }
    }
    let mut settings = vec![("annotations", pattern.into())];
    if let Ok(given) = toml::Value::try_from(&section.columns)
        && given.as_table().is_some_and(|given| !given.is_empty())
    {
        settings.push(("columns", given));
    }
    if !section.delimiter.is_empty() {
        settings.push(("delimiter", section.delimiter.clone().into()));
    }
    if let Some(header) = section.header {
        settings.push(("header", header.into()));
    }
    settings.extend(splits::settings(split || chosen.split.is_some()));
    Reading {
        what,
        root: root.to_owned(),
        settings,
    }
}
