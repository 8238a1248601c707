//! The model in training: encoder and decoder with their gradients and optimizers.

pub mod adam;
mod average;
mod images;
mod outcome;
mod read;
pub mod scale;

pub use outcome::Outcome;

use self::adam::{Adam, Clip};
use self::average::Average;
use self::images::{Images, Pixels, named};
use self::scale::LossScale;
use crate::checkpoint::EncoderWeights;
use crate::config::{Config, Precision};
use crate::data::Batch;
use attend_artifact::model::ModelCard;
use attend_model::weights::{self, StateDict};
use attend_model::{
    Arena, Captions, Cells, CrossEntropy, Decoder, FrozenEncoder, Gradients, Objective, Reading,
    decoder, threads,
};
use attend_program::random::mix;
use attend_program::{Error, Result};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor, nn};

/// The model in training.
pub struct Network {
    /// The model's description, for checkpoints.
    pub card: ModelCard,
    /// The decoder.
    pub decoder: Box<dyn Decoder>,
    decoder_vars: nn::VarStore,
    images: Images,
    /// The device that holds it.
    pub device: Device,
    /// Number format of matrix products in training.
    kind: Kind,
    loss_scale: Option<LossScale>,
    /// The gradients of decoder and encoder in one buffer, and each one's part of it.
    gradients: Arena,
    decoder_gradients: Gradients,
    encoder_gradients: Arena,
    decoder_adam: Adam,
    encoder_adam: Adam,
    average: Option<Average>,
    /// Whether steps change only the decoder's parameters that have a row for each word.
    pub only_words: bool,
}

impl Network {
    /// A network for features of this grid; `encoder` is the encoder's file, unless another
    /// program has the encoder.
    pub fn on_features(
        card: ModelCard,
        config: &Config,
        grid: [i64; 2],
        encoder: Option<PathBuf>,
        device: Device,
    ) -> Network {
        let images = Images::Features {
            grid,
            file: encoder,
        };
        Network::new(card, config, images, device)
    }

    /// A network for pixels and an encoder that is never trained, whose file is `file`.
    pub fn on_module(
        card: ModelCard,
        config: &Config,
        encoder: impl FrozenEncoder + 'static,
        file: PathBuf,
        device: Device,
    ) -> Network {
        let encoder = Box::new(encoder);
        Network::new(card, config, Images::Frozen { encoder, file }, device)
    }

    /// A network for pixels and a ResNet; `weights` is the file of its initial weights, if
    /// any.
    ///
    /// # Errors
    /// [`Error::Usage`] if the encoder is no ResNet, [`Error::Input`] if its weights can't be
    /// read.
    pub fn on_pixels(
        card: ModelCard,
        config: &Config,
        weights: Option<&Path>,
        device: Device,
    ) -> Result<Network> {
        let seed = mix(&[config.train.seed, 1]);
        let resnet = card.encoder.resnet().ok_or_else(|| {
            Error::usage(format!("{} can't be trained, only a ResNet", card.encoder))
        })?;
        let pixels = Pixels::new(resnet, weights, config.train.encoder, seed, device)?;
        Ok(Network::new(card, config, Images::Pixels(pixels), device))
    }

    fn new(card: ModelCard, config: &Config, images: Images, device: Device) -> Network {
        let mut decoder_vars = nn::VarStore::new(device);
        tch::manual_seed(mix(&[config.train.seed, 0]) as i64);
        let decoder = decoder::new(&decoder_vars.root(), &card.decoder);
        decoder_vars.freeze(); // the decoder computes its gradients itself
        let parameters = || decoder.parameters().into_iter();
        let encoder_parameters = images.learning();
        let gradients = Arena::like(parameters().chain(encoder_parameters.iter().map(clone)));
        let (decoder_gradients, encoder_gradients) = gradients.split(parameters().count());
        let frozen = config.decoder.freeze_embeddings;
        let learning = parameters().filter(|(name, _)| !(frozen && name == decoder.embedding()));
        let decoder_adam = Adam::new(learning, config.train.adam, threads());
        let encoder_adam = Adam::new(encoder_parameters, config.train.adam, threads());
        Network {
            card,
            average: None,
            decoder_adam,
            encoder_adam,
            gradients,
            decoder_gradients: Gradients::new(decoder_gradients),
            encoder_gradients,
            decoder,
            decoder_vars,
            images,
            device,
            kind: config.train.precision.kind(),
            loss_scale: (config.train.precision == Precision::F16).then(LossScale::default),
            only_words: false,
        }
    }

    /// Sets the embeddings of some tokens.
    pub fn embed(&mut self, vectors: &[(i64, Vec<f32>)]) {
        let variables = self.decoder_vars.variables();
        let Some(table) = variables.get(self.decoder.embedding()) else {
            return;
        };
        tch::no_grad(|| {
            for (id, vector) in vectors {
                table.get(*id).copy_(&Tensor::from_slice(vector));
            }
        });
    }

    /// Copies the decoder's weights from `weights`; names and shapes must be the same.
    ///
    /// # Errors
    /// Names the tensors that differ.
    pub fn start_from(&mut self, weights: &StateDict) -> attend_model::Result<()> {
        weights::assign(&self.decoder_vars, weights, &|_| false).map(|_| ())
    }

    /// Images as the decoder gets them, without gradients.
    ///
    /// # Errors
    /// [`Error::Input`] if the encoder fails.
    pub fn look(&self, images: &Tensor) -> Result<attend_model::Images> {
        tch::no_grad(|| {
            let seen = self.images.cells(&self.near(images), false, Kind::Float);
            let Cells { cells, grid } = seen?;
            Ok(self.decoder.project(&cells, grid))
        })
    }

    /// The cross entropy of a batch's captions, given its images as [`Network::look`] sees
    /// them: the sum over the tokens, without dropout, and their number.
    pub fn cross_entropy(&self, images: &attend_model::Images, batch: &Batch) -> (f64, i64) {
        if batch.lengths.is_empty() {
            return (0.0, 0);
        }
        let captions = Captions {
            image: &batch.image_of_caption,
            tokens: &batch.tokens.to_device(self.device),
            lengths: &batch.lengths,
        };
        let pass = self.decoder.read(images, captions, Reading::default());
        let value = CrossEntropy::default().value(pass.output());
        let mean = value
            .part("cross_entropy")
            .map_or(0.0, |part| part.double_value(&[]));
        let tokens = pass.output().targets.size()[0];
        (mean * tokens as f64, tokens)
    }

    /// The images on the network's device.
    fn near(&self, images: &Tensor) -> Tensor {
        images.to_device_(self.device, images.kind(), true, false)
    }

    /// One step of both optimizers along the accumulated gradients, after clipping their
    /// common norm to `norm` (0: no clipping), then each number to ± `value` (0: no
    /// clipping). Returns whether the step was taken: if a gradient is too large for f16,
    /// it is not, and the loss scale is lowered.
    pub fn step(&mut self, decoder_lr: f64, encoder_lr: f64, norm: f64, value: f64) -> bool {
        let mut factor = 1.0;
        if self.loss_scale.is_some() || norm > 0.0 {
            let mut length = self.gradients.norm();
            if let Some(scale) = &mut self.loss_scale {
                factor /= scale.factor();
                length *= factor;
                scale.note(length.is_finite());
                if !length.is_finite() {
                    self.forget();
                    return false;
                }
            }
            if norm > 0.0 {
                // As PyTorch's `clip_grad_norm_`.
                factor *= (norm / (length + 1e-6)).min(1.0);
            }
        }
        let clip = Clip { factor, value };
        let words = self.decoder.word_parameters();
        let learns = |name: &str| !self.only_words || words.contains(&name);
        (self.decoder_adam).step(self.decoder_gradients.arena(), decoder_lr, clip, &learns);
        if !self.only_words {
            (self.encoder_adam).step(&self.encoder_gradients, encoder_lr, clip, &|_| true);
        }
        let adams = both(&self.decoder_adam, &self.encoder_adam);
        if let Some(average) = &mut self.average {
            average.take(&adams, self.decoder_adam.steps);
        }
        self.forget();
        true
    }

    /// Takes the weights into their moving average from here on.
    pub fn begin_average(&mut self, decay: f64) {
        let adams = both(&self.decoder_adam, &self.encoder_adam);
        self.average = Some(Average::new(&adams, decay));
    }

    /// Exchanges the weights and their moving average, if there is one: once for the average,
    /// once more for the weights.
    pub fn exchange(&mut self) {
        let adams = both(&self.decoder_adam, &self.encoder_adam);
        if let Some(average) = &mut self.average {
            average.exchange(&adams);
        }
    }

    /// Clears the accumulated gradients.
    pub fn forget(&mut self) {
        self.decoder_gradients.clear();
        // Autograd accumulates, so set them to 0.
        let _ = self.encoder_gradients.numbers().shallow_clone().zero_();
    }

    /// Whether all trained weights are finite.
    pub fn is_finite(&self) -> bool {
        // A sum of finite numbers of this size is finite.
        let finite = |weight: &Tensor| weight.sum(Kind::Double).double_value(&[]).is_finite();
        let adams = [&self.decoder_adam, &self.encoder_adam].into_iter();
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
            Images::Features { file: None, .. } => EncoderWeights::Elsewhere,
            Images::Features {
                file: Some(file), ..
            }
            | Images::Frozen { file, .. } => EncoderWeights::File(file.clone()),
            Images::Pixels(pixels) => EncoderWeights::Tensors(named(&pixels.vars)),
        }
    }

    /// The optimizers' moments and numbers of steps, and the average of the weights.
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
        if let Images::Pixels(_) = &self.images {
            add("encoder", &self.encoder_adam);
        }
        all.extend(
            self.loss_scale
                .map(|scale| ("loss_scale".to_owned(), scale.state())),
        );
        all.extend(self.average.iter().flat_map(Average::state));
        all
    }

    /// Restores weights and moments from a checkpoint folder.
    ///
    /// # Errors
    /// [`Error::Refused`] if they don't fit this network.
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
        if let Some(average) = &mut self.average {
            average.restore(&optimizer).map_err(|name| {
                refused(format!(
                    "optimizer.safetensors: {name} is missing or misshapen"
                ))
            })?;
        }
        let mut adams = vec![("decoder", &mut self.decoder_adam)];
        if let Images::Pixels(pixels) = &self.images {
            weights::assign(&pixels.vars, &read("encoder.safetensors")?, &|_| false)
                .map_err(|e| refused(e.to_string()))?;
            adams.push(("encoder", &mut self.encoder_adam));
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

fn clone((name, tensor): &(String, Tensor)) -> (String, Tensor) {
    (name.clone(), tensor.shallow_clone())
}

/// The optimizers, with the prefixes of their parameters' names.
fn both<'a>(decoder: &'a Adam, encoder: &'a Adam) -> [(&'static str, &'a Adam); 2] {
    [("decoder", decoder), ("encoder", encoder)]
}
