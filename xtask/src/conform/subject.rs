//! The stage under test.

use crate::child;
use attend_program::describe::Description;
use attend_program::{At, Error, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A stage, with what it reads.
pub struct Subject {
    /// Program and first arguments.
    pub words: Vec<String>,
    /// What it says of itself.
    pub description: Description,
    /// Its config file.
    pub config: PathBuf,
    /// Kind of artifact -> folder.
    pub inputs: BTreeMap<String, PathBuf>,
    /// Judges artifacts.
    pub verify: PathBuf,
    /// A folder for everything that the checks make.
    pub scratch: PathBuf,
    /// A run that takes longer is ended.
    pub limit: Duration,
}

/// The command line of one run.
#[derive(Clone)]
pub struct Call {
    pub config: PathBuf,
    pub inputs: BTreeMap<String, PathBuf>,
    pub output: PathBuf,
    pub more: Vec<String>,
}

/// A signal, and when to send it: as soon as this says so of the time of the run.
type Sent<'a> = (Signal, &'a dyn Fn(Duration) -> bool);

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    status: ExitStatus,
    /// Standard error.
    pub log: String,
    pub seconds: f64,
    late: bool,
}

impl Subject {
    /// The command line that makes `NAME` in the scratch folder.
    pub fn call(&self, name: &str) -> Call {
        Call {
            config: self.config.clone(),
            inputs: self.inputs.clone(),
            output: self.scratch.join(name),
            more: Vec::new(),
        }
    }

    /// Runs the stage to its end.
    pub fn run(&self, call: &Call) -> Result<Ended> {
        self.ended(self.command(call), None)
    }

    /// Runs the stage, and sends it a signal as soon as `when` says so of the time that it
    /// has run.
    pub fn signalled(
        &self,
        call: &Call,
        signal: Signal,
        when: &dyn Fn(Duration) -> bool,
    ) -> Result<Ended> {
        self.ended(self.command(call), Some((signal, when)))
    }

    /// Runs `attend-verify` on an artifact; the error is its message.
    pub fn verified(&self, artifact: &Path) -> Result<std::result::Result<(), String>> {
        let mut command = Command::new(&self.verify);
        command.arg(artifact);
        let ended = self.ended(command, None)?;
        Ok(match ended.code() {
            Some(0) => Ok(()),
            _ => Err(ended.last_line()),
        })
    }

    fn program(&self) -> Command {
        let mut command = Command::new(self.words.first().map_or("", String::as_str));
        command.args(self.words.iter().skip(1));
        command
    }

    fn command(&self, call: &Call) -> Command {
        let mut command = self.program();
        command.arg("--config").arg(&call.config);
        for (kind, folder) in &call.inputs {
            let input = format!("{kind}={}", folder.display());
            command.arg("--input").arg(input);
        }
        command.arg("--output").arg(&call.output);
        command.args(&call.more);
        command
    }

    fn ended(&self, mut command: Command, mut signal: Option<Sent>) -> Result<Ended> {
        let log = self.scratch.join("log");
        let file = File::create(&log).at(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            // A signal to the group of this program is not one to the stage.
            .process_group(0);
        let name = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|e| Error::usage(format!("{name} can't be started: {e}")))?;
        let pid = Pid::from_child(&child);
        let mut late = false;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(Error::internal)? {
                break status;
            }
            if let Err(interrupted) = child::check() {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(interrupted);
            }
            if let Some((number, when)) = signal
                && when(started.elapsed())
            {
                // The process has not been waited for, so the id is still its own.
                let _ = kill_process(pid, number);
                signal = None;
            }
            if started.elapsed() > self.limit {
                late = true;
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_micros(300));
        };
        let text = std::fs::read(&log).at(&log)?;
        Ok(Ended {
            status,
            log: String::from_utf8_lossy(&text).into_owned(),
            seconds: started.elapsed().as_secs_f64(),
            late,
        })
    }
}

impl Call {
    /// The same call, with further arguments.
    pub fn and(&self, more: &[&str]) -> Call {
        let mut call = self.clone();
        call.more.extend(more.iter().map(|&word| word.to_owned()));
        call
    }

    /// The same call, with another folder as an input.
    pub fn reading(&self, kind: &str, folder: &Path) -> Call {
        let mut call = self.clone();
        call.inputs.insert(kind.to_owned(), folder.to_owned());
        call
    }
}

impl Ended {
    /// The exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The last line of its log that says something.
    pub fn last_line(&self) -> String {
        let mut lines = self.log.lines().rev().map(str::trim);
        let line = lines.find(|line| !line.is_empty()).unwrap_or("no message");
        line.chars().take(300).collect()
    }

    /// How it ended, in words.
    pub fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            _ if self.late => "did not end in time".to_owned(),
            (Some(code), _) => format!("exit code {code}"),
            (None, signal) => format!("ended by signal {}", signal.unwrap_or_default()),
        }
    }

    /// Checks that it succeeded.
    pub fn ok(&self) -> std::result::Result<(), String> {
        match self.code() {
            Some(0) => Ok(()),
            _ => Err(format!("{}: {}", self.how(), self.last_line())),
        }
    }

    /// Checks that it refused with one of these codes and one line of error.
    pub fn refused(&self, codes: &[i32]) -> std::result::Result<(), String> {
        let expected: Vec<String> = codes.iter().map(ToString::to_string).collect();
        let expected = expected.join(" or ");
        if !self.code().is_some_and(|code| codes.contains(&code)) {
            return Err(format!(
                "{} instead of {expected}: {}",
                self.how(),
                self.last_line()
            ));
        }
        let errors = self.log.lines().filter(|line| line.starts_with("error:"));
        if errors.count() != 1 || !self.last_line().starts_with("error:") {
            return Err(format!(
                "its last line is not its one line `error: …`, but: {}",
                self.last_line()
            ));
        }
        let traces = [
            "Traceback (most recent call last)",
            "panicked at",
            "stack backtrace",
        ];
        match traces.iter().find(|trace| self.log.contains(**trace)) {
            Some(trace) => Err(format!("its log has a stack trace ({trace})")),
            None => Ok(()),
        }
    }
}
