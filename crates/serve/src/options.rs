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
    /// Its name, that of the key of `[search]` except for `beam` and `attention`.
    pub name: &'static str,
    /// Smallest and largest number. The largest bounds what one request costs.
    pub range: [f64; 2],
    /// Description for the API's document.
    pub about: &'static str,
}

const fn key(name: &'static str, range: [f64; 2], about: &'static str) -> Key {
    Key { name, range, about }
}

/// All that a client may choose; those without numbers have no range.
pub const KEYS: [Key; 19] = [
    key("beam", [1.0, 20.0], "Beam size; 1 is a greedy search"),
    key(
        "attention",
        [0.0; 2],
        "Also answer where the model looked at each word",
    ),
    key(
        "length_norm",
        [0.0; 2],
        "How captions of different lengths are compared: none, average or gnmt",
    ),
    key(
        "length_alpha",
        [0.0, 10.0],
        "Exponent of gnmt's length penalty",
    ),
    key("min_length", [0.0, 100.0], "Minimum number of words"),
    key("max_length", [1.0, 100.0], "Maximum number of words"),
    key(
        "no_repeat_ngram",
        [0.0, 100.0],
        "No sequence of so many words comes twice; 0 allows all",
    ),
    key("forbid", [0.0; 2], "Words that are not said"),
    key(
        "forbid_unk",
        [0.0; 2],
        "Whether to exclude the word for unknown words",
    ),
    key("prefix", [0.0; 2], "Words with which each caption begins"),
    key(
        "n_best",
        [1.0, 20.0],
        "Number of captions: the best and its alternatives",
    ),
    key("groups", [1.0, 20.0], "Groups of a diverse beam search"),
    key(
        "diversity",
        [0.0, 100.0],
        "Penalty for words that earlier groups have said",
    ),
    key(
        "samples",
        [0.0, 20.0],
        "Captions to sample; 0 searches with a beam",
    ),
    key(
        "temperature",
        [0.01, 100.0],
        "Temperature of the samples' words",
    ),
    key(
        "top_k",
        [0.0, 1e6],
        "Sample from so many most probable words; 0: from all",
    ),
    key(
        "top_p",
        [0.0, 1.0],
        "Sample from the most probable words of this probability in all",
    ),
    key("seed", [0.0, u32::MAX as f64], "Seed of the samples"),
    key(
        "consensus",
        [0.0; 2],
        "Choose the caption that agrees most with the others: none, cider-d or bleu4",
    ),
];

/// The checked options of a request.
#[derive(Clone, Debug)]
pub struct Options {
    /// The search.
    pub search: Search,
    /// Its beam size.
    pub beam: usize,
    /// Whether the answer has attention.
    pub attention: bool,
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
    all.insert("attention".into(), json!(false));
    let known = |key: &Key| Some((key.name.to_owned(), all.get(key.name)?.clone()));
    KEYS.iter().filter_map(known).collect()
}

impl Options {
    /// The options in a query: `beam=5&prefix=a%20photo&forbid=dog&forbid=cat`. A key that
    /// takes yes or no may stand alone: `attention`.
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
        let attention = all.remove("attention") == Some(json!(true));
        let text = Value::from(all.clone()).to_string();
        let beam = all.remove("beam").and_then(|beam| beam.as_u64());
        let search: Search = serde_json::from_value(all.into())
            .map_err(|e| Problem::bad(format!("options: {e}")))?;
        let beam = beam.unwrap_or(BEAM) as usize;
        search
            .check()
            .map_err(|e| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, e))?;
        Ok(Options {
            search,
            beam,
            attention,
            text,
        })
    }
}

/// Refuses a value of another type than the default, or beyond the limits.
fn check(name: &str, value: &Value, default: &Value) -> Result<(), Problem> {
    let short = |value: &Value| value.as_str().is_some_and(|text| text.len() <= LONGEST);
    let whole = |value: &Value| value.is_u64() || !default.is_u64();
    let fits = match (value, default) {
        (Value::Bool(_), Value::Bool(_)) => true,
        (Value::Number(number), Value::Number(_)) if whole(value) => {
            let key = KEYS.iter().find(|key| key.name == name);
            let range = key.map_or([0.0; 2], |key| key.range);
            let number = number.as_f64().unwrap_or(f64::NAN);
            if !(range[0]..=range[1]).contains(&number) {
                let [least, most] = range;
                return Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    format!("{name}: must be from {least} to {most}"),
                ));
            }
            true
        }
        (Value::Array(list), Value::Array(_)) => list.len() <= LONGEST && list.iter().all(short),
        (text, Value::String(_)) => short(text),
        _ => false,
    };
    fits.then_some(()).ok_or_else(|| wrong(name, default))
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
        let query = Options::of_query("beam=5&max_length=7&forbid_unk=false&attention").unwrap();
        let json = json!({"max_length": 7, "forbid_unk": false, "attention": true, "beam": 5});
        let json = Options::of_json(json.as_object().unwrap().clone()).unwrap();
        assert_eq!((query.beam, query.search.max_length), (5, 7));
        assert!(query.attention && json.attention && !query.search.forbid_unk);
        assert_eq!(query.text, json.text);
        assert_ne!(query.text, Options::of_query("beam=4").unwrap().text);
    }

    #[test]
    fn attention_is_no_other_search() {
        let [without, with] = ["", "attention=1"].map(|q| Options::of_query(q).unwrap());
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
            ("attention=maybe", 400, "true or false"),
            (
                "beams=3",
                400,
                "\"beams\" is no option; there are beam, attention",
            ),
        ] {
            let (code, error) = refused(query);
            assert_eq!(code, status, "{query}: {error}");
            assert!(error.contains(words), "{query}: {error}");
        }
    }
}
