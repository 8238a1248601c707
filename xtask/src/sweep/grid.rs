//! The keys that a sweep tries, and the combinations of their values.

use crate::pipeline::is_plain;
use attend_program::config::Schema;
use attend_program::random::{mix, unit};
use attend_program::text::hex;
use attend_program::{Error, Result};
use sha2::{Digest, Sha256};

/// A key, and what it may be: `--try KEY=A,B,…`, `KEY=LOW..HIGH` or `KEY=log:LOW..HIGH`.
pub struct Tried {
    /// `section.key`.
    pub key: String,
    values: Values,
}

enum Values {
    List(Vec<String>),
    /// Numbers from `low` to `high`, each equally likely, or their logarithms.
    Range {
        low: f64,
        high: f64,
        log: bool,
        whole: bool,
    },
}

/// So many combinations are taken for a slip.
const MOST: usize = 10_000;

/// Keys and values, as `--set` takes them.
pub type Combination = Vec<(String, String)>;

impl Tried {
    /// Reads an option; `schema` says which keys are whole numbers. The values are not
    /// checked.
    ///
    /// # Errors
    /// [`Error::Usage`] if it has another form, or a value twice.
    pub fn parse(item: &str, schema: &Schema) -> Result<Tried> {
        let refuse = |why: &str| Err(Error::usage(format!("--try {item}: {why}")));
        let Some((key, text)) = item.split_once('=') else {
            return refuse("expected section.key=value,value,…");
        };
        let key = key.trim().to_owned();
        let (log, ends) = match text.strip_prefix("log:") {
            Some(ends) => (true, ends),
            None => (false, text),
        };
        let ends = ends
            .split_once("..")
            .and_then(|(low, high)| Some((low.parse::<f64>().ok()?, high.parse::<f64>().ok()?)));
        if let Some((low, high)) = ends {
            let lowest = if log { f64::MIN_POSITIVE } else { f64::MIN };
            if !(lowest..high).contains(&low) || !high.is_finite() {
                return refuse(match log && low <= 0.0 {
                    true => "a range of logarithms begins above 0",
                    false => "a range goes from a lower number to a higher one",
                });
            }
            let default = key
                .split_once('.')
                .and_then(|(section, key)| schema.get(section)?.get(key));
            let whole = default.is_some_and(|default| default.is_i64() || default.is_u64());
            let values = Values::Range {
                low,
                high,
                log,
                whole,
            };
            return Ok(Tried { key, values });
        }
        if log {
            return refuse("expected log:LOW..HIGH");
        }
        let values = parts(text);
        if values.iter().any(String::is_empty) {
            return refuse("a value is missing (an empty string is \"\")");
        }
        for (n, value) in values.iter().enumerate() {
            if values.iter().take(n).any(|other| is_same(other, value)) {
                return refuse(&format!("{value} stands there twice"));
            }
        }
        let values = Values::List(values);
        Ok(Tried { key, values })
    }

    /// The values of the list, or the ends of the range.
    pub fn examples(&self) -> Vec<String> {
        match &self.values {
            Values::List(values) => values.clone(),
            Values::Range { low, high, .. } => vec![number(*low), number(*high)],
        }
    }

    fn draw(&self, bits: u64) -> String {
        let part = unit(bits);
        match &self.values {
            Values::List(values) => {
                let index = (part * values.len() as f64) as usize;
                values.get(index).cloned().unwrap_or_default()
            }
            Values::Range {
                low,
                high,
                log,
                whole,
            } => {
                // Each whole number has the same room as the others.
                let (low, high) = match whole {
                    true => (low - 0.5, high + 0.5),
                    false => (*low, *high),
                };
                let value = match log {
                    true => (low.ln() + part * (high.ln() - low.ln())).exp(),
                    false => low + part * (high - low),
                };
                match whole {
                    true => number((value + 0.5).floor()),
                    false => number(rounded(value).clamp(low, high)),
                }
            }
        }
    }
}

/// All combinations; the last key changes fastest.
///
/// # Errors
/// [`Error::Usage`] if a key has a range, or for more than [`MOST`].
pub fn grid(tried: &[Tried]) -> Result<Vec<Combination>> {
    let mut combinations = vec![Combination::new()];
    for Tried { key, values } in tried {
        let Values::List(values) = values else {
            return Err(Error::usage(format!(
                "--try {key}: a range needs --random N, which draws N combinations"
            )));
        };
        let longer = combinations.iter().flat_map(|begun| {
            let with = |value: &String| [&begun[..], &[(key.clone(), value.clone())]].concat();
            values.iter().map(with)
        });
        combinations = longer.take(MOST + 1).collect();
    }
    if combinations.len() > MOST {
        return Err(Error::usage(format!(
            "these are more than {MOST} combinations; --random N draws some of them"
        )));
    }
    Ok(combinations)
}

/// `number` different combinations. The first are the same for any number, so that a sweep
/// can be made longer.
///
/// # Errors
/// [`Error::Usage`] if there are not so many.
pub fn random(tried: &[Tried], number: usize, seed: u64) -> Result<Vec<Combination>> {
    let mut combinations: Vec<Combination> = Vec::new();
    // So many that among as many equally likely combinations none is missed, but for once in
    // a million sweeps.
    let attempts = number.saturating_mul(40).saturating_add(1000);
    for attempt in 0..attempts as u64 {
        if combinations.len() == number {
            break;
        }
        let drawn = tried.iter().zip(0..);
        let drawn = drawn.map(|(one, n)| (one.key.clone(), one.draw(mix(&[seed, attempt, n]))));
        let drawn: Combination = drawn.collect();
        if !combinations.contains(&drawn) {
            combinations.push(drawn);
        }
    }
    match combinations.len() {
        found if found < number => Err(Error::usage(format!(
            "--random {number}: there are only {found} combinations; leave --random out to run all, or try more values"
        ))),
        _ => Ok(combinations),
    }
}

/// What stands for each combination in the names of its runs, such as
/// `decoder_lr-4e-4-dropout-0.3`; a number of eight digits where that would be too long or
/// two would have the same.
pub fn labels(combinations: &[Combination]) -> Vec<String> {
    let label = |combination: &Combination| {
        let keys: Vec<&String> = combination.iter().map(|(key, _)| key).collect();
        let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let short = |key: &str| {
            let alone = keys.iter().filter(|other| last(other) == last(key)).count() == 1;
            if alone { last(key) } else { key.to_owned() }
        };
        let words = combination
            .iter()
            .flat_map(|(key, value)| [short(key), value.clone()]);
        plain(&words.collect::<Vec<_>>().join(" "))
    };
    let labels: Vec<String> = combinations.iter().map(label).collect();
    let is_good = |label: &String| {
        label.len() <= 100 && labels.iter().filter(|other| *other == label).count() == 1
    };
    let all = labels.iter().zip(combinations);
    all.map(|(label, combination)| match is_good(label) {
        true => label.clone(),
        false => hex(&Sha256::digest(shown(combination))[..4]),
    })
    .collect()
}

/// `section.key=value, …`.
pub fn shown(combination: &Combination) -> String {
    let pairs = combination
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(", ")
}

/// The characters of a text that a folder's name may have, the others as `-`.
fn plain(text: &str) -> String {
    let is_plain = |c: char| is_plain(&format!("x{c}"));
    let words = text.split(|c| !is_plain(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// The parts of a list, separated by commas outside brackets and strings.
fn parts(text: &str) -> Vec<String> {
    let (mut depth, mut quote) = (0, None);
    let mut parts = vec![String::new()];
    for c in text.chars() {
        let begins = parts.last().is_some_and(|part| part.trim().is_empty());
        match (c, quote) {
            (',', None) if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            ('[' | '{', None) => depth += 1,
            (']' | '}', None) => depth -= 1,
            ('"' | '\'', None) if begins => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// Whether two values mean the same: 4e-4 is 0.0004.
fn is_same(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// A number with three digits that count.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

fn number(value: f64) -> String {
    match value.abs() {
        0.01..1e6 => value.to_string(),
        _ => format!("{value:e}").replace("0e0", "0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn tried(items: &[&str]) -> Vec<Tried> {
        let keys = [
            ("lr", json!(0.5)),
            ("batch", json!(32)),
            ("schedule", json!("plateau")),
        ];
        let keys = keys.map(|(key, default)| (key.to_owned(), default));
        let schema = BTreeMap::from([("train".to_owned(), keys.into())]);
        let parse = |item: &&str| Tried::parse(item, &schema).unwrap();
        items.iter().map(parse).collect()
    }

    fn refused(item: &str, words: &str) {
        let error = Tried::parse(item, &Schema::new()).err().unwrap();
        assert_eq!(error.to_string(), format!("--try {item}: {words}"));
    }

    #[test]
    fn every_value_meets_every_other_one() {
        let all = grid(&tried(&["train.lr=1e-3, 2e-3", "a.grid=[7, 7],[0, 0]"])).unwrap();
        let all: Vec<String> = all.iter().map(shown).collect();
        assert_eq!(
            all,
            [
                "train.lr=1e-3, a.grid=[7, 7]",
                "train.lr=1e-3, a.grid=[0, 0]",
                "train.lr=2e-3, a.grid=[7, 7]",
                "train.lr=2e-3, a.grid=[0, 0]",
            ]
        );
        assert_eq!(
            tried(&[r#"a.b="x,y",it's,z"#])[0].examples(),
            ["\"x,y\"", "it's", "z"]
        );
        assert_eq!(tried(&["train.start=../a..b"])[0].examples(), ["../a..b"]);
    }

    #[test]
    fn what_is_no_list_and_no_range_is_refused() {
        refused("train.lr", "expected section.key=value,value,…");
        refused("train.lr=", "a value is missing (an empty string is \"\")");
        refused(
            "train.lr=1,,2",
            "a value is missing (an empty string is \"\")",
        );
        refused("train.lr=4e-4,0.0004", "0.0004 stands there twice");
        refused(
            "train.lr=2..1",
            "a range goes from a lower number to a higher one",
        );
        refused(
            "train.lr=1..inf",
            "a range goes from a lower number to a higher one",
        );
        refused("train.lr=log:0..1", "a range of logarithms begins above 0");
        refused("train.lr=log:1", "expected log:LOW..HIGH");
        let range = grid(&tried(&["train.lr=0..1"])).unwrap_err();
        assert!(range.to_string().contains("needs --random N"), "{range}");
    }

    #[test]
    fn draws_are_in_their_ranges_and_evenly_so() {
        let tried = tried(&[
            "train.lr=log:1e-4..1e-2",
            "train.batch=1..4",
            "train.schedule=a,b",
        ]);
        let drawn = random(&tried, 400, 7).unwrap();
        let column = |n: usize| drawn.iter().map(move |one| one[n].1.as_str());
        let number = |text: &str| text.parse::<f64>().unwrap();
        assert!(column(0).all(|lr| (1e-4..=1e-2).contains(&number(lr))));
        let low = column(0).filter(|lr| number(lr) < 1e-3).count();
        assert!(
            (160..240).contains(&low),
            "{low} of 400 in the lower decade"
        );
        for batch in ["1", "2", "3", "4"] {
            let count = column(1).filter(|drawn| *drawn == batch).count();
            assert!((70..130).contains(&count), "{batch}: {count} of 400");
        }
        // A longer sweep begins with the shorter one; another seed is another sweep.
        assert_eq!(random(&tried, 5, 7).unwrap(), drawn[..5]);
        assert_ne!(random(&tried, 5, 8).unwrap(), drawn[..5]);
    }

    #[test]
    fn a_random_search_of_lists_finds_all_combinations_and_no_more() {
        let tried = tried(&[
            "train.lr=1,2,3,4,5,6,7,8,9,10",
            "train.batch=1,2,3,4,5,6,7,8,9,10",
        ]);
        let mut drawn = random(&tried, 100, 1).unwrap();
        let mut all = grid(&tried).unwrap();
        drawn.sort();
        all.sort();
        assert_eq!(drawn, all);
        let more = random(&tried, 101, 1).unwrap_err().to_string();
        assert!(
            more.starts_with("--random 101: there are only 100 combinations"),
            "{more}"
        );
    }

    #[test]
    fn a_run_s_name_says_what_it_tries() {
        let combination = |pairs: &[(&str, &str)]| -> Combination {
            let owned = pairs
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()));
            owned.collect()
        };
        let one = |pairs| labels(&[combination(pairs)]).remove(0);
        assert_eq!(
            one(&[("train.lr", "4e-4"), ("a.grid", "[7, 7]")]),
            "lr-4e-4-grid-7-7"
        );
        assert_eq!(
            one(&[("a.grid", "1"), ("b.grid", "2")]),
            "a.grid-1-b.grid-2"
        );
        assert_eq!(one(&[("a.start", &"x".repeat(300))]).len(), 8);
        let alike = [
            combination(&[("a.b", "x/y")]),
            combination(&[("a.b", "x:y")]),
        ];
        let labels = labels(&alike);
        assert!(labels[0] != labels[1] && labels[0].len() == 8, "{labels:?}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(rounded(0.000_357_49)), "3.57e-4");
        assert_eq!(number(rounded(0.357_49)), "0.357");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(-3.0), "-3");
        assert_eq!(number(2e7), "2e7");
    }
}
