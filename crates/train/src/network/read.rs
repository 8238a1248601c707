//! A batch in training: forward, the objective, and backward.

use super::Network;
use super::images::adopt;
use super::outcome::Outcome;
use crate::data::Batch;
use crate::reward::Critic;
use attend_model::{Captions, Cells, Decoder, Images, Objective, Output, Reading};
use attend_program::Result;
use tch::{Kind, Tensor};

/// Images as the encoder and the decoder see them.
struct Seen {
    cells: Cells,
    images: Images,
}

impl Network {
    /// Runs forward and backward over a batch, and adds the gradient of `scale` times its
    /// objective to those that [`Network::step`] uses. Adds none if the value is NaN or
    /// infinite.
    ///
    /// # Errors
    /// [`attend_program::Error::Input`] if the encoder fails.
    pub fn read(
        &mut self,
        batch: &Batch,
        objective: &dyn Objective,
        (scale, reading): (f64, Reading),
        top5: bool,
    ) -> Result<Outcome> {
        let seen = self.see(&batch.images, |decoder, cells, grid| {
            decoder.prepare(cells, grid)
        })?;
        let captions = Captions {
            image: &batch.image_of_caption,
            tokens: &batch.tokens.to_device(self.device),
            lengths: &batch.lengths,
        };
        Ok(self.learn(&seen, captions, objective, (scale, reading), top5))
    }

    /// Like [`Network::read`], with captions that the model draws itself: they are read
    /// without dropout, and weighed by what they earn. `of` has the index of each image in
    /// the data set; the captions are functions of the weights and `seed`.
    ///
    /// # Errors
    /// [`attend_program::Error::Input`] if the encoder fails.
    pub fn read_by_reward(
        &mut self,
        batch: &Batch,
        scale: f64,
        (critic, of, seed): (&Critic, &[usize], u64),
    ) -> Result<Outcome> {
        let seen = self.see(&batch.images, |decoder, cells, grid| {
            decoder.project(cells, grid)
        })?;
        let rollouts = critic.rollouts(self.decoder.as_ref(), &seen.images, of, seed);
        let captions = Captions {
            image: &rollouts.image,
            tokens: &rollouts.tokens.to_device(self.device),
            lengths: &rollouts.lengths,
        };
        let given = (scale, Reading::default());
        let outcome = self.learn(&seen, captions, &rollouts.objective, given, false);
        Ok(Outcome {
            values: rollouts.values,
            ..outcome
        })
    }

    fn see(
        &self,
        images: &Tensor,
        of_decoder: fn(&dyn Decoder, &Tensor, [i64; 2]) -> Images,
    ) -> Result<Seen> {
        let near = self.near(images);
        let cells = self.images.cells(&near, !self.only_words, self.kind)?;
        let detached = cells.cells.detach();
        let images = tch::no_grad(|| of_decoder(self.decoder.as_ref(), &detached, cells.grid));
        Ok(Seen { cells, images })
    }

    /// Reads captions of these images, and adds the gradient of `scale` times the objective.
    fn learn(
        &mut self,
        seen: &Seen,
        captions: Captions,
        objective: &dyn Objective,
        (scale, reading): (f64, Reading),
        top5: bool,
    ) -> Outcome {
        let cells = &seen.cells.cells;
        let pass = self.decoder.read(&seen.images, captions, reading);
        let value = objective.value(pass.output());
        let number = |tensor: &Tensor| tensor.double_value(&[]);
        let mut values: Vec<(&'static str, f64)> =
            (value.parts.iter().map(|(name, part)| (*name, number(part)))).collect();
        if top5 {
            values.push(("top5", share_of_top5(pass.output())));
        }
        let total = number(&value.total);
        if total.is_finite() {
            let scale = scale * self.loss_scale.map_or(1.0, |scale| scale.factor());
            let gradients = value.gradients(scale);
            let learns = cells.requires_grad();
            let grad_cells = pass.backward(gradients, &mut self.decoder_gradients, learns);
            if let Some(grad_cells) = grad_cells {
                // By the chain rule, the gradient of this scalar is the encoder's, which
                // autograd computes from here.
                (cells * grad_cells).sum(Kind::Float).backward();
                adopt(self.encoder_adam.parameters(), &self.encoder_gradients);
            }
        }
        Outcome { total, values }
    }
}

fn share_of_top5(out: &Output) -> f64 {
    let k = out.logits.size()[1].min(5);
    let (_, best) = out.logits.topk(k, 1, true, false);
    let hits = best.eq_tensor(&out.targets.unsqueeze(1)).any_dim(1, false);
    hits.to_kind(Kind::Double)
        .mean(Kind::Double)
        .double_value(&[])
}
