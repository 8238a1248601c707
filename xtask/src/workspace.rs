//! The checkout that a task works in, or the folder that `cargo xtask dist` has packed.

use attend_program::{At, Error, Result};
use std::path::{Path, PathBuf};

/// The paths of a checkout.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The folder with the workspace's `Cargo.toml`.
    pub root: PathBuf,
}

impl Workspace {
    /// The checkout that this program was built in, or `ATTEND_WORKSPACE`.
    pub fn locate() -> Result<Workspace> {
        if let Some(root) = std::env::var_os("ATTEND_WORKSPACE") {
            return Ok(Workspace { root: root.into() });
        }
        if let Some(root) = unpacked() {
            return Ok(Workspace { root });
        }
        let own = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        match own.parent() {
            Some(root) if root.join("Cargo.toml").is_file() => Ok(Workspace {
                root: root.to_owned(),
            }),
            _ => Err(Error::internal(format!(
                "{} is not in a checkout of attend any more; run `cargo xtask` inside one",
                own.display()
            ))),
        }
    }

    /// The link to libtorch that `.cargo/config.toml` names.
    pub fn libtorch(&self) -> PathBuf {
        self.root.join(".libtorch")
    }

    /// The link to a build tool that `.cargo/config.toml` names.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.root.join(".tools").join(name)
    }

    /// The default folder of runs (`--artifacts`): that of the checkout; without a checkout,
    /// one in the working directory.
    pub fn artifacts(&self) -> PathBuf {
        match self.is_checkout() {
            true => self.root.join("artifacts"),
            false => PathBuf::from("artifacts"),
        }
    }

    /// Whether this is a checkout, not the folder of an archive that `dist` made.
    pub fn is_checkout(&self) -> bool {
        unpacked().is_none_or(|root| root != self.root)
    }

    /// The folder in which all programs are, instead of being built: that of an archive, or
    /// `ATTEND_BIN_DIR`.
    pub fn programs(&self) -> Option<PathBuf> {
        let given = std::env::var_os("ATTEND_BIN_DIR").map(PathBuf::from);
        given.or_else(|| (!self.is_checkout()).then(|| self.root.join("bin")))
    }
}

/// The folder of the archive that this program came in: it is `bin/attend` there.
fn unpacked() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let root = program.parent()?.parent()?;
    let is_packed = program.file_name()? == "attend" && root.join("pipelines").is_dir();
    is_packed.then(|| root.to_owned())
}

/// Makes `link` point to `target`, atomically: whoever follows it at any moment
/// finds the old target or the new one.
pub fn link(link: &Path, target: &Path) -> Result<()> {
    if std::fs::read_link(link).is_ok_and(|old| old == target) {
        return Ok(());
    }
    if link.exists() && !link.is_symlink() {
        return Err(Error::internal(format!(
            "{}: expected a link that the runner may replace; move this away",
            link.display()
        )));
    }
    if let Some(parent) = link.parent() {
        std::fs::create_dir_all(parent).at(parent)?;
    }
    let new = link.with_extension(format!("new-{}", std::process::id()));
    std::os::unix::fs::symlink(target, &new).at(&new)?;
    std::fs::rename(&new, link).at(link)
}

/// A path for messages: relative to the working directory if it is below it.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here
        .as_deref()
        .and_then(|here| path.strip_prefix(here).ok());
    below
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(path)
        .display()
        .to_string()
}
