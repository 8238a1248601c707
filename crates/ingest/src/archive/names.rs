//! The names in an archive, and the member that each leads to.

use crate::name::folded;
use crate::reference::{Refusal, refuse};
use attend_artifact::ledger::Reason;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// Maximum number of links for one name, as in Linux.
const HOPS: usize = 40;

/// The entry of a name in an archive.
enum Named<T> {
    Member(T),
    /// A link to this name; `None` if it leads out of the archive.
    Link(Option<String>),
    Folder,
}

/// The members of an archive by name, as [`crate::name::plain`] returns it.
pub(super) struct Names<T> {
    /// With the number of names before it in the archive.
    all: BTreeMap<String, (u32, Named<T>)>,
    /// Names that can't be looked up, because they lead out of the archive or are not UTF-8.
    unusable: Vec<String>,
    similar: OnceLock<HashMap<String, String>>,
}

impl<T: Clone> Names<T> {
    pub(super) fn new() -> Names<T> {
        Names {
            all: BTreeMap::new(),
            unusable: Vec::new(),
            similar: OnceLock::new(),
        }
    }

    /// Adds a member. The last of several with the same name counts, as when unpacking.
    pub(super) fn insert(&mut self, name: String, member: T) {
        self.enter(name, Named::Member(member));
    }

    fn enter(&mut self, name: String, named: Named<T>) {
        let number = self.all.len() as u32;
        // The first place of a name counts, the last content.
        let number = self.all.get(&name).map_or(number, |(number, _)| *number);
        self.all.insert(name, (number, named));
    }

    /// Adds a name that can't be looked up.
    pub(super) fn unusable(&mut self, name: &[u8]) {
        let name = String::from_utf8_lossy(name);
        if !name.ends_with('/') {
            self.unusable.push(name.into_owned());
        }
    }

    /// The names of members and links, in the archive's order, without what other systems
    /// add; then those that can't be looked up.
    pub(super) fn listed(&self) -> Vec<&str> {
        let all = self.all.iter();
        let mut files: Vec<(u32, &str)> = all
            .filter(|(name, (_, named))| !matches!(named, Named::Folder) && !is_litter(name))
            .map(|(name, (number, _))| (*number, name.as_str()))
            .collect();
        files.sort_unstable();
        let files = files.into_iter().map(|(_, name)| name);
        files
            .chain(self.unusable.iter().map(String::as_str))
            .collect()
    }

    /// Adds a folder.
    pub(super) fn folder(&mut self, name: String) {
        self.enter(name, Named::Folder);
    }

    /// Adds a symbolic link, which is relative to its own folder.
    pub(super) fn link(&mut self, name: String, target: &str) {
        let target = beside(&name, target);
        self.enter(name, Named::Link(target));
    }

    /// Adds a hard link: `name` becomes what `target` is at this point. Returns whether
    /// `target` exists.
    pub(super) fn same(&mut self, name: &str, target: &str) -> bool {
        let same = match self.named(target) {
            Some(Named::Member(member)) => Named::Member(member.clone()),
            Some(Named::Link(to)) => Named::Link(to.clone()),
            Some(Named::Folder) | None => return false,
        };
        self.enter(name.to_owned(), same);
        true
    }

    fn named(&self, name: &str) -> Option<&Named<T>> {
        self.all.get(name).map(|(_, named)| named)
    }

    /// Whether a name is taken.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// The member that the first known one of `names` leads to.
    pub(super) fn find(&self, names: &[String]) -> Option<Result<&T, Refusal>> {
        let (name, _) = names.iter().find_map(|name| self.all.get_key_value(name))?;
        Some(self.follow(name))
    }

    fn follow<'a>(&'a self, mut name: &'a str) -> Result<&'a T, Refusal> {
        for _ in 0..HOPS {
            name = match self.named(name) {
                Some(Named::Member(member)) => return Ok(member),
                Some(Named::Folder) => {
                    return Err(refuse(Reason::Unreadable, "not a regular file"));
                }
                Some(Named::Link(Some(target))) => target,
                Some(Named::Link(None)) => {
                    return Err(refuse(
                        Reason::OutsideRoot,
                        "a link leads out of its archive",
                    ));
                }
                None => {
                    let detail = format!("a link to {name}, which is not in its archive");
                    return Err(refuse(Reason::Unreadable, detail));
                }
            }
        }
        Err(refuse(Reason::Unreadable, "too many links"))
    }

    /// Whether there is anything below `folder`.
    pub(super) fn holds(&self, folder: &str) -> bool {
        let below = format!("{folder}/");
        let first = self.all.range(below.clone()..).next();
        folder.is_empty() || first.is_some_and(|(name, _)| name.starts_with(&below))
    }

    /// The folder that contains all members, whatever its name; empty if there is none.
    pub(super) fn inner(&self) -> String {
        let parent = |name: &String| -> Vec<String> {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let parts = folder.split('/').filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let files = self
            .all
            .iter()
            .filter(|(name, (_, named))| !matches!(named, Named::Folder) && !is_litter(name));
        let common = files.map(|(name, _)| parent(name)).reduce(|mut a, b| {
            let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            a.truncate(same);
            a
        });
        common.unwrap_or_default().join("/")
    }

    /// A few of the folders and files at the top.
    pub(super) fn top(&self) -> Vec<&str> {
        let names = self
            .all
            .keys()
            .filter(|name| !name.is_empty() && !is_litter(name));
        let mut top: Vec<&str> = names.filter_map(|name| name.split('/').next()).collect();
        top.dedup();
        top.truncate(8);
        top
    }

    /// A name that equals one of `names` once both are [`folded`].
    pub(super) fn similar(&self, names: &[String]) -> Option<&String> {
        let similar = self.similar.get_or_init(|| {
            let names = self.all.keys().rev();
            names.map(|name| (folded(name), name.clone())).collect()
        });
        names.iter().find_map(|name| similar.get(&folded(name)))
    }
}

/// Whether a name is one of the files that macOS and Windows add, such as
/// `__MACOSX/photos/._a.jpg`, which is not a photograph.
pub fn is_litter(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    name == "__MACOSX"
        || name.starts_with("__MACOSX/")
        || last.starts_with("._")
        || matches!(last, ".DS_Store" | "Thumbs.db" | "desktop.ini")
}

/// The target of a link at `name`; `None` if it is outside of the archive.
fn beside(name: &str, target: &str) -> Option<String> {
    if target.starts_with('/') || target.contains('\0') {
        return None;
    }
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in target.split('/') {
        match part {
            ".." => {
                parts.retain(|part| !part.is_empty());
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !matches!(*part, "" | "."));
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &Names<u8>, name: &str) -> Result<u8, Reason> {
        match names.find(&[name.to_owned()]) {
            Some(Ok(member)) => Ok(*member),
            Some(Err(refusal)) => Err(refusal.reason),
            None => Err(Reason::Missing),
        }
    }

    #[test]
    fn links_stay_in_their_archive() {
        let mut names = Names::new();
        names.insert("p/a".into(), 7);
        names.folder("p".into());
        for (name, target) in [
            ("p/b", "a"),
            ("c", "./p//a"),
            ("p/q/d", "../../p/b"),
            ("p/out", "../../p/a"),
            ("p/root", "/p/a"),
            ("p/gone", "nothing"),
            ("p/loop", "loop"),
            ("p/folder", "../p"),
        ] {
            names.link(name.into(), target);
        }
        assert!(names.same("e", "p/b") && !names.same("f", "nothing"));
        for name in ["p/a", "p/b", "c", "p/q/d", "e"] {
            assert_eq!(found(&names, name), Ok(7), "{name}");
        }
        for name in ["p/out", "p/root"] {
            assert_eq!(found(&names, name), Err(Reason::OutsideRoot), "{name}");
        }
        for name in ["p/gone", "p/loop", "p/folder"] {
            assert_eq!(found(&names, name), Err(Reason::Unreadable), "{name}");
        }
        assert_eq!(found(&names, "f"), Err(Reason::Missing));
    }

    #[test]
    fn the_inner_folder_is_the_one_that_all_members_lie_in() {
        let inner = |list: &[&str]| {
            let mut names = Names::new();
            list.iter()
                .for_each(|name| names.insert((*name).into(), ()));
            names.folder("x".into());
            names.inner()
        };
        assert_eq!(
            inner(&["x/y/a", "x/y/b", "__MACOSX/x/y/._a", ".DS_Store"]),
            "x/y"
        );
        assert_eq!(inner(&["x/y/a", "x/z/b"]), "x");
        assert_eq!(inner(&["x/y/a", "b"]), "");
        assert_eq!(inner(&["x/ya", "x/yb"]), "x");
        assert_eq!(inner(&[]), "");
    }
}
