//! What a run asks of a stage, and the key of the artifact that answers it.

use super::manifest::{Manifest, Producer};
use attend_program::describe::Description;
use attend_program::difference::changes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use toml::Table;

/// A stage's program with the parameters and inputs of a run.
#[derive(Clone, Debug)]
pub struct Request {
    /// Kind of the artifact that is asked for.
    pub kind: String,
    /// The program.
    pub producer: Producer,
    /// The parameters that shape the artifact: section -> key -> value.
    pub config: Value,
    /// The parameters that name files, as the config has them, with `${NAME}`: where data
    /// lies may change, as long as its variable says where.
    pub paths: Value,
    /// The digests of the inputs, by kind.
    pub inputs: BTreeMap<String, String>,
}

impl Request {
    /// The request of a stage with these effective parameters and inputs.
    pub fn new(
        description: &Description,
        parameters: &Table,
        inputs: BTreeMap<String, String>,
    ) -> Request {
        let [mut config, mut paths] = [Map::new(), Map::new()];
        for (section, defaults) in &description.parameters {
            for (key, default) in defaults.as_object().into_iter().flatten() {
                let value = parameters.get(section).and_then(|keys| keys.get(key));
                let Some(value) = value.map(|value| to_json(value, default)) else {
                    continue;
                };
                let name = format!("{section}.{key}");
                let only = format!("{name}={value}");
                let shapes = !(description.unrecorded.iter())
                    .any(|unrecorded| [&name, &only].contains(&unrecorded));
                let is_path = match &description.paths {
                    Some(paths) => paths.contains(&name),
                    None => !shapes,
                };
                for (table, belongs) in [(&mut config, shapes), (&mut paths, is_path)] {
                    let section = || Value::Object(Map::new());
                    if belongs
                        && let Value::Object(keys) =
                            table.entry(section_name(&name)).or_insert_with(section)
                    {
                        keys.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        Request {
            kind: description.output.clone(),
            producer: Producer {
                name: description.name.clone(),
                version: description.version.clone(),
            },
            config: config.into(),
            paths: paths.into(),
            inputs,
        }
    }

    /// The name of the artifact's place in the store, `KIND-KEY`.
    pub fn name(&self) -> String {
        let mut all = json!({
            "producer": self.producer, "config": self.config, "paths": self.paths,
            "inputs": self.inputs,
        });
        all.sort_all_objects();
        let hash = Sha256::digest(all.to_string());
        let key: String = hash
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}-{key}", self.kind)
    }

    /// The changes from the request that `old` was made for, in words. `paths` are the
    /// paths of that request, if they are known. `input` says how an input differs.
    pub fn changes(
        &self,
        old: &Manifest,
        paths: Option<&Value>,
        input: impl Fn(&str) -> Option<String>,
    ) -> Vec<String> {
        let mut changes = Vec::new();
        if old.producer != self.producer && !old.producer.name.is_empty() {
            let [a, b] = [&old.producer, &self.producer];
            changes.push(match a.name == b.name {
                true => format!("producer {} -> {}", a.version, b.version),
                false => format!("producer {} -> {}", a.name, b.name),
            });
        }
        changes.extend(differences(&old.config, &self.config));
        changes.extend(
            paths
                .into_iter()
                .flat_map(|old| differences(old, &self.paths)),
        );
        for (kind, digest) in &self.inputs {
            let before = old.inputs.get(kind).map(|input| &input.digest);
            if before != Some(digest) {
                changes.push(match (before, input(kind)) {
                    (None, _) => format!("input {kind} is new"),
                    (_, Some(how)) => format!("input {kind} changed: {how}"),
                    (_, None) => format!("input {kind} changed"),
                });
            }
        }
        changes
    }

    /// Whether `old` was made by the same program from the same inputs.
    pub fn differs_in_parameters_only(&self, old: &Manifest) -> bool {
        let same = |(kind, digest): (&String, &String)| {
            old.inputs
                .get(kind)
                .is_some_and(|input| input.digest == *digest)
        };
        old.kind == self.kind && old.producer == self.producer && self.inputs.iter().all(same)
    }
}

fn section_name(name: &str) -> String {
    name.split('.').next().unwrap_or_default().to_owned()
}

/// A value as JSON; whole numbers become floats where the default is one, as they do in the
/// stage.
fn to_json(value: &toml::Value, default: &Value) -> Value {
    match value {
        toml::Value::Integer(n) if default.is_f64() => json!(*n as f64),
        value => serde_json::to_value(value).unwrap_or_default(),
    }
}

/// The parameters that differ: `section.key old -> new`.
fn differences(old: &Value, new: &Value) -> Vec<String> {
    let mut changes = changes(old, new);
    for change in &mut changes {
        change.old = change.old.filter(|old| !old.is_null());
        change.new = change.new.filter(|new| !new.is_null());
    }
    changes.retain(|change| !same(change.old, change.new));
    changes.iter().map(ToString::to_string).collect()
}

/// Compares numbers by value: a program may have written 1.0 for 1.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() == b.as_f64(),
        (Some(Value::Object(a)), b) if a.is_empty() => b.is_none() || b == Some(&json!({})),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(unrecorded: &[&str], paths: Option<&[&str]>) -> Description {
        let description = json!({
            "name": "learn", "version": "1", "inputs": [], "output": "model",
            "parameters": {"train": {"rate": 0.5, "seed": 1, "device": "cpu", "start": ""}},
            "unrecorded": unrecorded, "paths": paths,
        });
        serde_json::from_value(description).unwrap()
    }

    fn request(parameters: &str, digest: &str) -> Request {
        let description = description(&["train.device", "train.start"], Some(&["train.start"]));
        let inputs = BTreeMap::from([("dataset".to_owned(), digest.to_owned())]);
        Request::new(&description, &parameters.parse().unwrap(), inputs)
    }

    #[test]
    fn the_key_changes_with_what_shapes_the_artifact_only() {
        let base = "train.rate = 1.0\ntrain.seed = 1\ntrain.device = \"cpu\"\n";
        let name = request(base, "d").name();
        assert!(
            name.starts_with("model-") && name.len() == "model-".len() + 16,
            "{name}"
        );
        let other = |parameters: &str, digest| request(parameters, digest).name();
        assert_eq!(other(&base.replace("cpu", "cuda"), "d"), name);
        assert_eq!(other(&base.replace("1.0", "1"), "d"), name);
        assert_ne!(other(&base.replace("seed = 1", "seed = 2"), "d"), name);
        assert_ne!(other(&format!("{base}train.start = \"x\"\n"), "d"), name);
        assert_ne!(other(base, "e"), name);
        // A stage that does not say which of its parameters are paths: any may be.
        let unsaid = description(&["train.device"], None);
        let of = |text: &str| Request::new(&unsaid, &text.parse().unwrap(), BTreeMap::new()).name();
        assert_ne!(of(base), of(&base.replace("cpu", "cuda")));
    }

    #[test]
    fn changes_are_told_in_words() {
        let now = request(
            "train.rate = 1.0\ntrain.seed = 2\ntrain.start = \"b\"\n",
            "e",
        );
        let old = json!({
            "kind": "model", "digest": "x", "producer": {"name": "learn", "version": "0"},
            "config": {"train": {"rate": 1, "seed": 1, "old": null}},
            "inputs": {"dataset": {"digest": "d"}, "weights": {"digest": "w"}},
        });
        let mut old: Manifest = serde_json::from_value(old).unwrap();
        let paths = json!({"train": {"start": "a"}});
        assert_eq!(
            now.changes(&old, Some(&paths), |_| Some("3 shards".to_owned())),
            [
                "producer 0 -> 1",
                "train.seed 1 -> 2",
                "train.start \"a\" -> \"b\"",
                "input dataset changed: 3 shards",
            ]
        );
        assert!(!now.differs_in_parameters_only(&old));
        old.producer.version = "1".to_owned();
        old.inputs.get_mut("dataset").unwrap().digest = "e".to_owned();
        assert!(now.differs_in_parameters_only(&old));
    }
}
