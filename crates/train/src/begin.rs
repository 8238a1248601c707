//! The inputs of a run: artifacts, weights, an earlier model.

use crate::config::{Aim, Arch, Config, Decoder, Train};
use crate::network::Network;
use crate::{embeddings, start};
use attend_artifact::features::Features;
use attend_artifact::manifest::short;
use attend_artifact::model::{Checkpoint, DecoderConfig, EncoderConfig, ModelCard};
use attend_artifact::staging::apart;
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, Input, Stage, digest_file};
use attend_model::{Learning, TorchScript, encoder, weights};
use attend_program::{At, Error, Result};
use std::path::{Path, PathBuf};
use tch::{Device, nn};

/// The inputs of a run.
pub struct Beginning<'a> {
    config: &'a Config,
    /// The data set.
    pub dataset: &'a Artifact,
    /// The vocabulary of the data set.
    pub vocabulary: &'a Artifact,
    features: Option<&'a Artifact>,
    model: Option<&'a Artifact>,
    /// The checkpoint to start from.
    start: Option<Checkpoint>,
}

/// The features of a data set, and the encoder that made them.
pub struct Seen {
    /// The features.
    pub features: Features,
    encoder: EncoderConfig,
    /// The encoder's file, unless another program has the encoder.
    file: Option<PathBuf>,
    weights_blake3: String,
}

impl<'a> Beginning<'a> {
    /// Finds the stage's inputs and the weights that its config names.
    ///
    /// # Errors
    /// [`Error::Refused`] if they don't belong together, [`Error::Usage`] if a frozen
    /// encoder would keep random weights or the trainer can't run it, or those of
    /// [`start::find`].
    pub fn find(stage: &'a Stage<Config>) -> Result<Beginning<'a>> {
        let beginning = Beginning {
            config: &stage.config,
            dataset: stage.input("dataset")?,
            vocabulary: stage.input("vocabulary")?,
            features: stage.optional_input("features"),
            model: stage.optional_input("model"),
            start: None,
        };
        let made_from_dataset = [Some(beginning.vocabulary), beginning.features];
        for artifact in made_from_dataset.into_iter().flatten() {
            check_origin(artifact, beginning.dataset)?;
        }
        let start = start::find(&stage.config.train.start, beginning.model)?;
        check_start(&stage.config.train, start.is_some())?;
        apart(stage.output(), start.iter().map(|start| &*start.folder))?;
        let beginning = Beginning { start, ..beginning };
        beginning.check_encoder().map(|()| beginning)
    }

    /// Checks, before all inputs are there, that the files exist which the training will
    /// begin with.
    ///
    /// # Errors
    /// Those of [`Beginning::find`] and [`Beginning::files`] that can be known by then.
    pub fn check(stage: &Stage<Config>) -> Result<()> {
        let config = &stage.config;
        let start = start::find(&config.train.start, stage.optional_input("model"))?;
        let has = |kind| stage.will_have(kind);
        check_start(&config.train, start.is_some() || has("model"))?;
        if !has("features") && !has("model") {
            let learning = config.train.encoder;
            match encoder_file(config)? {
                None if start.is_none() && learning == Learning::Frozen => {
                    return Err(random_weights());
                }
                Some(_) if !config.torchscript.file.is_empty() => check_module(learning)?,
                _ => {}
            }
        }
        let embeddings = &config.decoder.embeddings;
        if !embeddings.is_empty() {
            Input::of_file("decoder.embeddings", Path::new(embeddings), "embeddings")?;
        }
        Ok(())
    }

    /// Refuses an encoder that the trainer can't run or train, or whose untrained parts would
    /// keep random weights.
    fn check_encoder(&self) -> Result<()> {
        if self.features.is_some() {
            return Ok(());
        }
        let learning = self.config.train.encoder;
        if let Some(start) = self.eye() {
            return match &start.card.encoder {
                EncoderConfig::ResNet(_) => Ok(()),
                EncoderConfig::TorchScript(_) => check_module(learning),
                foreign @ EncoderConfig::Foreign(_) => Err(Error::usage(format!(
                    "the encoder of the model to start from is {foreign}, which the trainer can't run; give the features that it made (--input features=PATH)"
                ))),
            };
        }
        if !self.config.torchscript.file.is_empty() {
            return check_module(learning);
        }
        if has_encoder(self.config) {
            return Ok(());
        }
        match learning {
            Learning::Whole => {}
            Learning::Frozen => return Err(random_weights()),
            Learning::FineTune => tracing::warn!(
                "train.encoder = \"fine-tune\" without encoder.weights: the stem and layer1 keep random weights; train.encoder = \"whole\" trains all of it"
            ),
        }
        Ok(())
    }

    /// The model to start from, if its encoder is the one that runs in training: an input's
    /// always, that of `train.start` unless the config names one.
    fn eye(&self) -> Option<&Checkpoint> {
        let own = self.model.is_some() || !has_encoder(self.config);
        self.start.as_ref().filter(|_| own)
    }

    /// The inputs besides artifacts, for the manifest.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file that can't be read.
    pub fn files(&self) -> Result<Vec<(&'static str, Input)>> {
        let mut files = Vec::new();
        if self.features.is_none() && self.model.is_none() {
            files.extend(encoder_file(self.config)?);
        }
        if let (Some(start), None) = (&self.start, self.model) {
            files.push(("start", start.input()?));
        }
        let embeddings = &self.config.decoder.embeddings;
        if !embeddings.is_empty() {
            let path = Path::new(embeddings);
            let input = Input::of_file("decoder.embeddings", path, "embeddings")?;
            files.push(("embeddings", input));
        }
        Ok(files)
    }

    /// Compares every file of the inputs with its digest.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the damaged file; [`Error::Interrupted`].
    pub fn verify(&self) -> Result<()> {
        let inputs = [
            Some(self.dataset),
            Some(self.vocabulary),
            self.features,
            self.model,
        ];
        inputs.into_iter().flatten().try_for_each(Artifact::verify)
    }

    /// The features, if they are an input, for images of this height and width.
    ///
    /// # Errors
    /// [`Error::Refused`] if the features, their encoder and the images don't match.
    pub fn seen(&self, image_size: [i64; 2]) -> Result<Option<Seen>> {
        let views = self.config.train.views;
        let Some(artifact) = self.features else {
            return match views {
                true => Err(Error::usage(
                    "train.views chooses among the views of features, and there are none: give --input features=PATH, or set it to false",
                )),
                false => Ok(None),
            };
        };
        let features = Features::open(artifact)?;
        if views && features.views() == 1 {
            return Err(Error::usage(format!(
                "train.views: {} has one view of each image; make more with features.views",
                artifact.root.display()
            )));
        }
        (features.check_decoder(self.config.decoder.grid)).map_err(Error::usage)?;
        let config = EncoderConfig::read(&artifact.file("encoder.json")?)?;
        features.check_encoder(&config, image_size)?;
        let weights_blake3 = config.weights_blake3(artifact)?;
        let file = config.file().map(|file| artifact.root.join(file));
        if let (Some(resnet), Some(file)) = (config.resnet(), &file) {
            let vars = nn::VarStore::new(Device::Cpu);
            let dict = weights::read(file).map_err(Error::refused)?;
            let fits = encoder::new(&vars.root(), resnet).load(&vars, &dict);
            fits.map_err(|e| Error::refused(format!("{}: {e}", file.display())))?;
        }
        if self.config.train.verify {
            features.check_finite()?;
        }
        Ok(Some(Seen {
            features,
            encoder: config,
            file,
            weights_blake3,
        }))
    }

    /// Makes the network with its initial weights. A TorchScript module that the config names
    /// is copied into `folder` first: checkpoints carry the file that ran.
    ///
    /// # Errors
    /// [`Error::Refused`] if the model to start from has another encoder or none of the words,
    /// [`Error::Input`] if weights, module or embeddings can't be read, [`Error::Usage`] if
    /// `train.encoder` trains the encoder that made the features.
    pub fn network(
        &self,
        seen: Option<&Seen>,
        image_size: [i64; 2],
        words: &Vocabulary,
        folder: &Path,
        device: Device,
    ) -> Result<Network> {
        self.start.as_ref().map_or(Ok(()), Checkpoint::check)?;
        let vocabulary = self.vocabulary.file("vocab.json")?;
        let card = ModelCard {
            encoder: EncoderConfig::ResNet(self.config.encoder.config.clone()),
            decoder: decoder_config(self.config, words),
            image_size,
            vocabulary_blake3: digest_file(&vocabulary)?,
            encoder_blake3: String::new(),
        };
        let mut network = match seen {
            Some(seen) => self.on_features(card, seen, device)?,
            None => self.on_pixels(card, folder, device)?,
        };
        if let Some(start) = &self.start {
            start::load(start, &mut network, words)?;
        }
        let embeddings = &self.config.decoder.embeddings;
        if !embeddings.is_empty() {
            let width = network.card.decoder.embedding as usize;
            let vectors = embeddings::read(Path::new(embeddings), words, width)?;
            let all = words.words.len();
            tracing::info!("embeddings of {} of {all} words", vectors.len());
            network.embed(&vectors);
        }
        Ok(network)
    }

    /// The card of the model that is an input. Its decoder was trained with its encoder, so
    /// that one is used, whatever `[encoder]` says.
    fn model_card(&self) -> Option<&ModelCard> {
        let start = self.start.as_ref().filter(|_| self.model.is_some());
        start.map(|start| &start.card)
    }

    fn on_features(&self, mut card: ModelCard, seen: &Seen, device: Device) -> Result<Network> {
        card.decoder.channels = seen.encoder.channels();
        card.encoder = seen.encoder.clone();
        card.encoder_blake3 = seen.weights_blake3.clone();
        if let (Some(model), Some(features)) = (self.model_card(), self.features)
            && !model.has_seen(&card.encoder, &card.encoder_blake3)
        {
            return Err(Error::refused(format!(
                "{}: features of another encoder than that of the model to start from; leave one of the two out",
                features.root.display()
            )));
        }
        if self.config.train.encoder != Learning::Frozen {
            return Err(Error::usage(match card.encoder.resnet() {
                Some(_) => "train.encoder: features come from a frozen encoder; to train it, run a pipeline without the features stage (end-to-end)".to_owned(),
                None => format!(
                    "train.encoder: the features are those of {}, which can't be trained here; set train.encoder = \"frozen\", or train a ResNet without the features stage (end-to-end)",
                    card.encoder
                ),
            }));
        }
        let grid = seen.features.grid().map(|n| n as i64);
        let file = seen.file.clone();
        Ok(Network::on_features(card, self.config, grid, file, device))
    }

    fn on_pixels(&self, mut card: ModelCard, folder: &Path, device: Device) -> Result<Network> {
        let (encoder, file) = self.encoder(card.image_size)?;
        card.encoder = encoder;
        if let (EncoderConfig::TorchScript(script), Some(file)) = (&card.encoder, &file) {
            let module = TorchScript::open(file, script, device).map_err(Error::input)?;
            let copy = folder.join(MODULE);
            // The checkpoints of a run that goes on are links to it, and stay as they are.
            let _ = std::fs::remove_file(&copy);
            std::fs::copy(file, &copy).at(&copy)?;
            card.encoder_blake3 = digest_file(&copy)?;
            card.encoder = EncoderConfig::TorchScript(module.config().clone());
            let checked = card.encoder.check();
            checked.map_err(|why| Error::input(format!("{}: {why}", file.display())))?;
            card.decoder.channels = card.encoder.channels();
            return Ok(Network::on_module(card, self.config, module, copy, device));
        }
        card.decoder.channels = card.encoder.channels();
        Network::on_pixels(card, self.config, file.as_deref(), device)
    }

    /// The encoder that runs in training, and its file, if it has one.
    fn encoder(&self, image_size: [i64; 2]) -> Result<(EncoderConfig, Option<PathBuf>)> {
        let Config {
            encoder,
            torchscript,
            ..
        } = self.config;
        let resnet = EncoderConfig::ResNet(encoder.config.clone());
        if let Some(start) = self.eye() {
            let own = &start.card.encoder;
            let fits = own.check_images(image_size);
            fits.map_err(|why| Error::refused(format!("{}: {why}", start.folder.display())))?;
            // `train.start` gives weights to the ResNet that `[encoder]` describes.
            let encoder = match own.resnet() {
                Some(_) if self.model.is_none() => resnet,
                _ => own.clone(),
            };
            return Ok((encoder, start.encoder()));
        }
        let file = |name: &String| Some(PathBuf::from(name)).filter(|_| !name.is_empty());
        Ok(match file(&torchscript.file) {
            Some(module) => {
                let script = torchscript.config(image_size)?;
                (EncoderConfig::TorchScript(script), Some(module))
            }
            None => (resnet, file(&encoder.weights)),
        })
    }
}

/// The copy of a TorchScript module in a run's folder, to which checkpoints link. It is no
/// part of the artifact.
pub const MODULE: &str = ".encoder.pt";

/// Whether a config names the encoder's file.
fn has_encoder(config: &Config) -> bool {
    !config.torchscript.file.is_empty() || !config.encoder.weights.is_empty()
}

/// The encoder's file that a config names, as an input.
fn encoder_file(config: &Config) -> Result<Option<(&'static str, Input)>> {
    let weights = &config.encoder.weights;
    match config.torchscript.input()? {
        None if !weights.is_empty() => {
            let input = Input::of_file("encoder.weights", Path::new(weights), "weights")?;
            Ok(Some(("weights", input)))
        }
        module => Ok(module),
    }
}

/// Refuses to train a TorchScript module.
fn check_module(learning: Learning) -> Result<()> {
    match learning {
        Learning::Frozen => Ok(()),
        _ => Err(Error::usage(
            "train.encoder: a TorchScript module is run as it is and never trained; set train.encoder = \"frozen\", or train a ResNet ([encoder], without torchscript.file)",
        )),
    }
}

/// Refuses to freeze random weights, and to reward what they say.
fn check_start(train: &Train, has_start: bool) -> Result<()> {
    let wants = match (train.freeze, train.objective) {
        _ if has_start => return Ok(()),
        (0, Aim::CrossEntropy) => return Ok(()),
        (0, Aim::Reward) => "train.objective = \"reward\" would begin with random captions, none of which earns anything".to_owned(),
        (epochs, _) => format!("train.freeze = {epochs} would freeze random weights"),
    };
    Err(Error::usage(format!(
        "{wants}: name the model to begin with (train.start, or --input model=PATH)"
    )))
}

fn random_weights() -> Error {
    Error::usage(
        "train.encoder = \"frozen\" without encoder.weights: a frozen encoder would keep random weights. Name its weights (encoder.weights), give --input features=PATH or --input model=PATH, or train it from scratch (train.encoder = \"whole\")",
    )
}

fn decoder_config(config: &Config, words: &Vocabulary) -> DecoderConfig {
    let Decoder {
        mut embedding,
        mut attention,
        hidden,
        dropout,
        grid,
        ..
    } = config.decoder;
    if config.decoder.arch == Arch::Transformer {
        (embedding, attention) = (hidden, hidden);
    }
    DecoderConfig {
        arch: config.arch(),
        vocabulary: words.len() as i64,
        channels: 0, // the encoder's, see `on_features` and `on_pixels`
        embedding,
        attention,
        hidden,
        dropout,
        grid,
    }
}

/// Refuses an artifact that was made from another data set.
fn check_origin(artifact: &Artifact, dataset: &Artifact) -> Result<()> {
    let origin = artifact.manifest.inputs.get("dataset");
    let origin = origin.map(|input| input.digest.as_str());
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
