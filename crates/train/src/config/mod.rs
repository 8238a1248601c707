//! The parameters of a training run, with the tutorial's values as defaults.

mod objectives;

pub use objectives::{Aim, Attention, Baseline, HardSection, RewardSection};

use crate::network::adam;
use attend_artifact::model::{DecoderArch, TorchScriptSection, TransformerConfig};
use attend_model::{Learning, ResNetConfig};
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};
use tch::Kind;

/// The sections of the config that the trainer reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The encoder, if it is trained or run here. With a features artifact, the encoder is
    /// the one that made the features; with a model to start from, that model's.
    pub encoder: Encoder,
    /// A TorchScript module to run instead of the ResNet.
    pub torchscript: TorchScriptSection,
    /// Sizes and embeddings of the decoder.
    pub decoder: Decoder,
    /// Sizes of a Transformer as decoder; its width is `decoder.hidden`.
    pub transformer: TransformerConfig,
    /// The training.
    pub train: Train,
    /// What captions earn, in a training by reward.
    pub reward: RewardSection,
    /// How hard attention is trained.
    pub hard_attention: HardSection,
}

/// `[encoder]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Encoder {
    /// Architecture of the encoder.
    #[serde(flatten)]
    pub config: ResNetConfig,
    /// File of initial weights (`.safetensors` or `.pth`). Empty: random weights, which
    /// `train.encoder = "frozen"` refuses.
    pub weights: String,
}

/// Architecture of the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// That of *Show, Attend and Tell* and of the PyTorch tutorial.
    AttentionLstm,
    /// Att2in.
    Att2in,
    /// Up-Down.
    UpDown,
    /// A Transformer, whose sizes are in `[transformer]`.
    Transformer,
}

/// `[decoder]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Decoder {
    /// Architecture: `attention-lstm` (Xu et al. 2015), `att2in` (Rennie et al. 2017),
    /// `up-down` (Anderson et al. 2018) or `transformer` (Vaswani et al. 2017).
    pub arch: Arch,
    /// Width of the word embeddings; a transformer's is `hidden`.
    pub embedding: i64,
    /// Width of the attention network; a transformer has none.
    pub attention: i64,
    /// Width of the LSTM or the transformer.
    pub hidden: i64,
    /// Dropout probability of the hidden state h before the output layer, in training.
    pub dropout: f64,
    /// Grid of cells that the attention weighs, [height, width]; [0, 0]: the encoder's own.
    pub grid: [i64; 2],
    /// Text file of initial embeddings in GloVe's format: a word and its numbers per line.
    /// Other words are initialised at random. Empty: all are.
    pub embeddings: String,
    /// Whether to keep the embeddings at their initial values.
    pub freeze_embeddings: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder {
            arch: Arch::AttentionLstm,
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

/// Learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Constant.
    Constant,
    /// Multiplied by `decay` after every `decay_patience` epochs without a better score.
    Plateau,
    /// Multiplied by `decay` after every `decay_epochs` epochs.
    Step,
    /// Half a cosine, down to 0 at the end of the last epoch.
    Cosine,
}

/// Number format of matrix products and convolutions. Weights, optimizer, softmax and
/// loss are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits with the range of f32; CUDA only.
    Bf16,
    /// 16 bits with a small range, so the loss is scaled; CUDA only.
    F16,
}

impl Precision {
    /// The tensor kind of this format.
    pub fn kind(self) -> Kind {
        match self {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
            Precision::F16 => Kind::Half,
        }
    }
}

/// What to do about a step whose loss is NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotFinite {
    /// End the run and report the images of the step.
    Stop,
    /// Log it and skip the step.
    Skip,
}

/// The validation score by which epochs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMetric {
    /// BLEU-4, as in the tutorial.
    Bleu4,
    /// METEOR; needs its data (`cargo xtask setup --meteor`).
    Meteor,
    /// ROUGE-L.
    RougeL,
    /// CIDEr-D over the validation images. Falls back to BLEU-4, with a warning, if CIDEr
    /// is 0 by its formula: for one image, or for images that all have the same captions.
    Cider,
}

impl StopMetric {
    /// Its key in the scores, and its name for people.
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
    /// Random seed. Everything random depends on it and the step only.
    pub seed: u64,
    /// Maximum number of epochs. An epoch uses every caption once. Raising it continues
    /// even a finished run, unless `schedule` is `cosine`, whose shape depends on it.
    pub epochs: u64,
    /// What the training makes likelier: `cross-entropy`, or from a trained model on
    /// (`train.start`) `reward`.
    pub objective: Aim,
    /// Captions per batch.
    pub batch: usize,
    /// Batches whose gradients are added up for one step.
    pub accumulate: usize,
    /// Maximum number of captions of an image that share a batch and the image's features.
    /// More is faster; 1 is the tutorial's order. If an image's captions are much alike,
    /// such a batch holds few different examples (`docs/results.md`, RSICD).
    pub captions_per_image: usize,
    /// Which encoder weights are trained (always `frozen` with a features artifact or a
    /// TorchScript module).
    pub encoder: Learning,
    /// Adam's learning rate for the decoder.
    pub decoder_lr: f64,
    /// Adam's learning rate for the encoder.
    pub encoder_lr: f64,
    /// Learning-rate schedule.
    pub schedule: Schedule,
    /// Number of warm-up steps, in which the learning rates rise linearly from 0.
    pub warmup_steps: u64,
    /// Factor by which the schedules `plateau` and `step` lower the learning rates.
    pub decay: f64,
    /// Epochs between two decays of the schedule `step`.
    pub decay_epochs: u64,
    /// The score that decides on decay, early stopping and the best epoch.
    pub stop_metric: StopMetric,
    /// Epochs without a better score before the learning rates decay.
    pub decay_patience: u64,
    /// Epochs without a better score before training ends.
    pub stop_patience: u64,
    /// Adam's parameters; with a `weight_decay` it is AdamW.
    #[serde(flatten)]
    pub adam: adam::Options,
    /// Decay of a moving average of the weights, such as 0.999, which is what epochs are
    /// validated with and `checkpoints/best` holds; 0: none.
    pub average: f64,
    /// Clips every number of a gradient to ± this; 0: no clipping.
    pub clip: f64,
    /// Clips the norm of all gradients together to this; 0: no clipping.
    pub clip_norm: f64,
    /// What to do about a step whose loss is NaN or infinite.
    pub not_finite: NotFinite,
    /// Label smoothing: share of the target probability that is spread evenly over all
    /// words.
    pub label_smoothing: f64,
    /// Scheduled sampling: maximum probability that an input word of the decoder is drawn
    /// from its own distribution instead of taken from the human caption.
    pub sampling: f64,
    /// How much that probability rises per epoch, from 0.
    pub sampling_rise: f64,
    /// Weight of the doubly stochastic regularisation.
    pub alpha_c: f64,
    /// What the decoder sees of an image at a step of training: `soft`, the mean of the cells
    /// weighed by the attention, or `hard`, one cell drawn by it. Descriptions always use the
    /// mean.
    pub attention: Attention,
    /// Whether each step sees a view of its images, drawn among those of the features
    /// (`features.views`), instead of the images themselves.
    pub views: bool,
    /// Split whose images are captioned after each epoch, without teacher forcing.
    pub validation_split: String,
    /// Whether to leave out the images that have a sentence of the train split word for word,
    /// so that repeating sentences by heart does not choose the epoch (`docs/results.md`,
    /// RSICD).
    pub validation_new: bool,
    /// Beam size of the validation captions; 1 is greedy.
    pub validation_beam: usize,
    /// Maximum length of the validation captions, in words.
    pub max_length: usize,
    /// Model to start from: a run or a model artifact, whose `checkpoints/best` is taken, or a
    /// checkpoint folder. Provides the decoder's weights and, unless `encoder.weights` is given, the
    /// encoder's. Words that it does not know begin with random weights (`vocab.base` gives
    /// those that it knows their old ids). Empty: random weights.
    pub start: String,
    /// Number of first epochs in which, after such a start, only the words' weights are
    /// trained: embeddings and output layer. Then everything is.
    pub freeze: u64,
    /// Steps between two checkpoints within an epoch; 0: none.
    pub checkpoint_steps: u64,
    /// Minutes between two checkpoints within an epoch; 0: none.
    pub checkpoint_minutes: f64,
    /// Number of latest epochs whose checkpoints are kept; 1: only `checkpoints/last`.
    pub keep_last: usize,
    /// Number of best epochs whose checkpoints are kept; 1: only `checkpoints/best`.
    pub keep_best: usize,
    /// Steps between two lines of metrics. It does not influence the weights, so changing
    /// it does not make a model out of date.
    pub log_steps: u64,
    /// Whether to check the digests of the inputs first.
    pub verify: bool,
    /// Device to train on: `cpu`, `cuda:0`, or `auto`.
    pub device: String,
    /// Number format of matrix products and convolutions in training: `f32`, or on CUDA
    /// `bf16` or `f16`. Validation always uses f32.
    pub precision: Precision,
}

impl Default for Train {
    fn default() -> Self {
        Train {
            seed: 1,
            epochs: 120,
            objective: Aim::CrossEntropy,
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
            average: 0.0,
            clip: 5.0,
            clip_norm: 0.0,
            not_finite: NotFinite::Stop,
            label_smoothing: 0.0,
            sampling: 0.0,
            sampling_rise: 0.05,
            alpha_c: 1.0,
            attention: Attention::Soft,
            views: false,
            validation_split: "val".into(),
            validation_new: false,
            validation_beam: 1,
            max_length: 50,
            start: String::new(),
            freeze: 0,
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
    /// The decoder's architecture, as `model.json` has it.
    pub fn arch(&self) -> DecoderArch {
        match self.decoder.arch {
            Arch::AttentionLstm => DecoderArch::AttentionLstm,
            Arch::Att2in => DecoderArch::Att2in,
            Arch::UpDown => DecoderArch::UpDown,
            Arch::Transformer => DecoderArch::Transformer(self.transformer),
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the invalid parameter.
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
            ("reward.samples", self.reward.samples),
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
            ("reward.cider", self.reward.cider, any),
            ("hard_attention.reward", self.hard_attention.reward, any),
            ("hard_attention.entropy", self.hard_attention.entropy, any),
            ("reward.bleu4", self.reward.bleu4, any),
            ("reward.meteor", self.reward.meteor, any),
            ("train.beta1", train.adam.beta1, below_1),
            ("train.beta2", train.adam.beta2, below_1),
            ("train.label_smoothing", train.label_smoothing, below_1),
            ("train.sampling", train.sampling, below_1),
            ("train.average", train.average, below_1),
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
        let share = self.hard_attention.share;
        if !(0.0..=1.0).contains(&share) {
            return wrong(format!("hard_attention.share = {share} must be in [0, 1]"));
        }
        if train.attention == Attention::Hard && decoder.arch != Arch::AttentionLstm {
            return wrong(format!(
                "train.attention = \"hard\" needs decoder.arch = \"attention-lstm\", not {}",
                self.arch()
            ));
        }
        if train.objective == Aim::Reward {
            self.check_reward()?;
        }
        if decoder.arch == Arch::Transformer {
            self.transformer
                .check(decoder.hidden)
                .map_err(Error::usage)?;
            if train.sampling > 0.0 {
                return wrong(format!(
                    "train.sampling = {}: a transformer reads all words of a caption at once, so none of its own; set train.sampling = 0",
                    train.sampling
                ));
            }
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
