//! The ways to read a folder or file.

use super::tutorial;
use crate::formats::LAYOUTS;
use crate::formats::flickr8k::TOKENS;
use crate::formats::layout::{Layout, Reading};
use attend_program::Result;
use std::path::Path;
use toml::Value;

/// A way to read the data set.
pub(super) struct Way {
    /// The layout; `None` for the tutorial's files.
    pub(super) layout: Option<Layout>,
    /// The layout's name.
    pub(super) format: &'static str,
    /// What chooses it with `--as`: the layout's name, with a value if it finds several.
    pub(super) label: String,
    /// What has to be set.
    pub(super) reading: Reading,
}

/// All ways to read what is at `path`.
pub(super) fn find(path: &Path) -> Result<Vec<Way>> {
    let mut ways = Vec::new();
    for layout in LAYOUTS {
        let (look, format) = (layout.look, layout.name);
        let readings = look(path)?;
        let labels = labels(format, &readings);
        for (reading, label) in readings.into_iter().zip(labels) {
            ways.push(Way {
                layout: Some(layout),
                format,
                label,
                reading,
            });
        }
    }
    // Flickr8k's captions are a table, too, but without its splits.
    let tokens = ("annotations", Value::from(TOKENS));
    let has_splits = ways.iter().any(|way| way.format == "flickr8k");
    ways.retain(|way| {
        !(has_splits && way.format == "table" && way.reading.settings.contains(&tokens))
    });
    let readings = tutorial::look(path);
    let labels = labels(tutorial::FORMAT, &readings);
    let tutorial = readings
        .into_iter()
        .zip(labels)
        .map(|(reading, label)| Way {
            layout: None,
            format: tutorial::FORMAT,
            label,
            reading,
        });
    ways.extend(tutorial);
    Ok(ways)
}

/// A label for each reading: with the value of the first setting in which they differ.
fn labels(format: &str, readings: &[Reading]) -> Vec<String> {
    let value = |reading: &Reading, key: &str| {
        let settings = reading.settings.iter();
        let found = settings.clone().find(|(name, _)| *name == key);
        found.map_or_else(String::new, |(_, value)| match value {
            Value::String(text) => text.clone(),
            Value::Table(names) => {
                let names = names.values().filter_map(Value::as_str);
                names.collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        })
    };
    let keys = readings.iter().flat_map(|reading| &reading.settings);
    let mut keys = keys.map(|(key, _)| *key);
    let differs = |key: &&str| {
        let all = readings.iter().map(|reading| value(reading, key));
        let mut all: Vec<String> = all.collect();
        all.dedup();
        all.len() > 1
    };
    let Some(key) = keys.find(differs) else {
        return vec![format.to_owned(); readings.len()];
    };
    let labels = readings.iter();
    labels
        .map(|reading| format!("{format}:{}", value(reading, key)))
        .collect()
}
