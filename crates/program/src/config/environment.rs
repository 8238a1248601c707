//! Expands `${VAR}` in the values of a config.

use crate::{Error, fetch};
use toml::Value;

/// Environment variables that are not set and have not been needed yet, each with the error
/// that says so.
#[derive(Default)]
pub struct Unset(Vec<(String, Error)>);

impl Unset {
    /// Remembers that `variable` (`${NAME}`) was not expanded.
    pub(super) fn add(&mut self, variable: String, why: Error) {
        self.0.push((variable, why));
    }

    /// If an error concerns a path with such a variable, returns the variable's error
    /// instead.
    pub fn explain(self, error: Error) -> Error {
        let message = error.to_string();
        let mut unset = self.0.into_iter();
        let unset = unset.find(|(variable, _)| message.contains(variable));
        unset.map_or(error, |(_, why)| why)
    }
}

/// Replaces each `${VAR}` by the environment's value; the error is the first `${VAR}` that
/// is not set, and a message about it.
pub(super) fn expand(value: &mut Value) -> Result<(), (String, String)> {
    match value {
        Value::String(text) => *text = expand_text(text)?,
        Value::Array(items) => items.iter_mut().try_for_each(expand)?,
        Value::Table(table) => table.iter_mut().try_for_each(|(_, value)| expand(value))?,
        _ => {}
    }
    Ok(())
}

fn expand_text(text: &str) -> Result<String, (String, String)> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("${") {
        let Some((variable, after)) = from.split_once('}') else {
            return Err((
                text.to_owned(),
                format!("\"{text}\": ${{ without a closing }}"),
            ));
        };
        let value = std::env::var(variable).map_err(|_| {
            let fetch = fetch::hint(text).map_or_else(String::new, |hint| format!("; {hint}"));
            let why = format!("\"{text}\" needs the environment variable {variable}, which is not set; set it, or write the path literally{fetch}");
            (format!("${{{variable}}}"), why)
        })?;
        out.push_str(before);
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
