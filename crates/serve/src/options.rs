//! The options of a request: the keys of `[search]` that a client may choose, within limits.

use crate::problem::Problem;
use attend_describe::Search;
use axum::http::StatusCode;
use serde_json::{Map, Number, Value, json};

/// Beam size, unless the request chooses another.
const BEAM: u64 = 3;

/// Maximum length of a text in bytes, and of a list in texts.
pub const LONGEST: usize = 200;

/// What a client may choose.
pub struct Key {
    /// Its name, that of the key of `[search]` except for `beam` and `alphas`.
    pub name: &'static str,
    /// What it may be; the largest number bounds what one request costs.
    pub range: Range,
    /// Description for the API's document.
    pub about: &'static str,
}

/// The values of a key.
pub enum Range {
    /// Any that is no longer than [`LONGEST`].
    Any,
    /// Numbers, from the smallest to the largest.
    Numbers(f64, f64),
    /// One of these texts.
    Choice(&'static [&'static str]),
}

use Range::{Any, Choice, Numbers};

const fn key(name: &'static str, range: Range, about: &'static str) -> Key {
    Key { name, range, about }
}

/// All that a client may choose.
pub const KEYS: [Key; 18] = [
    key(
        "beam",
        Numbers(1.0, 20.0),
        "Beam size; 1 is a greedy search",
    ),
    key(
        "alphas",
        Any,
        "Also answer where the model looked at each word",
    ),
    key(
        "n_best",
        Numbers(1.0, 20.0),
        "Number of captions: the best and its alternatives",
    ),
    key(
        "length_norm",
        Choice(&["none", "average", "gnmt"]),
        "How captions of different lengths are compared: by their log-probability, its mean over the words, or in between",
    ),
    key("min_length", Numbers(0.0, 100.0), "Minimum number of words"),
    key("max_length", Numbers(1.0, 100.0), "Maximum number of words"),
    key(
        "no_repeat_ngram",
        Numbers(0.0, 100.0),
        "No sequence of so many words occurs twice; 0: any may",
    ),
    key("forbid", Any, "Words that captions don't contain"),
    key(
        "forbid_unk",
        Any,
        "Whether captions don't contain the word for words outside the vocabulary",
    ),
    key("prefix", Any, "Words with which every caption begins"),
    key(
        "groups",
        Numbers(1.0, 20.0),
        "Divides the beam into so many groups, whose captions differ",
    ),
    key(
        "diversity",
        Numbers(0.0, 100.0),
        "How much a word's log-probability loses for each hypothesis of an earlier group that has just taken it",
    ),
    key(
        "samples",
        Numbers(0.0, 20.0),
        "Draws so many captions instead of a beam search; 0: beam search",
    ),
    key(
        "temperature",
        Numbers(0.01, 100.0),
        "Samples' temperature: below 1 more probable words, above 1 more surprising ones",
    ),
    key(
        "top_k",
        Numbers(0.0, 1e6),
        "Samples' words are among so many most probable ones; 0: any",
    ),
    key(
        "top_p",
        Numbers(0.001, 1.0),
        "Samples' words are among the most probable ones that together have this probability, above 0",
    ),
    key("seed", Numbers(0.0, u32::MAX as f64), "Seed of the samples"),
    key(
        "consensus",
        Choice(&["none", "cider-d", "bleu4"]),
        "Takes the caption that agrees most with the others",
    ),
];

/// The checked options of a request.
#[derive(Clone, Debug)]
pub struct Options {
    /// The search.
    pub search: Search,
    /// Its beam size.
    pub beam: usize,
    /// Whether the answer has the attention of each word.
    pub alphas: bool,
    /// The search and its beam as text: equal searches have equal texts.
    pub text: String,
}

/// The keys that there are, with their default values.
pub fn defaults() -> Map<String, Value> {
    let mut all = match serde_json::to_value(Search::default()) {
        Ok(Value::Object(all)) => all,
        _ => Map::new(),
    };
    all.insert("beam".into(), json!(BEAM));
    all.insert("alphas".into(), json!(false));
    let known = |key: &Key| Some((key.name.to_owned(), all.get(key.name)?.clone()));
    KEYS.iter().filter_map(known).collect()
}

impl Options {
    /// The options in a query: `beam=5&prefix=a%20photo&forbid=dog&forbid=cat`. A key that
    /// takes yes or no may stand alone: `alphas`.
    pub fn of_query(query: &str) -> Result<Options, Problem> {
        let defaults = defaults();
        let mut given = Map::new();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            let default = defaults.get(&*name).ok_or_else(|| unknown(&name))?;
            let number = || text.parse::<Number>().map(Value::Number).ok();
            let value = match default {
                Value::Bool(_) => match &*text {
                    "" | "true" | "1" => Some(json!(true)),
                    "false" | "0" => Some(json!(false)),
                    _ => None,
                },
                Value::Number(_) => number(),
                Value::Array(_) => {
                    let list = given.entry(&*name).or_insert(json!([]));
                    list.as_array_mut()
                        .into_iter()
                        .for_each(|list| list.push(json!(text)));
                    continue;
                }
                _ => Some(json!(text)),
            };
            let value = value.ok_or_else(|| wrong(&name, default))?;
            if given.insert(name.clone().into_owned(), value).is_some() {
                return Err(Problem::bad(format!("{name}: given twice")));
            }
        }
        Options::of_json(given)
    }

    /// The options in a JSON object.
    pub fn of_json(given: Map<String, Value>) -> Result<Options, Problem> {
        let mut all = defaults();
        for (name, value) in given {
            let default = all.get(&name).ok_or_else(|| unknown(&name))?;
            check(&name, &value, default)?;
            all.insert(name, value);
        }
        let alphas = all.remove("alphas") == Some(json!(true));
        let text = Value::from(all.clone()).to_string();
        let beam = all.remove("beam").and_then(|beam| beam.as_u64());
        let search: Search = serde_json::from_value(all.into())
            .map_err(|e| Problem::bad(format!("options: {e}")))?;
        let beam = beam.unwrap_or(BEAM) as usize;
        search
            .check()
            .map_err(|e| Problem::options(&e.to_string()))?;
        Ok(Options {
            search,
            beam,
            alphas,
            text,
        })
    }
}

/// Refuses a value of another type than the default, or out of its range.
fn check(name: &str, value: &Value, default: &Value) -> Result<(), Problem> {
    let short = |value: &Value| value.as_str().is_some_and(|text| text.len() <= LONGEST);
    let fits = match (value, default) {
        (Value::Bool(_), Value::Bool(_)) => true,
        (Value::Number(_), Value::Number(_)) => value.is_u64() || !default.is_u64(),
        (Value::Array(list), Value::Array(_)) => list.len() <= LONGEST && list.iter().all(short),
        (text, Value::String(_)) => short(text),
        _ => false,
    };
    if !fits {
        return Err(wrong(name, default));
    }
    let range = KEYS
        .iter()
        .find(|key| key.name == name)
        .map(|key| &key.range);
    let (lies, may_be) = match range {
        Some(Numbers(least, most)) => (
            value
                .as_f64()
                .is_some_and(|n| (*least..=*most).contains(&n)),
            format!("from {least} to {most}"),
        ),
        Some(Choice(texts)) => (
            value.as_str().is_some_and(|text| texts.contains(&text)),
            texts.join(", "),
        ),
        _ => return Ok(()),
    };
    let why = format!("{name}: must be {may_be}");
    let problem = || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why);
    lies.then_some(()).ok_or_else(problem)
}

fn wrong(name: &str, default: &Value) -> Problem {
    let kind = match default {
        Value::Bool(_) => "true or false".to_owned(),
        Value::Number(number) if number.is_u64() => "a whole number".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::Array(_) => format!("a list of at most {LONGEST} texts of at most {LONGEST} bytes"),
        _ => format!("a text of at most {LONGEST} bytes"),
    };
    Problem::bad(format!("{name}: must be {kind}"))
}

fn unknown(name: &str) -> Problem {
    let known: Vec<String> = defaults().keys().cloned().collect();
    let name: String = name.chars().take(40).collect();
    Problem::bad(format!(
        "{name:?} is no option; there are {}",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> (u16, String) {
        let problem = Options::of_query(query).unwrap_err();
        (problem.status.as_u16(), problem.error)
    }

    #[test]
    fn a_query_and_a_json_object_mean_the_same() {
        let query = Options::of_query("beam=5&max_length=7&forbid_unk=false&alphas").unwrap();
        let json = json!({"max_length": 7, "forbid_unk": false, "alphas": true, "beam": 5});
        let json = Options::of_json(json.as_object().unwrap().clone()).unwrap();
        assert_eq!((query.beam, query.search.max_length), (5, 7));
        assert!(query.alphas && json.alphas && !query.search.forbid_unk);
        assert_eq!(query.text, json.text);
        assert_ne!(query.text, Options::of_query("beam=4").unwrap().text);
    }

    #[test]
    fn every_key_of_a_search_may_be_chosen() {
        let mut keys: Vec<String> = defaults().keys().cloned().collect();
        let Value::Object(search) = serde_json::to_value(Search::default()).unwrap() else {
            panic!("no object");
        };
        let expected = search.keys().map(|key| match key.as_str() {
            "beams" => "beam".to_owned(),
            key => key.to_owned(),
        });
        let mut expected: Vec<String> = expected.chain(["alphas".to_owned()]).collect();
        keys.sort();
        expected.sort();
        assert_eq!(keys, expected);
    }

    #[test]
    fn attention_is_no_other_search() {
        let [without, with] = ["", "alphas=1"].map(|q| Options::of_query(q).unwrap());
        assert_eq!(without.text, with.text);
    }

    #[test]
    fn what_a_request_may_cost_is_bounded() {
        for (query, status, words) in [
            ("beam=21", 422, "beam: must be from 1 to 20"),
            ("beam=0", 422, "from 1 to 20"),
            ("beam=2.5", 400, "beam: must be a whole number"),
            ("beam=-1", 400, "whole number"),
            ("beam=1e999", 400, "whole number"),
            ("beam=NaN", 400, "whole number"),
            ("beam=3&beam=4", 400, "beam: given twice"),
            ("max_length=101", 422, "from 1 to 100"),
            ("alphas=maybe", 400, "true or false"),
            (
                "beams=3",
                400,
                "\"beams\" is no option; there are beam, alphas",
            ),
        ] {
            let (code, error) = refused(query);
            assert_eq!(code, status, "{query}: {error}");
            assert!(error.contains(words), "{query}: {error}");
        }
    }
}
