//! What stages say about their parameters, and whether given values agree.

use crate::describe::Description;
use crate::error::{Error, Result};
use crate::pipeline::Stage;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Section -> key -> default.
pub type Schema = BTreeMap<String, BTreeMap<String, Json>>;

/// What all stages together know, and our own section. An overlay has the keys of the
/// section that it lies over.
pub fn schema(stages: &[(Stage, Description)]) -> Result<Schema> {
    let mut schema = Schema::new();
    for key in ["name", "pipeline"] {
        schema
            .entry("run".to_owned())
            .or_default()
            .insert(key.to_owned(), String::new().into());
    }
    for (section, defaults) in stages
        .iter()
        .flat_map(|(_, description)| &description.parameters)
    {
        let known = schema.entry(section.clone()).or_default();
        known.extend(keys(defaults));
    }
    let mut overlays = Schema::new();
    for (stage, description) in stages {
        for (section, overlay) in &stage.sections {
            let refuse = |why: String| Err(Error::usage(format!("stage {}: {why}", stage.name)));
            let Some(defaults) = description.parameters.get(section) else {
                let sections = description.parameters.keys().map(String::as_str);
                let near = nearest(section, sections)
                    .map_or_else(String::new, |near| format!("; the nearest is [{near}]"));
                let program = stage.command.join(" ");
                return refuse(format!("{program} has no section [{section}]{near}"));
            };
            if schema.contains_key(overlay) {
                return refuse(format!(
                    "[{overlay}] can't lie over [{section}]: it is a section of its own"
                ));
            }
            let known = overlays.entry(overlay.clone()).or_default();
            known.extend(keys(defaults));
        }
    }
    schema.extend(overlays);
    Ok(schema)
}

/// The keys of a section, with their defaults.
fn keys(section: &Json) -> impl Iterator<Item = (String, Json)> {
    let keys = section.as_object().into_iter().flatten();
    keys.map(|(key, default)| (key.clone(), default.clone()))
}

/// The parameters that one stage has: its defaults, over them what was given, and over
/// that what was given in the overlay of a section (section -> overlay).
pub fn effective(
    parameters: &serde_json::Map<String, Json>,
    given: &Table,
    overlays: &BTreeMap<String, String>,
) -> Table {
    let section = |name: &String, defaults: &Json| {
        let defaults = defaults.as_object()?;
        let value = |key: &String, default: &Json| {
            let mut sections = overlays.get(name).into_iter().chain([name]);
            sections
                .find_map(|section| given.get(section)?.as_table()?.get(key))
                .cloned()
                .or_else(|| to_toml(default))
        };
        let content: Table = defaults
            .iter()
            .filter_map(|(key, default)| Some((key.clone(), value(key, default)?)))
            .collect();
        Some((name.clone(), Value::Table(content)))
    };
    parameters
        .iter()
        .filter_map(|(name, defaults)| section(name, defaults))
        .collect()
}

/// The keys of a section; else why it is refused.
pub fn known_section<'a>(
    schema: &'a Schema,
    section: &str,
) -> std::result::Result<&'a BTreeMap<String, Json>, String> {
    schema.get(section).ok_or_else(|| {
        let near = nearest(section, schema.keys().map(String::as_str))
            .map_or_else(String::new, |near| format!("; the nearest is [{near}]"));
        format!("no stage of this pipeline has a section [{section}]{near}")
    })
}

/// The default of a key; else why it is refused.
pub fn known_key<'a>(
    known: &'a BTreeMap<String, Json>,
    section: &str,
    key: &str,
) -> std::result::Result<&'a Json, String> {
    known.get(key).ok_or_else(|| {
        let near = nearest(key, known.keys().map(String::as_str))
            .map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
        format!("[{section}] has no key `{key}`{near}")
    })
}

/// The known name that is the fewest edits away.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance < candidate.len().max(word.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Whether a value is of the default's type. `null` says nothing about it.
pub fn fits(default: &Json, value: &Value) -> std::result::Result<(), String> {
    let (fits, expected) = match default {
        Json::Null => (true, ""),
        Json::Bool(_) => (value.is_bool(), "true or false"),
        Json::Number(n) if n.is_f64() => (value.is_float() || value.is_integer(), "a number"),
        Json::Number(_) => (value.is_integer(), "a whole number"),
        // Some keys take one string or a list of them, some a list or a table; which
        // these are, the stage knows.
        Json::String(_) => (value.is_str() || value.is_array(), "a string"),
        Json::Array(_) => (value.is_array() || value.is_table(), "a list"),
        Json::Object(_) => (value.is_table(), "a table"),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("expected {expected}, not `{value}`"))
    }
}

/// The value of `text`, typed as the default is: what is to be a string needs
/// no quotes.
pub fn typed(default: &Json, text: &str) -> std::result::Result<Value, String> {
    let parsed = format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"));
    let value = match parsed {
        Some(value) if !default.is_string() || value.is_str() || value.is_array() => value,
        _ => Value::String(text.to_owned()),
    };
    fits(default, &value).map(|()| value)
}

/// `None` for `null`, which TOML does not have: the stage's default stays.
fn to_toml(json: &Json) -> Option<Value> {
    match json {
        Json::Null => None,
        Json::Bool(b) => Some(Value::Boolean(*b)),
        Json::Number(n) => n
            .as_i64()
            .map(Value::Integer)
            .or_else(|| n.as_f64().map(Value::Float)),
        Json::String(s) => Some(Value::String(s.clone())),
        Json::Array(items) => Some(Value::Array(items.iter().filter_map(to_toml).collect())),
        Json::Object(map) => Some(Value::Table(
            map.iter()
                .filter_map(|(k, v)| Some((k.clone(), to_toml(v)?)))
                .collect(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::Parts;
    use serde_json::json;

    fn stage(name: &str, parameters: Json, sections: &[(&str, &str)]) -> (Stage, Description) {
        let owned = |(section, overlay): &(&str, &str)| ((*section).into(), (*overlay).into());
        let stage = Stage {
            name: name.into(),
            command: vec!["program".into()],
            inputs: BTreeMap::new(),
            sections: sections.iter().map(owned).collect(),
            output: name.into(),
        };
        let description = Description {
            inputs: Vec::new(),
            output: "kind".into(),
            parameters: parameters.as_object().unwrap().clone(),
            parts: Parts::None,
            discard: false,
        };
        (stage, description)
    }

    fn train() -> Json {
        json!({"train": {"batch": 32, "rate": 4e-4}})
    }

    #[test]
    fn an_overlay_has_the_keys_of_its_section() {
        let stages = [
            stage("look", json!({"train": {"other": 1}, "look": {}}), &[]),
            stage("train", train(), &[]),
            stage("again", train(), &[("train", "again")]),
        ];
        let schema = schema(&stages).unwrap();
        let sections: Vec<_> = schema.keys().map(String::as_str).collect();
        assert_eq!(sections, ["again", "look", "run", "train"]);
        let keys: Vec<_> = schema["again"].keys().map(String::as_str).collect();
        assert_eq!(keys, ["batch", "rate"]);
        assert_eq!(schema["again"]["batch"], 32);
    }

    #[test]
    fn an_overlay_lies_over_its_section_and_the_defaults() {
        let given: Table = "train.batch = 80\ntrain.rate = 1.0\nagain.batch = 16\n"
            .parse()
            .unwrap();
        let (stage, description) = stage("again", train(), &[("train", "again")]);
        let table = effective(&description.parameters, &given, &stage.sections);
        assert_eq!(table.to_string(), "[train]\nbatch = 16\nrate = 1.0\n");
        let table = effective(&description.parameters, &Table::new(), &stage.sections);
        assert_eq!(table.to_string(), "[train]\nbatch = 32\nrate = 0.0004\n");
    }

    #[test]
    fn an_overlay_of_nothing_or_with_a_section_s_name_is_refused() {
        let fault = |section: &str, overlay: &str| {
            let first = stage("look", json!({"look": {}}), &[]);
            let second = stage("again", train(), &[(section, overlay)]);
            schema(&[first, second]).unwrap_err().message
        };
        assert_eq!(
            fault("trian", "again"),
            "stage again: program has no section [trian]; the nearest is [train]"
        );
        for taken in ["train", "look", "run"] {
            let why = format!("[{taken}] can't lie over [train]: it is a section of its own");
            assert_eq!(fault("train", taken), format!("stage again: {why}"));
        }
    }
}
