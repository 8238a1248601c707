//! Expands the arguments to image files: files, folders, and lists on standard input.

use crate::read::reason;
use attend_program::{Error, Result};
use std::ffi::OsStr;
use std::io::{BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Extensions of image files in a folder. A file that is named itself may have any.
const ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// Maximum length of a path in bytes; no system has longer ones.
const LONGEST: u64 = 64 << 10;

/// The image files, in the order of the arguments.
pub struct Inputs {
    /// Files to read.
    pub files: Vec<PathBuf>,
    /// Arguments without images: path and reason.
    pub missing: Vec<(PathBuf, String)>,
}

impl Inputs {
    /// Expands the arguments `named`: a file stands for itself, a folder for its images by
    /// name (with `recursive` also those in subfolders), `-` for one path per line of
    /// `stdin`. Skips hidden files and folders in a folder: a Mac leaves `._dog.jpg` beside
    /// `dog.jpg`.
    ///
    /// # Errors
    /// [`Error::Input`] if standard input can't be read or is not a list of paths.
    pub fn expand(named: &[PathBuf], recursive: bool, mut stdin: impl BufRead) -> Result<Inputs> {
        let mut inputs = Inputs {
            files: Vec::new(),
            missing: Vec::new(),
        };
        for path in named {
            match path.as_os_str() == "-" {
                true => inputs.add_list(&mut stdin, recursive)?,
                false => inputs.add(path, recursive),
            }
        }
        Ok(inputs)
    }

    fn add_list(&mut self, stdin: &mut impl BufRead, recursive: bool) -> Result<()> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = stdin.by_ref().take(LONGEST).read_until(b'\n', &mut line);
            let read = read.map_err(|e| Error::input(format!("standard input: {e}")))?;
            if read == 0 {
                break;
            }
            if line.contains(&0) || read as u64 == LONGEST {
                return Err(Error::input(format!(
                    "standard input: line {number} is not a path; - takes a list with one path per line, not an image itself"
                )));
            }
            let path = line.strip_suffix(b"\n").unwrap_or(&line);
            let path = path.strip_suffix(b"\r").unwrap_or(path);
            if !path.is_empty() {
                self.add(Path::new(OsStr::from_bytes(path)), recursive);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, recursive: bool) {
        if path.is_dir() {
            let before = (self.files.len(), self.missing.len());
            self.add_folder(path, recursive);
            if (self.files.len(), self.missing.len()) == before {
                let kinds = ENDINGS.join(", ");
                let more = if recursive {
                    ""
                } else {
                    "; --recursive also looks into its subfolders"
                };
                self.lacks(path, format!("a folder without images ({kinds}){more}"));
            }
        } else if let Err(e) = path.metadata() {
            self.lacks(path, reason(path, &e));
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
            if is_hidden(&path) {
                continue;
            }
            if path.is_dir() {
                // a link to a parent folder would lead round in circles
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

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
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
    fn what_a_mac_leaves_beside_photographs_is_no_photograph() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join(".thumbnails")).unwrap();
        fs::create_dir_all(root.join("__MACOSX")).unwrap();
        for name in [
            "a.jpg",
            "._a.jpg",
            ".DS_Store",
            "Thumbs.db",
            ".thumbnails/a.jpg",
            "__MACOSX/._a.jpg",
        ] {
            fs::write(root.join(name), "").unwrap();
        }
        let found = Inputs::expand(&[root.to_owned()], true, &b""[..]).unwrap();
        assert_eq!(names(&found, root), ["a.jpg"]);
        // a hidden file that is named itself is taken
        let named = Inputs::expand(&[root.join("._a.jpg")], true, &b""[..]).unwrap();
        assert_eq!(names(&named, root), ["._a.jpg"]);
    }

    #[test]
    fn an_image_in_place_of_a_list_is_refused() {
        let refused = |stdin: &[u8]| {
            let error = Inputs::expand(&["-".into()], false, stdin).err().unwrap();
            assert_eq!(error.exit_code(), 3);
            assert!(
                error.to_string().contains("line 2 is not a path"),
                "{error}"
            );
        };
        refused(b"\n\xff\xd8\xff\xe0\0\x10JFIF");
        refused(&[b"\n", &[b'a'; 100_000][..]].concat());
        // which never ends by itself
        let zero = std::io::BufReader::new(fs::File::open("/dev/zero").unwrap());
        assert!(Inputs::expand(&["-".into()], false, zero).is_err());
    }

    #[test]
    fn a_list_may_hold_names_that_are_no_utf8() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(OsStr::from_bytes(b"caf\xe9.jpg"));
        fs::write(&path, "").unwrap();
        let list = [path.as_os_str().as_bytes(), b"\r\n"].concat();
        let inputs = Inputs::expand(&["-".into()], false, &list[..]).unwrap();
        assert_eq!(inputs.files, [path]);
    }

    #[test]
    fn a_folder_without_images_is_missing_them() {
        let root = tempfile::tempdir().unwrap();
        let inputs = Inputs::expand(&[root.path().into()], true, &b""[..]).unwrap();
        assert!(inputs.files.is_empty() && inputs.missing.len() == 1);
    }
}
