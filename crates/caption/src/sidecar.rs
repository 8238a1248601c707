//! Captions beside the photographs and in them: text files, and XMP descriptions.

use crate::inputs::ENDINGS;
use crate::xmp;
use attend_program::{At, Error, whole};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What is written for each photograph besides standard output.
#[derive(Clone, Debug)]
pub struct Sidecars {
    /// Ending of a text file beside the photograph, with or without its dot.
    pub ending: Option<String>,
    /// Whether the caption becomes the description in the photograph's metadata.
    pub metadata: bool,
    /// Whether other texts and descriptions are replaced.
    pub replace: bool,
}

impl Sidecars {
    /// Writes a photograph's caption where it is wanted.
    ///
    /// # Errors
    /// The reason for the user why it is not there now.
    pub fn write(&self, photograph: &Path, caption: &str) -> Result<(), String> {
        if self.ending.is_none() && !self.metadata {
            return Ok(());
        }
        if !photograph.is_file() {
            return Err("described, but it is no file of its own to write its caption to".into());
        }
        if let Some(ending) = &self.ending {
            self.text(&beside(photograph, ending), caption)?;
        }
        match self.metadata {
            true => self.describe(photograph, caption),
            false => Ok(()),
        }
    }

    fn text(&self, path: &Path, caption: &str) -> Result<(), String> {
        let line = format!("{caption}\n");
        let put = |file: &mut std::fs::File| file.write_all(line.as_bytes()).at(path);
        if whole::write_new(path, put).map_err(told)? {
            return Ok(());
        }
        // Another file may be large, or a pipe.
        let is_ours = path
            .metadata()
            .is_ok_and(|meta| meta.is_file() && meta.len() == line.len() as u64)
            && std::fs::read(path).is_ok_and(|text| text == line.as_bytes());
        match (is_ours, self.replace && path.is_file()) {
            (true, _) => Ok(()),
            (false, true) => whole::write(path, put).map_err(told),
            (false, false) => Err(format!(
                "described, but {} holds another text; --replace replaces it",
                path.display()
            )),
        }
    }

    fn describe(&self, photograph: &Path, caption: &str) -> Result<(), String> {
        let failed = |e: std::io::Error| format!("described, but {e}");
        let bytes = std::fs::read(photograph).map_err(failed)?;
        let told = |why| format!("described, but {why}");
        let Some(described) = xmp::describe(&bytes, caption, self.replace).map_err(told)? else {
            return Ok(());
        };
        let permissions = photograph.metadata().map_err(failed)?.permissions();
        let put = |file: &mut std::fs::File| {
            file.set_permissions(permissions).at(photograph)?;
            file.write_all(&described).at(photograph)
        };
        whole::write(photograph, put).map_err(self::told)
    }
}

fn told(error: Error) -> String {
    format!("described, but {error}")
}

/// `dog.txt` beside `dog.jpg`.
fn beside(photograph: &Path, ending: &str) -> PathBuf {
    photograph.with_extension(OsStr::new(ending.trim_start_matches('.')))
}

/// Refuses endings that lead elsewhere, or to the photograph itself.
///
/// # Errors
/// [`Error::Usage`].
pub fn check(ending: &str) -> attend_program::Result<()> {
    let name = ending.trim_start_matches('.');
    let lower = name.to_ascii_lowercase();
    match name.is_empty() || name.contains(['/', '\\', '\0']) || ENDINGS.contains(&&*lower) {
        true => Err(Error::usage(format!(
            "--sidecar {ending:?}: name the ending of a text file, such as .txt"
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_somebody_else_stays() {
        let root = tempfile::tempdir().unwrap();
        let photograph = root.path().join("dog.jpg");
        std::fs::write(&photograph, "a picture").unwrap();
        let text = root.path().join("dog.txt");
        let sidecars = |replace| Sidecars {
            ending: Some(".txt".into()),
            metadata: false,
            replace,
        };
        sidecars(false).write(&photograph, "a dog").unwrap();
        sidecars(false).write(&photograph, "a dog").unwrap();
        assert_eq!(std::fs::read_to_string(&text).unwrap(), "a dog\n");
        let error = sidecars(false).write(&photograph, "a cat").unwrap_err();
        assert!(
            error.contains("dog.txt") && error.contains("--replace"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&text).unwrap(), "a dog\n");
        sidecars(true).write(&photograph, "a cat").unwrap();
        assert_eq!(std::fs::read_to_string(&text).unwrap(), "a cat\n");
        let member = root.path().join("photos.zip/dog.jpg");
        assert!(sidecars(true).write(&member, "a dog").is_err());
        assert_eq!(root.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn an_ending_is_one_of_a_text_file() {
        for wrong in ["", ".", ".jpg", "PNG", "/etc/passwd", "a/b"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
        for right in [".txt", "txt", ".caption", ".en.txt"] {
            check(right).unwrap();
        }
    }
}
