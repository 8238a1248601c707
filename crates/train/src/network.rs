//! Encoder and decoder as the trainer holds them, with their optimizers.

use crate::adam::Adam;
use crate::checkpoint::EncoderWeights;
use crate::config::{Config, EncoderTraining};
use crate::data::Batch;
use attend_artifact::{Error, Result};
use attend_model::weights::{self, StateDict};
use attend_model::{Decoder, Encoder, Loss, ModelCard, Projected, Teacher, cells, loss, normalise};
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
    images: Images,
    device: Device,
    alpha_c: f64,
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

    /// A network that sees pixels.
    ///
    /// # Errors
    /// [`Error::Input`] where the encoder's weights can't be read.
    pub fn on_pixels(card: ModelCard, config: &Config, device: Device) -> Result<Network> {
        let training = config.train.encoder;
        let vars = nn::VarStore::new(device);
        tch::manual_seed(crate::order::mix(&[config.train.seed, 1]) as i64);
        let encoder = Encoder::new(&vars.root(), &card.encoder);
        if !config.encoder.weights.is_empty() {
            let dict = weights::read(Path::new(&config.encoder.weights)).map_err(Error::input)?;
            encoder
                .load(&vars, &dict)
                .map_err(|e| Error::input(format!("{}: {e}", config.encoder.weights)))?;
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
        let adam = Adam::new(learning(&vars));
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
        let decoder_vars = nn::VarStore::new(device);
        tch::manual_seed(crate::order::mix(&[config.train.seed, 0]) as i64);
        let decoder = Decoder::new(&decoder_vars.root(), &card.decoder);
        let decoder_adam = Adam::new(learning(&decoder_vars));
        Ok(Network {
            card,
            decoder,
            decoder_vars,
            decoder_adam,
            images,
            device,
            alpha_c: config.train.alpha_c,
        })
    }

    /// Features of a batch's images, projected for the decoder.
    pub fn look(&self, images: &Tensor, train: bool) -> Projected {
        let images = images.to_device(self.device);
        match &self.images {
            Images::Features { grid, .. } => {
                self.decoder.project(&images.to_kind(Kind::Float), *grid)
            }
            Images::Encoder(part) => {
                let map = part.look(&images, train);
                let size = map.size();
                self.decoder.project(&cells(&map), [size[2], size[3]])
            }
        }
    }

    /// Loss of a batch and what it was made from; with dropout.
    pub fn forward(&self, batch: &Batch) -> (Loss, Teacher) {
        let images = self.look(&batch.images, true);
        let index = batch.image_of_caption.to_device(self.device);
        let tokens = batch.tokens.to_device(self.device);
        let out = self
            .decoder
            .teacher_forcing(&images, &index, &tokens, &batch.lengths, true);
        (loss(&out, self.alpha_c), out)
    }

    /// One step of both optimizers along the gradients of `total`.
    pub fn learn(&mut self, total: &Tensor, decoder_lr: f64, encoder_lr: f64, clip: f64) {
        self.decoder_adam.zero_grad();
        if let Images::Encoder(part) = &mut self.images {
            part.adam.zero_grad();
        }
        total.backward();
        self.decoder_adam.step(decoder_lr, clip);
        if let Images::Encoder(part) = &mut self.images {
            part.adam.step(encoder_lr, clip);
        }
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
    fn look(&self, images: &Tensor, train: bool) -> Tensor {
        let frozen = self.training == EncoderTraining::Frozen;
        let forward = || {
            self.encoder.forward(
                &normalise(images),
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
