//! Checks of runs that are stopped, and of parts that are made again.

use super::folder::{digest, left_over, overwrite, shards, smallest_file};
use super::subject::Call;
use super::trial::{Trial, Verdict, untried};
use attend_program::describe::Parts;
use attend_program::{At, Result};
use rustix::process::Signal;
use std::time::Duration;

/// Parts of a run's time after which it is interrupted. The first is the moment at which the
/// stage begins to write.
const MOMENTS: [f64; 7] = [0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9];

pub fn interrupted(trial: &Trial) -> Result<Verdict> {
    stopped(trial, Signal::INT, "int")
}

pub fn terminated(trial: &Trial) -> Result<Verdict> {
    stopped(trial, Signal::TERM, "term")
}

pub fn killed(trial: &Trial) -> Result<Verdict> {
    stopped(trial, Signal::KILL, "kill")
}

/// Ends runs at several moments: none may leave half an artifact, and the same command must
/// make the whole one.
fn stopped(trial: &Trial, signal: Signal, name: &str) -> Result<Verdict> {
    let mut met = 0;
    for (n, part) in MOMENTS.iter().enumerate() {
        let call = trial.subject.call(&format!("{name}-{n}"));
        let after = Duration::from_secs_f64(trial.seconds * part);
        let when = |ran: Duration| match part {
            0.0 => left_over(&call.output).is_some(),
            _ => ran >= after,
        };
        let ended = trial.subject.signalled(&call, signal, &when)?;
        let begun = call.output.exists() || left_over(&call.output).is_some();
        let told = match ended.code() {
            Some(0) => Ok(()), // it was faster
            _ if signal == Signal::KILL => {
                met += 1;
                Ok(())
            }
            // It did not listen to signals yet, or not any more.
            None if !begun || digest(&call.output).as_ref() == Some(&trial.digest) => Ok(()),
            _ => {
                met += 1;
                ended.refused(&[130])
            }
        };
        let told = match told {
            Ok(()) if call.output.exists() => trial.subject.verified(&call.output)?,
            told => told,
        };
        let told = match told {
            Ok(()) => trial
                .makes(&call)?
                .map_err(|why| format!("then the same command: {why}")),
            Err(why) => Err(why),
        };
        if let Err(why) = told {
            let when = match part {
                0.0 => "as it begins to write".to_owned(),
                _ => format!("after {} ms", after.as_millis()),
            };
            return Ok(Verdict::Failed(format!("{when}: {why}")));
        }
    }
    match met {
        0 => untried(&format!(
            "a run takes {:.0} ms, too little for a signal to meet it; give larger inputs (--input)",
            trial.seconds * 1e3
        )),
        _ => Ok(Verdict::Passed),
    }
}

/// Makes an artifact to be damaged.
fn to_damage(
    trial: &Trial,
    name: &str,
    least: Parts,
) -> Result<std::result::Result<Call, Verdict>> {
    let parts = trial.subject.description.parts;
    if parts != Parts::Shards && parts != least {
        let why = "`parts` in --describe does not promise it".to_owned();
        return Ok(Err(Verdict::Untried(why)));
    }
    let call = trial.subject.call(name);
    Ok(match trial.makes(&call)? {
        Ok(()) => Ok(call),
        Err(why) => Err(Verdict::Failed(why)),
    })
}

pub fn one_shard(trial: &Trial) -> Result<Verdict> {
    let call = match to_damage(trial, "one-shard", Parts::Shards)? {
        Ok(call) => call,
        Err(verdict) => return Ok(verdict),
    };
    let Some(shard) = shards(&call.output).pop() else {
        return Ok(Verdict::Failed("the artifact has no shards".to_owned()));
    };
    let file = call.output.join("shards").join(format!("{shard}.arrow"));
    std::fs::remove_file(&file).at(&file)?;
    Ok(trial.makes(&call.and(&["--shards", &shard]))?.into())
}

pub fn repairs(trial: &Trial) -> Result<Verdict> {
    let call = match to_damage(trial, "repaired", Parts::Whole)? {
        Ok(call) => call,
        Err(verdict) => return Ok(verdict),
    };
    let file = call
        .output
        .join(smallest_file(&call.output).unwrap_or_default());
    overwrite(&file, |mut bytes| {
        if let Some(byte) = bytes.last_mut() {
            *byte ^= 1;
        }
        bytes
    })?;
    Ok(trial.makes(&call.and(&["--repair"]))?.into())
}

pub fn tasks(trial: &Trial) -> Result<Verdict> {
    if trial.subject.description.parts != Parts::Shards {
        return untried("`parts` in --describe does not promise it");
    }
    let call = trial.subject.call("tasks");
    for task in ["2/2", "1/2"] {
        if let Err(why) = trial.subject.run(&call.and(&["--task", task]))?.ok() {
            return Ok(Verdict::Failed(format!("--task {task}: {why}")));
        }
    }
    Ok(trial.makes(&call.and(&["--finalize"]))?.into())
}
