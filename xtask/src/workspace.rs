//! The checkout that a task works in.

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

    /// The default folder of runs (`--artifacts`).
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }
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
