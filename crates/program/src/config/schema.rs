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

/// The default of a key of a section that the schema has; the error says why the key is
/// refused, and which may be meant.
pub(super) fn default_of<'a>(
    schema: &'a Schema,
    section: &str,
    key: &str,
) -> Result<&'a Json, String> {
    let known = schema.get(section);
    known.and_then(|known| known.get(key)).ok_or_else(|| {
        let own = known.into_iter().flat_map(|known| known.keys());
        let own = nearest(key, own.map(String::as_str));
        let edits = |name: &str| strsim::damerau_levenshtein(key, name);
        let near = match elsewhere(schema, key) {
            found if found.is_empty() || own.is_some_and(|own| edits(own) <= 1) => {
                own.map_or_else(String::new, |own| format!("; the nearest is `{own}`"))
            }
            found => found,
        };
        format!("[{section}] has no key `{key}`{near}")
    })
}

/// The end of a message about an unknown key: where in any section a key of this name is, or
/// of almost this name; empty if there is none.
pub(super) fn elsewhere(schema: &Schema, key: &str) -> String {
    let all = || {
        let sections = schema.iter();
        sections.flat_map(|(section, keys)| keys.keys().map(move |known| (section, known)))
    };
    let edits = |known: &str| strsim::damerau_levenshtein(key, known);
    let fewest = all().map(|(_, known)| edits(known)).min();
    // Of a short key, almost any other is a few edits away.
    let Some(fewest) = fewest.filter(|fewest| 4 * fewest <= key.len()) else {
        return String::new();
    };
    let near = all().filter(|(_, known)| edits(known) == fewest);
    let near: Vec<String> = near
        .map(|(section, known)| format!("`{section}.{known}`"))
        .collect();
    match near.as_slice() {
        [one] => format!("; the nearest is {one}"),
        several => format!("; the nearest are {}", several.join(", ")),
    }
}

/// The end of a message about an unknown section: the nearest one.
pub(super) fn section_near(schema: &Schema, section: &str) -> String {
    let near = nearest(section, schema.keys().map(String::as_str));
    near.map_or_else(String::new, |near| format!("; the nearest is [{near}]"))
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

/// The known name that a word is one edit away from. With two edits, `decoder` would be taken
/// for a slip of `encoder`.
pub fn slip<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = nearest(word, known)?;
    (strsim::damerau_levenshtein(word, near) == 1).then_some(near)
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
