//! The list of what can be fetched.

use attend_program::config::nearest;
use attend_program::text::human;
use attend_program::{Error, Result, config};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What can be fetched, by name.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct List(BTreeMap<String, Collection>);

/// Files that belong together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// What it is.
    pub about: String,
    /// The variable by which configs name its folder.
    pub variable: Option<String>,
    /// Its files.
    pub files: Vec<Entry>,
}

/// A file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its address.
    pub url: String,
    /// Its size in bytes; if known, another size is refused.
    pub bytes: Option<u64>,
    /// Its size, roughly.
    pub about: Option<u64>,
    /// Its SHA-256, or the beginning of it, in hexadecimal.
    pub sha256: Option<String>,
    /// Names of files to take out of the archive that it is. It is deleted then.
    #[serde(default)]
    pub unpack: Vec<String>,
}

impl List {
    /// The list in the file at `path`, or else our own.
    ///
    /// # Errors
    /// [`Error::Usage`] if the file is no list.
    pub fn read(path: Option<&Path>) -> Result<List> {
        let own = || include_str!("list.toml").parse().map_err(Error::internal);
        let (name, table) = match path {
            Some(path) => (path.display().to_string(), config::read(path)?.1),
            None => ("list.toml".to_owned(), own()?),
        };
        let list: List = table
            .try_into()
            .map_err(|e| Error::usage(format!("{name}: {e}")))?;
        for entry in list.0.values().flat_map(|collection| &collection.files) {
            let is_plain = |name: &str| {
                !name.is_empty()
                    && !name.starts_with('/')
                    && !name.split('/').any(|part| part == "..")
            };
            let plain = is_plain(entry.name()) && entry.unpack.iter().all(|name| is_plain(name));
            if !plain {
                let url = &entry.url;
                return Err(Error::usage(format!(
                    "{name}: {url}: its names lead out of the folder"
                )));
            }
        }
        Ok(list)
    }

    /// All names, with what they are.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Collection)> {
        self.0.iter().map(|(name, all)| (name.as_str(), all))
    }

    /// What has this name.
    ///
    /// # Errors
    /// [`Error::Usage`] with the nearest of the known names.
    pub fn find(&self, name: &str) -> Result<&Collection> {
        self.0.get(name).ok_or_else(|| {
            let names = || self.0.keys().map(String::as_str);
            let near = nearest(name, names());
            let near = near.map_or_else(String::new, |near| format!("; the nearest is {near}"));
            let all = names().collect::<Vec<_>>().join(", ");
            Error::usage(format!("nothing is called {name}{near}; there are {all}"))
        })
    }
}

impl Entry {
    /// Its file name.
    pub fn name(&self) -> &str {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// Addresses to try one after the other: its own, or those on a mirror, which has it
    /// under the same path or under its name alone.
    pub fn urls(&self, mirror: Option<&str>) -> Vec<String> {
        let Some(mirror) = mirror.map(|mirror| mirror.trim_end_matches('/')) else {
            return vec![self.url.clone()];
        };
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        let mut urls = vec![
            format!("{mirror}/{path}"),
            format!("{mirror}/{}", self.name()),
        ];
        urls.dedup();
        urls
    }

    /// Its size for people: `13.5 GB`, `about 179 MB`, or nothing.
    pub fn size(&self) -> String {
        match (self.bytes, self.about) {
            (Some(bytes), _) => human(bytes),
            (None, Some(bytes)) => format!("about {}", human(bytes)),
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attend_program::fetch;

    #[test]
    fn our_list_is_whole() {
        let list = List::read(None).unwrap();
        assert!(list.all().count() >= 9);
        for (name, collection) in list.all() {
            assert!(!collection.files.is_empty(), "{name}");
            for entry in &collection.files {
                assert!(entry.bytes.or(entry.about).is_some(), "{}", entry.url);
                // torchvision's file names end in the first digits of their SHA-256.
                let digits = entry.name().strip_suffix(".pth");
                let digits = digits.and_then(|stem| stem.rsplit_once('-'));
                assert_eq!(digits.map(|(_, digits)| digits), entry.sha256.as_deref());
            }
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_brings_it() {
        let list = List::read(None).unwrap();
        for (name, collection) in list.all() {
            let weights = collection.variable.as_deref() == Some("WEIGHTS");
            let files = collection.files.iter();
            let files: Vec<&str> = match weights {
                true => files.map(Entry::name).collect(),
                false if name.starts_with("coco") => continue, // found by its variable
                false => files
                    .flat_map(|it| &it.unpack)
                    .map(String::as_str)
                    .collect(),
            };
            for file in files {
                let hint = fetch::hint(&format!("/somewhere/{file}")).unwrap();
                assert_eq!(
                    hint,
                    format!("`cargo xtask fetch {name} --to DIR` brings it")
                );
            }
        }
        let hint = fetch::hint("${COCO}").unwrap();
        for name in hint
            .split(' ')
            .filter(|word| word.starts_with("coco") || *word == "karpathy")
        {
            list.find(name).unwrap();
        }
    }

    #[test]
    fn a_mirror_has_the_path_or_the_name_alone() {
        let list = List::read(None).unwrap();
        let entry = &list.find("coco2014").unwrap().files[0];
        assert_eq!(
            entry.urls(Some("https://m.org/coco/")),
            [
                "https://m.org/coco/zips/train2014.zip",
                "https://m.org/coco/train2014.zip"
            ]
        );
        assert_eq!(entry.urls(None), vec![entry.url.clone()]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_and_all() {
        let list = List::read(None).unwrap();
        let why = list.find("coco2041").unwrap_err().to_string();
        assert!(
            why.contains("the nearest is coco2014; there are coco2014, coco2017, glove"),
            "{why}"
        );
    }
}
