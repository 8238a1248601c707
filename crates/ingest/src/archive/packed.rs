//! Recognises packed files that can't be read in place, and gives the command that unpacks
//! them.

use std::path::Path;

/// Extensions, what such a file is, and the command that unpacks it: `{}` is its name,
/// `{-}` its name without the last extension.
const KINDS: &[(&[&str], &str, &str)] = &[
    (&[".tar.gz", ".tgz"], "a tar packed by gzip", "tar -xf {}"),
    (
        &[".tar.bz2", ".tbz2", ".tbz"],
        "a tar packed by bzip2",
        "tar -xf {}",
    ),
    (&[".tar.xz", ".txz"], "a tar packed by xz", "tar -xf {}"),
    (&[".tar.zst", ".tzst"], "a tar packed by zstd", "tar -xf {}"),
    (&[".tar.lz4"], "a tar packed by lz4", "lz4 -dc {} | tar -x"),
    (&[".rar"], "a RAR archive", "unrar x {}"),
    (&[".7z", ".7z.001"], "a 7z archive", "7z x {}"),
    (
        &[".z01"],
        "a part of a split zip",
        "zip -s 0 {-}.zip --out whole.zip",
    ),
    (
        &[".zip.001", ".tar.001"],
        "a part of a split archive",
        "cat {-}.* > {-}",
    ),
];

/// Archives that are read in place only if they hold photographs.
const READ: &[(&[&str], &str, &str)] = &[
    (&[".zip"], "a zip archive", "unzip {}"),
    (&[".tar"], "a tar archive", "tar -xf {}"),
];

/// If `folder` holds an archive that must be unpacked first, says what it is and how to
/// unpack it; prefers one whose name begins with `expected`. With `all`, includes archives
/// that could be read in place.
pub fn hint(folder: &Path, expected: &str, all: bool) -> Option<String> {
    let folder = Some(folder).filter(|folder| !folder.as_os_str().is_empty());
    let names = folder.unwrap_or(Path::new(".")).read_dir().ok()?.flatten();
    let mut found: Vec<(bool, String, &str, &str)> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let lower = name.to_ascii_lowercase();
            let ends =
                |(ends, ..): &&(&[&str], &str, &str)| ends.iter().any(|end| lower.ends_with(end));
            let read = READ.iter().filter(|_| all);
            let (_, what, command) = KINDS.iter().chain(read).find(ends)?;
            let other = !lower.starts_with(&expected.to_ascii_lowercase());
            Some((other, name, *what, *command))
        })
        .collect();
    found.sort();
    let (_, name, what, command) = found.into_iter().next()?;
    let command = command
        .replace(
            "{-}",
            &quoted(name.rsplit_once('.').map_or(&name, |(stem, _)| stem)),
        )
        .replace("{}", &quoted(&name));
    Some(format!("there is {name}, {what}: unpack it (`{command}`)"))
}

/// [`hint`] for a missing `path`: an archive in its nearest folder may hold it.
pub fn hint_beside(path: &Path) -> Option<String> {
    let mut folders = path.ancestors().skip(1);
    let folder = folders.find(|folder| folder.as_os_str().is_empty() || folder.is_dir())?;
    let missing = path.strip_prefix(folder).ok()?.components().next()?;
    hint(folder, &missing.as_os_str().to_string_lossy(), true)
}

/// A name, quoted for a shell if necessary.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    match name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_be_unpacked_is_named_with_its_command() {
        for (name, words) in [
            (
                "p.tar.gz",
                "there is p.tar.gz, a tar packed by gzip: unpack it (`tar -xf p.tar.gz`)",
            ),
            ("p.TGZ", "`tar -xf p.TGZ`"),
            ("a p.rar", "`unrar x 'a p.rar'`"),
            ("p.7z", "a 7z archive"),
            ("p.z01", "`zip -s 0 p.zip --out whole.zip`"),
            ("p.zip.001", "`cat p.zip.* > p.zip`"),
            ("p.tar.zst", "zstd"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(name), b"").unwrap();
            std::fs::write(folder.path().join("other.jpg"), b"").unwrap();
            let hint = hint(folder.path(), "p", false).unwrap();
            assert!(hint.contains(words), "{hint}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p.zip"), b"").unwrap();
        assert_eq!(hint(folder.path(), "p", false), None);
        assert!(
            hint(folder.path(), "p", true)
                .unwrap()
                .contains("`unzip p.zip`")
        );
    }
}
