//! The differences between the parameters of two runs.

use serde_json::Value;
use std::collections::HashSet;
use std::fmt::{Display, Formatter};

/// Maximum number of characters of a value that are written out.
const SHOWN: usize = 60;

/// A parameter whose values differ; shown as `train.seed 1 -> 2`.
#[derive(Debug)]
pub struct Change<'a> {
    /// `section.key`.
    pub name: String,
    /// The older value, if there is one.
    pub old: Option<&'a Value>,
    /// The newer value, if there is one.
    pub new: Option<&'a Value>,
}

/// The parameters (section -> key -> value) whose values differ, in the order of `old`, then
/// those that only `new` has.
pub fn changes<'a>(old: &'a Value, new: &'a Value) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for section in keys(old, new) {
        let [x, y] = [old, new].map(|all| all.get(section).unwrap_or(&Value::Null));
        for key in keys(x, y) {
            let (old, new) = (x.get(key), y.get(key));
            if old != new {
                let name = format!("{section}.{key}");
                changes.push(Change { name, old, new });
            }
        }
    }
    changes
}

fn keys<'a>(a: &'a Value, b: &'a Value) -> Vec<&'a str> {
    let own = |value: &'a Value| value.as_object().into_iter().flat_map(|map| map.keys());
    let mut keys: Vec<&str> = own(a).chain(own(b)).map(String::as_str).collect();
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(*key));
    keys
}

impl Display for Change<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let [old, new] = [self.old, self.new].map(shown);
        write!(f, "{} {old} -> {new}", self.name)
    }
}

fn shown(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "none".to_owned(), Value::to_string);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
