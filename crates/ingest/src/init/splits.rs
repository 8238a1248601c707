//! What to do about data that has other splits than train, val and test.

use crate::annotations::Annotations;
use crate::formats::splits::of_name;
use crate::shares::SplitByContent;
use crate::split::Hashes;
use crate::stage::Listing;
use attend_program::{Error, Result};
use std::collections::BTreeSet;
use toml::{Table, Value};

/// The setting that gives a data set splits to train and to choose by, and the share of val
/// and of test if they are made by content. `coco` reads the splits that it is told only.
pub(super) fn needed(
    format: &str,
    annotations: &Annotations,
) -> (Option<(&'static str, Value)>, Option<f64>) {
    let images = &annotations.images;
    let named: BTreeSet<&str> = images.iter().filter_map(|it| it.split.as_deref()).collect();
    let renamed: Vec<(&str, &str)> = named
        .iter()
        .map(|name| (*name, of_name(name).unwrap_or(name)))
        .collect();
    let has = |split: &str| renamed.iter().any(|(_, name)| *name == split);
    if !has("train") || !(has("val") || has("test")) {
        let share = share(images.len());
        let mut split = Table::new();
        if !named.is_empty() {
            split.insert("replace".to_owned(), true.into());
        }
        split.insert("val".to_owned(), share.into());
        split.insert("test".to_owned(), share.into());
        return (Some(("split", split.into())), Some(share));
    }
    let others = renamed.iter().filter(|(name, usual)| name != usual);
    let others: Table = others
        .map(|(name, usual)| ((*name).to_owned(), Value::from(*usual)))
        .collect();
    let setting = (!others.is_empty() && format != "coco").then(|| ("splits", others.into()));
    (setting, None)
}

/// The share of val and of test: a twentieth, but more of small data sets.
fn share(images: usize) -> f64 {
    match images {
        0..200 => 0.2,
        200..2000 => 0.1,
        _ => 0.05,
    }
}

/// Number of seeds that are tried.
const SEEDS: u64 = 20;

/// Divides the images by content, so that each split gets some. Returns the seed, if another
/// one than 0 is necessary.
pub(super) fn assign(split: &SplitByContent, listing: &mut Listing) -> Result<Option<u64>> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut hashes = Hashes::read(None);
    let mut seed = 0;
    loop {
        let split = SplitByContent {
            seed,
            ..split.clone()
        };
        match split.assign(&mut listing.candidates, &listing.source, &mut hashes, jobs) {
            Ok(()) => return Ok((seed > 0).then_some(seed)),
            Err(Error::Input(_)) if seed < SEEDS => seed += 1,
            Err(why) => return Err(why),
        }
    }
}

/// Enters a seed into the setting `split`.
pub(super) fn set_seed(settings: &mut [(&'static str, Value)], seed: u64) {
    let split = settings.iter_mut().find(|(key, _)| *key == "split");
    if let Some((_, Value::Table(split))) = split {
        split.insert("seed".to_owned(), (seed as i64).into());
    }
}
