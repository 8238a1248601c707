//! Expands the arguments to images: files, folders, patterns, archives, and what comes on
//! standard input.

use crate::archive::{self, Archive};
use crate::input::Input;
use crate::read::reason;
use attend_program::{Error, Result, glob};
use crossbeam::channel::bounded;
use std::ffi::OsStr;
use std::io::{BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Extensions of image files in a folder or an archive. A file that is named itself may have
/// any.
pub const ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// Maximum length of a path in bytes; no system has longer ones.
const LONGEST: u64 = 64 << 10;

/// Number of paths that are read from standard input before they are needed, so that a program
/// may write as many before it reads an answer.
const LISTED: usize = 1 << 16;

/// What an argument stands for.
enum Source {
    Image(Input),
    Archive(PathBuf, Archive),
    Stdin,
}

/// The arguments, expanded as far as the file system tells.
pub struct Inputs {
    sources: Vec<Source>,
    recursive: bool,
    /// Maximum size of an image in bytes.
    limit: u64,
}

impl Inputs {
    /// Expands the arguments `named`: a file stands for itself, a folder for its images by
    /// name (with `recursive` also those in subfolders), a pattern for the files that match
    /// it. Skips hidden files and folders in a folder: a Mac leaves `._dog.jpg` beside
    /// `dog.jpg`.
    pub fn expand(named: &[PathBuf], recursive: bool, limit: u64) -> Inputs {
        let mut inputs = Inputs {
            sources: Vec::new(),
            recursive,
            limit,
        };
        for path in named {
            match path.as_os_str() == "-" {
                true => inputs.sources.push(Source::Stdin),
                false => inputs.add(path),
            }
        }
        inputs
    }

    /// Number of images, if it is known before all of them are read.
    pub fn count(&self) -> Option<usize> {
        let is_known = |source: &Source| matches!(source, Source::Image(_));
        (self.sources.iter().all(is_known)).then_some(self.sources.len())
    }

    /// Whether images come on standard input.
    pub fn wait(&self) -> bool {
        (self.sources.iter()).any(|source| matches!(source, Source::Stdin))
    }

    /// Passes the images to `take` in order, until it returns false. Archives stand for the
    /// images in them; standard input for an image or for a list with a path per line, each
    /// of which is passed on as soon as it comes.
    ///
    /// # Errors
    /// [`Error::Input`] if standard input can't be read, or a line of it is not a path.
    pub fn each(
        self,
        stdin: impl BufRead + Send + 'static,
        take: &mut dyn FnMut(Input) -> bool,
    ) -> Result<()> {
        let Inputs {
            sources,
            recursive,
            limit,
        } = self;
        let mut stdin = Some(stdin);
        for source in sources {
            let goes_on = match source {
                Source::Image(input) => take(input),
                Source::Archive(path, archive) => archive.each(&path, limit, is_image, take),
                Source::Stdin => match stdin.take() {
                    Some(stdin) => from_stdin(stdin, recursive, limit, take)?,
                    None => true, // its end was reached
                },
            };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) {
        if path.is_dir() {
            let before = self.sources.len();
            self.add_folder(path);
            if self.sources.len() == before {
                let kinds = ENDINGS.join(", ");
                let more = match self.recursive {
                    true => "",
                    false => "; --recursive also looks into its subfolders",
                };
                self.lacks(path, format!("a folder without images ({kinds}){more}"));
            }
        } else if let Err(e) = path.metadata() {
            let pattern = path
                .to_str()
                .filter(|text| text.contains(['*', '?', '[', '{']));
            match pattern.map(|pattern| glob::expand(Path::new(""), pattern)) {
                Some(Ok(names)) => names.iter().for_each(|name| self.add(Path::new(name))),
                _ => self.lacks(path, reason(path, &e)),
            }
        } else if let Some(archive) = archive::kind(path) {
            self.sources.push(Source::Archive(path.to_owned(), archive));
        } else {
            self.sources
                .push(Source::Image(Input::File(path.to_owned())));
        }
    }

    fn add_folder(&mut self, folder: &Path) {
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
                if self.recursive && !path.is_symlink() {
                    self.add_folder(&path);
                }
            } else if is_image(&path) {
                self.sources.push(Source::Image(Input::File(path)));
            }
        }
    }

    fn lacks(&mut self, path: &Path, reason: impl std::fmt::Display) {
        let missing = Input::Unread(path.to_owned(), reason.to_string());
        self.sources.push(Source::Image(missing));
    }
}

/// Passes on the image that standard input is, or those of the paths on its lines.
fn from_stdin(
    mut stdin: impl BufRead + Send + 'static,
    recursive: bool,
    limit: u64,
    take: &mut dyn FnMut(Input) -> bool,
) -> Result<bool> {
    if is_picture(stdin.fill_buf().map_err(failed)?) {
        let mut bytes = Vec::new();
        let read = stdin.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(failed)?;
        let name = PathBuf::from("-");
        return Ok(take(match bytes.len() as u64 > limit {
            true => Input::Unread(name, format!("too-large: more than {limit} bytes")),
            false => Input::Bytes(name, bytes),
        }));
    }
    let (sender, paths) = bounded(LISTED);
    std::thread::spawn(move || read_paths(stdin, &|path| sender.send(path).is_ok()));
    for path in paths {
        // A line may name what an argument may name, but standard input.
        let mut named = Inputs::expand(&[], recursive, limit);
        named.add(&path?);
        let mut goes_on = true;
        named.each(std::io::empty(), &mut |input| {
            goes_on = take(input);
            goes_on
        })?;
        if !goes_on {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Calls `take` with the path of each line, until it returns false.
fn read_paths(mut stdin: impl BufRead, take: &dyn Fn(Result<PathBuf>) -> bool) {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        match stdin.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e) => {
                take(Err(failed(e)));
                return;
            }
        }
        if line.contains(&0) || line.len() as u64 == LONGEST {
            take(Err(Error::input(format!(
                "standard input: line {number} is not a path; - takes an image, or a list with one path per line"
            ))));
            return;
        }
        let path = line.strip_suffix(b"\n").unwrap_or(&line);
        let path = path.strip_suffix(b"\r").unwrap_or(path);
        if !path.is_empty() && !take(Ok(PathBuf::from(OsStr::from_bytes(path)))) {
            return;
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::input(format!("standard input: {error}"))
}

/// Whether these bytes begin an image file, and not a list of paths.
fn is_picture(begin: &[u8]) -> bool {
    let marks: [&[u8]; 6] = [
        b"\xff\xd8\xff",
        b"\x89PNG",
        b"GIF8",
        b"II*\0",
        b"MM\0*",
        b"RIFF",
    ];
    let is_bitmap = || begin.starts_with(b"BM") && begin[..begin.len().min(16)].contains(&0);
    marks.iter().any(|mark| begin.starts_with(mark)) || is_bitmap()
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether a file of a folder or an archive is an image, by its name.
fn is_image(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    !is_hidden(path) && ENDINGS.iter().any(|known| ending == *known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Cursor;

    fn all(named: &[PathBuf], recursive: bool, stdin: impl BufRead + Send + 'static) -> Vec<Input> {
        let mut found = Vec::new();
        let mut take = |input| {
            found.push(input);
            true
        };
        let inputs = Inputs::expand(named, recursive, 1000);
        inputs.each(stdin, &mut take).unwrap();
        found
    }

    fn names(inputs: &[Input], root: &Path) -> Vec<String> {
        let name = |input: &Input| match input {
            Input::File(path) => path.strip_prefix(root).unwrap().display().to_string(),
            other => format!("{other:?}"),
        };
        inputs.iter().map(name).collect()
    }

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn folders_are_sorted_and_flat_unless_asked() {
        let root = folder(&[
            "b.jpg",
            "a.PNG",
            "notes.txt",
            "more/c.webp",
            "more/deep/d.gif",
        ]);
        let root = root.path();
        let flat = all(&[root.to_owned()], false, &b""[..]);
        assert_eq!(names(&flat, root), ["a.PNG", "b.jpg"]);
        let deep = all(&[root.to_owned()], true, &b""[..]);
        assert_eq!(
            names(&deep, root),
            ["a.PNG", "b.jpg", "more/c.webp", "more/deep/d.gif"]
        );
        let none = all(&[root.join("more/deep")], false, &b""[..]);
        assert_eq!(none.len(), 1);
    }

    #[test]
    fn patterns_stand_for_the_files_that_match_them() {
        let root = folder(&["a1.jpg", "a2.jpg", "b1.jpg", "odd[1].jpg"]);
        let root = root.path();
        let found = all(
            &[root.join("a?.jpg"), root.join("odd[1].jpg")],
            false,
            &b""[..],
        );
        assert_eq!(names(&found, root), ["a1.jpg", "a2.jpg", "odd[1].jpg"]);
        let none = all(&[root.join("z*.jpg")], false, &b""[..]);
        assert!(matches!(&none[..], [Input::Unread(..)]));
    }

    #[test]
    fn a_list_on_stdin_stands_where_it_was_named() {
        let root = folder(&["a", "b", "c"]);
        let root = root.path();
        let list = format!(
            "{}\n\n{}\n",
            root.join("c").display(),
            root.join("none").display()
        );
        let named = [root.join("b"), "-".into(), root.join("a")];
        let found = all(&named, false, Cursor::new(list));
        let Input::Unread(missing, _) = &found[2] else {
            panic!("{found:?}");
        };
        assert_eq!(*missing, root.join("none"));
        assert_eq!(names(&found[..2], root), ["b", "c"]);
        assert_eq!(names(&found[3..], root), ["a"]);
    }

    #[test]
    fn each_line_of_stdin_is_passed_on_before_the_next_is_read() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let inputs = Inputs::expand(&["-".into()], false, 1000);
            let reader = std::io::BufReader::new(reader);
            inputs.each(reader, &mut |input| sender.send(input).is_ok())
        });
        use std::io::Write;
        for name in ["/none/1", "/none/2"] {
            writeln!(writer, "{name}").unwrap();
            let Input::Unread(path, _) = receiver.recv().unwrap() else {
                panic!("a file that is not there");
            };
            assert_eq!(path, Path::new(name));
        }
    }

    #[test]
    fn what_a_mac_leaves_beside_photographs_is_no_photograph() {
        let root = folder(&[
            "a.jpg",
            "._a.jpg",
            ".DS_Store",
            "Thumbs.db",
            ".thumbnails/a.jpg",
            "__MACOSX/._a.jpg",
        ]);
        let root = root.path();
        let found = all(&[root.to_owned()], true, &b""[..]);
        assert_eq!(names(&found, root), ["a.jpg"]);
        // a hidden file that is named itself is taken
        let named = all(&[root.join("._a.jpg")], true, &b""[..]);
        assert_eq!(names(&named, root), ["._a.jpg"]);
    }

    #[test]
    fn an_image_on_stdin_is_one_image() {
        let found = all(&["-".into()], false, &b"\xff\xd8\xff\xe0\0\x10JFIF"[..]);
        assert!(
            matches!(&found[..], [Input::Bytes(name, bytes)] if name == Path::new("-") && bytes.len() == 10)
        );
        let large = [&b"GIF89a"[..], &[0; 1000]].concat();
        let found = all(&["-".into()], false, Cursor::new(large));
        assert!(matches!(&found[..], [Input::Unread(_, why)] if why.contains("1000 bytes")));
    }

    #[test]
    fn what_is_neither_an_image_nor_a_list_is_refused() {
        fn refused(stdin: impl BufRead + Send + 'static) {
            let inputs = Inputs::expand(&["-".into()], false, 1000);
            let error = inputs.each(stdin, &mut |_| true).unwrap_err();
            assert_eq!(error.exit_code(), 3);
            assert!(error.to_string().contains("is not a path"), "{error}");
        }
        refused(&b"\n\xff\xd8\xff\xe0\0\x10JFIF"[..]);
        refused(Cursor::new([b"\n", &[b'a'; 100_000][..]].concat()));
        // which never ends by itself
        let zero = fs::File::open("/dev/zero").unwrap();
        refused(std::io::BufReader::new(zero));
    }

    #[test]
    fn a_list_may_hold_names_that_are_no_utf8() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(OsStr::from_bytes(b"caf\xe9.jpg"));
        fs::write(&path, "").unwrap();
        let list = [path.as_os_str().as_bytes(), b"\r\n"].concat();
        let found = all(&["-".into()], false, Cursor::new(list));
        assert!(matches!(&found[..], [Input::File(found)] if *found == path));
    }

    #[test]
    fn a_folder_without_images_is_missing_them() {
        let root = tempfile::tempdir().unwrap();
        let found = all(&[root.path().into()], true, &b""[..]);
        assert!(matches!(&found[..], [Input::Unread(..)]));
    }
}
