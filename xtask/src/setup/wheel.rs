//! Unpacks wheels, which are zip files.

use attend_program::{At, Error, Progress, Result, progress};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// Unpacks the files for which `place` returns a path, to that path in `folder`.
pub fn unpack(wheel: &Path, folder: &Path, place: impl Fn(&str) -> Option<PathBuf>) -> Result<()> {
    let damaged = |e: zip::result::ZipError| {
        Error::internal(format!(
            "{}: {e}; delete it and run this again",
            wheel.display()
        ))
    };
    let file = File::open(wheel).at(wheel)?;
    let mut zip = zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(damaged)?;
    let (mut selected, mut bytes) = (Vec::new(), 0);
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(damaged)?;
        if let Some(path) = place(&entry.name().map_err(damaged)?) {
            bytes += entry.size();
            selected.push((index, path));
        }
    }
    let bar = progress("unpacking", "bytes", bytes);
    for (index, path) in selected {
        if path
            .components()
            .any(|part| !matches!(part, Component::Normal(_)))
        {
            return Err(Error::internal(format!(
                "{}: holds a file outside its folder, {}",
                wheel.display(),
                path.display()
            )));
        }
        let target = folder.join(path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).at(parent)?;
        }
        let mut entry = zip.by_index(index).map_err(damaged)?;
        if entry.is_dir() {
            continue;
        }
        let mode = entry.unix_mode().unwrap_or(0o644) & 0o755 | 0o644;
        copy(&mut entry, &target, &bar)?;
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode)).at(&target)?;
    }
    bar.finish();
    Ok(())
}

fn copy(from: &mut impl Read, target: &Path, bar: &Progress) -> Result<()> {
    let mut to = File::create(target).at(target)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match from.read(&mut buffer).at(target)? {
            0 => return Ok(()),
            n => {
                to.write_all(&buffer[..n]).at(target)?;
                bar.inc(n as u64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(folder: &Path, names: &[(&str, u32)]) -> PathBuf {
        let path = folder.join("a-1.whl");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, mode) in names {
            zip.start_file(
                *name,
                zip::write::SimpleFileOptions::default().unix_permissions(*mode),
            )
            .unwrap();
            zip.write_all(name.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn takes_what_is_wanted_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel(
            folder.path(),
            &[
                ("a/bin/tool", 0o100755),
                ("a/doc/text", 0o100600),
                ("a/other", 0o644),
            ],
        );
        let out = folder.path().join("out");
        unpack(&wheel, &out, |name| {
            name.strip_prefix("a/")
                .filter(|n| *n != "other")
                .map(PathBuf::from)
        })
        .unwrap();
        assert_eq!(
            std::fs::read_to_string(out.join("bin/tool")).unwrap(),
            "a/bin/tool"
        );
        assert_eq!(
            out.join("bin/tool")
                .metadata()
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o755
        );
        assert_eq!(
            out.join("doc/text")
                .metadata()
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o644
        );
        assert!(!out.join("other").exists());
    }

    #[test]
    fn refuses_a_way_out_and_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = wheel(folder.path(), &[("a/../../escape", 0o644)]);
        let out = folder.path().join("out");
        let error = unpack(&path, &out, |name| Some(name.into())).unwrap_err();
        assert!(error.to_string().contains("outside its folder"), "{error}");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = unpack(&path, &out, |name| Some(name.into())).unwrap_err();
        assert!(error.to_string().contains("a-1.whl"), "{error}");
    }
}
