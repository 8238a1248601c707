//! `attend-report`: a report of an evaluation that people can read: `report.html`, one file
//! that works offline, and thumbnails beside it.
//!
//! As a stage it makes the `report` artifact from an evaluation and its data set. Asked for
//! less, it prints on the command line: `attend-report worst`, `attend-report compare`.
//!
//! - `scored`: an evaluation with its data set, scored again so that intervals can be computed.
//! - `statistics`: lengths, words and repetitions of the captions.
//! - `page`: the page. `thumbnails`: the pictures beside it.
//! - `worst`, `compare`: the answers on the command line.

mod compare;
mod config;
mod page;
mod scored;
mod statistics;
mod thumbnails;
mod worst;

use attend_artifact::dataset::Dataset;
use attend_artifact::evaluation::Evaluation;
use attend_artifact::{Artifact, Input, InputSpec, Stage, StageSpec, stage};
use attend_program::describe::{Checked, Parts};
use attend_program::{At, Result, output};
use clap::Parser;
use config::Config;
use page::Page;
use scored::{Scored, Split, scorer};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

const SPEC: StageSpec = StageSpec {
    name: "attend-report",
    version: env!("CARGO_PKG_VERSION"),
    about: "Makes a page of an evaluation: scores, words, and every caption with its attention",
    inputs: &[
        InputSpec {
            kind: "evaluation",
            required: true,
        },
        InputSpec {
            kind: "dataset",
            required: true,
        },
    ],
    output: "report",
    parts: Parts::None,
    unrecorded: &["report.against"],
    paths: &["report.against"],
    extends: false,
};

/// The page in the artifact.
const PAGE: &str = "report.html";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match arguments.get(1).and_then(|first| first.to_str()) {
        Some("worst") => {
            let args = worst::Args::parse_from(&arguments[1..]);
            return attend_program::program(|| worst::worst(&args));
        }
        Some("compare") => {
            let args = compare::Args::parse_from(&arguments[1..]);
            return attend_program::program(|| compare::compare(&args));
        }
        _ => {}
    }
    let usage = "attend-report worst EVALUATION DATASET prints the captions that score worst
attend-report compare A B DATASET says whether two evaluations can be told apart";
    stage::main_with(&SPEC, arguments, usage, check, report)
}

fn check(stage: &Stage<Config>) -> Result<Checked> {
    against(stage)?;
    Ok(Checked::default())
}

/// The evaluation to compare with.
fn against(stage: &Stage<Config>) -> Result<Option<Artifact>> {
    let path = &stage.config.report.against;
    let open = || Artifact::open_kind(Path::new(path), "evaluation");
    (!path.is_empty()).then(open).transpose()
}

fn report(stage: &Stage<Config>) -> Result<()> {
    let (artifact, data) = (stage.input("evaluation")?, stage.input("dataset")?);
    let against = against(stage)?;
    let (scorer, meteor) = scorer()?;
    let other = against.as_ref().map(Artifact::input);
    let inputs = [("meteor", meteor), ("against", other)];
    let inputs: Vec<(&str, Input)> = (inputs.into_iter())
        .filter_map(|(name, input)| Some((name, input?)))
        .collect();
    let path = stage.output().join(PAGE);
    if let Some(staging) = stage.begin(&inputs)? {
        let dataset = Dataset::open(data)?;
        let evaluation = Evaluation::open(artifact)?;
        let split = Split::of(&dataset, &evaluation)?;
        thumbnails::write(&staging, &dataset, &split.images, stage.jobs)?;
        let scored = Scored::new(evaluation, &split, &scorer)?;
        let score = |other| Scored::new(Evaluation::open(&other)?, &split, &scorer);
        let other = against.map(score).transpose()?;
        let page = Page {
            names: stage.config.report.names(),
            manifest: &artifact.manifest,
            dataset: &dataset,
            split: &split,
            scored: &scored,
            other: other.as_ref(),
        };
        let html = page.html()?;
        std::fs::write(staging.path(PAGE)?, html).at(&path)?;
        staging.done(PAGE, None)?;
        staging.commit(&[("images", split.images.len() as u64)])?;
    }
    output::print(path.display()).map(drop)
}
