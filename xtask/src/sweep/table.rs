//! The scores of a sweep's combinations.

use super::grid::{Combination, shown};
use attend_program::table::Align::{Left, Right};
use attend_program::table::Table;
use attend_program::text::duration;
use serde_json::{Map, Value, json};

/// A combination, and its runs: one, or one for each seed.
pub struct Row {
    /// The name of its runs, without their seeds.
    pub name: String,
    /// Its values.
    pub values: Combination,
    /// Its runs.
    pub runs: Vec<Entry>,
}

/// A run.
pub struct Entry {
    /// Its name.
    pub run: String,
    /// Its seed, if the sweep has several.
    pub seed: Option<u64>,
    /// How it ended; `None` if it has not.
    pub end: Option<Result<Score, String>>,
}

/// What a run has reached on the validation split.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// The score.
    pub value: f64,
    /// The epoch that it is of, from 1.
    pub best_epoch: Option<u64>,
    /// How many epochs were trained.
    pub epochs: Option<u64>,
    /// The seconds that the training and the evaluation took.
    pub seconds: u64,
}

impl Row {
    fn scores(&self) -> Vec<Score> {
        let ended = self.runs.iter().filter_map(|run| run.end.as_ref());
        ended.filter_map(|end| end.as_ref().ok().copied()).collect()
    }

    /// The mean score of its runs, if all have one.
    pub fn mean(&self) -> Option<f64> {
        let scores = self.scores();
        let values: Vec<f64> = scores.iter().map(|score| score.value).collect();
        (scores.len() == self.runs.len()).then(|| mean_and_spread(&values).0)
    }

    fn cells(&self) -> Vec<String> {
        let scores = self.scores();
        let list = |number: fn(&Score) -> Option<u64>| {
            let numbers = scores.iter().filter_map(number).map(|n| n.to_string());
            numbers.collect::<Vec<_>>().join(", ")
        };
        let failed = self.runs.iter().any(|run| matches!(run.end, Some(Err(_))));
        let values: Vec<f64> = scores.iter().map(|score| score.value).collect();
        let score = match (failed, self.mean()) {
            (true, _) => "failed".to_owned(),
            (_, None) => "-".to_owned(),
            (_, Some(_)) => percent(&values),
        };
        let seconds = scores.iter().map(|score| score.seconds).sum();
        let values = self.values.iter().map(|(_, value)| value.clone());
        let own = [
            score,
            list(|score| score.best_epoch),
            list(|score| score.epochs),
            if scores.is_empty() {
                String::new()
            } else {
                duration(seconds)
            },
            self.name.clone(),
        ];
        values.chain(own).collect()
    }

    fn json(&self) -> Value {
        let runs = self.runs.iter().map(|run| {
            let score = run.end.as_ref().and_then(|end| end.as_ref().ok());
            json!({
                "run": run.run,
                "seed": run.seed,
                "score": score.map(|score| score.value),
                "best_epoch": score.and_then(|score| score.best_epoch),
                "epochs": score.and_then(|score| score.epochs),
                "seconds": score.map(|score| score.seconds),
                "error": run.end.as_ref().and_then(|end| end.as_ref().err()),
            })
        });
        let scores: Vec<f64> = self.scores().iter().map(|score| score.value).collect();
        let values = self
            .values
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)));
        json!({
            "name": self.name,
            "values": values.collect::<Map<_, _>>(),
            "mean": self.mean(),
            "spread": self.mean().and(mean_and_spread(&scores).1),
            "runs": runs.collect::<Vec<_>>(),
        })
    }
}

/// The rows by their mean scores, the highest first; those without one last.
fn sorted(rows: &[Row]) -> Vec<&Row> {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    let key = |row: &Row| row.mean().unwrap_or(f64::NEG_INFINITY);
    sorted.sort_by(|a, b| key(b).total_cmp(&key(a)));
    sorted
}

/// The row with the highest mean score, once all runs have ended.
pub fn best(rows: &[Row]) -> Option<&Row> {
    let mut runs = rows.iter().flat_map(|row| &row.runs);
    if runs.any(|run| run.end.is_none()) {
        return None;
    }
    let first = sorted(rows).into_iter().next();
    first.filter(|row| row.mean().is_some())
}

/// The table for people, with scores times 100; why runs failed; and the scores on the test
/// split. `score` says which score it is, `test` is `null` or has the split and
/// run -> beam -> score -> value.
pub fn text(rows: &[Row], score: &str, test: &Value) -> String {
    let keys = rows.first().map_or(&[][..], |row| &row.values);
    let columns = [vec![Left; keys.len()], vec![Right; 4], vec![Left]].concat();
    let mut table = Table::new(columns);
    let own = [score, "best epoch", "epochs", "time", "run"];
    table.row(keys.iter().map(|(key, _)| key.as_str()).chain(own));
    for row in sorted(rows) {
        table.row(row.cells());
    }
    let mut text = table.to_string();
    for run in rows.iter().flat_map(|row| &row.runs) {
        if let Some(Err(why)) = &run.end {
            text += &format!("\n{} failed: {why}", run.run);
        }
    }
    if let Some(best) = best(rows) {
        text += &format!("\n\nchosen: {} ({})", best.name, shown(&best.values));
    }
    match test {
        Value::Null => text,
        test => format!("{text}\n{}", of_test(test)),
    }
}

/// The same for programs, with scores as they are.
pub fn json(rows: &[Row], score: &str, test: &Value) -> Value {
    let all: Vec<Value> = sorted(rows).into_iter().map(Row::json).collect();
    let chosen = best(rows).map(|row| &row.name);
    json!({"score": score, "combinations": all, "chosen": chosen, "test": test})
}

/// The scores on the test split, by beam.
fn of_test(test: &Value) -> Table {
    let beams = test["runs"].as_object().into_iter().flat_map(Map::values);
    let beams: Vec<&Value> = beams.collect();
    let first = beams.first().and_then(|beams| beams.as_object());
    let names: Vec<&String> = first
        .and_then(|beams| beams.values().next()?.as_object())
        .map_or_else(Vec::new, |scores| scores.keys().collect());
    let mut table = Table::new([vec![Left], vec![Right; names.len()]].concat());
    let title = format!("{}, beam", test["split"].as_str().unwrap_or_default());
    table.row([&title].into_iter().chain(names.iter().copied()));
    for beam in first.into_iter().flat_map(Map::keys) {
        let cell = |name: &&String| {
            let values = beams.iter().filter_map(|beams| beams[beam][*name].as_f64());
            percent(&values.collect::<Vec<_>>())
        };
        table.row([beam.clone()].into_iter().chain(names.iter().map(cell)));
    }
    table
}

/// `88.12`, or with several values their mean and spread, `88.12 ± 0.35`.
fn percent(values: &[f64]) -> String {
    match (values, mean_and_spread(values)) {
        ([], _) => "-".to_owned(),
        (_, (mean, None)) => format!("{:.2}", 100.0 * mean),
        (_, (mean, Some(spread))) => format!("{:.2} ± {:.2}", 100.0 * mean, 100.0 * spread),
    }
}

/// Mean, and the standard deviation of a sample (divided by n - 1) of two values or more.
fn mean_and_spread(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (
        mean,
        (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: &str, ends: &[Option<Result<f64, &str>>]) -> Row {
        let score = |value| Score {
            value,
            best_epoch: Some(7),
            epochs: Some(8),
            seconds: 90,
        };
        let runs = ends.iter().zip(1..).map(|(end, seed)| Entry {
            run: format!("s-lr-{value}-seed-{seed}"),
            seed: Some(seed),
            end: end.map(|end| end.map(score).map_err(str::to_owned)),
        });
        Row {
            name: format!("s-lr-{value}"),
            values: vec![("train.lr".to_owned(), value.to_owned())],
            runs: runs.collect(),
        }
    }

    #[test]
    fn the_best_mean_comes_first_and_a_failed_seed_has_none() {
        let rows = [
            row("1", &[Some(Ok(0.25)), Some(Ok(0.75))]),
            row("2", &[Some(Ok(0.9)), Some(Err("error: diverged"))]),
            row("3", &[Some(Ok(0.6)), Some(Ok(0.7))]),
        ];
        let text = text(&rows, "val cider", &Value::Null);
        let expected = "\
train.lr      val cider  best epoch  epochs   time  run
3          65.00 ± 7.07        7, 7    8, 8  3 min  s-lr-3
1         50.00 ± 35.36        7, 7    8, 8  3 min  s-lr-1
2                failed           7       8  1 min  s-lr-2
s-lr-2-seed-2 failed: error: diverged

chosen: s-lr-3 (train.lr=3)";
        assert_eq!(text, expected);
        let all = json(&rows, "val cider", &Value::Null);
        assert_eq!(all["chosen"], "s-lr-3");
        let json = &all["combinations"];
        assert_eq!(json[0]["name"], "s-lr-3");
        assert_eq!(json[1]["mean"], 0.5);
        assert_eq!(json[2]["mean"], Value::Null);
        assert_eq!(json[2]["spread"], Value::Null);
        assert_eq!(json[2]["runs"][1]["error"], "error: diverged");
        assert!(best(&rows[1..2]).is_none());
        // While a run is waiting, nothing is chosen.
        let rows = [row("1", &[Some(Ok(0.25))]), row("4", &[None])];
        assert!(best(&rows).is_none());
        let text = super::text(&rows, "val cider", &Value::Null);
        assert!(
            text.ends_with("4                 -                             s-lr-4"),
            "{text}"
        );
    }

    #[test]
    fn a_test_split_is_shown_by_beam_with_mean_and_spread() {
        let seed = |cider: f64| json!({"1": {"bleu4": 0.25, "cider": cider}, "3": {"bleu4": 0.5, "cider": 0.75}});
        let table = |runs: Value| of_test(&json!({"split": "test", "runs": runs})).to_string();
        let expected = "\
test, beam         bleu4          cider
1           25.00 ± 0.00  62.50 ± 17.68
3           50.00 ± 0.00   75.00 ± 0.00";
        assert_eq!(table(json!({"a": seed(0.5), "b": seed(0.75)})), expected);
        let one = table(json!({"a": seed(0.5)}));
        assert!(one.ends_with("3           50.00  75.00"), "{one}");
    }
}
