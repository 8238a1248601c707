//! From a config file and `--set` overrides to a stage's parameters.
//!
//! The defaults, as JSON, are the schema: a key that they don't have is
//! refused with the nearest that they do have. Sections of other stages are
//! none of ours.

use crate::{At, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::{Table, Value};

/// Reads the sections that `C` has from `path`, applies `overrides`
/// (`section.key=value`), expands `${VAR}` and fills in defaults.
///
/// # Errors
/// [`Error::Usage`] naming the file and the line of what is wrong.
pub fn load<C: Serialize + DeserializeOwned + Default>(
    path: Option<&Path>,
    overrides: &[String],
) -> Result<C> {
    let text = match path {
        Some(path) if !path.exists() => {
            return Err(Error::usage(format!(
                "--config {}: no such file",
                path.display()
            )));
        }
        Some(path) => std::fs::read_to_string(path).at(path)?,
        None => String::new(),
    };
    let name = path.map_or_else(|| "--set".to_owned(), |path| path.display().to_string());
    let mut table: Table = text
        .parse()
        .map_err(|e| Error::usage(format!("{name}: {e}")))?;
    let defaults = defaults::<C>()?;
    for item in overrides {
        set(&mut table, item, &defaults)?;
    }
    let sections = keys(&defaults);
    for (section, content) in &table {
        let Some(known) = defaults.get(section) else {
            // One edit: at two, [decoder] would be a slip of [encoder].
            if let Some(near) = nearest(section, &sections, 1) {
                return Err(Error::usage(format!(
                    "{name}{}: no section [{section}]; did you mean [{near}]?",
                    line_of(&text, section, None)
                )));
            }
            continue;
        };
        let Some(content) = content.as_table() else {
            return Err(Error::usage(format!(
                "{name}: [{section}] must be a section, not a value"
            )));
        };
        let known = keys(known);
        if let Some(key) = content
            .keys()
            .find(|key| !known.iter().any(|name| name == key))
        {
            let near = nearest(key, &known, usize::MAX)
                .map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
            let line = line_of(&text, section, Some(key));
            return Err(Error::usage(format!(
                "{name}{line}: [{section}] has no key `{key}`{near}"
            )));
        }
    }
    table.retain(|section, _| sections.contains(&section));
    for value in table.iter_mut().map(|(_, value)| value) {
        expand(value).map_err(|e| Error::usage(format!("{name}: {e}")))?;
    }
    table
        .try_into()
        .map_err(|e: toml::de::Error| Error::usage(format!("{name}: {}", e.to_string().trim_end())))
}

/// The default parameters as JSON: section -> key -> value.
pub(crate) fn defaults<C: Serialize + Default>() -> Result<serde_json::Value> {
    serde_json::to_value(C::default()).map_err(Error::internal)
}

fn keys(value: &serde_json::Value) -> Vec<&str> {
    value
        .as_object()
        .map(|object| object.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn set(table: &mut Table, item: &str, defaults: &serde_json::Value) -> Result<()> {
    let wrong = || Error::usage(format!("--set {item}: expected section.key=value"));
    let (path, value) = item.split_once('=').ok_or_else(wrong)?;
    let (section, key) = path.trim().split_once('.').ok_or_else(wrong)?;
    let parsed = format!("v = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("v"));
    // What is no TOML value is a string (`--set train.schedule=cosine`), and so is a
    // bare one where the default is a string (`--set dataset.year=2017`).
    let string = defaults.get(section).and_then(|keys| keys.get(key));
    let bare = |value: &Value| !(value.is_str() || value.is_array() || value.is_table());
    let value = match parsed {
        Some(parsed) if !(string.is_some_and(|it| it.is_string()) && bare(&parsed)) => parsed,
        _ => Value::String(value.to_owned()),
    };
    let content = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    content
        .as_table_mut()
        .ok_or_else(wrong)?
        .insert(key.to_owned(), value);
    Ok(())
}

/// The known name that is the fewest edits away, at most `limit` and fewer than
/// the whole word.
fn nearest<'a>(word: &str, known: &[&'a str], limit: usize) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit && *distance < candidate.len().max(word.len())
        })
        .min()
        .map(|(_, candidate)| candidate)
}

fn line_of(text: &str, section: &str, key: Option<&str>) -> String {
    let mut inside = false;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if let Some(rest) = line.strip_prefix('[') {
            inside = rest.split(']').next().map(str::trim) == Some(section);
            if inside && key.is_none() {
                return format!(":{}", index + 1);
            }
        } else if inside && line.split('=').next().map(str::trim) == key {
            return format!(":{}", index + 1);
        }
    }
    String::new()
}

fn expand(value: &mut Value) -> std::result::Result<(), String> {
    match value {
        Value::String(text) => *text = expand_text(text)?,
        Value::Array(items) => items.iter_mut().try_for_each(expand)?,
        Value::Table(table) => table.iter_mut().try_for_each(|(_, value)| expand(value))?,
        _ => {}
    }
    Ok(())
}

fn expand_text(text: &str) -> std::result::Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let end = rest[start..]
            .find('}')
            .ok_or_else(|| format!("\"{text}\": ${{ without }}"))?
            + start;
        let variable = &rest[start + 2..end];
        let value = std::env::var(variable)
            .map_err(|_| format!("\"{text}\" needs the environment variable {variable}, which is not set; set it, or write the path out"))?;
        out.push_str(&rest[..start]);
        out.push_str(&value);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize, Default)]
    struct Config {
        #[serde(default)]
        train: Train,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Train {
        epochs: u64,
        schedule: String,
        weights: Option<String>,
    }

    impl Default for Train {
        fn default() -> Self {
            Train {
                epochs: 120,
                schedule: "plateau".into(),
                weights: None,
            }
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn error(text: &str, set: &[&str]) -> String {
        let file = file(text);
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        let error = load::<Config>(Some(file.path()), &set).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn defaults_file_and_overrides_in_this_order() {
        let file = file("[train]\nepochs = 3\n[dataset]\nanything = 1\n");
        let config: Config = load(
            Some(file.path()),
            &["train.schedule=cosine".into(), "train.weights=\"w\"".into()],
        )
        .unwrap();
        assert_eq!(
            config.train,
            Train {
                epochs: 3,
                schedule: "cosine".into(),
                weights: Some("w".into())
            }
        );
    }

    /// `--set dataset.year=2017` was refused, though the runner takes it.
    #[test]
    fn what_is_to_be_a_string_needs_no_quotes() {
        let schedule = |text: &str| {
            let set = [format!("train.schedule={text}")];
            load::<Config>(None, &set).map(|config| config.train.schedule)
        };
        for text in ["2017", "007", "true", "1e-3", "2017-01-01", "cosine"] {
            assert_eq!(schedule(text).unwrap(), text);
        }
        assert_eq!(schedule("\"a b\"").unwrap(), "a b");
        assert!(schedule("[1]").is_err());
        let epochs: Config = load(None, &["train.epochs=7".into()]).unwrap();
        assert_eq!(epochs.train.epochs, 7);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest() {
        let message = error("[train]\n\nepohcs = 3\n", &[]);
        assert!(
            message.contains(":3: [train] has no key `epohcs`; the nearest is `epochs`"),
            "{message}"
        );
        assert!(error("", &["train.wieghts=1"]).contains("nearest is `weights`"));
        assert!(error("[trian]\n", &[]).contains("did you mean [train]?"));
    }

    #[test]
    fn a_wrong_type_and_an_unset_variable_are_named() {
        assert!(error("[train]\nepochs = \"many\"\n", &[]).contains("epochs"));
        assert!(
            error("[train]\nschedule = \"${ATTEND_NO_SUCH}\"\n", &[]).contains("ATTEND_NO_SUCH")
        );
        assert!(error("[train\n", &[]).contains("line 1"));
        assert!(error("", &["epochs"]).contains("section.key=value"));
    }
}
