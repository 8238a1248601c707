//! The JSON Schemas in docs/schemas/ are those of the code, and real files are valid.

use crate::world::World;
use attend_artifact::schemas::all;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_schemas_in_the_documentation_are_those_of_the_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
    for (name, schema) in all() {
        let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let same = text == format!("{schema:#}\n");
        assert!(
            same,
            "{name}: write it with cargo run -p attend-artifact --example schemas"
        );
    }
    assert_eq!(folder.read_dir().unwrap().count(), all().len());
}

#[test]
fn real_files_are_valid_and_spoilt_ones_are_not() {
    let world = World::new();
    let best = world.path("model").join("checkpoints/best");
    let mut count = std::env::current_exe().unwrap();
    count.pop();
    count.set_file_name("examples");
    let described = Command::new(count.join("count"))
        .arg("--describe")
        .output()
        .expect("the example, which --test needs --example count for");
    let described: Value = serde_json::from_slice(&described.stdout).unwrap();
    let manifest = |kind: &str| read(&world.path(kind).join("manifest.json"));
    let files = [
        ("manifest.json", manifest("dataset")),
        ("manifest.json", manifest("vocabulary")),
        ("manifest.json", manifest("features")),
        ("manifest.json", manifest("model")),
        ("manifest.json", manifest("evaluation")),
        (
            "vocab.json",
            read(&world.path("vocabulary").join("vocab.json")),
        ),
        (
            "encoder.json",
            read(&world.path("features").join("encoder.json")),
        ),
        (
            "encoder.json",
            json!({
                "kind": "foreign", "name": "lite0", "image_size": [8, 8], "grid": [2, 2],
                "channels": 3, "command": ["python3", "lite0.py"],
            }),
        ),
        ("model.json", read(&best.join("model.json"))),
        ("describe.json", described),
        (
            "describe.json",
            json!({"inputs": [], "output": "a", "parameters": {}}),
        ),
    ];
    let schemas = all();
    for (name, file) in files {
        let (_, schema) = schemas.iter().find(|(other, _)| *other == name).unwrap();
        let schema = jsonschema::validator_for(schema).unwrap();
        let errors: Vec<String> = schema.iter_errors(&file).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?} in {file:#}");
        assert!(!schema.is_valid(&json!([])));
        // Of another type, or missing.
        for key in file.as_object().unwrap().keys() {
            let mut other = file.clone();
            other[key] = json!([[{}]]);
            assert!(!schema.is_valid(&other), "{name}: {key}");
        }
        let mut other = file.clone();
        for needed in ["kind", "format", "encoder", "output"] {
            other.as_object_mut().unwrap().shift_remove(needed);
        }
        assert!(!schema.is_valid(&other), "{name} without what it needs");
    }
}
