//! Installs everything that a build needs and cargo can't install.

pub mod cache;
pub mod libtorch;
pub mod meteor;
pub mod pip;
pub mod platform;
pub mod tools;
mod wheel;

use crate::workspace::Workspace;
use attend_program::Result;
use cache::Cache;

/// What to install beyond the needs of a build.
#[derive(Clone, Copy, Default)]
pub struct Request {
    /// cargo-deny too.
    pub deny: bool,
    /// The data of METEOR too.
    pub meteor: bool,
    /// Keep the downloaded files.
    pub keep: bool,
}

/// Installs what is missing; returns whether anything was.
pub fn ensure(workspace: &Workspace, request: Request) -> Result<bool> {
    let cache = Cache::locate()?;
    if missing(workspace, &cache, request)?.is_empty() {
        return Ok(false);
    }
    let _lock = cache.lock()?;
    // Another set-up may have installed some of it while we waited.
    for thing in missing(workspace, &cache, request)? {
        match thing {
            Thing::Libtorch => libtorch::provide(workspace, &cache, request.keep)?,
            Thing::Cmake => tools::provide_cmake(workspace, &cache, request.keep)?,
            Thing::Nasm => tools::provide_nasm(workspace, &cache)?,
            Thing::Deny => tools::provide_deny(&cache)?,
            Thing::Meteor => meteor::provide(&cache, request.keep)?,
        }
    }
    Ok(true)
}

enum Thing {
    Cmake,
    Nasm,
    Libtorch,
    Deny,
    Meteor,
}

/// What is missing, small things first: their errors appear before the large download.
fn missing(workspace: &Workspace, cache: &Cache, request: Request) -> Result<Vec<Thing>> {
    let mut things = Vec::new();
    let builds = workspace.is_checkout();
    if builds && !tools::cmake(workspace).exists() {
        things.push(Thing::Cmake);
    }
    if builds && cfg!(target_arch = "x86_64") && !tools::nasm(workspace).exists() {
        things.push(Thing::Nasm);
    }
    if builds && !libtorch::is_ready(workspace)? {
        things.push(Thing::Libtorch);
    }
    if request.deny && tools::deny(cache).is_none() {
        things.push(Thing::Deny);
    }
    if request.meteor && meteor::folder(cache).is_none() {
        things.push(Thing::Meteor);
    }
    Ok(things)
}
