//! The differences between the parameters and inputs of two runs of a stage.

use crate::manifest::{Manifest, short};
use attend_program::difference::changes;
use std::fmt::{Display, Formatter};

/// Maximum number of differences that are written out.
const SHOWN: usize = 8;

/// The differences between an older run and this one, shown as
/// "parameters (train.seed 1 -> 2)".
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    program: Option<String>,
    parameters: Vec<(String, String)>,
    inputs: Vec<String>,
}

impl Difference {
    /// The differences of `new` from `old`, ignoring unrecorded parameters; `None` if there
    /// are none.
    pub(crate) fn between(
        old: &Manifest,
        new: &Manifest,
        unrecorded: &[&str],
    ) -> Option<Difference> {
        let program = |manifest: &Manifest| {
            let producer = &manifest.producer;
            format!("{} {}", producer.name, producer.version)
        };
        let mut difference = Difference::default();
        if old.producer != new.producer || old.schema > new.schema {
            difference.program = Some(format!("{} -> {}", program(old), program(new)));
        }
        for change in changes(&old.config, &new.config) {
            if !unrecorded.contains(&change.name.as_str()) {
                let told = change.to_string();
                difference.parameters.push((change.name, told));
            }
        }
        let added = new.inputs.keys();
        let added = added.filter(|name| !old.inputs.contains_key(*name));
        for name in old.inputs.keys().chain(added) {
            let (a, b) = (old.inputs.get(name), new.inputs.get(name));
            if a != b {
                let [a, b] = [a, b].map(|i| i.map_or("none", |input| short(&input.digest)));
                difference.inputs.push(format!("{name} {a} -> {b}"));
            }
        }
        (difference != Difference::default()).then_some(difference)
    }

    /// The parameters that differ, if nothing else does.
    pub(crate) fn only_parameters(&self) -> Option<Vec<&str>> {
        let only = self.program.is_none() && self.inputs.is_empty() && !self.parameters.is_empty();
        only.then(|| self.parameters.iter().map(|(key, _)| &**key).collect())
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let program: Vec<&str> = self.program.iter().map(|p| &**p).collect();
        let parameters: Vec<&str> = self
            .parameters
            .iter()
            .map(|(_, change)| &**change)
            .collect();
        let inputs: Vec<&str> = self.inputs.iter().map(|i| &**i).collect();
        let kinds = [
            ("programs", program),
            ("parameters", parameters),
            ("inputs", inputs),
        ];
        let kinds = kinds.into_iter().filter(|(_, all)| !all.is_empty());
        let texts: Vec<String> = kinds
            .map(|(kind, all)| {
                let more = match all.len().saturating_sub(SHOWN) {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                format!("{kind} ({}{more})", all[..all.len().min(SHOWN)].join(", "))
            })
            .collect();
        match texts.is_empty() {
            true => f.write_str("parameters or inputs"),
            false => f.write_str(&texts.join(" and other ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Input;
    use serde_json::{Value, json};

    fn manifest(config: Value, input: &str) -> Manifest {
        let mut manifest = Manifest::draft("model", "train", "1");
        manifest.config = config;
        let input = Input {
            kind: "dataset".into(),
            digest: input.into(),
        };
        manifest.inputs.insert("dataset".into(), input);
        manifest
    }

    #[test]
    fn old_and_new_values_are_named() {
        let old = manifest(json!({"t": {"a": 1, "b": "x", "log": 1}}), "d1");
        let new = manifest(json!({"t": {"a": 2, "c": true}, "u": {"d": [1]}}), "d1");
        let difference = Difference::between(&old, &new, &["t.log"]).unwrap();
        assert_eq!(
            difference.to_string(),
            "parameters (t.a 1 -> 2, t.b \"x\" -> none, t.c none -> true, u.d none -> [1])"
        );
        let keys = vec!["t.a", "t.b", "t.c", "u.d"];
        assert_eq!(difference.only_parameters(), Some(keys));
        assert_eq!(Difference::between(&old, &old, &[]), None);
        let first = Manifest {
            schema: 1,
            ..old.clone()
        };
        assert_eq!(Difference::between(&first, &old, &[]), None);
        let other = manifest(json!({"t": {"a": 2, "b": "x"}}), "d2");
        let difference = Difference::between(&old, &other, &["t.log"]).unwrap();
        assert_eq!(
            difference.to_string(),
            "parameters (t.a 1 -> 2) and other inputs (dataset d1 -> d2)"
        );
        assert_eq!(difference.only_parameters(), None);
        assert_eq!(Difference::default().to_string(), "parameters or inputs");
    }
}
