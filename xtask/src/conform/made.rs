//! Checks of the artifact, and of what makes it again.

use super::folder::{State, digest, left_over, manifest, smallest_file, state};
use super::trial::{NO_INPUT, Trial, Verdict, untried};
use attend_program::{At, Error, Result};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub fn described(trial: &Trial) -> Result<Verdict> {
    let description = &trial.subject.description;
    let fields = [
        ("name", &description.name),
        ("version", &description.version),
        ("about", &description.about),
    ];
    let missing = fields.iter().find(|(_, text)| text.is_empty());
    let told = missing.map_or(Ok(()), |(field, _)| Err(format!("{field} is empty")));
    Ok(told.into())
}

pub fn verifies(trial: &Trial) -> Result<Verdict> {
    Ok(trial.subject.verified(&trial.made.output)?.into())
}

pub fn provenance(trial: &Trial) -> Result<Verdict> {
    let found = manifest(&trial.made.output).unwrap_or_default();
    let description = &trial.subject.description;
    let mut expected = vec![("/kind".to_owned(), json!(description.output))];
    for (field, text) in [
        ("name", &description.name),
        ("version", &description.version),
    ] {
        if !text.is_empty() {
            expected.push((format!("/producer/{field}"), json!(text)));
        }
    }
    for (kind, folder) in &trial.subject.inputs {
        expected.push((format!("/inputs/{kind}/kind"), json!(kind)));
        expected.push((format!("/inputs/{kind}/digest"), json!(digest(folder))));
    }
    for (place, value) in expected {
        let found = found.pointer(&place);
        if found != Some(&value) {
            let found = found.map_or("missing".to_owned(), Json::to_string);
            let place = place.trim_start_matches('/').replace('/', ".");
            return Ok(Verdict::Failed(format!("{place} is {found}, not {value}")));
        }
    }
    Ok(Verdict::Passed)
}

pub fn config(trial: &Trial) -> Result<Verdict> {
    let text = std::fs::read_to_string(&trial.made.config).at(&trial.made.config)?;
    let given: toml::Table = text.parse().at(&trial.made.config)?;
    let found = manifest(&trial.made.output).unwrap_or_default();
    for (section, keys) in &given {
        for (key, value) in keys.as_table().into_iter().flatten() {
            let name = format!("{section}.{key}");
            let value = serde_json::to_value(value).map_err(Error::internal)?;
            let text = value.to_string();
            let mut unrecorded = trial.subject.description.unrecorded.iter();
            let unrecorded = unrecorded.any(|entry| {
                let (entry, only) = entry.split_once('=').unwrap_or((entry, &text));
                entry == name && only == text
            });
            let found = found.get("config").and_then(|c| c.get(section)?.get(key));
            let fault = match (unrecorded, found) {
                (false, Some(found)) if equal(found, &value) => continue,
                (false, Some(found)) => format!("config.{name} is {found}, but was {value}"),
                (false, None) => format!(
                    "config.{name} is missing; if it does not shape the artifact, --describe lists it in `unrecorded`"
                ),
                (true, None) => continue,
                (true, Some(_)) => format!("config.{name} is there, though `unrecorded`"),
            };
            return Ok(Verdict::Failed(fault));
        }
    }
    Ok(Verdict::Passed)
}

/// Whether two values are the same; 1 and 1.0 are.
fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

pub fn portable(trial: &Trial) -> Result<Verdict> {
    let found = manifest(&trial.made.output).unwrap_or_default();
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_err(Error::internal)?.as_secs_f64();
    let strange = |value: &Json| match value {
        Json::String(text) => {
            let is_date = |w: &[u8]| {
                let at = |range: std::ops::Range<usize>| {
                    w.get(range)
                        .is_some_and(|d| d.iter().all(u8::is_ascii_digit))
                };
                at(0..4)
                    && at(5..7)
                    && at(8..10)
                    && w.get(4) == Some(&b'-')
                    && w.get(7) == Some(&b'-')
            };
            Path::new(text).is_absolute()
                || text.contains(&*trial.subject.scratch.to_string_lossy())
                || (host.len() > 3 && host != "localhost" && text.contains(&host))
                || text.as_bytes().windows(10).any(is_date)
        }
        Json::Number(n) => {
            let n = n.as_f64().unwrap_or(0.0);
            [1.0, 1e3, 1e6, 1e9]
                .iter()
                .any(|unit| (n / unit - now).abs() < 86_400.0)
        }
        _ => false,
    };
    Ok(match place_of(&found, "", &strange) {
        Some((place, value)) => {
            Verdict::Failed(format!("{} is {value}", place.trim_start_matches('.')))
        }
        None => Verdict::Passed,
    })
}

/// The place of a value in JSON.
fn place_of<'a>(
    json: &'a Json,
    at: &str,
    is: &dyn Fn(&Json) -> bool,
) -> Option<(String, &'a Json)> {
    match json {
        Json::Object(fields) => fields
            .iter()
            .find_map(|(key, v)| place_of(v, &format!("{at}.{key}"), is)),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(n, v)| place_of(v, &format!("{at}[{n}]"), is)),
        value => is(value).then(|| (at.to_owned(), value)),
    }
}

pub fn tidy(trial: &Trial) -> Result<Verdict> {
    let found = left_over(&trial.made.output);
    Ok(found
        .map_or(Ok(()), |name| Err(format!("{name} is left")))
        .into())
}

/// Inputs under other names, the output elsewhere.
pub fn same(trial: &Trial) -> Result<Verdict> {
    let mut call = trial.subject.call("elsewhere/deep/another name");
    for (kind, folder) in &trial.subject.inputs {
        let link = trial.subject.scratch.join(format!("linked-{kind}"));
        std::os::unix::fs::symlink(folder, &link).at(&link)?;
        call = call.reading(kind, &link);
    }
    Ok(trial.makes(&call)?.into())
}

pub fn jobs(trial: &Trial) -> Result<Verdict> {
    // Sums of floating-point numbers depend on the number of threads.
    let sums = ["features", "model", "evaluation"];
    let is_exact = !sums.contains(&trial.subject.description.output.as_str());
    for count in ["1", "3"] {
        let call = trial
            .subject
            .call(&format!("jobs-{count}"))
            .and(&["--jobs", count]);
        let told = match is_exact {
            true => trial.makes(&call)?,
            false => trial.subject.run(&call)?.ok(),
        };
        if let Err(why) = told {
            return Ok(Verdict::Failed(format!("--jobs {count}: {why}")));
        }
    }
    Ok(Verdict::Passed)
}

pub fn up_to_date(trial: &Trial) -> Result<Verdict> {
    let content = || {
        let mut files = state(&trial.made.output);
        files.retain(|path, _| {
            !path
                .file_name()
                .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."))
        });
        files
    };
    let before = content();
    let told = trial.makes(&trial.made)?;
    Ok(told
        .and_then(|()| match content() == before {
            true => Ok(()),
            false => Err("it writes its files again".to_owned()),
        })
        .into())
}

pub fn lost_file(trial: &Trial) -> Result<Verdict> {
    let output = &trial.made.output;
    let Some(name) = smallest_file(output) else {
        return untried("its artifact has no file");
    };
    let lost = output.join(&name);
    std::fs::remove_file(&lost).at(&lost)?;
    Ok(trial.makes(&trial.made)?.into())
}

pub fn other_input(trial: &Trial) -> Result<Verdict> {
    let call = trial.subject.call("other-input");
    if let Err(why) = trial.makes(&call)? {
        return Ok(Verdict::Failed(why));
    }
    let mut again = call.clone();
    for kind in trial.subject.inputs.keys() {
        match (trial.other)(kind) {
            Ok(folder) => again = again.reading(kind, &folder),
            Err(Error::Usage(_)) => {
                return untried("its inputs were given, and there are no others");
            }
            Err(error) => return Err(error),
        }
    }
    if again.inputs == call.inputs {
        return untried(NO_INPUT);
    }
    let told = trial.subject.run(&again)?.ok().and_then(|()| {
        match digest(&again.output).as_deref() == Some(&trial.digest) {
            true => Err("it keeps the artifact that it had made of the other input".to_owned()),
            false => Ok(()),
        }
    });
    Ok(told.into())
}

pub fn force(trial: &Trial) -> Result<Verdict> {
    let call = trial.subject.call("forced");
    Ok(match trial.makes(&call)? {
        Ok(()) => trial.makes(&call.and(&["--force"]))?,
        told => told,
    }
    .into())
}

pub fn two_at_once(trial: &Trial) -> Result<Verdict> {
    let call = trial.subject.call("two");
    let ended = std::thread::scope(|scope| {
        let runs = [0, 1].map(|_| scope.spawn(|| trial.subject.run(&call)));
        runs.map(|run| {
            run.join()
                .unwrap_or_else(|_| Err(Error::internal("a thread failed")))
        })
    });
    for ended in ended {
        if let Err(why) = ended?.ok() {
            return Ok(Verdict::Failed(why));
        }
    }
    Ok(trial.is_same(&call)?.into())
}

pub fn inputs_untouched(trial: &Trial) -> Result<Verdict> {
    let folders = trial.subject.inputs.values();
    let now: State = folders.flat_map(|folder| state(folder)).collect();
    let both = now.iter().chain(&trial.inputs);
    let mut both = both.map(|(path, _)| path);
    Ok(
        match both.find(|path| now.get(*path) != trial.inputs.get(*path)) {
            Some(path) => Verdict::Failed(format!("{} has changed", path.display())),
            None => Verdict::Passed,
        },
    )
}
