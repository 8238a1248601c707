//! `attend-train`: dataset, vocabulary and, for a frozen encoder, features ->
//! checkpoints.

use attend_artifact::dataset::Dataset;
use attend_artifact::features::Features;
use attend_artifact::manifest::short;
use attend_artifact::model::{Checkpoint, DecoderConfig, EncoderConfig, ModelCard};
use attend_artifact::staging::apart;
use attend_artifact::vocabulary::{EncodedRecord, Vocabulary};
use attend_artifact::{
    Artifact, At, Error, Input, InputSpec, Parts, Result, Stage, StageSpec, Staging, digest_file,
    model, stage,
};
use attend_metrics::Scorer;
use attend_metrics::meteor::Data as MeteorData;
use attend_model::{Learning, encoder, weights};
use attend_train::average;
use attend_train::checkpoint::State;
use attend_train::config::{Config, Precision, StopMetric};
use attend_train::data::{Data, Source};
use attend_train::embeddings;
use attend_train::metrics::{EVENTS, LINES};
use attend_train::network::Network;
use attend_train::resume;
use attend_train::run::Run;
use attend_train::start;
use attend_train::validate::Judge;
use clap::Parser;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use tch::{Device, nn};

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
        "train.log_steps",
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
    let start = start::find(&config.train.start, model)?;
    apart(stage.output(), start.iter().map(|start| &*start.folder))?;
    let weights = &config.encoder.weights;
    if features.is_none() && start.is_none() && weights.is_empty() {
        match config.train.encoder {
            Learning::Whole => {}
            Learning::Frozen => {
                return Err(Error::usage(
                    "train.encoder = \"frozen\" without encoder.weights: a frozen encoder would stay at random numbers. Name its weights (encoder.weights), give --input features=PATH or --input model=PATH, or let it learn from scratch (train.encoder = \"whole\")",
                ));
            }
            Learning::FineTune => tracing::warn!(
                "train.encoder = \"fine-tune\" without encoder.weights: the stem and layer1 stay at random numbers; train.encoder = \"whole\" lets all of it learn"
            ),
        }
    }
    let mut extra = Vec::new();
    if features.is_none() && model.is_none() && !weights.is_empty() {
        let path = Path::new(weights);
        extra.push((
            "weights",
            Input::of_file("encoder.weights", path, "weights")?,
        ));
    }
    if let (Some(start), None) = (&start, model) {
        extra.push(("start", start.input()?));
    }
    if !config.decoder.embeddings.is_empty() {
        let path = Path::new(&config.decoder.embeddings);
        let input = Input::of_file("decoder.embeddings", path, "embeddings")?;
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
    let extends = |folder: &Path, changed: &[&str]| resume::extends(&config.train, folder, changed);
    let Some(staging) = stage.begin_extending(&extra, &extends)? else {
        return Ok(());
    };
    if config.train.verify {
        let inputs = [Some(dataset), Some(vocabulary), features, model];
        for artifact in inputs.into_iter().flatten() {
            artifact.verify()?;
        }
    }
    if let Some(start) = &start {
        start.check()?;
    }
    let (words, encoded) = Vocabulary::open_encoded(vocabulary)?;
    let vocabulary_file = vocabulary.file("vocab.json")?;
    let opened = Dataset::open(dataset)?;
    EncodedRecord::check_images(&encoded, vocabulary, &opened)?;
    let size = opened.image_size().map(|n| n as i64);
    let (source, encoder) = match features {
        Some(artifact) => {
            let features = Features::open(artifact)?;
            let encoder = encoder_of(artifact, &features, size)?;
            if config.train.verify {
                features.check_finite()?;
            }
            (Source::Features(features), Some(encoder))
        }
        None => (Source::Pixels, None),
    };
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
    let begun = begun.map(|start| start.card.clone());
    let mut network = match (features, encoder, data.grid()) {
        (Some(features), Some((encoder, file)), Some(grid)) => {
            card.decoder.channels = encoder.channels();
            card.encoder = encoder;
            card.encoder_blake3 = digest_file(&file)?;
            if let Some(begun) = begun
                && begun.encoder_blake3 != card.encoder_blake3
            {
                return Err(Error::refused(format!(
                    "{}: features of another encoder than that of the model to begin with; leave one of the two out",
                    features.root.display()
                )));
            }
            if config.train.encoder != Learning::Frozen {
                return Err(Error::usage(
                    "train.encoder: features come from a frozen encoder; to train it, run a pipeline without the features stage (end-to-end)",
                ));
            }
            Network::on_features(card, config, grid, file, device)
        }
        _ => {
            let weights = match begun.is_none() && !weights.is_empty() {
                true => Some(weights.into()),
                false => start.as_ref().map(Checkpoint::encoder),
            };
            if let Some(begun) = begun {
                card.encoder = begun.encoder;
            }
            card.decoder.channels = card.encoder.channels();
            Network::on_pixels(card, config, weights.as_deref(), device)?
        }
    };
    if let Some(start) = &start {
        start::load(start, &mut network, &vocabulary_file)?;
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

/// The encoder of a features artifact, and the file of its weights: such that they fit
/// each other, the features, and images of this size.
fn encoder_of(
    artifact: &Artifact,
    features: &Features,
    image_size: [i64; 2],
) -> Result<(EncoderConfig, PathBuf)> {
    let config = EncoderConfig::read(&artifact.file("encoder.json")?)?;
    features.check_shape(config.grid(image_size), config.channels())?;
    let file = artifact.file("encoder.safetensors")?;
    let vars = nn::VarStore::new(Device::Cpu);
    let encoder = encoder::new(&vars.root(), &config);
    let dict = weights::read(&file).map_err(Error::refused)?;
    (encoder.load(&vars, &dict)).map_err(|e| Error::refused(format!("{}: {e}", file.display())))?;
    Ok((config, file))
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

/// Enters all files of a folder into the artifact.
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
