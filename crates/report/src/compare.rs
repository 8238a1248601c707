//! `attend-report compare`: whether two evaluations of the same images can be told apart.

use crate::scored::{Scored, Split, scorer};
use attend_artifact::Artifact;
use attend_artifact::dataset::Dataset;
use attend_artifact::evaluation::Evaluation;
use attend_metrics::{Bootstrap, Difference, Metric};
use attend_program::table::{Align, Table};
use attend_program::{Error, Result, output};
use clap::Parser;
use serde_json::json;
use std::path::PathBuf;

/// Say whether two evaluations of the same images can be told apart
///
/// Each score's difference has a 95 % interval: the paired bootstrap over images, 1,000
/// resamples. An interval without 0 says that on other images like these the same model would
/// be better. It says nothing of what another seed of the training would change.
#[derive(Parser)]
#[command(name = "attend-report compare", bin_name = "attend-report compare")]
pub struct Args {
    /// Folder of the first evaluation artifact
    #[arg(value_name = "EVALUATION_DIR")]
    first: PathBuf,
    /// Folder of the second
    #[arg(value_name = "EVALUATION_DIR")]
    second: PathBuf,
    /// Folder of their data set artifact
    #[arg(value_name = "DATASET_DIR")]
    dataset: PathBuf,
    /// Names of the two
    #[arg(long, num_args = 2, value_names = ["A", "B"], default_values = ["first", "second"])]
    names: Vec<String>,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

/// Prints the differences of each beam size that both have.
///
/// # Errors
/// Those of [`Split::of`] and [`Scored::new`]; [`Error::Usage`] if they have no beam size in
/// common.
pub fn compare(args: &Args) -> Result<()> {
    let open = |folder| Evaluation::open(&Artifact::open_kind(folder, "evaluation")?);
    let (first, second) = (open(&args.first)?, open(&args.second)?);
    let dataset = Dataset::open(&Artifact::open_kind(&args.dataset, "dataset")?)?;
    let split = Split::of(&dataset, &first)?;
    let (scorer, _) = scorer()?;
    let score = |evaluation| Scored::new(evaluation, &split, &scorer);
    let (a, b) = (score(first)?, score(second)?);
    let both = |size: &u32| b.beams.iter().any(|beam| beam.size == *size);
    let sizes: Vec<u32> = a.beams.iter().map(|beam| beam.size).filter(both).collect();
    if sizes.is_empty() {
        return Err(Error::usage(
            "the two evaluations have no beam size in common; evaluate with the same search.beams",
        ));
    }
    let differences: Vec<(u32, Vec<Difference>)> = (sizes.iter())
        .map(|&size| (size, differences(&a, &b, size)))
        .collect();
    if args.json {
        let list = differences.iter().flat_map(|(size, differences)| {
            let object = |found: &Difference| json!({
                "beam": size, "score": found.key, "difference": found.difference, "low": found.low,
                "high": found.high, "better": found.better, "clear": found.is_clear(),
            });
            differences.iter().map(object).collect::<Vec<_>>()
        });
        return output::print_json(format!("{:#}", serde_json::Value::from_iter(list))).map(drop);
    }
    output::print(text(args, split.scored.len(), &differences)).map(drop)
}

/// The differences at a beam size.
pub fn differences(a: &Scored, b: &Scored, size: u32) -> Vec<Difference> {
    Bootstrap::default().differences(&a.beam(size).tally, &b.beam(size).tally)
}

/// What a difference says of the first evaluation.
pub fn verdict(found: &Difference) -> &'static str {
    match found.is_clear() {
        true if found.difference > 0.0 => "better",
        true => "worse",
        false => "not clear",
    }
}

/// The name of a score as papers print it.
pub fn name_of(key: &str) -> &'static str {
    let metrics = Metric::ALL.iter();
    let mut names = metrics.flat_map(|metric| metric.keys().iter().zip(metric.names()));
    names
        .find(|(other, _)| **other == key)
        .map_or("", |(_, name)| name)
}

fn text(args: &Args, images: usize, differences: &[(u32, Vec<Difference>)]) -> String {
    let [a, b] = [&args.names[0], &args.names[1]];
    let mut table = Table::new(
        [
            vec![Align::Right, Align::Left],
            vec![Align::Right; 4],
            vec![Align::Left],
        ]
        .concat(),
    );
    table.row(["beam", "score", "difference", "from", "to", "better in", ""]);
    for (size, differences) in differences {
        for found in differences {
            let number = |number: f64| format!("{:+.2}", 100.0 * number);
            table.row([
                size.to_string().as_str(),
                name_of(found.key),
                &number(found.difference),
                &number(found.low),
                &number(found.high),
                &format!("{:.0} %", 100.0 * found.better),
                verdict(found),
            ]);
        }
    }
    let clear = |found: &&Difference| found.is_clear();
    let all = || differences.iter().flat_map(|(_, differences)| differences);
    let verdict = match (all().filter(clear).count(), all().count()) {
        (0, _) => format!("{a} and {b} can't be told apart: every interval includes 0."),
        (clear, all) if clear == all => format!("{a} and {b} can be told apart by every score."),
        (clear, all) => format!("{a} and {b} can be told apart by {clear} of {all} scores."),
    };
    format!(
        "{a} minus {b}, times 100, on {images} images: 95 % intervals, paired bootstrap\n\n{table}\n\n{verdict}"
    )
}
