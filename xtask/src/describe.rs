//! Asks stages for their descriptions (`--describe`).

use crate::programs::Programs;
use crate::store::Store;
use attend_program::describe::Description;
use attend_program::loose::State;
use attend_program::{Error, Result, whole};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Runs the stage with `--describe` and reads the JSON that it prints.
pub fn describe(mut command: Command) -> Result<Description> {
    let name = crate::child::name(&command);
    let output = command
        .arg("--describe")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Error::usage(format!("{name} can't be started: {e}")))?;
    if !output.status.success() {
        return Err(Error::usage(format!(
            "{name} --describe failed ({}): it is not a stage, or can't run here",
            output.status
        )));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|e| Error::usage(format!("{name} --describe is not understood: {e}")))
}

/// The descriptions of these commands. Asks all in parallel, because each loads libraries of
/// hundreds of megabytes. Our own programs are asked once, until their file changes; a
/// program of another team may be a script, whose description depends on other files.
pub fn describe_all(
    programs: &Programs,
    store: &Store,
    commands: &[&[String]],
) -> Result<Vec<Description>> {
    let known = Known::read(store);
    let descriptions: Vec<Result<Description>> = std::thread::scope(|scope| {
        let ask = |words: &'_ [String]| {
            let command = programs.command(words)?;
            let key = programs.is_ours(&words[0]).then(|| Known::key(&command));
            if let Some(known) = key.as_ref().and_then(|key| known.get(key)) {
                return Ok(known);
            }
            let description = describe(command)?;
            if let Some(key) = key {
                known.add(key, &description);
            }
            Ok(description)
        };
        let asked: Vec<_> = commands
            .iter()
            .map(|words| scope.spawn(move || ask(words)))
            .collect();
        asked
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::internal("asking a stage failed")))
            })
            .collect()
    });
    known.write();
    descriptions.into_iter().collect()
}

/// Descriptions of programs that have been asked, by command line and state of the
/// program's file.
struct Known {
    path: PathBuf,
    old: Map<String, Value>,
    new: Mutex<Map<String, Value>>,
}

impl Known {
    fn read(store: &Store) -> Known {
        let path = store.root.join(".descriptions.json");
        let text = std::fs::read(&path).unwrap_or_default();
        Known {
            old: serde_json::from_slice(&text).unwrap_or_default(),
            path,
            new: Mutex::default(),
        }
    }

    fn key(command: &Command) -> String {
        let program = Path::new(command.get_program());
        let arguments: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        let state = match State::at(program) {
            State::File(bytes, time) => json!([bytes, time]),
            _ => Value::Null,
        };
        json!([program.to_string_lossy(), arguments, state]).to_string()
    }

    fn get(&self, key: &str) -> Option<Description> {
        serde_json::from_value(self.old.get(key)?.clone()).ok()
    }

    fn add(&self, key: String, description: &Description) {
        let mut new = self.new.lock().unwrap_or_else(|e| e.into_inner());
        if let Ok(value) = serde_json::to_value(description) {
            new.insert(key, value);
        }
    }

    /// Writes what is new, if there is a store. A failure costs time only.
    fn write(self) {
        let new = self.new.into_inner().unwrap_or_else(|e| e.into_inner());
        if new.is_empty() || !self.path.parent().is_some_and(Path::is_dir) {
            return;
        }
        // What an older file of the same program said is of no use any more.
        let command = |key: &str| match serde_json::from_str(key) {
            Ok(Value::Array(mut parts)) => {
                parts.truncate(2);
                parts
            }
            _ => Vec::new(),
        };
        let renewed: Vec<_> = new.keys().map(|key| command(key)).collect();
        let old = self.old.into_iter();
        let old = old.filter(|(key, _)| !renewed.contains(&command(key)));
        let all: Map<String, Value> = old.chain(new).collect();
        let _ = whole::write_bytes(&self.path, Value::Object(all).to_string());
    }
}
