//! Ids in annotation files, and the numbers that they get in the artifact.
//!
//! An artifact's ids are unique numbers. Ids in annotation files are numbers, numbers as
//! text, other text, or missing, and may start over in each split (images) or each image
//! (captions). An id that is a unique number is kept.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::collections::HashSet;
use std::fmt;

/// An id in an annotation file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Id {
    /// There is none.
    #[default]
    None,
    /// A number, or text that is one: `42`, `42.0`, `"000042"`.
    Number(i64),
    /// Other text.
    Text(String),
}

impl Id {
    /// The number; -1 if the id is not a number.
    pub fn number(&self) -> i64 {
        match self {
            Id::Number(number) => *number,
            Id::None | Id::Text(_) => -1,
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an id (a whole number or text)")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Id, E> {
        Ok(Id::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Id, E> {
        Ok(i64::try_from(number).map_or_else(|_| Id::Text(number.to_string()), Id::Number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Id, E> {
        // Up to 2^53, floats represent each whole number exactly.
        match number.fract() == 0.0 && number.abs() <= 9e15 {
            true => Ok(Id::Number(number as i64)),
            false => Err(E::invalid_value(
                serde::de::Unexpected::Float(number),
                &self,
            )),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
        Ok(text
            .parse()
            .map_or_else(|_| Id::Text(text.to_owned()), Id::Number))
    }

    fn visit_unit<E: Error>(self) -> Result<Id, E> {
        Ok(Id::None)
    }
}

/// Assigns unique numbers.
pub struct Numbers {
    given: HashSet<i64>,
    next: i64,
    /// Number of ids that got another number.
    pub changed: usize,
}

impl Numbers {
    /// Ids that can't keep their number get one from `next` on.
    pub fn new(next: i64) -> Numbers {
        Numbers {
            given: HashSet::new(),
            next,
            changed: 0,
        }
    }

    /// The number for an id: its own if that is not taken.
    pub fn give(&mut self, id: &Id) -> i64 {
        if let Id::Number(number) = id
            && self.given.insert(*number)
        {
            return *number;
        }
        self.changed += 1;
        while !self.given.insert(self.next) {
            self.next = self.next.wrapping_add(1);
        }
        self.next
    }
}

/// The number after the largest of the ids.
pub fn after<'a>(ids: impl Iterator<Item = &'a Id>) -> i64 {
    ids.map(Id::number).max().unwrap_or(-1).wrapping_add(1)
}
