//! Images in zip and tar files, read in place.

use crate::input::Input;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// The kind of an archive.
#[derive(Clone, Copy, Debug)]
pub enum Archive {
    /// A zip file.
    Zip,
    /// A tar file, not compressed.
    Tar,
}

/// The kind of archive that a file is, by its name.
pub fn kind(path: &Path) -> Option<Archive> {
    let ending = path.extension()?.to_ascii_lowercase();
    match ending.to_str()? {
        "zip" => Some(Archive::Zip),
        "tar" => Some(Archive::Tar),
        _ => None,
    }
}

impl Archive {
    /// Passes the members that `is_image` to `take`, in the archive's order, until it returns
    /// false; returns what it returned last. Each is named by the archive's path and its name
    /// in it.
    pub fn each(
        self,
        path: &Path,
        limit: u64,
        is_image: fn(&Path) -> bool,
        take: &mut dyn FnMut(Input) -> bool,
    ) -> bool {
        let (mut any, mut goes_on) = (false, true);
        let mut found = |name: &Path, size: u64, bytes: &mut dyn Read| {
            if !is_image(name) {
                return true;
            }
            any = true;
            goes_on = take(member(path.join(relative(name)), size, limit, bytes));
            goes_on
        };
        let read = match self {
            Archive::Zip => zip(path, &mut found),
            Archive::Tar => tar(path, &mut found),
        };
        match read {
            Err(e) => take(Input::Unread(path.to_owned(), e.to_string())),
            Ok(()) if !any => {
                let none = "an archive without images";
                take(Input::Unread(path.to_owned(), none.into()))
            }
            Ok(()) => goes_on,
        }
    }
}

/// Called with each member's name, size and bytes; goes on until it returns false.
type Member<'a> = &'a mut dyn FnMut(&Path, u64, &mut dyn Read) -> bool;

fn zip(path: &Path, found: Member) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(BufReader::new(File::open(path)?))?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let (name, size) = (PathBuf::from(file.name()?.as_ref()), file.size());
        if !found(&name, size, &mut file) {
            break;
        }
    }
    Ok(())
}

fn tar(path: &Path, found: Member) -> io::Result<()> {
    let mut archive = tar::Archive::new(BufReader::new(File::open(path)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let (name, size) = (entry.path()?.into_owned(), entry.size());
        if entry.header().entry_type().is_file() && !found(&name, size, &mut entry) {
            break;
        }
    }
    Ok(())
}

/// A member's name, which only names it: it may be absolute in a hostile archive.
fn relative(name: &Path) -> &Path {
    name.strip_prefix("/").unwrap_or(name)
}

fn member(name: PathBuf, size: u64, limit: u64, bytes: &mut dyn Read) -> Input {
    let mut read = Vec::new();
    // A member may be larger than it says.
    let done = match size > limit {
        true => Ok(0),
        false => bytes.take(limit + 1).read_to_end(&mut read),
    };
    match done {
        Err(e) => Input::Unread(name, e.to_string()),
        Ok(_) if size > limit || read.len() as u64 > limit => {
            let why = format!(
                "too-large: more than {limit} bytes; make it smaller or raise --max-pixels"
            );
            Input::Unread(name, why)
        }
        Ok(_) => Input::Bytes(name, read),
    }
}
