//! An exponential moving average of the weights, which describes better than the weights
//! themselves while the learning rate is high (Polyak & Juditsky 1992).

use super::adam::Adam;
use attend_model::weights::StateDict;
use tch::{Tensor, no_grad};

/// The average of a network's trained weights over its steps.
pub struct Average {
    decay: f64,
    /// In the order of the optimizers' parameters.
    weights: Vec<(String, Tensor)>,
}

impl Average {
    /// An average that begins with the weights as they are.
    pub fn new(adams: &[(&str, &Adam)], decay: f64) -> Average {
        let weights = learned(adams).map(|(name, weight)| (name, no_grad(|| weight.copy())));
        Average {
            decay,
            weights: weights.collect(),
        }
    }

    /// Takes the weights after `steps` steps into the average. The first steps count more, so
    /// that the initial weights are soon forgotten.
    pub fn take(&mut self, adams: &[(&str, &Adam)], steps: i64) {
        let steps = steps as f64;
        let decay = self.decay.min((1.0 + steps) / (10.0 + steps));
        no_grad(|| {
            for ((_, mean), (_, weight)) in self.weights.iter_mut().zip(learned(adams)) {
                let _ = mean.lerp_(weight, 1.0 - decay);
            }
        });
    }

    /// Exchanges the average and the weights.
    pub fn exchange(&mut self, adams: &[(&str, &Adam)]) {
        no_grad(|| {
            for ((_, mean), (_, weight)) in self.weights.iter_mut().zip(learned(adams)) {
                let before = weight.copy();
                weight.shallow_clone().copy_(mean);
                mean.copy_(&before);
            }
        });
    }

    /// The average by name, for checkpoints.
    pub fn state(&self) -> StateDict {
        let entry = |(name, mean): &(String, Tensor)| (name.clone(), mean.shallow_clone());
        self.weights.iter().map(entry).collect()
    }

    /// Restores what [`Average::state`] returned.
    ///
    /// # Errors
    /// The name that is missing or has another shape.
    pub fn restore(&mut self, state: &StateDict) -> Result<(), String> {
        for (name, mean) in &mut self.weights {
            match state.get(name) {
                Some(saved) if saved.size() == mean.size() => mean.copy_(saved),
                _ => return Err(name.clone()),
            }
        }
        Ok(())
    }
}

/// The trained weights of all optimizers, with their names in checkpoints.
fn learned<'a>(adams: &[(&str, &'a Adam)]) -> impl Iterator<Item = (String, &'a Tensor)> {
    let all = adams.iter().flat_map(|(prefix, adam)| {
        let named = |(name, weight)| (format!("average.{prefix}.{name}"), weight);
        adam.parameters().map(named).collect::<Vec<_>>()
    });
    all.collect::<Vec<_>>().into_iter()
}
