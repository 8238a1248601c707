//! Strict reading of JSON objects: no unknown keys, no missing ones.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

/// Reads an object that must have all keys and no others. An unknown key may change what
/// the weights mean, and a missing value must not be guessed.
///
/// # Errors
/// Names the key that is unknown, missing or of another type.
pub(super) fn strict<T: Serialize + DeserializeOwned>(given: Value) -> Result<T, String> {
    let value: T = serde_json::from_value(given.clone()).map_err(|e| e.to_string())?;
    let known = serde_json::to_value(&value).map_err(|e| e.to_string())?;
    if let Some(key) = keys(&given).difference(&keys(&known)).next() {
        return Err(format!("holds {key}, which this version doesn't know"));
    }
    if let Some(key) = keys(&known).difference(&keys(&given)).next() {
        return Err(format!("lacks {key}"));
    }
    Ok(value)
}

/// The dotted keys of an object and of the objects in it, without those of null.
fn keys(value: &Value) -> BTreeSet<String> {
    let members = value.as_object().into_iter().flatten();
    let members = members.filter(|(_, value)| !value.is_null());
    let each = members.flat_map(|(key, value)| {
        let inner = keys(value).into_iter().map(move |k| format!("{key}.{k}"));
        inner.chain([key.clone()])
    });
    each.collect()
}
