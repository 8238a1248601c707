//! `dataset.split`: the shares of splits by content.

use attend_artifact::tables::is_split_name;
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The split that gets what the others leave.
pub const REST: &str = "train";

/// `dataset.split`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitByContent {
    /// With another seed, other photographs are in each split.
    #[serde(skip_serializing_if = "is_default")]
    pub seed: u64,
    /// Whether these splits replace those that the data has.
    #[serde(skip_serializing_if = "is_default")]
    pub replace: bool,
    /// Each split's share of the photographs.
    #[serde(flatten)]
    pub shares: BTreeMap<String, f64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl SplitByContent {
    /// Whether the key is set.
    pub fn is_set(&self) -> bool {
        !is_default(self)
    }

    /// The splits that it makes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let rest = (self.left() > 0.0).then_some(REST);
        let shares = self.shares.iter().filter(|(_, share)| **share > 0.0);
        shares.map(|(name, _)| name.as_str()).chain(rest)
    }

    /// The share that is left for `train`, beyond one that it is given.
    fn left(&self) -> f64 {
        let left = 1.0 - self.shares.values().sum::<f64>();
        if left.abs() < 1e-9 { 0.0 } else { left }
    }

    /// Refuses invalid values.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the key.
    pub fn check(&self) -> Result<()> {
        let refuse = |why: String| Err(Error::usage(format!("dataset.split{why}")));
        if self.is_set() && self.shares.is_empty() {
            return refuse(
                " names no split; give shares, such as { val = 0.05, test = 0.05 }".into(),
            );
        }
        for (name, share) in &self.shares {
            if !is_split_name(name) {
                return refuse(format!(
                    ": the name {name:?} must be letters, digits, - and _"
                ));
            }
            if !(0.0..=1.0).contains(share) {
                return refuse(format!(
                    ".{name} = {share} must be a share, between 0 and 1"
                ));
            }
        }
        let sum = 1.0 - self.left();
        if sum > 1.0 {
            return refuse(format!(": its shares are {sum:.4} together, more than 1"));
        }
        if sum < 1.0 && self.shares.contains_key(REST) {
            return refuse(format!(
                ": its shares are {sum:.4} together, with that of train, instead of 1; leave train out to give it the rest"
            ));
        }
        Ok(())
    }
}
