//! Models that search together.

use crate::decoder::{Decoder, Images, Rows};
use tch::{Kind, Tensor};

/// A model and its state during a search.
struct Member<'a> {
    decoder: &'a dyn Decoder,
    images: Images,
    state: Rows,
}

/// Models that search together, and which of their images each row belongs to.
pub(super) struct Ensemble<'a> {
    members: Vec<Member<'a>>,
    image: Vec<i64>,
}

impl<'a> Ensemble<'a> {
    /// One row for each image.
    ///
    /// # Panics
    /// If there are no models.
    pub fn new(models: &[(&'a dyn Decoder, &Images)]) -> Ensemble<'a> {
        let members = models.iter().map(|(decoder, images)| Member {
            decoder: *decoder,
            images: images.first(images.len()),
            state: tch::no_grad(|| decoder.begin(images)),
        });
        Ensemble {
            members: members.collect(),
            image: (0..models[0].1.len()).collect(),
        }
    }

    /// Number of images, n.
    pub fn images(&self) -> usize {
        self.members[0].images.len() as usize
    }

    /// A step from the rows' last tokens: log-probabilities of the next ones (B, V), and
    /// attention (B, P).
    pub fn step(&mut self, tokens: &[i64]) -> (Tensor, Tensor) {
        let image = &self.image;
        let steps: Vec<(Tensor, Tensor)> = (self.members.iter_mut())
            .map(|member| {
                let step = (member.decoder).step(&member.images, image, tokens, &member.state);
                member.state = step.state;
                (step.logits.log_softmax(-1, Kind::Float), step.attention)
            })
            .collect();
        if let [(log_probs, alpha)] = &steps[..] {
            return (log_probs.shallow_clone(), alpha.shallow_clone());
        }
        let log_probs: Vec<&Tensor> = steps.iter().map(|(log_probs, _)| log_probs).collect();
        let sum = Tensor::stack(&log_probs, 0).logsumexp([0i64].as_slice(), false); // (B, V)
        let grid = self.members[0].images.grid;
        let alike = steps
            .iter()
            .zip(&self.members)
            .filter(|(_, member)| member.images.grid == grid);
        let alphas: Vec<&Tensor> = alike.map(|((_, alpha), _)| alpha).collect();
        let alpha = Tensor::stack(&alphas, 0).mean_dim(0i64, false, None);
        (sum - (steps.len() as f64).ln(), alpha)
    }

    /// Continues with some rows, sorted by image. Once no more than half of the images have
    /// rows, the others leave the memory.
    pub fn select(&mut self, rows: &[usize]) {
        let image: Vec<i64> = rows.iter().map(|row| self.image[*row]).collect();
        let index = Tensor::from_slice(&rows.iter().map(|row| *row as i64).collect::<Vec<_>>());
        let mut left = image.clone();
        left.dedup();
        let fewer = 2 * left.len() <= self.images();
        for member in &mut self.members {
            member.state = member.state.select(&index);
            if fewer {
                member.images = member.images.select(&Tensor::from_slice(&left));
            }
        }
        self.image = match fewer {
            true => (image.iter())
                .map(|image| left.partition_point(|other| other < image) as i64)
                .collect(),
            false => image,
        };
    }
}
