//! The parameters of a training run, with the tutorial's values as defaults.

use crate::network::adam;
use attend_model::{EncoderConfig, Learning};
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};
use tch::Kind;

/// The sections of the config that the trainer reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The encoder, where it is trained (or run) here; with a features artifact
    /// the encoder is the one that made the features, with a model to begin with that
    /// one's.
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
    /// Weights to begin with (`.safetensors` or `.pth`); empty: from scratch, which
    /// `train.encoder = "frozen"` refuses.
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
    /// Embeddings to begin with: a text file, each line a word and its numbers, as
    /// GloVe has them; words that it lacks are drawn. Empty: all are drawn.
    pub embeddings: String,
    /// Whether the embeddings stay as they are.
    pub freeze_embeddings: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder {
            embedding: 512,
            attention: 512,
            hidden: 512,
            dropout: 0.5,
            grid: [14, 14],
            embeddings: String::new(),
            freeze_embeddings: false,
        }
    }
}

/// How the learning rates go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// As they are.
    Constant,
    /// Times `decay` after `decay_patience` epochs without a better score.
    Plateau,
    /// Times `decay` after each `decay_epochs` epochs.
    Step,
    /// Down to nothing at the last epoch along half a cosine.
    Cosine,
}

/// What matrix products and convolutions are computed in. Weights, optimizer, softmax
/// and loss are f32 always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits with the range of f32; on CUDA.
    Bf16,
    /// 16 bits with a small range, so that the loss is scaled; on CUDA.
    F16,
}

impl Precision {
    /// The kind of such tensors.
    pub fn kind(self) -> Kind {
        match self {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
            Precision::F16 => Kind::Half,
        }
    }
}

/// What is done about a step whose loss is no finite number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotFinite {
    /// The run ends, and says which images it was.
    Stop,
    /// It is said, and the step left out.
    Skip,
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
    /// CIDEr-D over the validation images; BLEU-4 instead, with a warning, where CIDEr is
    /// 0 by its formula: of one image, or of images that all have the same captions.
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
    /// Most epochs. An epoch shows every caption once. A run that is given more goes on,
    /// also a finished one, unless `schedule` is `cosine`, whose shape they are.
    pub epochs: u64,
    /// Captions in a batch.
    pub batch: usize,
    /// Batches whose gradients one step follows together.
    pub accumulate: usize,
    /// Captions of one image that share a step and its features, which is faster; 1 is
    /// the tutorial's order. Where an image's captions are much alike, a batch of shared
    /// ones holds few different examples (`docs/results.md`, RSICD).
    pub captions_per_image: usize,
    /// What happens to the encoder (always `frozen` on a features artifact).
    pub encoder: Learning,
    /// Adam's learning rate for the decoder.
    pub decoder_lr: f64,
    /// Adam's learning rate for the encoder.
    pub encoder_lr: f64,
    /// How the learning rates go.
    pub schedule: Schedule,
    /// Steps in which the rates rise from nothing.
    pub warmup_steps: u64,
    /// Factor of the schedules `plateau` and `step`.
    pub decay: f64,
    /// Epochs between two decays of `step`.
    pub decay_epochs: u64,
    /// The score that decay, stopping and the choice of the best epoch look at.
    pub stop_metric: StopMetric,
    /// Epochs without a better score until the rates decay.
    pub decay_patience: u64,
    /// Epochs without a better score until training ends.
    pub stop_patience: u64,
    /// Adam's own parameters; a `weight_decay` makes it AdamW.
    #[serde(flatten)]
    pub adam: adam::Options,
    /// Every number of a gradient is kept within ± this; 0: no clipping.
    pub clip: f64,
    /// The norm of all gradients together is kept below this; 0: no clipping.
    pub clip_norm: f64,
    /// What is done where the loss is no finite number.
    pub not_finite: NotFinite,
    /// Share of the wanted probability that all words have alike.
    pub label_smoothing: f64,
    /// How often, at most, a word that the decoder is told is drawn from its own
    /// distribution instead (scheduled sampling).
    pub sampling: f64,
    /// By how much that rises from 0 with each epoch.
    pub sampling_rise: f64,
    /// Weight of the doubly stochastic regularisation.
    pub alpha_c: f64,
    /// Split that is captioned freely after each epoch.
    pub validation_split: String,
    /// Beam size there; 1 is greedy.
    pub validation_beam: usize,
    /// Longest caption there, in words.
    pub max_length: usize,
    /// A model to begin with: an artifact, its `checkpoints/best` taken, or a
    /// checkpoint's folder. Its decoder's weights, and, unless `encoder.weights` is
    /// given, its encoder's. Empty: weights are drawn.
    pub start: String,
    /// Steps between two checkpoints within an epoch; 0: none.
    pub checkpoint_steps: u64,
    /// Minutes between two checkpoints within an epoch; 0: none.
    pub checkpoint_minutes: f64,
    /// So many epochs' weights are kept, the last ones: 1 is `checkpoints/last`.
    pub keep_last: usize,
    /// So many epochs' weights are kept, the best ones: 1 is `checkpoints/best`.
    pub keep_best: usize,
    /// Steps between two lines of metrics; it makes no difference to what is learnt, and
    /// none of a model is made again for it.
    pub log_steps: u64,
    /// Whether the inputs' digests are checked first.
    pub verify: bool,
    /// `cpu`, `cuda:0`, or `auto`.
    pub device: String,
    /// What products and convolutions of training are computed in: `f32`, or on CUDA
    /// `bf16` or `f16`. Validation is in f32.
    pub precision: Precision,
}

impl Default for Train {
    fn default() -> Self {
        Train {
            seed: 1,
            epochs: 120,
            batch: 32,
            accumulate: 1,
            captions_per_image: 1,
            encoder: Learning::Frozen,
            decoder_lr: 4e-4,
            encoder_lr: 1e-4,
            schedule: Schedule::Plateau,
            warmup_steps: 0,
            decay: 0.8,
            decay_epochs: 3,
            stop_metric: StopMetric::Cider,
            decay_patience: 8,
            stop_patience: 20,
            adam: adam::Options::default(),
            clip: 5.0,
            clip_norm: 0.0,
            not_finite: NotFinite::Stop,
            label_smoothing: 0.0,
            sampling: 0.0,
            sampling_rise: 0.05,
            alpha_c: 1.0,
            validation_split: "val".into(),
            validation_beam: 1,
            max_length: 50,
            start: String::new(),
            checkpoint_steps: 1000,
            checkpoint_minutes: 10.0,
            keep_last: 1,
            keep_best: 1,
            log_steps: 10,
            verify: true,
            device: "auto".into(),
            precision: Precision::F32,
        }
    }
}

impl Config {
    /// Checks what types can't say.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the parameter.
    pub fn check(&self) -> Result<()> {
        let (decoder, train) = (&self.decoder, &self.train);
        let wrong = |text: String| Err(Error::usage(text));
        let at_least_1 = [
            ("train.epochs", train.epochs as usize),
            ("train.batch", train.batch),
            ("train.accumulate", train.accumulate),
            ("train.captions_per_image", train.captions_per_image),
            ("train.log_steps", train.log_steps as usize),
            ("train.decay_epochs", train.decay_epochs as usize),
            ("train.keep_last", train.keep_last),
            ("train.keep_best", train.keep_best),
            ("train.validation_beam", train.validation_beam),
            ("train.max_length", train.max_length),
            ("decoder.embedding", decoder.embedding.max(0) as usize),
            ("decoder.attention", decoder.attention.max(0) as usize),
            ("decoder.hidden", decoder.hidden.max(0) as usize),
        ];
        if let Some((name, _)) = at_least_1.iter().find(|(_, value)| *value == 0) {
            return wrong(format!("{name} must be at least 1"));
        }
        if train.captions_per_image > train.batch {
            return wrong(format!(
                "train.captions_per_image = {} is more than train.batch = {} captions",
                train.captions_per_image, train.batch
            ));
        }
        let (any, below_1) = (f64::INFINITY, 1.0);
        let numbers = [
            ("train.decoder_lr", train.decoder_lr, any),
            ("train.encoder_lr", train.encoder_lr, any),
            ("train.decay", train.decay, any),
            ("train.clip", train.clip, any),
            ("train.clip_norm", train.clip_norm, any),
            ("train.alpha_c", train.alpha_c, any),
            ("train.epsilon", train.adam.epsilon, any),
            ("train.weight_decay", train.adam.weight_decay, any),
            ("train.sampling_rise", train.sampling_rise, any),
            ("train.checkpoint_minutes", train.checkpoint_minutes, any),
            ("train.beta1", train.adam.beta1, below_1),
            ("train.beta2", train.adam.beta2, below_1),
            ("train.label_smoothing", train.label_smoothing, below_1),
            ("train.sampling", train.sampling, below_1),
            ("decoder.dropout", decoder.dropout, below_1),
        ];
        if let Some((name, value, most)) = (numbers.iter())
            .find(|(_, value, most)| !(value.is_finite() && (0.0..*most).contains(value)))
        {
            return wrong(match most.is_finite() {
                true => format!("{name} = {value} must be in [0, 1)"),
                false => format!("{name} = {value} must be a number of at least 0"),
            });
        }
        let [height, width] = decoder.grid;
        if height < 0 || width < 0 || (height == 0) != (width == 0) {
            return wrong(format!(
                "decoder.grid = [{height}, {width}] must be [height, width] or [0, 0]"
            ));
        }
        Ok(())
    }
}
