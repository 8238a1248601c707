//! `attend-train`: dataset, vocabulary and, for a frozen encoder, features ->
//! checkpoints.

use attend_artifact::dataset::Dataset;
use attend_artifact::features::Features;
use attend_artifact::manifest::short;
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{
    Artifact, At, Error, Input, InputSpec, Parts, Record, Result, Stage, StageSpec, Staging,
    digest_file, stage,
};
use attend_metrics::Scorer;
use attend_metrics::meteor::Data as MeteorData;
use attend_model::{DecoderConfig, EncoderConfig, ModelCard};
use attend_train::average;
use attend_train::checkpoint::State;
use attend_train::config::{Config, EncoderTraining, Precision, StopMetric};
use attend_train::data::{Data, Source};
use attend_train::embeddings;
use attend_train::network::Network;
use attend_train::run::Run;
use attend_train::start::Start;
use attend_train::validate::Judge;
use clap::Parser;
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
        "train.verify",
        "train.device",
        "train.checkpoint_steps",
        "train.checkpoint_minutes",
    ],
};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "average") {
        let args = average::Args::parse_from(&arguments[1..]);
        return stage::program(|| average::average(&args));
    }
    let more = "attend-train average CHECKPOINT… --output DIR makes one model of several";
    stage::main_with(&SPEC, arguments, more, train)
}

fn train(stage: &Stage<Config>) -> Result<()> {
    let config = &stage.config;
    config.check()?;
    let device = attend_model::device(&config.train.device).map_err(Error::usage)?;
    if device == Device::Cpu && config.train.precision != Precision::F32 {
        return Err(Error::usage(
            "train.precision: on a CPU it is \"f32\"; 16 bits are for train.device = \"cuda\"",
        ));
    }
    // The only number of threads that sums of floats may depend on.
    attend_model::set_threads(stage.jobs);
    let (dataset, vocabulary) = (stage.input("dataset")?, stage.input("vocabulary")?);
    let features = stage.optional_input("features");
    let model = stage.optional_input("model");
    for made_from_dataset in [Some(vocabulary), features].into_iter().flatten() {
        check_origin(made_from_dataset, dataset)?;
    }
    let start = Start::find(&config.train.start, model)?;
    let weights = &config.encoder.weights;
    let mut extra = Vec::new();
    if features.is_none() && model.is_none() && !weights.is_empty() {
        extra.push(("weights", file("encoder.weights", weights, "weights")?));
    }
    if let (Some(start), None) = (&start, model) {
        extra.push(("start", start.input()?));
    }
    if !config.decoder.embeddings.is_empty() {
        let path = &config.decoder.embeddings;
        let input = file("decoder.embeddings", path, "embeddings")?;
        extra.push(("embeddings", input));
    }
    let scorer = scorer(config.train.stop_metric)?;
    if let Some(data) = &scorer.meteor {
        let input = Input {
            kind: "meteor".into(),
            digest: format!("{:08x}", data.checksum()),
        };
        extra.push(("meteor", input));
    }
    let Some(staging) = stage.begin(&extra)? else {
        return Ok(());
    };
    if config.train.verify {
        let inputs = [Some(dataset), Some(vocabulary), features, model];
        for artifact in inputs.into_iter().flatten() {
            artifact.verify()?;
        }
    }
    let words = Vocabulary::open(vocabulary)?;
    let vocabulary_file = vocabulary.file("vocab.json")?;
    let source = features.map_or(Ok(Source::Pixels), |features| {
        Features::open(features).map(Source::Features)
    })?;
    let encoded = EncodedRecord::read(&vocabulary.file("encoded.parquet")?)?;
    let opened = Dataset::open(dataset)?;
    let size = opened.image_size().map(|n| n as i64);
    let data = Data::new(opened, source, encoded, &config.train.validation_split)?;
    let judge = Judge::new(&data, words.tokenizer, scorer, &config.train)?;
    let mut card = ModelCard {
        encoder: config.encoder.config.clone(),
        decoder: decoder_config(config, &words),
        image_size: size,
        vocabulary_blake3: digest_file(&vocabulary_file)?,
        encoder_blake3: String::new(),
    };
    // A model's encoder is what its decoder has learnt to look at, whatever [encoder] says.
    let begun = start.as_ref().filter(|_| model.is_some());
    let begun = begun.map(Start::card).transpose()?;
    let mut network = match (features, data.grid()) {
        (Some(features), Some(grid)) => {
            card.encoder = read_encoder(features)?;
            card.decoder.channels = features.count("channels") as i64;
            let file = features.file("encoder.safetensors")?;
            card.encoder_blake3 = digest_file(&file)?;
            if let Some(begun) = begun
                && begun.encoder_blake3 != card.encoder_blake3
            {
                return Err(Error::refused(format!(
                    "{}: features of another encoder than that of the model to begin with; leave one of the two out",
                    features.root.display()
                )));
            }
            if config.train.encoder != EncoderTraining::Frozen {
                return Err(Error::usage(
                    "train.encoder: features come from a frozen encoder; to train it, run a pipeline without the features stage (end-to-end)",
                ));
            }
            Network::on_features(card, config, grid, file, device)?
        }
        _ => {
            let weights = match begun.is_none() && !weights.is_empty() {
                true => Some(weights.into()),
                false => start.as_ref().map(Start::encoder),
            };
            if let Some(begun) = begun {
                card.encoder = begun.encoder;
            }
            card.decoder.channels = card.encoder.channels();
            Network::on_pixels(card, config, weights.as_deref(), device)?
        }
    };
    if let Some(start) = &start {
        start.load(&mut network, &vocabulary_file)?;
    }
    if !config.decoder.embeddings.is_empty() {
        let path = Path::new(&config.decoder.embeddings);
        let width = config.decoder.embedding as usize;
        let vectors = embeddings::read(path, &words, width)?;
        tracing::info!(
            "embeddings of {} of {} words",
            vectors.len(),
            words.words.len()
        );
        network.embed(&vectors);
    }
    let mut run = Run {
        train: &config.train,
        judge,
        data: &data,
        vocabulary: &words,
        vocabulary_file: &vocabulary_file,
        network,
        folder: staging.folder().to_owned(),
        state: State::default(),
        saved: Instant::now(),
    };
    run.run()?;
    let State { epoch, step, .. } = run.state;
    drop(run);
    enter_files(&staging, "")?;
    staging.commit(&[("epochs", epoch), ("steps", step)])?;
    Ok(())
}

/// METEOR is slow and its data not everybody's: only where it is asked for.
fn scorer(metric: StopMetric) -> Result<Scorer> {
    let mut scorer = Scorer::default();
    if metric == StopMetric::Meteor {
        let folder = MeteorData::default_folder().unwrap_or_default();
        scorer.meteor = MeteorData::of_folder(&folder).map_err(Error::input)?;
        if scorer.meteor.is_none() {
            return Err(Error::input(format!(
                "train.stop_metric = \"meteor\": METEOR's data is not in {}; `cargo xtask setup --meteor` brings it",
                folder.display()
            )));
        }
    }
    Ok(scorer)
}

fn decoder_config(config: &Config, words: &Vocabulary) -> DecoderConfig {
    let attend_train::config::Decoder {
        embedding,
        attention,
        hidden,
        dropout,
        grid,
        ..
    } = config.decoder;
    DecoderConfig {
        vocabulary: words.len() as i64,
        channels: 0,
        embedding,
        attention,
        hidden,
        dropout,
        grid,
    }
}

fn read_encoder(features: &Artifact) -> Result<EncoderConfig> {
    let path = features.file("encoder.json")?;
    let text = std::fs::read(&path).at(&path)?;
    serde_json::from_slice(&text).map_err(|e| Error::refused(format!("{}: {e}", path.display())))
}

/// What the manifest says of a file that a parameter names.
fn file(parameter: &str, path: &str, kind: &str) -> Result<Input> {
    let path = Path::new(path);
    if !path.is_file() {
        return Err(Error::input(format!(
            "{parameter} = {}: no such file",
            path.display()
        )));
    }
    Ok(Input {
        kind: kind.into(),
        digest: digest_file(path)?,
    })
}

/// An artifact that was made from another data set is not for this one.
fn check_origin(artifact: &Artifact, dataset: &Artifact) -> Result<()> {
    let origin = artifact
        .manifest
        .inputs
        .get("dataset")
        .map(|input| input.digest.as_str());
    if origin == Some(&dataset.manifest.digest) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "{} was made from data set {}, not from {} in {}; make it again",
        artifact.root.display(),
        origin.map_or("unknown", short),
        dataset.short_digest(),
        dataset.root.display()
    )))
}

/// Enters all files of the run into the artifact.
fn enter_files(staging: &Staging, prefix: &str) -> Result<()> {
    let folder = staging.folder().join(prefix);
    for entry in std::fs::read_dir(&folder).at(&folder)? {
        let entry = entry.at(&folder)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().at(&folder)?.is_dir() {
            enter_files(staging, &format!("{name}/"))?;
        } else {
            staging.done(&name, None)?;
        }
    }
    Ok(())
}
