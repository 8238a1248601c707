//! The parameters of a training run, with the tutorial's values as defaults.

use attend_artifact::{Error, Result};
use attend_model::EncoderConfig;
use serde::{Deserialize, Serialize};

/// The sections of the config that the trainer reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The encoder, where it is trained (or run) here; with a features artifact
    /// the encoder is the one that made the features.
    pub encoder: Encoder,
    /// The decoder's sizes.
    pub decoder: Decoder,
    /// How it is trained.
    pub train: Train,
}

/// `[encoder]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Encoder {
    /// Architecture.
    #[serde(flatten)]
    pub config: EncoderConfig,
    /// Weights to begin with (`.safetensors` or `.pth`); empty: from scratch.
    pub weights: String,
}

/// `[decoder]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Decoder {
    /// Width of a word's embedding.
    pub embedding: i64,
    /// Width of the attention network.
    pub attention: i64,
    /// Width of the LSTM.
    pub hidden: i64,
    /// Share of h that is dropped before the last layer, in training.
    pub dropout: f64,
    /// Cells that attention weighs, [height, width]; [0, 0]: the encoder's own.
    pub grid: [i64; 2],
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder {
            embedding: 512,
            attention: 512,
            hidden: 512,
            dropout: 0.5,
            grid: [14, 14],
        }
    }
}

/// What happens to the encoder's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncoderTraining {
    /// Nothing.
    Frozen,
    /// layer2 to layer4 learn; BatchNorm keeps its statistics.
    FineTune,
    /// All of it learns, BatchNorm's statistics too.
    Whole,
}

/// How the learning rates go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// As they are.
    Constant,
    /// Times `decay` after `decay_patience` epochs without a better score.
    Plateau,
    /// Down to nothing at the last epoch along half a cosine.
    Cosine,
}

/// The validation score that says which epoch is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMetric {
    /// BLEU-4, as the tutorial does.
    Bleu4,
    /// METEOR; its data must be there.
    Meteor,
    /// ROUGE-L.
    RougeL,
    /// CIDEr-D over the validation images.
    Cider,
}

impl StopMetric {
    /// Its key among the scores, and its name.
    pub fn key_and_name(self) -> (&'static str, &'static str) {
        match self {
            StopMetric::Bleu4 => ("bleu4", "BLEU-4"),
            StopMetric::Meteor => ("meteor", "METEOR"),
            StopMetric::RougeL => ("rouge_l", "ROUGE-L"),
            StopMetric::Cider => ("cider", "CIDEr"),
        }
    }
}

/// `[train]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Train {
    /// All that is random is a function of it and the step.
    pub seed: u64,
    /// Most epochs. An epoch shows every caption once.
    pub epochs: u64,
    /// Captions in a step.
    pub batch: usize,
    /// Captions of one image that share a step and its features; 1 is the
    /// tutorial's order.
    pub captions_per_image: usize,
    /// What happens to the encoder (always `frozen` on a features artifact).
    pub encoder: EncoderTraining,
    /// Adam's learning rate for the decoder.
    pub decoder_lr: f64,
    /// Adam's learning rate for the encoder.
    pub encoder_lr: f64,
    /// How the learning rates go.
    pub schedule: Schedule,
    /// Steps in which the rates rise from nothing.
    pub warmup_steps: u64,
    /// Factor of the plateau schedule.
    pub decay: f64,
    /// The score that decay, stopping and the choice of the best epoch look at.
    pub stop_metric: StopMetric,
    /// Epochs without a better score until the rates decay.
    pub decay_patience: u64,
    /// Epochs without a better score until training ends.
    pub stop_patience: u64,
    /// Every number of a gradient is kept within ± this; 0: no clipping.
    pub clip: f64,
    /// Weight of the doubly stochastic regularisation.
    pub alpha_c: f64,
    /// Split that is captioned freely after each epoch.
    pub validation_split: String,
    /// Beam size there; 1 is greedy.
    pub validation_beam: usize,
    /// Longest caption there, in words.
    pub max_length: usize,
    /// Steps between two checkpoints within an epoch; 0: at epochs' ends only.
    pub checkpoint_steps: u64,
    /// Steps between two lines of metrics.
    pub log_steps: u64,
    /// Whether the inputs' digests are checked first.
    pub verify: bool,
    /// `cpu`, `cuda:0`, or `auto`.
    pub device: String,
}

impl Default for Train {
    fn default() -> Self {
        Train {
            seed: 1,
            epochs: 120,
            batch: 32,
            captions_per_image: 1,
            encoder: EncoderTraining::Frozen,
            decoder_lr: 4e-4,
            encoder_lr: 1e-4,
            schedule: Schedule::Plateau,
            warmup_steps: 0,
            decay: 0.8,
            stop_metric: StopMetric::Cider,
            decay_patience: 8,
            stop_patience: 20,
            clip: 5.0,
            alpha_c: 1.0,
            validation_split: "val".into(),
            validation_beam: 1,
            max_length: 50,
            checkpoint_steps: 1000,
            log_steps: 10,
            verify: true,
            device: "auto".into(),
        }
    }
}

impl Config {
    /// Checks what types can't say.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the parameter.
    pub fn check(&self) -> Result<()> {
        let Train {
            batch,
            captions_per_image,
            epochs,
            log_steps,
            validation_beam,
            max_length,
            ..
        } = self.train;
        let positive = [
            ("train.epochs", epochs as usize),
            ("train.batch", batch),
            ("train.captions_per_image", captions_per_image),
            ("train.log_steps", log_steps as usize),
            ("train.validation_beam", validation_beam),
            ("train.max_length", max_length),
            ("decoder.embedding", self.decoder.embedding.max(0) as usize),
            ("decoder.attention", self.decoder.attention.max(0) as usize),
            ("decoder.hidden", self.decoder.hidden.max(0) as usize),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::usage(format!("{name} must be at least 1")));
        }
        if captions_per_image > batch {
            return Err(Error::usage(format!(
                "train.captions_per_image = {captions_per_image} is more than train.batch = {batch} captions"
            )));
        }
        let rates = [
            ("train.decoder_lr", self.train.decoder_lr),
            ("train.encoder_lr", self.train.encoder_lr),
        ];
        if let Some((name, value)) = rates
            .iter()
            .find(|(_, value)| !(value.is_finite() && *value >= 0.0))
        {
            return Err(Error::usage(format!(
                "{name} = {value} must be a number of at least 0"
            )));
        }
        if !(0.0..1.0).contains(&self.decoder.dropout) {
            return Err(Error::usage(format!(
                "decoder.dropout = {} must be in [0, 1)",
                self.decoder.dropout
            )));
        }
        let [height, width] = self.decoder.grid;
        if height < 0 || width < 0 || (height == 0) != (width == 0) {
            return Err(Error::usage(format!(
                "decoder.grid = [{height}, {width}] must be [height, width] or [0, 0]"
            )));
        }
        Ok(())
    }
}
