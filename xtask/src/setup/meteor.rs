//! The data of METEOR 1.5: its Java program, which holds the word lists and
//! WordNet's synonyms, and its table of paraphrases. They are not ours to
//! distribute; the package `pycocoevalcap` ships them.

use super::cache::{Cache, remove};
use super::platform::Wheel;
use super::{pip, platform, wheel};
use attend_program::{Error, Result};
use std::path::PathBuf;

/// Name of the tree in the cache. `attend-score` looks for it there.
const TREE: &str = "meteor-1.5";

const WHEEL: Wheel = Wheel {
    requirement: "pycocoevalcap==1.2",
    file: "pycocoevalcap-1.2-py3-none-any.whl",
    sha256: "083ed7910f1aec000b0a237ef6665f74edf19954204d0b1cbdb8399ed132228d",
    megabytes: 105,
};

const FILES: [&str; 2] = ["meteor-1.5.jar", "data/paraphrase-en.gz"];

/// The folder of the data, if it is complete.
pub fn folder(cache: &Cache) -> Option<PathBuf> {
    let tree = cache.root.join(TREE);
    FILES
        .iter()
        .all(|file| tree.join(file).is_file())
        .then_some(tree)
}

/// Downloads the package and unpacks the data.
pub fn provide(cache: &Cache, keep: bool) -> Result<()> {
    remove(&cache.root.join(TREE))?;
    let package = pip::fetch(cache, platform::current()?, &WHEEL)?;
    cache.require_room("METEOR's data", 150)?;
    let tree = cache.tree(TREE, |part| {
        wheel::unpack(&package, part, |name| {
            let file = name.strip_prefix("pycocoevalcap/meteor/")?;
            FILES.contains(&file).then(|| file.into())
        })
    })?;
    if folder(cache).is_none() {
        remove(&tree)?;
        return Err(Error::internal(format!(
            "{}: does not hold METEOR's data",
            package.display()
        )));
    }
    if keep { Ok(()) } else { remove(&package) }
}
