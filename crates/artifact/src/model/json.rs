//! JSON objects that hold all that they must and nothing that is not known.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

/// An object that has each of its keys and no other: what this version doesn't know may
/// change what the weights mean; what is missing must not be guessed.
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

/// The keys of an object and of the objects in it, dotted.
fn keys(value: &Value) -> BTreeSet<String> {
    let members = value.as_object().into_iter().flatten();
    let each = members.flat_map(|(key, value)| {
        let inner = keys(value).into_iter().map(move |k| format!("{key}.{k}"));
        inner.chain([key.clone()])
    });
    each.collect()
}
