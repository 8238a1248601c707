//! The values given in a config file and on the command line, and where each was given.

use super::file::read;
use super::schema::{self, Schema};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A config file with the overrides of the command line.
pub struct Config {
    path: Option<PathBuf>,
    table: Table,
    /// Line of each section (with an empty key) and key.
    lines: BTreeMap<(String, String), usize>,
    overrides: Vec<Override>,
}

/// An override, `--set section.key=value`.
struct Override {
    /// Empty if it was forgotten.
    section: String,
    key: String,
    value: String,
}

impl Config {
    /// Reads the file at `path`, if there is one, and the overrides
    /// (`section.key=value`).
    ///
    /// # Errors
    /// [`Error::Usage`] if the file is not TOML or an override has another form.
    pub fn read(path: Option<&Path>, overrides: &[String]) -> Result<Config> {
        let (text, table) = path.map(read).transpose()?.unwrap_or_default();
        let overrides = overrides.iter().map(|item| Override::parse(item));
        Ok(Config {
            path: path.map(Path::to_owned),
            table,
            lines: lines(&text),
            overrides: overrides.collect::<Result<_>>()?,
        })
    }

    /// A string of the config that is read without a schema.
    ///
    /// # Errors
    /// [`Error::Usage`] if the value is not a string.
    pub fn string(&self, section: &str, key: &str) -> Result<Option<String>> {
        if let Some(set) = self.set(section, key) {
            return Ok(Some(set.value.clone()));
        }
        match self.table.get(section).and_then(|keys| keys.get(key)) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.refuse(section, key, format!("{section}.{key} must be a string"))),
        }
    }

    /// Checks every section and key against `schema`. Returns the file's values, overridden
    /// by those of the command line. Sections that the schema doesn't have are left out, or
    /// refused if `foreign` returns a reason; it gets the section, and the end of a message
    /// that says what may be meant.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the line or the override that is wrong.
    pub fn given(
        &self,
        schema: &Schema,
        foreign: impl Fn(&str, &str) -> Result<(), String>,
    ) -> Result<Table> {
        let mut given = Table::new();
        for (section, content) in &self.table {
            if !schema.contains_key(section) {
                let near = schema::section_near(schema, section);
                foreign(section, &near).map_err(|why| self.refuse_in_file(section, "", why))?;
                continue;
            }
            let content = content.as_table().ok_or_else(|| {
                let why = format!("[{section}] must be a section, not a value");
                self.refuse_in_file(section, "", why)
            })?;
            for (key, value) in content {
                let fitting = schema::default_of(schema, section, key)
                    .and_then(|default| schema::fits(default, value, section, key));
                fitting.map_err(|why| self.refuse_in_file(section, key, why))?;
            }
            given.insert(section.clone(), Value::Table(content.clone()));
        }
        for set in &self.overrides {
            let Override {
                section,
                key,
                value,
            } = set;
            let refuse = |why| Error::usage(format!("{set}: {why}"));
            if section.is_empty() {
                let near = schema::elsewhere(schema, key);
                return Err(refuse(format!("expected section.key=value{near}")));
            }
            if !schema.contains_key(section) {
                let near = match schema::elsewhere(schema, key) {
                    near if near.is_empty() => schema::section_near(schema, section),
                    near => near,
                };
                foreign(section, &near).map_err(refuse)?;
                continue;
            }
            let default = schema::default_of(schema, section, key).map_err(refuse)?;
            let value = schema::typed(default, value);
            schema::fits(default, &value, section, key).map_err(refuse)?;
            let content = given.entry(section).or_insert_with(|| Table::new().into());
            if let Value::Table(content) = content {
                content.insert(key.clone(), value);
            }
        }
        Ok(given)
    }

    /// An error about a value, which names the place where it was given.
    pub fn refuse(&self, section: &str, key: &str, why: impl Display) -> Error {
        match self.set(section, key) {
            Some(set) => Error::usage(format!("{set}: {why}")),
            None => self.refuse_in_file(section, key, why),
        }
    }

    fn refuse_in_file(&self, section: &str, key: &str, why: impl Display) -> Error {
        let Some(path) = &self.path else {
            return Error::usage(why);
        };
        let line = self.lines.get(&(section.to_owned(), key.to_owned()));
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        Error::usage(format!("{}{line}: {why}", path.display()))
    }

    /// The last override of a key.
    fn set(&self, section: &str, key: &str) -> Option<&Override> {
        let mut last_first = self.overrides.iter().rev();
        last_first.find(|set| set.section == section && set.key == key)
    }
}

impl Override {
    fn parse(item: &str) -> Result<Override> {
        let parts = item
            .split_once('=')
            .map(|(path, value)| (path.trim(), value))
            .map(|(path, value)| (path.split_once('.').unwrap_or(("", path)), value));
        let ((section, key), value) = parts
            .ok_or_else(|| Error::usage(format!("--set {item}: expected section.key=value")))?;
        Ok(Override {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl Display for Override {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let dot = if self.section.is_empty() { "" } else { "." };
        write!(f, "--set {}{dot}{}={}", self.section, self.key, self.value)
    }
}

/// The line of every section and key.
fn lines(text: &str) -> BTreeMap<(String, String), usize> {
    let line = |at: usize| {
        let before = text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    };
    let mut lines = BTreeMap::new();
    let Ok(table) = toml::de::DeTable::parse(text) else {
        return lines;
    };
    for (section, content) in table.get_ref() {
        let name = section.get_ref().to_string();
        lines.insert((name.clone(), String::new()), line(section.span().start));
        for (key, _) in content.get_ref().as_table().into_iter().flatten() {
            let key_name = key.get_ref().to_string();
            lines.insert((name.clone(), key_name), line(key.span().start));
        }
    }
    lines
}
