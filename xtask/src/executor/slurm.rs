//! Slurm: a script for each job, `sbatch`, and a watch over the queue.

use super::emit::write;
use super::job::{Job, Jobs, line, quoted};
use attend_program::{At, Error, Result, end, say, signal, whole};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Time between two looks at the queue.
const PAUSE: Duration = Duration::from_secs(2);

/// The names of a job's scripts, in their order.
pub fn names(job: &Job) -> Vec<String> {
    let stage = &job.stage;
    match job.is_shared() {
        true => vec![format!("{stage}.sh"), format!("{stage}.finalize.sh")],
        false => vec![format!("{stage}.sh")],
    }
}

/// The scripts of all jobs, by name; logs go to `folder`.
pub fn scripts(jobs: &Jobs, folder: &Path) -> Vec<(String, String)> {
    let of = |job: &Job| {
        let mut scripts = names(job).into_iter();
        let one = |name: String, is_array| {
            let text = script(jobs, job, &folder.join(stem(&name)), is_array);
            (name, text)
        };
        let first = scripts.next().map(|name| one(name, job.is_shared()));
        let last = scripts.next().map(|name| one(name, false));
        first.into_iter().chain(last).collect::<Vec<_>>()
    };
    jobs.jobs.iter().flat_map(of).collect()
}

/// The name of a script's job, which its logs have, too.
fn stem(script: &str) -> &str {
    script.trim_end_matches(".sh")
}

/// The script of a job, whose logs' paths begin with `log`.
fn script(jobs: &Jobs, job: &Job, log: &Path, is_array: bool) -> String {
    let r = &job.resources;
    let id = if is_array { "%A_%a" } else { "%j" };
    let mut options = vec![
        format!("--job-name={}-{}", jobs.run, job.stage),
        format!("--output={}-{id}.out", log.display()),
        format!("--chdir={}", jobs.here.display()),
        "--requeue".to_owned(),
        "--open-mode=append".to_owned(),
    ];
    let mut ask = |given: bool, option: String| {
        if given {
            options.push(option);
        }
    };
    ask(is_array, format!("--array=1-{}", r.tasks));
    ask(r.cpus > 0, format!("--cpus-per-task={}", r.cpus));
    ask(!r.memory.is_empty(), format!("--mem={}", r.memory));
    ask(!r.time.is_empty(), format!("--time={}", r.time));
    ask(r.gpus > 0, format!("--gpus={}", r.gpus));
    ask(
        !r.partition.is_empty(),
        format!("--partition={}", r.partition),
    );
    options.extend(r.options.iter().cloned());
    let options: String = options
        .iter()
        .map(|o| format!("#SBATCH {}\n", quoted(o)))
        .collect();
    let environment = jobs.environment().into_iter();
    let environment: String = environment
        .map(|(name, value)| format!("export {name}={}\n", quoted(&value)))
        .collect();
    let task = format!("$SLURM_ARRAY_TASK_ID/{}", r.tasks);
    let command = match (is_array, job.is_shared()) {
        (true, _) => format!("{} --task \"{task}\"", line(&jobs.command(job, &[]))),
        (false, true) => line(&jobs.command(job, &["--finalize"])),
        (false, false) => line(&jobs.command(job, &[])),
    };
    // `exec`: signals of Slurm come to the runner itself.
    format!("#!/bin/sh\n{options}\n{environment}exec {command}\n")
}

/// A job in the queue.
#[derive(Clone, Debug)]
struct Submitted {
    /// That of its stage, or `STAGE.finalize`.
    name: String,
    id: String,
}

/// Submits the jobs, unless those of an earlier call are still there, and watches them to
/// their end.
///
/// # Errors
/// [`Error::Usage`] if there is no Slurm here; [`Error::Reported`] with the exit code of a
/// job that failed.
pub fn run(jobs: &Jobs) -> Result<()> {
    if jobs.jobs.is_empty() {
        say!("nothing to do");
        return Ok(());
    }
    let folder = jobs.artifacts.join(&jobs.run).join("slurm");
    std::fs::create_dir_all(&folder).at(&folder)?;
    let list = folder.join("jobs");
    let before = recorded(&list);
    let submitted = match states(&before)?.values().any(|state| state.is_open()) {
        true => {
            say!("the jobs of an earlier call are still in the queue: watching them");
            before
        }
        false => submit(jobs, &folder, &list)?,
    };
    watch(&submitted, &folder)
}

/// The jobs that an earlier call has submitted.
fn recorded(list: &Path) -> Vec<Submitted> {
    let text = std::fs::read_to_string(list).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let submitted = lines.map(|(id, name)| Submitted {
        name: name.to_owned(),
        id: id.to_owned(),
    });
    submitted.collect()
}

fn submit(jobs: &Jobs, folder: &Path, list: &Path) -> Result<Vec<Submitted>> {
    for (name, text) in scripts(jobs, folder) {
        write(&folder.join(name), &text)?;
    }
    let mut last: BTreeMap<&str, String> = BTreeMap::new();
    let mut all: Vec<Submitted> = Vec::new();
    for job in &jobs.jobs {
        let mut after: Vec<String> = (job.after.iter())
            .filter_map(|stage| last.get(stage.as_str()).cloned())
            .collect();
        for name in names(job) {
            let mut sbatch = Command::new("sbatch");
            sbatch.args(["--parsable", "--kill-on-invalid-dep=yes"]);
            if !after.is_empty() {
                sbatch.arg(format!("--dependency=afterok:{}", after.join(":")));
            }
            let answer = output(sbatch.arg(folder.join(&name)));
            let answer = answer.inspect_err(|_| cancel(&all))?;
            // `ID`, or `ID;CLUSTER`
            let id = answer
                .trim()
                .split(';')
                .next()
                .unwrap_or_default()
                .to_owned();
            let name = stem(&name).to_owned();
            say!("{name}: job {id}");
            after = vec![id.clone()];
            last.insert(&job.stage, id.clone());
            all.push(Submitted { name, id });
            let lines = all.iter().map(|job| format!("{} {}\n", job.id, job.name));
            whole::write_bytes(list, lines.collect::<String>())?;
        }
    }
    Ok(all)
}

/// Takes back what has been submitted.
fn cancel(jobs: &[Submitted]) {
    if !jobs.is_empty() {
        let ids = jobs.iter().map(|job| job.id.as_str());
        let _ = Command::new("scancel").args(ids).status();
    }
}

/// What a command prints; the error is what it says.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|e| {
        Error::usage(format!(
            "{name} can't be started ({e}): is this a machine of a Slurm cluster?"
        ))
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(Error::internal(format!("{name}: {}", text(&output.stderr)))),
    }
}

/// The states of a job's tasks, as words of Slurm: `RUNNING`, `COMPLETED`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    words: Vec<String>,
    reason: String,
    /// The name of a failed task, for `scontrol` and its log.
    failed: Option<String>,
}

const OPEN: [&str; 8] = [
    "PENDING",
    "RUNNING",
    "COMPLETING",
    "CONFIGURING",
    "REQUEUED",
    "SUSPENDED",
    "STAGE_OUT",
    "RESIZING",
];

impl State {
    fn is_open(&self) -> bool {
        self.words.iter().any(|word| OPEN.contains(&word.as_str()))
    }

    fn count(&self, word: &str) -> usize {
        self.words.iter().filter(|w| *w == word).count()
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words = self.words.clone();
        words.sort();
        words.dedup();
        let several = self.words.len() > 1;
        let told = words.iter().map(|word| match several {
            true => format!("{} {}", self.count(word), word.to_lowercase()),
            false => word.to_lowercase(),
        });
        write!(f, "{}", told.collect::<Vec<_>>().join(", "))?;
        match self.reason.as_str() {
            "None" | "" => Ok(()),
            reason => write!(f, " ({reason})"),
        }
    }
}

/// The states of jobs, by id. A job that Slurm has forgotten is not among them.
fn states(jobs: &[Submitted]) -> Result<BTreeMap<String, State>> {
    let mut states: BTreeMap<String, State> = BTreeMap::new();
    if jobs.is_empty() {
        return Ok(states);
    }
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let mut squeue = Command::new("squeue");
    squeue.args([
        "--noheader",
        "--array",
        "--states=all",
        "--format=%F|%i|%T|%r",
    ]);
    squeue.arg(format!("--jobs={}", ids.join(",")));
    let text = match output(&mut squeue) {
        // None of them is known any more.
        Err(Error::Internal(why)) if why.contains("Invalid job id") => return Ok(states),
        text => text?,
    };
    for line in text.lines() {
        let mut fields = line.split('|');
        let mut next = || fields.next().unwrap_or_default().trim().to_owned();
        let [id, task, word, reason] = [next(), next(), next(), next()];
        let state = states.entry(id).or_default();
        let is_over = !OPEN.contains(&word.as_str());
        if is_over && word != "COMPLETED" && state.failed.is_none() {
            state.failed = Some(task);
        }
        if word == "PENDING" {
            state.reason = reason;
        }
        state.words.push(word);
    }
    Ok(states)
}

/// Tells how the jobs' states change until all have ended.
fn watch(jobs: &[Submitted], folder: &Path) -> Result<()> {
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let ids = ids.join(" ");
    let leave = move |_, _| {
        say!("the jobs go on: the same command watches them again, `scancel {ids}` ends them");
        end::now(130);
    };
    signal::watch(leave).map_err(Error::internal)?;
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let states = states(jobs)?;
        for Submitted { name, id } in jobs {
            let Some(state) = states.get(id) else {
                continue;
            };
            let text = state.to_string();
            if told.get(id) != Some(&text) {
                say!("{name} (job {id}): {text}");
                told.insert(id.clone(), text);
            }
        }
        let failed = jobs.iter().find_map(|job| {
            let state = states.get(&job.id).filter(|state| !state.is_open())?;
            Some((job, state.failed.clone()?))
        });
        if let Some((job, task)) = failed {
            let code = explain(&job.name, &task, folder);
            cancel(jobs);
            return Err(Error::Reported(code));
        }
        if !states.values().any(State::is_open) {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Tells of a failed job, with the end of its log; returns its exit code.
fn explain(name: &str, task: &str, folder: &Path) -> u8 {
    let log: PathBuf = folder.join(format!("{name}-{task}.out"));
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    for line in lines.iter().rev() {
        say!("  {line}");
    }
    say!(
        "error: {name}: job {task} failed; its log is {}",
        log.display()
    );
    let shown = output(Command::new("scontrol").args(["show", "job", "-o", task]));
    let code = shown.ok().and_then(|text| {
        let (_, rest) = text.split_once(" ExitCode=")?;
        rest.split(':').next()?.parse().ok()
    });
    code.filter(|code| *code != 0).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_tasks_are_counted() {
        let state = |words: &[&str], reason: &str| State {
            words: words.iter().map(|&word| word.to_owned()).collect(),
            reason: reason.to_owned(),
            failed: None,
        };
        assert_eq!(state(&["RUNNING"], "None").to_string(), "running");
        let both = state(&["RUNNING", "COMPLETED", "RUNNING"], "");
        assert_eq!(both.to_string(), "1 completed, 2 running");
        assert!(both.is_open());
        let waits = state(&["PENDING"], "Dependency");
        assert_eq!(waits.to_string(), "pending (Dependency)");
        assert!(!state(&["COMPLETED", "FAILED"], "").is_open());
    }
}
