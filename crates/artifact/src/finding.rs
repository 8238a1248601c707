//! One thing that is wrong with an artifact.

use attend_program::{Error, Result};
use serde::Serialize;
use std::fmt::{Display, Formatter};
use std::path::Path;

/// One thing that is wrong with an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Finding {
    /// The file, inside the artifact; empty if it is the folder.
    pub file: String,
    /// The place in the file: a row, an image, a key; several are separated by commas, and
    /// only the first few are named. Empty if it is the whole file.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

impl Finding {
    /// A finding about a file as a whole.
    pub(crate) fn new(file: &str, what: impl Display) -> Finding {
        Finding {
            file: file.to_owned(),
            place: String::new(),
            what: what.to_string(),
        }
    }

    /// As a message that names the file by its path; `root` is the artifact's folder.
    pub fn message(&self, root: &Path) -> String {
        match self.file.as_str() {
            "" => format!("{}: {self}", root.display()),
            _ => format!("{}/{self}", root.display()),
        }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let parts = [&self.file, &self.what, &self.place];
        let parts: Vec<&str> = (parts.into_iter())
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        f.write_str(&parts.join(": "))
    }
}

/// The error of a reader, if anything was found: the first finding, and how many more there
/// are.
///
/// # Errors
/// [`Error::Refused`].
pub(crate) fn refusal(root: &Path, found: &[Finding]) -> Result<()> {
    let [first, rest @ ..] = found else {
        return Ok(());
    };
    let more = match rest.len() {
        0 => String::new(),
        n => format!(" (and {n} more: attend-verify lists them)"),
    };
    let way_out = match first.what.contains("; ") {
        true => "", // it says what to do
        false => "; make the artifact again",
    };
    let message = first.message(root);
    Err(Error::refused(format!("{message}{more}{way_out}")))
}
