//! `attend-train`: makes checkpoints from a dataset, a vocabulary and, if the encoder is
//! frozen, features.

use attend_artifact::dataset::Dataset;
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{Input, InputSpec, Stage, StageSpec, Staging, model, stage};
use attend_metrics::Scorer;
use attend_metrics::meteor::Data as MeteorData;
use attend_program::describe::{Checked, Parts};
use attend_program::{At, Error, Result, loose};
use attend_train::average;
use attend_train::begin::{Beginning, MODULE};
use attend_train::checkpoint::State;
use attend_train::config::{Aim, Config, Precision, StopMetric};
use attend_train::data::{Data, ImageInput};
use attend_train::metrics::{EVENTS, LINES};
use attend_train::resume;
use attend_train::reward::Critic;
use attend_train::run::Training;
use attend_train::tutorial::{export, import};
use attend_train::validate::Judge;
use clap::Parser;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use tch::Device;

const SPEC: StageSpec = StageSpec {
    name: "attend-train",
    version: env!("CARGO_PKG_VERSION"),
    about: "Trains a captioner from features, or end to end from images",
    inputs: &[
        InputSpec {
            kind: "dataset",
            required: true,
        },
        InputSpec {
            kind: "vocabulary",
            required: true,
        },
        InputSpec {
            kind: "features",
            required: false,
        },
        InputSpec {
            kind: "model",
            required: false,
        },
    ],
    output: "model",
    parts: Parts::None,
    unrecorded: &[
        "encoder.weights",
        "decoder.embeddings",
        "train.start",
        // As it was before there was a choice.
        "train.freeze=0",
        "decoder.arch=\"attention-lstm\"",
        "transformer.heads=8",
        "transformer.feed_forward=2048",
        "transformer.encoder_layers=3",
        "transformer.decoder_layers=3",
        "transformer.dropout=0.1",
        "train.objective=\"cross-entropy\"",
        "train.validation_new=false",
        "train.average=0.0",
        "train.attention=\"soft\"",
        "hard_attention.share=0.5",
        "hard_attention.reward=1.0",
        "hard_attention.entropy=0.002",
        "reward.samples=5",
        "reward.baseline=\"others\"",
        "reward.standardise=false",
        "reward.cider=1.0",
        "reward.bleu4=0.0",
        "reward.meteor=0.0",
        "train.views=false",
        "train.verify",
        "train.device",
        "train.checkpoint_steps",
        "train.checkpoint_minutes",
        "train.log_steps",
        "torchscript.file",
        // As they are for a ResNet.
        "torchscript.mean=[0.485,0.456,0.406]",
        "torchscript.std=[0.229,0.224,0.225]",
        "torchscript.output=\"map\"",
        "torchscript.skip=0",
        "torchscript.grid=[0,0]",
    ],
    paths: &[
        "encoder.weights",
        "torchscript.file",
        "decoder.embeddings",
        "train.start",
    ],
    extends: true,
};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match arguments.get(1).and_then(|first| first.to_str()) {
        Some("average") => {
            let args = average::Args::parse_from(&arguments[1..]);
            return attend_program::program(|| average::average(&args));
        }
        Some("import") => {
            let args = import::Args::parse_from(&arguments[1..]);
            return attend_program::program(|| import::import(&args));
        }
        Some("export") => {
            let args = export::Args::parse_from(&arguments[1..]);
            return attend_program::program(|| export::export(&args));
        }
        _ => {}
    }
    let usage =
        "attend-train average CHECKPOINT… --output DIR averages several checkpoints into one model
attend-train import --tutorial FILE --wordmap FILE --output DIR imports the PyTorch tutorial's model
attend-train export --tutorial MODEL --output FILE exports a model to the PyTorch tutorial";
    stage::main_with(&SPEC, arguments, usage, check, train)
}

/// Checks the parameters and the files that they name, METEOR's data, and the model to start
/// from; the splits, if the data set is there, or leaves that to the one who knows which
/// splits it will have.
fn check(stage: &Stage<Config>) -> Result<Checked> {
    let train = &stage.config.train;
    device(&stage.config)?;
    Beginning::check(stage)?;
    meteor(&stage.config)?;
    let validation = ("train.validation_split", train.validation_split.as_str());
    let wants = [("the words and the training", "train"), validation];
    if let Some(dataset) = stage.optional_input("dataset") {
        let dataset = Dataset::open(dataset)?;
        for (_, split) in wants {
            dataset.split(split)?;
        }
    }
    let wants = wants.map(|(name, split)| (name.to_owned(), split.to_owned()));
    Ok(Checked {
        wants: BTreeMap::from(wants),
        ..Checked::default()
    })
}

/// Checks the parameters, and returns the device.
fn device(config: &Config) -> Result<Device> {
    config.check()?;
    let device = attend_model::device(&config.train.device).map_err(Error::usage)?;
    if device == Device::Cpu && config.train.precision != Precision::F32 {
        return Err(Error::usage(
            "train.precision: on a CPU only \"f32\" is possible; 16 bits need train.device = \"cuda\"",
        ));
    }
    Ok(device)
}

fn train(stage: &Stage<Config>) -> Result<()> {
    let config = &stage.config;
    let device = device(config)?;
    // Sums of floats may depend on this number of threads only.
    attend_model::set_threads(stage.jobs);
    let beginning = Beginning::find(stage)?;
    let mut inputs = beginning.files()?;
    let meteor_data = meteor(config)?;
    if let Some(data) = &meteor_data {
        let input = Input {
            kind: "meteor".into(),
            digest: format!("{:08x}", data.checksum()),
        };
        inputs.push(("meteor", input));
    }
    let extends = |folder: &Path, changed: &[&str]| resume::extends(&config.train, folder, changed);
    let Some(staging) = stage.begin_extending(&inputs, &extends)? else {
        return Ok(());
    };
    if config.train.verify {
        beginning.verify()?;
    }
    let (words, encoded) = Vocabulary::open_encoded(beginning.vocabulary)?;
    let dataset = Dataset::open(beginning.dataset)?;
    EncodedRecord::check_images(&encoded, beginning.vocabulary, &dataset)?;
    let image_size = dataset.image_size().map(|n| n as i64);
    let seen = beginning.seen(image_size)?;
    let network = beginning.network(seen.as_ref(), image_size, &words, staging.folder(), device)?;
    let source = seen.map_or(ImageInput::Pixels, |seen| {
        ImageInput::Features(seen.features)
    });
    let split = &config.train.validation_split;
    let new = (config.train.validation_new).then_some(words.tokenizer);
    let data = Data::new(dataset, source, encoded, split, new)?;
    let critic = match config.train.objective {
        Aim::Reward => Some(Critic::new(config, &data, &words, meteor(config)?)),
        Aim::CrossEntropy => None,
    };
    let scorer = Scorer {
        // Another score is as good without it.
        meteor: meteor_data.filter(|_| config.train.stop_metric == StopMetric::Meteor),
        ..Scorer::default()
    };
    let mut run = Training {
        train: &config.train,
        hard: &config.hard_attention,
        judge: Judge::new(&data, words.tokenizer, scorer, &config.train)?,
        critic,
        data: &data,
        vocabulary: &words,
        vocabulary_file: &beginning.vocabulary.file("vocab.json")?,
        network,
        folder: staging.folder().to_owned(),
        state: State::default(),
        saved: Instant::now(),
    };
    model::recover(staging.folder())?;
    if let Some(before) = staging.before()
        && !staging.folder().join("checkpoints/last").exists()
    {
        resume::take_over(before, staging.folder())?;
    }
    run.run()?;
    let State { epoch, step, .. } = run.state;
    drop(run);
    staging.done(LINES, None)?;
    staging.done(EVENTS, None)?;
    enter_files(&staging, "checkpoints/")?;
    let _ = std::fs::remove_file(staging.folder().join(MODULE));
    staging.commit(&[("epochs", epoch), ("steps", step)])?;
    Ok(())
}

/// METEOR's data, if the validation or the rewards use it: METEOR is slow and its data
/// optional.
fn meteor(config: &Config) -> Result<Option<MeteorData>> {
    let wants = if config.train.stop_metric == StopMetric::Meteor {
        "train.stop_metric = \"meteor\"".to_owned()
    } else if config.train.objective == Aim::Reward && config.reward.meteor > 0.0 {
        format!("reward.meteor = {}", config.reward.meteor)
    } else {
        return Ok(None);
    };
    let folder = MeteorData::default_folder().unwrap_or_default();
    loose::note(&folder);
    let data = MeteorData::of_folder(&folder).map_err(Error::input)?;
    match data {
        Some(data) => Ok(Some(data)),
        None => Err(Error::input(format!(
            "{wants}: METEOR's data is not in {}; `cargo xtask setup --meteor` installs it",
            folder.display()
        ))),
    }
}

/// Adds all files of a folder to the artifact.
fn enter_files(staging: &Staging, prefix: &str) -> Result<()> {
    let folder = staging.folder().join(prefix);
    for entry in std::fs::read_dir(&folder).at(&folder)? {
        let entry = entry.at(&folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        if entry.file_type().at(&folder)?.is_dir() {
            enter_files(staging, &format!("{name}/"))?;
        } else {
            staging.done(&name, None)?;
        }
    }
    Ok(())
}
