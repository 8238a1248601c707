//! Which images are meant: files, folders, and lists on standard input.

use attend_artifact::{Error, Result};
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// Endings of the image files that are looked for in a folder. A file that is
/// named itself may have any.
const ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// The images' paths, in the order in which they were named.
pub struct Inputs {
    /// Files to read.
    pub files: Vec<PathBuf>,
    /// What was named but can't be had: path and reason.
    pub missing: Vec<(PathBuf, String)>,
}

impl Inputs {
    /// Expands what was named: a file is itself, a folder its images by name
    /// (with `recursive` those of its folders too), `-` one path per line of
    /// `stdin`.
    ///
    /// # Errors
    /// [`Error::Input`] where standard input can't be read as text.
    pub fn expand(named: &[PathBuf], recursive: bool, stdin: impl BufRead) -> Result<Inputs> {
        let mut inputs = Inputs {
            files: Vec::new(),
            missing: Vec::new(),
        };
        let mut stdin = Some(stdin);
        for path in named {
            if path.as_os_str() != "-" {
                inputs.add(path, recursive);
                continue;
            }
            for line in stdin.take().into_iter().flat_map(BufRead::lines) {
                let line = line.map_err(|e| {
                    Error::input(format!("standard input: {e}; give one path per line"))
                })?;
                if !line.is_empty() {
                    inputs.add(Path::new(&line), recursive);
                }
            }
        }
        Ok(inputs)
    }

    fn add(&mut self, path: &Path, recursive: bool) {
        if path.is_dir() {
            let before = self.files.len();
            self.add_folder(path, recursive);
            if self.files.len() == before {
                let kinds = ENDINGS.join(", ");
                self.lacks(path, format!("a folder without images ({kinds})"));
            }
        } else if let Err(e) = path.metadata() {
            self.lacks(path, e);
        } else {
            self.files.push(path.to_owned());
        }
    }

    fn add_folder(&mut self, folder: &Path, recursive: bool) {
        let entries = folder.read_dir().and_then(|all| {
            let paths = all.map(|entry| entry.map(|entry| entry.path()));
            paths.collect::<std::io::Result<Vec<PathBuf>>>()
        });
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(e) => return self.lacks(folder, e),
        };
        entries.sort();
        for path in entries {
            if path.is_dir() {
                // a link to a folder above would lead round in circles
                if recursive && !path.is_symlink() {
                    self.add_folder(&path, recursive);
                }
            } else if is_image(&path) {
                self.files.push(path);
            }
        }
    }

    fn lacks(&mut self, path: &Path, reason: impl std::fmt::Display) {
        self.missing.push((path.to_owned(), reason.to_string()));
    }
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    ENDINGS.iter().any(|known| ending == *known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(inputs: &Inputs, root: &Path) -> Vec<String> {
        let name = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        inputs.files.iter().map(name).collect()
    }

    #[test]
    fn folders_are_sorted_and_flat_unless_asked() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("more/deep")).unwrap();
        for name in [
            "b.jpg",
            "a.PNG",
            "notes.txt",
            "more/c.webp",
            "more/deep/d.gif",
        ] {
            fs::write(root.join(name), "").unwrap();
        }
        let flat = Inputs::expand(&[root.to_owned()], false, &b""[..]).unwrap();
        assert_eq!(names(&flat, root), ["a.PNG", "b.jpg"]);
        let all = Inputs::expand(&[root.to_owned()], true, &b""[..]).unwrap();
        assert_eq!(
            names(&all, root),
            ["a.PNG", "b.jpg", "more/c.webp", "more/deep/d.gif"]
        );
        assert!(all.missing.is_empty());
        let none = Inputs::expand(&[root.join("more/deep")], false, &b""[..]).unwrap();
        assert_eq!(none.files.len(), 1);
    }

    #[test]
    fn a_list_on_stdin_stands_where_it_was_named() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let paths = ["a", "b", "c"].map(|name| root.join(name));
        for path in &paths {
            fs::write(path, "").unwrap();
        }
        let list = format!(
            "{}\n\n{}\n",
            paths[2].display(),
            root.join("none").display()
        );
        let named = [paths[1].clone(), "-".into(), paths[0].clone()];
        let inputs = Inputs::expand(&named, false, list.as_bytes()).unwrap();
        assert_eq!(names(&inputs, root), ["b", "c", "a"]);
        assert_eq!(inputs.missing.len(), 1);
        assert_eq!(inputs.missing[0].0, root.join("none"));
    }

    #[test]
    fn a_folder_without_images_is_missing_them() {
        let root = tempfile::tempdir().unwrap();
        let inputs = Inputs::expand(&[root.path().into()], true, &b""[..]).unwrap();
        assert!(inputs.files.is_empty() && inputs.missing.len() == 1);
    }
}
