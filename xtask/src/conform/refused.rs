//! Checks of what a stage refuses, and with which exit code.

use super::folder::{changed, left_over, smallest_file, state};
use super::subject::Call;
use super::trial::{NO_INPUT, Trial, Verdict, untried};
use attend_program::{At, Result};
use serde_json::{Value as Json, json};
use std::path::Path;

/// A config that differs from the stage's own in one line.
fn with_line(trial: &Trial, section: &str, line: &str) -> Result<Call> {
    let path = &trial.made.config;
    let text = std::fs::read_to_string(path).at(path)?;
    let head = format!("[{section}]\n");
    let key = line.split(" = ").next().unwrap_or_default();
    let other = |old: &&str| !old.starts_with(&format!("{key} ="));
    let lines: Vec<&str> = text.lines().filter(other).collect();
    let text = lines
        .join("\n")
        .replacen(&head, &format!("{head}{line}\n"), 1);
    let mut call = trial.subject.call("refused");
    call.config = trial.subject.scratch.join("wrong.toml");
    std::fs::write(&call.config, text).at(&call.config)?;
    Ok(call)
}

/// Checks that a call is refused, and leaves nothing.
fn refuses(trial: &Trial, call: &Call, codes: &[i32]) -> Result<std::result::Result<(), String>> {
    let told = trial.subject.run(call)?.refused(codes);
    let output = &call.output;
    let left = output.exists() || left_over(output).is_some();
    if output.exists() {
        std::fs::remove_dir_all(output).at(output)?;
    }
    Ok(told.and(match left {
        true => Err("it refuses, but leaves an output behind".to_owned()),
        false => Ok(()),
    }))
}

pub fn unknown_key(trial: &Trial) -> Result<Verdict> {
    let Some((section, ..)) = trial.key() else {
        return untried("it has no parameters");
    };
    let call = with_line(trial, section, "no_such_key = 1")?;
    Ok(refuses(trial, &call, &[2])?.into())
}

pub fn wrong_type(trial: &Trial) -> Result<Verdict> {
    let Some((section, key, default)) = trial.key() else {
        return untried("it has no parameters");
    };
    let wrong = if default.is_boolean() { "3" } else { "true" };
    let call = with_line(trial, section, &format!("{key} = {wrong}"))?;
    Ok(refuses(trial, &call, &[2])?.into())
}

/// `--check` says beforehand what a run would refuse, and makes nothing.
pub fn checked(trial: &Trial) -> Result<Verdict> {
    if !trial.subject.description.check {
        return untried("`check` in --describe does not promise it");
    }
    let call = trial.subject.call("checked").and(&["--check"]);
    if let Err(why) = trial.subject.run(&call)?.ok() {
        return Ok(Verdict::Failed(why));
    }
    if call.output.exists() || left_over(&call.output).is_some() {
        return Ok(Verdict::Failed("it makes something".to_owned()));
    }
    let Some((section, ..)) = trial.key() else {
        return Ok(Verdict::Passed);
    };
    let wrong = with_line(trial, section, "no_such_key = 1")?;
    Ok(refuses(trial, &wrong.and(&["--check"]), &[2])?.into())
}

pub fn unknown_set(trial: &Trial) -> Result<Verdict> {
    let Some((section, ..)) = trial.key() else {
        return untried("it has no parameters");
    };
    let call = trial.subject.call("refused");
    let call = call.and(&["--set", &format!("{section}.no_such_key=1")]);
    Ok(refuses(trial, &call, &[2])?.into())
}

pub fn missing_input(trial: &Trial) -> Result<Verdict> {
    let inputs = trial.subject.description.inputs.iter();
    let needed: Vec<&str> = inputs
        .filter(|i| i.required)
        .map(|i| i.kind.as_str())
        .collect();
    if needed.is_empty() {
        return untried("it needs no artifact");
    }
    for kind in needed {
        let mut without = trial.subject.call("refused");
        without.inputs.remove(kind);
        let wrong = trial.subject.call("refused");
        let wrong = wrong.reading(kind, &trial.subject.scratch.join("no such folder"));
        for (call, codes, what) in [
            (without, &[2][..], "without"),
            (wrong, &[2, 3, 4], "with a wrong path for"),
        ] {
            if let Err(why) = refuses(trial, &call, codes)? {
                return Ok(Verdict::Failed(format!("{what} --input {kind}: {why}")));
            }
        }
    }
    Ok(Verdict::Passed)
}

pub fn damaged_input(trial: &Trial) -> Result<Verdict> {
    let Some((kind, folder)) = trial.input() else {
        return untried(NO_INPUT);
    };
    let edited = |change: fn(&mut serde_json::Map<String, Json>)| {
        move |text: Vec<u8>| {
            let mut manifest: Json = serde_json::from_slice(&text).unwrap_or_default();
            manifest.as_object_mut().map(change);
            manifest.to_string().into_bytes()
        }
    };
    let scratch = |name: &str| trial.subject.scratch.join(name);
    let file = smallest_file(folder).unwrap_or_default();
    let cut = |mut bytes: Vec<u8>| {
        bytes.pop();
        bytes
    };
    let halved = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() / 2);
        bytes
    };
    let edit = edited(|manifest| {
        manifest.insert("counts".to_owned(), json!({"images": 12_345}));
    });
    let newer = edited(|manifest| {
        manifest.insert("schema".to_owned(), json!(1000));
    });
    let damages = [
        (
            format!("{file} a byte too short"),
            changed(folder, &scratch("damaged-1"), &file, cut)?,
        ),
        (
            "an edited manifest".to_owned(),
            changed(folder, &scratch("damaged-2"), "manifest.json", edit)?,
        ),
        (
            "a newer schema".to_owned(),
            changed(folder, &scratch("damaged-3"), "manifest.json", newer)?,
        ),
        (
            "half a manifest".to_owned(),
            changed(folder, &scratch("damaged-4"), "manifest.json", halved)?,
        ),
    ];
    for (what, damaged) in damages {
        let call = trial.subject.call("refused").reading(kind, &damaged);
        if let Err(why) = refuses(trial, &call, &[4])? {
            return Ok(Verdict::Failed(format!("{kind} with {what}: {why}")));
        }
    }
    Ok(Verdict::Passed)
}

/// A folder that looks like an artifact of another kind.
fn artifact_of_another_kind(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).at(folder)?;
    let manifest = json!({
        "kind": "of-another-kind", "schema": 1, "producer": {"name": "conform", "version": "1"},
        "config": {}, "inputs": {}, "files": [], "counts": {}, "digest": "0".repeat(64),
    });
    let path = folder.join("manifest.json");
    std::fs::write(&path, manifest.to_string()).at(&path)
}

pub fn other_kind(trial: &Trial) -> Result<Verdict> {
    let Some((kind, _)) = trial.input() else {
        return untried(NO_INPUT);
    };
    let folder = trial.subject.scratch.join("of another kind");
    artifact_of_another_kind(&folder)?;
    let call = trial.subject.call("refused").reading(kind, &folder);
    Ok(refuses(trial, &call, &[4])?.into())
}

pub fn unwritable(trial: &Trial) -> Result<Verdict> {
    let file = trial.subject.scratch.join("file");
    std::fs::write(&file, "not a folder").at(&file)?;
    let call = trial.subject.call("file/artifact");
    Ok(trial.subject.run(&call)?.refused(&[1]).into())
}

/// Checks that a stage leaves what is at its output as it is.
fn keeps(trial: &Trial, call: &Call) -> Result<Verdict> {
    let before = state(&call.output);
    let told = trial.subject.run(call)?.refused(&[4]);
    let told = told.and_then(|()| match state(&call.output) == before {
        true => Ok(()),
        false => Err("it refuses, but has changed the folder".to_owned()),
    });
    let left = left_over(&call.output);
    Ok(told
        .and(left.map_or(Ok(()), |name| Err(format!("{name} is left"))))
        .into())
}

pub fn foreign(trial: &Trial) -> Result<Verdict> {
    let call = trial.subject.call("foreign");
    let file = call.output.join("notes/thesis.txt");
    std::fs::create_dir_all(call.output.join("notes")).at(&file)?;
    std::fs::write(&file, "years of work").at(&file)?;
    keeps(trial, &call)
}

pub fn foreign_kind(trial: &Trial) -> Result<Verdict> {
    let call = trial.subject.call("foreign-kind");
    artifact_of_another_kind(&call.output)?;
    keeps(trial, &call)
}
