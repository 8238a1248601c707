//! Adam (Kingma & Ba 2015) as in PyTorch, with a state that can be saved.

use attend_model::weights::StateDict;
use tch::{Kind, Tensor, no_grad};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The optimizer of one group of parameters.
pub struct Adam {
    parameters: Vec<Parameter>,
    /// Steps taken.
    pub steps: i64,
}

struct Parameter {
    name: String,
    value: Tensor,
    mean: Tensor,
    square: Tensor,
}

impl Adam {
    /// An optimizer of these parameters, by name.
    pub fn new(parameters: impl IntoIterator<Item = (String, Tensor)>) -> Adam {
        let parameters = parameters
            .into_iter()
            .map(|(name, value)| Parameter {
                mean: value.zeros_like(),
                square: value.zeros_like(),
                name,
                value,
            })
            .collect();
        Adam {
            parameters,
            steps: 0,
        }
    }

    /// Forgets the gradients.
    pub fn zero_grad(&mut self) {
        for parameter in &mut self.parameters {
            parameter.value.zero_grad();
        }
    }

    /// One step along the gradients, each number of which is first clipped to
    /// ± `clip` (0: not clipped).
    pub fn step(&mut self, lr: f64, clip: f64) {
        self.steps += 1;
        let step = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let step_size = lr / (1.0 - BETA1.powi(step));
        let root_correction = (1.0 - BETA2.powi(step)).sqrt();
        no_grad(|| {
            for Parameter {
                value,
                mean,
                square,
                ..
            } in &mut self.parameters
            {
                let mut gradient = value.grad();
                if !gradient.defined() {
                    continue;
                }
                if clip > 0.0 {
                    let _ = gradient.clamp_(-clip, clip);
                }
                let _ = mean.lerp_(&gradient, 1.0 - BETA1);
                let _ = square.g_mul_scalar_(BETA2);
                *square += gradient.square() * (1.0 - BETA2);
                let update = &*mean / (square.sqrt() / root_correction + EPSILON);
                *value -= update * step_size;
            }
        });
    }

    /// The moments, by parameter: `NAME.mean` and `NAME.square`.
    pub fn state(&self) -> StateDict {
        let both = |p: &Parameter| {
            [
                (format!("{}.mean", p.name), p.mean.shallow_clone()),
                (format!("{}.square", p.name), p.square.shallow_clone()),
            ]
        };
        self.parameters.iter().flat_map(both).collect()
    }

    /// Takes the moments up again.
    ///
    /// # Errors
    /// The name of the tensor that is missing or has another shape.
    pub fn restore(&mut self, state: &StateDict, steps: i64) -> Result<(), String> {
        self.steps = steps;
        for Parameter {
            name,
            value,
            mean,
            square,
        } in &mut self.parameters
        {
            for (moment, suffix) in [(mean, "mean"), (square, "square")] {
                let key = format!("{name}.{suffix}");
                let saved = state
                    .get(&key)
                    .filter(|saved| saved.size() == value.size())
                    .ok_or(key)?;
                no_grad(|| moment.copy_(saved));
            }
        }
        Ok(())
    }
}

/// Whether a number is NaN or infinite.
pub fn is_broken(value: &Tensor) -> bool {
    !value.to_kind(Kind::Double).double_value(&[]).is_finite()
}
