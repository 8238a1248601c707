//! Finds or downloads libtorch, in the version that the `tch` crate needs.

use super::cache::{Cache, remove};
use super::platform::{self, LIBTORCH, Platform};
use super::{pip, tools, wheel};
use crate::workspace::{self, Workspace};
use attend_program::{At, Error, Result, say};
use std::path::{Path, PathBuf};
use std::process::Command;

const HEADER: &str = "include/torch/csrc/api/include/torch/torch.h";

/// The version of the libtorch in `folder`, or what is wrong with it.
pub fn inspect(folder: &Path) -> std::result::Result<String, String> {
    let suffix = std::env::consts::DLL_SUFFIX;
    let missing = ["lib/libtorch", "lib/libtorch_cpu", "lib/libc10"]
        .into_iter()
        .map(|stem| format!("{stem}{suffix}"))
        .chain([HEADER.to_owned()])
        .find(|name| !folder.join(name).exists());
    if let Some(name) = missing {
        return Err(format!("has no {name}"));
    }
    let version = version_of(folder).ok_or("does not say its version")?;
    if version.split('+').next() == Some(LIBTORCH) {
        Ok(version)
    } else {
        Err(format!("is of version {version}, not {LIBTORCH}"))
    }
}

/// The version in `build-version` (of the archives, and of the trees that we unpack) or in
/// `version.py` (of a Python package).
fn version_of(folder: &Path) -> Option<String> {
    if let Ok(text) = std::fs::read_to_string(folder.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = std::fs::read_to_string(folder.join("version.py")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("__version__"))?;
    Some(
        line.trim_start_matches([' ', '='])
            .trim_matches(['\'', '"'])
            .to_owned(),
    )
}

/// `LIBTORCH`, if the user has set it. (By itself, cargo sets it to our link.)
pub fn of_user(workspace: &Workspace) -> Option<PathBuf> {
    let set = std::env::var_os("LIBTORCH")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)?;
    (set != workspace.libtorch()).then_some(set)
}

/// Whether the user chose Python's torch (`LIBTORCH_USE_PYTORCH`).
pub fn of_python() -> bool {
    std::env::var_os("LIBTORCH_USE_PYTORCH").is_some()
}

/// Whether libtorch is installed and linked. Fails if the user's own libtorch can't be
/// used.
pub fn is_ready(workspace: &Workspace) -> Result<bool> {
    if of_python() {
        // The build script of torch-sys asks Python each time; so do we.
        return python_torch().map(|_| workspace.libtorch().exists());
    }
    if let Some(folder) = of_user(workspace) {
        inspect(&folder).map_err(|why| {
            Error::internal(format!(
                "LIBTORCH={} {why}; set it to a libtorch {LIBTORCH} or unset it",
                folder.display()
            ))
        })?;
        return Ok(workspace.libtorch().exists());
    }
    Ok(inspect(&workspace.libtorch()).is_ok())
}

/// Finds or downloads libtorch, and links to it.
pub fn provide(workspace: &Workspace, cache: &Cache, keep: bool) -> Result<()> {
    let folder = if of_python() {
        python_torch()?
    } else if let Some(folder) = of_user(workspace) {
        std::path::absolute(&folder).at(&folder)?
    } else {
        download(cache, keep)?
    };
    workspace::link(&workspace.libtorch(), &folder)
}

/// The folder of Python's torch.
fn python_torch() -> Result<PathBuf> {
    let refuse = |why: String| {
        Error::internal(format!(
            "LIBTORCH_USE_PYTORCH is set, but {why}; install torch=={LIBTORCH} there or unset the variable"
        ))
    };
    let find = "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')";
    let output = Command::new("python3")
        .args(["-c", find])
        .output()
        .map_err(|e| refuse(format!("python3 can't be started ({e})")))?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if folder.is_empty() {
        return Err(refuse("python3 has no torch".to_owned()));
    }
    inspect(folder.as_ref()).map_err(|why| refuse(format!("{folder} {why}")))?;
    Ok(folder.into())
}

/// Downloads PyTorch's wheel and unpacks libtorch.
fn download(cache: &Cache, keep: bool) -> Result<PathBuf> {
    let platform = platform::current()?;
    let name = format!("libtorch-{LIBTORCH}-{}", platform.name);
    let tree = cache.root.join(&name);
    if tree.exists() {
        match inspect(&tree) {
            Ok(_) => return Ok(tree),
            Err(why) => {
                say!("{} {why}; installing it again", tree.display());
                remove(&tree)?;
            }
        }
    }
    let compiler = platform.needs_stub.then(tools::compiler).transpose()?;
    let wheels: Vec<_> = std::iter::once(&platform.torch)
        .chain(platform.more)
        .collect();
    let missing: u64 = wheels
        .iter()
        .filter(|w| !cache.downloads().join(w.file).exists())
        .map(|w| w.megabytes)
        .sum();
    cache.require_room(
        &format!("libtorch {LIBTORCH} (download and unpacked)"),
        missing + platform.unpacked + 50,
    )?;
    let files = wheels
        .iter()
        .map(|wheel| pip::fetch(cache, platform, wheel))
        .collect::<Result<Vec<_>>>()?;
    say!("unpacking libtorch {LIBTORCH}");
    let tree = cache.tree(&name, |part| {
        for file in &files {
            wheel::unpack(file, part, |name| place(platform, name))?;
        }
        if let Some(compiler) = &compiler {
            stub(compiler, &part.join("lib"))?;
        }
        let version = part.join("build-version");
        std::fs::write(&version, format!("{LIBTORCH}\n")).at(&version)?;
        inspect(part)
            .map(drop)
            .map_err(|why| Error::internal(format!("the unpacked libtorch {why}")))
    })?;
    if !keep {
        files.iter().try_for_each(|file| remove(file))?;
    }
    Ok(tree)
}

/// The path of a wheel's file in the tree; `None` if it is not needed.
fn place(platform: &Platform, name: &str) -> Option<PathBuf> {
    if let Some(header) = name.strip_prefix("torch/include/") {
        return Some(Path::new("include").join(header));
    }
    if let Some((_, licence)) = name.split_once(".dist-info/licenses/") {
        return name.starts_with("torch-").then(|| licence.into());
    }
    let file = name
        .strip_prefix("torch/lib/")
        .or_else(|| name.strip_prefix("nvidia/cu13/lib/"))?;
    platform
        .libraries
        .contains(&file)
        .then(|| Path::new("lib").join(file))
}

/// Builds a `libtorch.so` that needs no CUDA. The wheel's own holds only a list of the
/// libraries that it needs, `libtorch_cuda` (457 MB) among them.
fn stub(compiler: &str, lib: &Path) -> Result<()> {
    let source = lib.join("stub.c");
    std::fs::write(&source, "int attend_libtorch_stub;\n").at(&source)?;
    let output = Command::new(compiler)
        .args([
            "-shared",
            "-fPIC",
            "-o",
            "libtorch.so",
            "stub.c",
            "-Wl,-soname,libtorch.so",
            "-Wl,--no-as-needed",
        ])
        .args(["-L.", "-ltorch_cpu", "-lc10", "-Wl,-rpath,$ORIGIN"])
        .current_dir(lib)
        .output()
        .map_err(|e| Error::internal(format!("{compiler}: {e}")))?;
    remove(&source)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::internal(format!(
        "{compiler} can't make libtorch.so: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_libraries_headers_and_licence_only() {
        let platform = platform::current().unwrap();
        let at = |name: &str| place(platform, name).map(|p| p.display().to_string());
        let cpu = format!("libtorch_cpu{}", std::env::consts::DLL_SUFFIX);
        assert_eq!(
            at("torch/include/ATen/ATen.h").unwrap(),
            "include/ATen/ATen.h"
        );
        assert_eq!(
            at(&format!("torch/lib/{cpu}")).unwrap(),
            format!("lib/{cpu}")
        );
        assert_eq!(
            at("torch-2.11.0.dist-info/licenses/LICENSE").unwrap(),
            "LICENSE"
        );
        assert_eq!(at("torch/lib/libtorch_cuda.so"), None);
        assert_eq!(at("torch/lib/libtorch.so"), None);
        assert_eq!(at("torch/nn/modules/rnn.py"), None);
    }

    #[test]
    fn says_what_is_wrong_with_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let suffix = std::env::consts::DLL_SUFFIX;
        let touch = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert!(
            inspect(folder.path())
                .unwrap_err()
                .contains("has no lib/libtorch")
        );
        for stem in ["libtorch", "libtorch_cpu", "libc10"] {
            touch(&format!("lib/{stem}{suffix}"), "");
        }
        assert!(inspect(folder.path()).unwrap_err().contains("torch.h"));
        touch(HEADER, "");
        assert_eq!(
            inspect(folder.path()).unwrap_err(),
            "does not say its version"
        );
        touch("version.py", "__all__ = []\n__version__ = '2.9.1+cpu'\n");
        assert_eq!(
            inspect(folder.path()).unwrap_err(),
            "is of version 2.9.1+cpu, not 2.11.0"
        );
        touch("build-version", "2.11.0\n");
        assert_eq!(inspect(folder.path()).unwrap(), "2.11.0");
    }
}
