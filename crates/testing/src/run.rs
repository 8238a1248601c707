//! Programs, run as a user runs them.

use std::process::{Command, Output, Stdio};

/// What a program left on its outputs.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Standard output.
    pub out: String,
    /// Standard error: log lines, and the error if there is one.
    pub log: String,
}

impl Ended {
    /// The lines of standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

/// Runs a command to its end.
pub trait Run {
    /// Runs it, and fails the test unless it succeeds.
    fn ok(&mut self) -> Ended;

    /// Runs it, and fails the test unless it ends with that exit code, one line of error,
    /// and all of these words on standard error.
    fn refused(&mut self, code: i32, words: &[&str]) -> Ended;
}

impl Run for Command {
    #[track_caller]
    fn ok(&mut self) -> Ended {
        let (ended, code) = end(self);
        assert_eq!(code, Some(0), "{self:?}: {}", ended.log);
        ended
    }

    #[track_caller]
    fn refused(&mut self, code: i32, words: &[&str]) -> Ended {
        let (ended, is) = end(self);
        assert_eq!(is, Some(code), "{self:?}: {}", ended.log);
        for word in words {
            assert!(ended.log.contains(word), "{word:?} is not in {}", ended.log);
        }
        let errors = ended.log.lines().filter(|line| line.starts_with("error:"));
        assert_eq!(errors.count(), 1, "{}", ended.log);
        assert!(!ended.log.contains("panicked"), "{}", ended.log);
        ended
    }
}

fn end(command: &mut Command) -> (Ended, Option<i32>) {
    command.stdin(Stdio::null());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let ended = Ended {
        out: String::from_utf8(stdout).unwrap(),
        log: String::from_utf8(stderr).unwrap(),
    };
    (ended, status.code())
}
