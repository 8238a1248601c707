//! Finds METEOR's data on a machine.

use super::Data;
use crate::Error;
use std::path::{Path, PathBuf};

/// Name of the compiled file, in the folder of its sources.
const COMPILED: &str = "english.meteor";

impl Data {
    /// The folder where the data is expected: `ATTEND_METEOR`, or else `meteor-1.5` in
    /// `ATTEND_CACHE`, in `$XDG_CACHE_HOME/attend` or in `~/.cache/attend`. It need not
    /// exist.
    pub fn default_folder() -> Option<PathBuf> {
        let set = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let cache = || {
            set("ATTEND_CACHE")
                .or_else(|| Some(set("XDG_CACHE_HOME")?.join("attend")))
                .or_else(|| Some(set("HOME")?.join(".cache/attend")))
        };
        set("ATTEND_METEOR").or_else(|| Some(cache()?.join("meteor-1.5")))
    }

    /// Whether [`Data::of_folder`] has to compile the data first, which takes seconds.
    pub fn must_compile(folder: &Path) -> bool {
        Data::open(&folder.join(COMPILED)).is_err() && folder.join(super::compile::JAR).exists()
    }

    /// Opens the data in a folder; `None` if there is none. Compiles it the first time:
    /// into the folder, or, if that can't be written, for this time only.
    ///
    /// # Errors
    /// Those of [`Data::compile`] and [`Data::open`].
    pub fn of_folder(folder: &Path) -> Result<Option<Data>, Error> {
        let compiled = folder.join(COMPILED);
        if let Ok(data) = Data::open(&compiled) {
            return Ok(Some(data));
        }
        if !folder.join(super::compile::JAR).exists() {
            return Ok(None);
        }
        if Data::compile(folder, &compiled).is_ok() {
            return Data::open(&compiled).map(Some);
        }
        let elsewhere = tempfile::tempdir().map_err(Error::io(&std::env::temp_dir()))?;
        let compiled = elsewhere.path().join(COMPILED);
        Data::compile(folder, &compiled)?;
        Data::open(&compiled).map(Some) // the map outlives the temporary file
    }
}
