//! The parameters of a pipeline's stages: their names, and their values in a run.

use crate::pipeline::Stage;
use attend_program::config::{Schema, nearest, sections};
use attend_program::describe::Description;
use attend_program::{Error, Result};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The sections and keys of all stages, and our own section `[run]`. An overlay has the
/// keys of the section that it overrides.
pub fn schema(stages: &[(Stage, Description)]) -> Result<Schema> {
    let mut schema = Schema::new();
    for key in ["name", "pipeline"] {
        schema
            .entry("run".to_owned())
            .or_default()
            .insert(key.to_owned(), String::new().into());
    }
    for (_, description) in stages {
        for (section, keys) in sections(&description.parameters) {
            schema.entry(section).or_default().extend(keys);
        }
    }
    let mut overlays = Schema::new();
    for (stage, description) in stages {
        let own = sections(&description.parameters);
        for (section, overlay) in &stage.sections {
            let refuse = |why: String| Err(Error::usage(format!("stage {}: {why}", stage.name)));
            let Some(keys) = own.get(section) else {
                let near = nearest(section, own.keys().map(String::as_str))
                    .map_or_else(String::new, |near| format!("; the nearest is [{near}]"));
                let program = stage.command.join(" ");
                return refuse(format!("{program} has no section [{section}]{near}"));
            };
            if schema.contains_key(overlay) {
                return refuse(format!(
                    "[{overlay}] can't override [{section}]: it is a section of its own"
                ));
            }
            let known = overlays.entry(overlay.clone()).or_default();
            known.extend(keys.clone());
        }
    }
    schema.extend(overlays);
    Ok(schema)
}

/// The parameters of one stage: its defaults, overridden by the given values of its
/// sections, and these by the given values of their overlays (section -> overlay).
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

/// `None` for `null`, which TOML does not have: the stage then uses its default.
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
    use serde_json::json;

    fn stage(name: &str, parameters: Json, sections: &[(&str, &str)]) -> (Stage, Description) {
        let owned = |(section, overlay): &(&str, &str)| ((*section).into(), (*overlay).into());
        let stage = Stage {
            name: name.into(),
            command: vec!["program".into()],
            inputs: BTreeMap::new(),
            sections: sections.iter().map(owned).collect(),
            output: name.into(),
            resources: Default::default(),
        };
        let description = json!({"inputs": [], "output": "kind", "parameters": parameters});
        let description = serde_json::from_value(description).unwrap();
        (stage, description)
    }

    fn train() -> Json {
        json!({"train": {"batch": 32, "rate": 4e-4}})
    }

    #[test]
    fn a_stage_gets_its_own_keys_with_its_defaults() {
        let given = "[train]\nbatch = 80\nlimit = 5\ndevice = \"cuda:0\"\nlearning_rate = 1\n";
        let stage = json!({"train": {"batch": 32, "device": "cpu", "learning_rate": 4e-4, "alpha_c": 1.0, "seed": null}, "own": {"x": [1]}});
        let table = effective(
            stage.as_object().unwrap(),
            &given.parse().unwrap(),
            &BTreeMap::new(),
        );
        let expected = "[train]\nbatch = 80\ndevice = \"cuda:0\"\nlearning_rate = 1\nalpha_c = 1.0\n\n[own]\nx = [1]\n";
        assert_eq!(table.to_string(), expected);
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
            schema(&[first, second]).unwrap_err().to_string()
        };
        assert_eq!(
            fault("trian", "again"),
            "stage again: program has no section [trian]; the nearest is [train]"
        );
        for taken in ["train", "look", "run"] {
            let why = format!("[{taken}] can't override [train]: it is a section of its own");
            assert_eq!(fault("train", taken), format!("stage again: {why}"));
        }
    }
}
