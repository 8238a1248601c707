//! From a config file and `--set` overrides to a stage's parameters.
//!
//! The defaults, as JSON, are the schema: a key that they don't have is
//! refused with the nearest that they do have. Sections of other stages are
//! none of ours.

use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::{Table, Value};

/// Variables of the environment that are not set, and that no work has needed yet.
#[derive(Default)]
pub(crate) struct Unset(Vec<(String, String)>);

impl Unset {
    /// An error about a path that holds such a variable is about the variable.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let message = error.to_string();
        let unset = self.0.iter().find(|(text, _)| message.contains(text));
        unset.map_or(error, |(_, why)| Error::usage(why))
    }
}

/// Reads the sections that `C` has from `path`, applies `overrides`
/// (`section.key=value`), expands `${VAR}` and fills in defaults. Values of `lazy` keys
/// (`section.key`) stay as they are where the variable is not set: the work may not need
/// them.
///
/// # Errors
/// [`Error::Usage`] naming the file and the line of what is wrong.
pub(crate) fn load<C: Serialize + DeserializeOwned + Default>(
    path: Option<&Path>,
    overrides: &[String],
    lazy: &[&str],
) -> Result<(C, Unset)> {
    let (text, mut table) = match path {
        Some(path) => attend_program::config::read(path).map_err(Error::usage)?,
        None => Default::default(),
    };
    let name = path.map_or_else(|| "--set".to_owned(), |path| path.display().to_string());
    for item in overrides {
        set(&mut table, item)?;
    }
    let defaults = defaults::<C>()?;
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
    let mut unset = Unset::default();
    for (section, content) in &mut table {
        for (key, value) in content.as_table_mut().into_iter().flatten() {
            let Err((variable, why)) = expand(value) else {
                continue;
            };
            let line = line_of(&text, section, Some(key));
            let why = format!("{name}{line}: {section}.{key} = {why}");
            match lazy.contains(&format!("{section}.{key}").as_str()) {
                true => unset.0.push((variable, why)),
                false => return Err(Error::usage(why)),
            }
        }
    }
    let config = table.try_into().map_err(|e: toml::de::Error| {
        Error::usage(format!("{name}: {}", e.to_string().trim_end()))
    })?;
    Ok((config, unset))
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

fn set(table: &mut Table, item: &str) -> Result<()> {
    let wrong = || Error::usage(format!("--set {item}: expected section.key=value"));
    let (path, value) = item.split_once('=').ok_or_else(wrong)?;
    let (section, key) = path.trim().split_once('.').ok_or_else(wrong)?;
    // What is no TOML value is a string: `--set train.schedule=cosine`.
    let value = format!("v = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
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

/// Puts the environment's values in the place of `${VAR}`; else the first `${VAR}` that
/// is not set, and what to say of it.
fn expand(value: &mut Value) -> std::result::Result<(), (String, String)> {
    match value {
        Value::String(text) => *text = expand_text(text)?,
        Value::Array(items) => items.iter_mut().try_for_each(expand)?,
        Value::Table(table) => table.iter_mut().try_for_each(|(_, value)| expand(value))?,
        _ => {}
    }
    Ok(())
}

fn expand_text(text: &str) -> std::result::Result<String, (String, String)> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let Some((variable, after)) = from[2..].split_once('}') else {
            return Err((text.to_owned(), format!("\"{text}\": ${{ without }}")));
        };
        let value = std::env::var(variable).map_err(|_| {
            let why = format!("\"{text}\" needs the environment variable {variable}, which is not set; set it, or write the path out");
            (format!("${{{variable}}}"), why)
        })?;
        out.push_str(before);
        out.push_str(&value);
        rest = after;
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
        let error = load::<Config>(Some(file.path()), &set, &[]).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn defaults_file_and_overrides_in_this_order() {
        let file = file("[train]\nepochs = 3\n[dataset]\nanything = 1\n");
        let set = ["train.schedule=cosine".into(), "train.weights=\"w\"".into()];
        let (config, _) = load::<Config>(Some(file.path()), &set, &[]).unwrap();
        assert_eq!(
            config.train,
            Train {
                epochs: 3,
                schedule: "cosine".into(),
                weights: Some("w".into())
            }
        );
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest() {
        let message = error("[train]\n\nepohcs = 3\n", &[]);
        assert!(
            message.contains(":3: [train] has no key `epohcs`; the nearest is `epochs`"),
            "{message}"
        );
        assert!(error("#\n", &["train.wieghts=1"]).contains("nearest is `weights`"));
        assert!(error("[trian]\n", &[]).contains("did you mean [train]?"));
    }

    #[test]
    fn a_wrong_type_and_an_unset_variable_are_named() {
        assert!(error("[train]\nepochs = \"many\"\n", &[]).contains("epochs"));
        assert!(
            error("[train]\nschedule = \"${ATTEND_NO_SUCH}\"\n", &[]).contains("ATTEND_NO_SUCH")
        );
        assert!(error("[train\n", &[]).contains("line 1"));
        assert!(error("#\n", &["epochs"]).contains("section.key=value"));
    }

    #[test]
    fn a_variable_that_is_not_needed_need_not_be_set() {
        let file = file("[train]\n\nweights = \"${ATTEND_NO_SUCH}/w.pth\"\n");
        let lazy = ["train.weights"];
        let (config, unset) = load::<Config>(Some(file.path()), &[], &lazy).unwrap();
        assert_eq!(config.train.weights.unwrap(), "${ATTEND_NO_SUCH}/w.pth");
        let other = unset.explain(Error::input("/data/w.pth: no such file"));
        assert_eq!(other.exit_code(), 3);
        let needed = unset.explain(Error::input("${ATTEND_NO_SUCH}/w.pth: no such file"));
        assert_eq!(needed.exit_code(), 2);
        let why = needed.to_string();
        let expected = ":3: train.weights = \"${ATTEND_NO_SUCH}/w.pth\" needs the environment variable ATTEND_NO_SUCH";
        assert!(why.contains(expected), "{why}");
    }
}
