//! The keys that a config may have, and their types.

use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Section -> key -> default.
pub type Schema = BTreeMap<String, BTreeMap<String, Json>>;

/// The schema of these default parameters.
pub fn sections(parameters: &Map<String, Json>) -> Schema {
    let section = |(name, keys): (&String, &Json)| {
        let keys = keys.as_object().into_iter().flatten();
        let keys = keys.map(|(key, default)| (key.clone(), default.clone()));
        (name.clone(), keys.collect())
    };
    parameters.iter().map(section).collect()
}

/// The default of a key; the error says why the key is refused.
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

/// The known name with the fewest edits from `word`, if these are fewer than the letters of
/// the longer one.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known = known.into_iter();
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance < candidate.len().max(word.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Checks that a value has the default's type; the error says which it must have. A default
/// of `null` allows any type.
pub(super) fn fits(default: &Json, value: &Value, section: &str, key: &str) -> Result<(), String> {
    let (fits, expected) = match default {
        Json::Null => (true, ""),
        Json::Bool(_) => (value.is_bool(), "true or false"),
        Json::Number(n) if n.is_f64() => (value.is_float() || value.is_integer(), "a number"),
        Json::Number(_) => (value.is_integer(), "a whole number"),
        // Some keys take a string or a list of strings, some a list or a table; the program
        // itself checks which.
        Json::String(_) => (value.is_str() || value.is_array(), "a string"),
        Json::Array(_) => (value.is_array() || value.is_table(), "a list"),
        Json::Object(_) => (value.is_table(), "a table"),
    };
    match fits {
        true => Ok(()),
        false => Err(format!("{section}.{key} must be {expected}, not `{value}`")),
    }
}

/// The value of `text` on the command line. A value that is not valid TOML is a string
/// (`--set train.schedule=cosine`); so is any bare value, such as a number or a date, if
/// the default is a string (`--set dataset.year=2017`).
pub(super) fn typed(default: &Json, text: &str) -> Value {
    let parsed = format!("v = {text}").parse::<Table>().ok();
    let parsed = parsed.and_then(|mut table| table.remove("v"));
    let bare = |value: &Value| !(value.is_str() || value.is_array() || value.is_table());
    parsed
        .filter(|value| !(default.is_string() && bare(value)))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}
