//! A stage under trial, with the artifact that it made first.

use super::folder::{State, digest, left_over};
use super::subject::{Call, Subject};
use attend_program::Result;
use serde_json::Value as Json;
use std::path::PathBuf;

/// The result of a check.
#[derive(Debug)]
pub enum Verdict {
    /// The stage does so.
    Passed,
    /// It does not, and what it does instead.
    Failed(String),
    /// The check does not apply, and why.
    Untried(String),
}

impl From<std::result::Result<(), String>> for Verdict {
    fn from(told: std::result::Result<(), String>) -> Verdict {
        told.map_or_else(Verdict::Failed, |()| Verdict::Passed)
    }
}

/// The stage, with the artifact that it made first.
pub struct Trial<'a> {
    pub subject: &'a Subject,
    pub made: Call,
    pub digest: String,
    /// How long that took.
    pub seconds: f64,
    pub inputs: State,
    /// Makes another artifact of a kind.
    pub other: &'a dyn Fn(&str) -> Result<PathBuf>,
}

impl Trial<'_> {
    /// Checks that a call has left the artifact that the first run made.
    pub fn is_same(&self, call: &Call) -> Result<std::result::Result<(), String>> {
        let found = digest(&call.output);
        if found.as_deref() != Some(&self.digest) {
            return Ok(Err(match found {
                Some(found) => format!(
                    "the digest is {}, not {}",
                    short(&found),
                    short(&self.digest)
                ),
                None => "there is no artifact".to_owned(),
            }));
        }
        if let Some(name) = left_over(&call.output) {
            return Ok(Err(format!("{name} is left")));
        }
        self.subject.verified(&call.output)
    }

    /// Runs a call that must succeed and make the same artifact.
    pub fn makes(&self, call: &Call) -> Result<std::result::Result<(), String>> {
        match self.subject.run(call)?.ok() {
            Ok(()) => self.is_same(call),
            Err(why) => Ok(Err(why)),
        }
    }

    /// The first input, if there is one.
    pub fn input(&self) -> Option<(&String, &PathBuf)> {
        self.subject.inputs.iter().next()
    }

    /// A section and a key of the stage, with its default.
    pub fn key(&self) -> Option<(&String, &String, &Json)> {
        let sections = self.subject.description.parameters.iter();
        let mut keys = sections.flat_map(|(section, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, default)| (section, key, default))
        });
        keys.find(|(.., default)| !default.is_null())
    }
}

/// The first letters of a digest.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A check that does not apply.
pub fn untried(why: &str) -> Result<Verdict> {
    Ok(Verdict::Untried(why.to_owned()))
}

/// Why most checks of inputs don't apply to some stages.
pub const NO_INPUT: &str = "it reads no artifact";
