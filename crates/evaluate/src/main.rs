//! `attend-evaluate`: captions every image of a split with a checkpoint, at several beam
//! sizes, and scores the captions against the human ones.
//!
//! The `evaluation` artifact:
//!
//! | file | holds |
//! |---|---|
//! | `results.json` | the captions in COCO's results format, at the primary beam size |
//! | `results-beam-{k}.json` | the same at beam size k |
//! | `scores.json` | BLEU, METEOR, ROUGE-L and CIDEr per beam size; attention inside the named objects' boxes |
//! | `per_image.parquet` | one row per image and beam size: caption, log-probability, scores, … |
//! | `words.parquet` | one row per image, at the primary beam size: words, their log-probabilities and attention |

mod checkpoint;
mod config;
mod describe;
mod grounding;
mod report;
mod source;

use attend_artifact::dataset::Dataset;
use attend_artifact::model::Checkpoint;
use attend_artifact::{Input, InputSpec, Stage, StageSpec, stage};
use attend_describe::EncoderCommand;
use attend_metrics::meteor::Data;
use attend_metrics::{Metric, Scorer};
use attend_program::describe::{Checked, Parts};
use attend_program::{Error, Result, loose};
use config::Config;
use describe::Describer;
use report::References;
use source::ImageInput;
use std::collections::BTreeMap;
use std::process::ExitCode;

const SPEC: StageSpec = StageSpec {
    name: "attend-evaluate",
    version: env!("CARGO_PKG_VERSION"),
    about: "Captions every image of a split and scores the captions",
    inputs: &[
        InputSpec {
            kind: "model",
            required: true,
        },
        InputSpec {
            kind: "dataset",
            required: true,
        },
        InputSpec {
            kind: "features",
            required: false,
        },
        InputSpec {
            kind: "vocabulary",
            required: false,
        },
    ],
    output: "evaluation",
    parts: Parts::None,
    unrecorded: &[
        "evaluate.device",
        "evaluate.ensemble",
        "evaluate.encoder_command",
        // As it was before there was a choice.
        "search.length_norm=\"none\"",
        "search.min_length=0",
        "search.no_repeat_ngram=0",
        "search.forbid=[]",
        "search.prefix=\"\"",
        "search.n_best=1",
        "search.groups=1",
        "search.diversity=0.5",
        "search.samples=0",
        "search.temperature=1.0",
        "search.top_k=0",
        "search.top_p=1.0",
        "search.seed=1",
        "search.consensus=\"none\"",
    ],
    paths: &["evaluate.ensemble"],
    extends: false,
};

fn main() -> ExitCode {
    stage::main(&SPEC, check, evaluate)
}

/// Checks the parameters, METEOR's data and the ensemble; the command of the model's encoder,
/// if the model is there; the split, if the data set is there, or leaves that to the one who
/// knows which splits it will have.
fn check(stage: &Stage<Config>) -> Result<Checked> {
    let config = &stage.config.evaluate;
    stage.config.check()?;
    scorer(config)?;
    for path in &config.ensemble {
        checkpoint::find(path)?;
    }
    if let Some(dataset) = stage.optional_input("dataset") {
        Dataset::open(dataset)?.split(&config.split)?;
    }
    let features = stage.optional_input("features").is_some() || stage.will_have("features");
    if let Some(model) = stage.optional_input("model").filter(|_| !features) {
        let (checkpoint, _) = checkpoint::open(model, &config.checkpoint, None)?;
        command(&checkpoint, config)?;
    }
    let wants = ("evaluate.split".to_owned(), config.split.clone());
    Ok(Checked {
        wants: BTreeMap::from([wants]),
        ..Checked::default()
    })
}

/// The command that describes pixels with the model's encoder, if that is foreign.
fn command(checkpoint: &Checkpoint, config: &config::Evaluate) -> Result<Option<EncoderCommand>> {
    EncoderCommand::of(
        &checkpoint.card.encoder,
        &config.encoder_command,
        "--set=evaluate.encoder_command=",
    )
}

/// The scorer, and METEOR's data if it is used. The data goes into the manifest, so that an
/// evaluation without METEOR is out of date once the data is installed.
fn scorer(config: &config::Evaluate) -> Result<(Scorer, Option<Input>)> {
    let mut scorer = Scorer::default();
    if config.metrics.contains(&Metric::Meteor) {
        let folder = Data::default_folder().unwrap_or_default();
        loose::note(&folder);
        scorer.meteor = Data::of_folder(&folder).map_err(Error::input)?;
        if scorer.meteor.is_none() {
            let absent = format!(
                "no METEOR: its data is not in {}; `cargo xtask setup --meteor` installs it",
                folder.display()
            );
            if config.metrics == [Metric::Meteor] {
                return Err(Error::input(absent));
            }
            tracing::warn!("{absent}");
        }
    }
    let input = scorer.meteor.as_ref().map(|data| Input {
        kind: "meteor".to_owned(),
        digest: format!("{:08x}", data.checksum()),
    });
    Ok((scorer, input))
}

fn evaluate(stage: &Stage<Config>) -> Result<()> {
    let config = &stage.config;
    config.check()?;
    // Checked before anything slow.
    let (scorer, meteor) = scorer(&config.evaluate)?;
    attend_model::set_threads(stage.jobs);
    let (model, data) = (stage.input("model")?, stage.input("dataset")?);
    let vocabulary = stage.optional_input("vocabulary");
    let (checkpoint, words) = checkpoint::open(model, &config.evaluate.checkpoint, vocabulary)?;
    let source = ImageInput::open(&checkpoint.card, data, stage.optional_input("features"))?;
    let dataset = Dataset::open(data)?;
    let images = dataset.split(&config.evaluate.split)?;
    let scores = stage.output().join("scores.json");
    let mut inputs: Vec<_> = meteor.map(|input| ("meteor", input)).into_iter().collect();
    let command = match source {
        ImageInput::Features(_) => None,
        ImageInput::Pixels => command(&checkpoint, &config.evaluate)?,
    };
    inputs.extend((command.iter()).map(|command| ("encoder-command", command.input())));
    let members = &config.evaluate.ensemble;
    let names: Vec<String> = (1..=members.len())
        .map(|n| format!("ensemble-{n}"))
        .collect();
    let mut checkpoints = vec![checkpoint];
    for (name, path) in names.iter().zip(members) {
        let companion = checkpoint::companion(&checkpoints[0], path)?;
        inputs.push((name, companion.input()?));
        checkpoints.push(companion);
    }
    let Some(staging) = stage.begin(&inputs)? else {
        return report::print_table(&scores);
    };

    let describer = Describer::load(config, &checkpoints, source, command.as_ref(), &dataset)?;
    let mut by_beam = describer.all(&images, &staging)?;
    describer.end()?;
    let references = References::new(&dataset, words.tokenizer);
    let silent = images
        .iter()
        .filter(|image| references.get(image.image_id).is_empty())
        .count();
    if silent > 0 {
        tracing::warn!(
            "{silent} of {} images have no human captions: they are captioned, but not scored",
            images.len()
        );
    }
    report::write(
        &staging,
        &mut by_beam,
        &references,
        &config.evaluate,
        &scorer,
    )?;
    staging.commit(&[
        ("images", images.len() as u64),
        ("beams", by_beam.len() as u64),
    ])?;

    report::print_table(&scores)?;
    let said = by_beam
        .iter()
        .find(|(beam, _)| *beam == config.evaluate.primary_beam);
    said.map_or(Ok(()), |(_, rows)| {
        report::print_samples(rows, &images, &references)
    })
}
