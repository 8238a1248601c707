//! Which keys a config may have, and of which type.

use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Section -> key -> default.
pub type Schema = BTreeMap<String, BTreeMap<String, Json>>;

/// The schema that default parameters are.
pub fn sections(parameters: &Map<String, Json>) -> Schema {
    let section = |(name, keys): (&String, &Json)| {
        let keys = keys.as_object().into_iter().flatten();
        let keys = keys.map(|(key, default)| (key.clone(), default.clone()));
        (name.clone(), keys.collect())
    };
    parameters.iter().map(section).collect()
}

/// The default of a key; else why the key is refused.
pub(super) fn default_of<'a>(
    known: &'a BTreeMap<String, Json>,
    section: &str,
    key: &str,
) -> Result<&'a Json, String> {
    known.get(key).ok_or_else(|| {
        let near = nearest(key, known.keys().map(String::as_str))
            .map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
        format!("[{section}] has no key `{key}`{near}")
    })
}

/// The known name that is the fewest edits away, and fewer than the whole word.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known = known.into_iter();
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance < candidate.len().max(word.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Whether a value is of the default's type; else what it must be. `null` says nothing
/// about it.
pub(super) fn fits(default: &Json, value: &Value, section: &str, key: &str) -> Result<(), String> {
    let (fits, expected) = match default {
        Json::Null => (true, ""),
        Json::Bool(_) => (value.is_bool(), "true or false"),
        Json::Number(n) if n.is_f64() => (value.is_float() || value.is_integer(), "a number"),
        Json::Number(_) => (value.is_integer(), "a whole number"),
        // Some keys take one string or a list of them, some a list or a table; which
        // these are, the program knows.
        Json::String(_) => (value.is_str() || value.is_array(), "a string"),
        Json::Array(_) => (value.is_array() || value.is_table(), "a list"),
        Json::Object(_) => (value.is_table(), "a table"),
    };
    match fits {
        true => Ok(()),
        false => Err(format!("{section}.{key} must be {expected}, not `{value}`")),
    }
}

/// The value that `text` is on the command line: a TOML value, or a string that needs no
/// quotes (`--set train.schedule=cosine`). Where the default is a string, so is what
/// looks like a number or a date (`--set dataset.year=2017`).
pub(super) fn typed(default: &Json, text: &str) -> Value {
    let parsed = format!("v = {text}").parse::<Table>().ok();
    let parsed = parsed.and_then(|mut table| table.remove("v"));
    let bare = |value: &Value| !(value.is_str() || value.is_array() || value.is_table());
    parsed
        .filter(|value| !(default.is_string() && bare(value)))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}
