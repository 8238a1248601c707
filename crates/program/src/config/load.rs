//! Turns a config into a program's parameters.

use super::environment::{Unset, expand};
use super::given::Config;
use super::schema::{sections, slip};
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use std::path::Path;
use toml::Value;

/// Reads the sections that `C` has from `path`, applies `overrides`
/// (`section.key=value`), expands `${VAR}` and fills in defaults; ignores the sections
/// of other programs. Values of `lazy` keys (`section.key`) stay as they are if
/// the variable is not set: the work may not need them.
///
/// # Errors
/// [`Error::Usage`] naming the file and the line of what is wrong.
pub fn load<C: Serialize + DeserializeOwned + Default>(
    path: Option<&Path>,
    overrides: &[String],
    lazy: &[&str],
) -> Result<(C, Unset)> {
    let config = Config::read(path, overrides)?;
    let schema = sections(&defaults::<C>()?);
    let unknown = |section: &str, _: &str| match slip(section, schema.keys().map(String::as_str)) {
        Some(near) => Err(format!("no section [{section}]; did you mean [{near}]?")),
        None => Ok(()),
    };
    let mut given = config.given(&schema, unknown)?;
    let mut unset = Unset::default();
    for (section, content) in &mut given {
        for (key, value) in content.as_table_mut().into_iter().flatten() {
            let Err((variable, why)) = expand(value) else {
                continue;
            };
            let why = config.refuse(section, key, format!("{section}.{key} = {why}"));
            match lazy.contains(&format!("{section}.{key}").as_str()) {
                true => unset.add(variable, why),
                false => return Err(why),
            }
        }
    }
    let parameters = serde_path_to_error::deserialize(Value::Table(given)).map_err(|e| {
        let path = e.path().to_string();
        let mut keys = path.split('.');
        let [section, key] = [keys.next(), keys.next()].map(Option::unwrap_or_default);
        config.refuse(section, key, format!("{path}: {}", e.inner().message()))
    })?;
    Ok((parameters, unset))
}

/// The default parameters: section -> key -> value.
///
/// # Errors
/// [`Error::Internal`] if `C` is not a structure of sections.
pub fn defaults<C: Serialize + Default>() -> Result<Map<String, Json>> {
    match serde_json::to_value(C::default()) {
        Ok(Json::Object(sections)) => Ok(sections),
        Ok(_) => Err(Error::internal("the default parameters are not sections")),
        Err(e) => Err(Error::internal(e)),
    }
}
