//! What stages say about their parameters, and whether given values agree.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Section -> key -> default.
pub type Schema = BTreeMap<String, BTreeMap<String, Json>>;

/// The parameters that one stage has: its defaults, and what was given of them.
pub fn effective(parameters: &serde_json::Map<String, Json>, given: &Table) -> Table {
    let section = |name: &String, defaults: &Json| {
        let defaults = defaults.as_object()?;
        let given = given.get(name).and_then(Value::as_table);
        let value = |key: &String, default: &Json| {
            given
                .and_then(|given| given.get(key))
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
        Json::String(_) => (value.is_str(), "a string"),
        Json::Array(_) => (value.is_array(), "a list"),
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
        Some(value) if !default.is_string() || value.is_str() => value,
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
