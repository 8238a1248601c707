//! Encoder and decoder as the trainer holds them, with their optimizers.

use crate::adam::{Adam, Clip};
use crate::checkpoint::EncoderWeights;
use crate::config::{Config, EncoderTraining, Precision};
use crate::data::Batch;
use crate::scale::LossScale;
use attend_artifact::model::ModelCard;
use attend_artifact::{Error, Result};
use attend_model::weights::{self, StateDict};
use attend_model::{
    Captions, Decoder, Encoder, Gradients, Objective, Projected, Reading, Teacher, cells,
    normalise, threads,
};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor, nn};

/// The model in training.
pub struct Network {
    /// What a checkpoint says of it.
    pub card: ModelCard,
    /// The decoder.
    pub decoder: Decoder,
    decoder_vars: nn::VarStore,
    decoder_adam: Adam,
    gradients: Gradients,
    images: Images,
    /// Where it is computed.
    pub device: Device,
    objective: Objective,
    /// What a step's products are computed in.
    kind: Kind,
    loss_scale: Option<LossScale>,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// The loss.
    pub total: f64,
    /// Mean over real tokens.
    pub cross_entropy: f64,
    /// The doubly stochastic term.
    pub attention: f64,
    /// Share of the real tokens whose right word is among the five likeliest; 0 where
    /// nobody asked.
    pub top5: f64,
}

/// What turns a batch's images into features.
enum Images {
    /// They are features already; the encoder's file goes into checkpoints.
    Features { grid: [i64; 2], encoder: PathBuf },
    /// The encoder runs here.
    Encoder(Box<EncoderPart>),
}

struct EncoderPart {
    encoder: Encoder,
    vars: nn::VarStore,
    adam: Adam,
    training: EncoderTraining,
}

impl Outcome {
    /// Adds another's share to a mean.
    pub fn add(&mut self, other: Outcome, share: f64) {
        self.total += share * other.total;
        self.cross_entropy += share * other.cross_entropy;
        self.attention += share * other.attention;
        self.top5 += share * other.top5;
    }
}

impl Network {
    /// A network for features of this grid; `encoder` is the file of weights
    /// that made them.
    ///
    /// # Errors
    /// None today.
    pub fn on_features(
        card: ModelCard,
        config: &Config,
        grid: [i64; 2],
        encoder: PathBuf,
        device: Device,
    ) -> Result<Network> {
        Network::new(card, config, Images::Features { grid, encoder }, device)
    }

    /// A network that sees pixels; `weights` is the file that its encoder begins with,
    /// if there is one.
    ///
    /// # Errors
    /// [`Error::Input`] where the encoder's weights can't be read.
    pub fn on_pixels(
        card: ModelCard,
        config: &Config,
        weights: Option<&Path>,
        device: Device,
    ) -> Result<Network> {
        let training = config.train.encoder;
        let vars = nn::VarStore::new(device);
        tch::manual_seed(crate::order::mix(&[config.train.seed, 1]) as i64);
        let encoder = Encoder::new(&vars.root(), &card.encoder);
        if let Some(path) = weights {
            let dict = weights::read(path).map_err(Error::input)?;
            encoder
                .load(&vars, &dict)
                .map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
        }
        for (name, tensor) in vars.variables() {
            let learns = match training {
                EncoderTraining::Frozen => false,
                EncoderTraining::FineTune => ["layer2.", "layer3.", "layer4."]
                    .iter()
                    .any(|layer| name.starts_with(layer)),
                EncoderTraining::Whole => true,
            };
            if tensor.requires_grad() && !learns {
                let _ = tensor.set_requires_grad(false);
            }
        }
        let adam = Adam::new(learning(&vars), config.train.adam, threads());
        Network::new(
            card,
            config,
            Images::Encoder(Box::new(EncoderPart {
                encoder,
                vars,
                adam,
                training,
            })),
            device,
        )
    }

    fn new(card: ModelCard, config: &Config, images: Images, device: Device) -> Result<Network> {
        let mut decoder_vars = nn::VarStore::new(device);
        tch::manual_seed(crate::order::mix(&[config.train.seed, 0]) as i64);
        let decoder = Decoder::new(&decoder_vars.root(), &card.decoder);
        decoder_vars.freeze(); // for autograd: its gradient is by hand
        let frozen = config.decoder.freeze_embeddings;
        let learning = (named(&decoder_vars).into_iter())
            .filter(|(name, _)| !(frozen && name == "embedding.weight"));
        let decoder_adam = Adam::new(learning, config.train.adam, threads());
        Ok(Network {
            card,
            gradients: Gradients::of(&decoder),
            decoder,
            decoder_vars,
            decoder_adam,
            images,
            device,
            kind: config.train.precision.kind(),
            loss_scale: (config.train.precision == Precision::F16).then(LossScale::default),
            objective: Objective {
                alpha_c: config.train.alpha_c,
                smoothing: config.train.label_smoothing,
            },
        })
    }

    /// Sets the embeddings of some tokens.
    pub fn embed(&mut self, vectors: &[(i64, Vec<f32>)]) {
        let variables = self.decoder_vars.variables();
        let Some(table) = variables.get("embedding.weight") else {
            return;
        };
        tch::no_grad(|| {
            for (id, vector) in vectors {
                table.get(*id).copy_(&Tensor::from_slice(vector));
            }
        });
    }

    /// Takes the decoder's weights from these; names and shapes must be the same.
    ///
    /// # Errors
    /// Says which are not.
    pub fn start_from(&mut self, weights: &StateDict) -> attend_model::Result<()> {
        weights::assign(&self.decoder_vars, weights, &|_| false).map(|_| ())
    }

    /// Features of images, projected for the decoder; without a gradient.
    pub fn look(&self, images: &Tensor) -> Projected {
        tch::no_grad(|| {
            let (cells, grid) = self.cells(images, false, Kind::Float);
            self.decoder.project(&cells, grid)
        })
    }

    /// Cells (n, p, C), of that kind, and their grid.
    fn cells(&self, images: &Tensor, train: bool, kind: Kind) -> (Tensor, [i64; 2]) {
        let images = images.to_device_(self.device, images.kind(), true, false);
        match &self.images {
            Images::Features { grid, .. } => (images.to_kind(kind), *grid),
            Images::Encoder(part) => {
                let map = part.look(&images, train, kind);
                let size = map.size();
                (cells(&map), [size[2], size[3]])
            }
        }
    }

    /// Reads a batch, with dropout, and adds the gradient of `scale` times its loss to
    /// what [`Network::step`] takes. None is added where the loss is no finite number.
    pub fn read(&mut self, batch: &Batch, scale: f64, reading: Reading, top5: bool) -> Outcome {
        let (cells, grid) = self.cells(&batch.images, true, self.kind);
        let learns = cells.requires_grad();
        let images = tch::no_grad(|| self.decoder.project(&cells.detach(), grid));
        let tokens = batch.tokens.to_device(self.device);
        let captions = Captions {
            image: &batch.image_of_caption,
            tokens: &tokens,
            lengths: &batch.lengths,
        };
        let out = self.decoder.teacher_forcing(&images, captions, reading);
        let loss = out.loss(self.objective);
        let outcome = Outcome {
            total: loss.total.double_value(&[]),
            cross_entropy: loss.cross_entropy.double_value(&[]),
            attention: loss.attention.double_value(&[]),
            top5: if top5 { share_of_top5(&out) } else { 0.0 },
        };
        if outcome.total.is_finite() {
            let scale = scale * self.loss_scale.map_or(1.0, |scale| scale.factor());
            let of_cells = out.backward(&self.decoder, loss, scale, &mut self.gradients, learns);
            if let Some(of_cells) = of_cells {
                // The chain rule as a scalar: autograd goes on from here.
                (cells * of_cells).sum(Kind::Float).backward();
            }
        }
        outcome
    }

    /// One step of both optimizers along the gradients that were gathered; they are
    /// clipped to a norm of `norm` all together (0: not), then each number to ±
    /// `value` (0: not). Answers whether it was taken: it is not where a gradient is too
    /// large for f16; the next ones are computed on a smaller scale.
    pub fn step(&mut self, decoder_lr: f64, encoder_lr: f64, norm: f64, value: f64) -> bool {
        let of_decoder: Vec<(String, Tensor)> = (self.gradients.named().into_iter())
            .map(|(name, tensor)| (name.to_owned(), tensor))
            .collect();
        let of_encoder: Vec<(String, Tensor)> = match &self.images {
            Images::Encoder(part) => (part.adam.parameters())
                .map(|(name, tensor)| (name.to_owned(), tensor.grad()))
                .filter(|(_, gradient)| gradient.defined())
                .collect(),
            Images::Features { .. } => Vec::new(),
        };
        let mut factor = 1.0;
        if self.loss_scale.is_some() || norm > 0.0 {
            let mut is = norm_of(of_decoder.iter().chain(&of_encoder));
            if let Some(scale) = &mut self.loss_scale {
                factor /= scale.factor();
                is *= factor;
                scale.note(is.is_finite());
                if !is.is_finite() {
                    self.forget();
                    return false;
                }
            }
            if norm > 0.0 {
                // As PyTorch's `clip_grad_norm_`.
                factor *= (norm / (is + 1e-6)).min(1.0);
            }
        }
        let clip = Clip { factor, value };
        self.decoder_adam.step(&of_decoder, decoder_lr, clip);
        if let Images::Encoder(part) = &mut self.images {
            part.adam.step(&of_encoder, encoder_lr, clip);
        }
        self.forget();
        true
    }

    /// Forgets the gradients.
    pub fn forget(&mut self) {
        self.gradients.clear();
        if let Images::Encoder(part) = &self.images {
            part.adam.parameters().for_each(|(_, tensor)| {
                let mut tensor = tensor.shallow_clone();
                tensor.zero_grad();
            });
        }
    }

    /// Whether all weights that learn are finite numbers.
    pub fn is_finite(&self) -> bool {
        let encoder = match &self.images {
            Images::Encoder(part) => Some(&part.adam),
            Images::Features { .. } => None,
        };
        // A sum of finite numbers of this size is finite.
        let finite = |weight: &Tensor| weight.sum(Kind::Double).double_value(&[]).is_finite();
        let adams = [Some(&self.decoder_adam), encoder].into_iter().flatten();
        tch::no_grad(|| {
            adams
                .flat_map(Adam::parameters)
                .all(|(_, weight)| finite(weight))
        })
    }

    /// The decoder's weights.
    pub fn decoder_weights(&self) -> StateDict {
        named(&self.decoder_vars)
    }

    /// The encoder's weights.
    pub fn encoder_weights(&self) -> EncoderWeights {
        match &self.images {
            Images::Features { encoder, .. } => EncoderWeights::File(encoder.clone()),
            Images::Encoder(part) => EncoderWeights::Tensors(named(&part.vars)),
        }
    }

    /// The optimizers' moments and numbers of steps.
    pub fn optimizer(&self) -> StateDict {
        let mut all = StateDict::new();
        let mut add = |prefix: &str, adam: &Adam| {
            all.extend(
                adam.state()
                    .into_iter()
                    .map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)),
            );
            all.insert(format!("{prefix}.steps"), Tensor::from_slice(&[adam.steps]));
        };
        add("decoder", &self.decoder_adam);
        if let Images::Encoder(part) = &self.images {
            add("encoder", &part.adam);
        }
        all.extend(
            self.loss_scale
                .map(|scale| ("loss_scale".to_owned(), scale.state())),
        );
        all
    }

    /// Takes weights and moments up again from a checkpoint folder.
    ///
    /// # Errors
    /// [`Error::Refused`] where they are not those of this network.
    pub fn restore(&mut self, folder: &Path) -> Result<()> {
        let read = |name: &str| weights::read(&folder.join(name)).map_err(Error::refused);
        let refused = |e: String| Error::refused(format!("{}: {e}", folder.display()));
        weights::assign(&self.decoder_vars, &read("decoder.safetensors")?, &|_| {
            false
        })
        .map_err(|e| refused(e.to_string()))?;
        let optimizer = read("optimizer.safetensors")?;
        if let Some(scale) = &mut self.loss_scale {
            let saved = optimizer.get("loss_scale").and_then(LossScale::restore);
            *scale = saved
                .ok_or_else(|| refused("optimizer.safetensors has no loss_scale".to_owned()))?;
        }
        let mut adams = vec![("decoder", &mut self.decoder_adam)];
        if let Images::Encoder(part) = &mut self.images {
            weights::assign(&part.vars, &read("encoder.safetensors")?, &|_| false)
                .map_err(|e| refused(e.to_string()))?;
            adams.push(("encoder", &mut part.adam));
        }
        for (prefix, adam) in adams {
            let prefix = format!("{prefix}.");
            let state: StateDict = optimizer
                .iter()
                .filter_map(|(name, tensor)| {
                    Some((
                        name.strip_prefix(&prefix)?.to_owned(),
                        tensor.shallow_clone(),
                    ))
                })
                .collect();
            let steps = state
                .get("steps")
                .filter(|steps| steps.size() == [1])
                .map(|steps| steps.int64_value(&[0]));
            let steps = steps
                .ok_or_else(|| refused(format!("optimizer.safetensors has no {prefix}steps")))?;
            adam.restore(&state, steps).map_err(|name| {
                refused(format!(
                    "optimizer.safetensors: {prefix}{name} is missing or misshapen"
                ))
            })?;
        }
        Ok(())
    }
}

impl EncoderPart {
    fn look(&self, images: &Tensor, train: bool, kind: Kind) -> Tensor {
        let frozen = self.training == EncoderTraining::Frozen;
        let forward = || {
            self.encoder.forward(
                &normalise(images).to_kind(kind),
                train && self.training == EncoderTraining::Whole,
            )
        };
        if frozen {
            tch::no_grad(forward)
        } else {
            forward()
        }
    }
}

/// The variables that learn, sorted by name: the optimizer's order.
fn learning(vars: &nn::VarStore) -> Vec<(String, Tensor)> {
    named(vars)
        .into_iter()
        .filter(|(_, tensor)| tensor.requires_grad())
        .collect()
}

fn named(vars: &nn::VarStore) -> StateDict {
    vars.variables().into_iter().collect()
}

/// The norm of all gradients together.
fn norm_of<'a>(gradients: impl Iterator<Item = &'a (String, Tensor)>) -> f64 {
    let norms: Vec<Tensor> = gradients.map(|(_, gradient)| gradient.norm()).collect();
    let norms = Tensor::stack(&norms, 0).to_kind(Kind::Double);
    norms.norm().double_value(&[])
}

fn share_of_top5(out: &Teacher) -> f64 {
    let k = out.logits.size()[1].min(5);
    let (_, best) = out.logits.topk(k, 1, true, false);
    let hits = best.eq_tensor(&out.targets.unsqueeze(1)).any_dim(1, false);
    hits.to_kind(Kind::Double)
        .mean(Kind::Double)
        .double_value(&[])
}
