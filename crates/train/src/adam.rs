//! Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019) as in PyTorch, with a
//! state that can be saved.
//!
//! On the CPU one pass over the memory does it all, on as many threads as the process
//! may use: clipping, both moments, the step.

use attend_model::parallel;
use attend_model::weights::StateDict;
use multiversion::multiversion;
use serde::{Deserialize, Serialize};
use std::slice::{from_raw_parts, from_raw_parts_mut};
use std::sync::Mutex;
use tch::{Device, Kind, Tensor, no_grad};

/// Numbers that a thread updates at a time.
const CHUNK: usize = 1 << 15;

/// Adam's own parameters, PyTorch's as defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Decay of the mean of the gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the root of the latter.
    pub epsilon: f64,
    /// Share of a weight that is lost at each step, times the learning rate (AdamW).
    pub weight_decay: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// What becomes of a gradient before the step.
#[derive(Clone, Copy, Debug)]
pub struct Clip {
    /// It is first multiplied by this,
    pub factor: f64,
    /// then each number kept within ± this (0: as it is).
    pub value: f64,
}

/// The optimizer of one group of parameters.
pub struct Adam {
    parameters: Vec<Parameter>,
    options: Options,
    threads: usize,
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
    pub fn new(
        parameters: impl IntoIterator<Item = (String, Tensor)>,
        options: Options,
        threads: usize,
    ) -> Adam {
        let parameters = parameters
            .into_iter()
            .map(|(name, value)| Parameter {
                mean: value.detach().zeros_like(),
                square: value.detach().zeros_like(),
                name,
                value,
            })
            .collect();
        Adam {
            parameters,
            options,
            threads: threads.max(1),
            steps: 0,
        }
    }

    /// One step along the gradients that have a parameter here.
    pub fn step(&mut self, gradients: &[(String, Tensor)], lr: f64, clip: Clip) {
        self.steps += 1;
        let step = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let Options {
            beta1,
            beta2,
            epsilon,
            weight_decay,
        } = self.options;
        let update = Update {
            factor: clip.factor as f32,
            limit: if clip.value > 0.0 {
                clip.value as f32
            } else {
                f32::INFINITY
            },
            gain1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            gain2: (1.0 - beta2) as f32,
            root: (1.0 - beta2.powi(step)).sqrt() as f32,
            epsilon: epsilon as f32,
            step: (lr / (1.0 - beta1.powi(step))) as f32,
            keep: (1.0 - lr * weight_decay) as f32,
        };
        let mut chunks = Vec::new();
        for parameter in &self.parameters {
            let gradient = gradients.iter().find(|(name, _)| *name == parameter.name);
            let Some((_, gradient)) = gradient else {
                continue;
            };
            if parameter.fits(gradient) {
                chunks.extend(parameter.chunks(gradient));
            } else {
                no_grad(|| parameter.plain(gradient, &update));
            }
        }
        let chunks: Vec<Mutex<Chunk>> = chunks.into_iter().map(Mutex::new).collect();
        let share = chunks.len().div_ceil(self.threads).max(1);
        parallel(chunks.len().div_ceil(share), &|part| {
            for chunk in chunks.iter().skip(part * share).take(share) {
                if let Ok(mut chunk) = chunk.lock() {
                    update.fused(&mut chunk);
                }
            }
        });
    }

    /// Names and values of the parameters.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.parameters.iter().map(|p| (p.name.as_str(), &p.value))
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

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Update {
    factor: f32,
    limit: f32,
    gain1: f32,
    beta2: f32,
    gain2: f32,
    root: f32,
    epsilon: f32,
    step: f32,
    keep: f32,
}

/// A part of a parameter.
struct Chunk<'a> {
    value: &'a mut [f32],
    mean: &'a mut [f32],
    square: &'a mut [f32],
    gradient: &'a [f32],
}

impl Parameter {
    /// Whether the fused loop can take it.
    fn fits(&self, gradient: &Tensor) -> bool {
        [&self.value, &self.mean, &self.square, gradient]
            .iter()
            .all(|t| t.device() == Device::Cpu && t.kind() == Kind::Float && t.is_contiguous())
            && gradient.size() == self.value.size()
    }

    fn chunks<'a>(&'a self, gradient: &'a Tensor) -> impl Iterator<Item = Chunk<'a>> {
        let numbers = self.value.numel();
        let [value, mean, square] = [&self.value, &self.mean, &self.square].map(|tensor| {
            // SAFETY: `fits` says that these are f32 numbers in our memory; they are
            // different tensors, and nobody else looks at them during the step.
            unsafe { from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), numbers) }
        });
        // SAFETY: as above, and the gradient is only read.
        let gradient = unsafe { from_raw_parts(gradient.data_ptr().cast::<f32>(), numbers) };
        (value.chunks_mut(CHUNK).zip(mean.chunks_mut(CHUNK)))
            .zip(square.chunks_mut(CHUNK).zip(gradient.chunks(CHUNK)))
            .map(|((value, mean), (square, gradient))| Chunk {
                value,
                mean,
                square,
                gradient,
            })
    }

    /// The same in tensor operations, for other devices.
    fn plain(&self, gradient: &Tensor, update: &Update) {
        let [mut value, mut mean, mut square] =
            [&self.value, &self.mean, &self.square].map(Tensor::shallow_clone);
        let limit = f64::from(update.limit);
        let gradient =
            (gradient.to_kind(value.kind()) * f64::from(update.factor)).clamp(-limit, limit);
        let _ = mean.lerp_(&gradient, f64::from(update.gain1));
        let _ = square.g_mul_scalar_(f64::from(update.beta2));
        square += gradient.square() * f64::from(update.gain2);
        let denominator = square.sqrt() / f64::from(update.root) + f64::from(update.epsilon);
        value *= f64::from(update.keep);
        value -= &mean / denominator * f64::from(update.step);
    }
}

impl Update {
    fn fused(&self, chunk: &mut Chunk) {
        fused(*self, chunk.value, chunk.mean, chunk.square, chunk.gradient);
    }
}

#[multiversion(targets("x86_64+avx2", "x86_64+avx512f"))]
fn fused(by: Update, value: &mut [f32], mean: &mut [f32], square: &mut [f32], gradient: &[f32]) {
    let numbers = (value.iter_mut().zip(mean)).zip(square.iter_mut().zip(gradient));
    for ((value, mean), (square, gradient)) in numbers {
        let scaled = gradient * by.factor;
        // Not `clamp` and not `min`: a gradient that is no number shall stay none.
        let above = if scaled > by.limit { by.limit } else { scaled };
        let gradient = if above < -by.limit { -by.limit } else { above };
        *mean += (gradient - *mean) * by.gain1;
        *square = *square * by.beta2 + gradient * gradient * by.gain2;
        let denominator = square.sqrt() / by.root + by.epsilon;
        *value = *value * by.keep - *mean / denominator * by.step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const COUNT: i64 = 40_000; // more than a chunk
    const EVERY: i64 = 500;

    fn floats(of: impl Fn(f64) -> f64) -> Tensor {
        let numbers: Vec<f32> = (0..COUNT).map(|i| of(i as f64) as f32).collect();
        Tensor::from_slice(&numbers)
    }

    /// Against `tests/fixtures/adam.py`; `fused` or in tensor operations.
    fn agrees(case: &str, options: Options, norm: f64, value: f64, fused: bool) {
        let fixture = include_str!("../tests/fixtures/adam.json");
        let fixture: Value = serde_json::from_str(fixture).unwrap();
        let mut parameter = floats(|i| (i * 0.11).cos());
        if !fused {
            // What the loop does not take: numbers that don't lie one after the other.
            parameter = Tensor::stack(&[&parameter, &parameter], 1).select(1, 0);
        }
        let mut adam = Adam::new([("p".to_owned(), parameter.shallow_clone())], options, 3);
        for (step, expected) in fixture[case].as_array().unwrap().iter().enumerate() {
            let gradient = floats(|i| (i * 0.37 + step as f64).sin() * (1.0 + i % 7.0));
            let factor = match norm {
                0.0 => 1.0,
                norm => norm / (gradient.norm().double_value(&[]) + 1e-6),
            };
            assert_eq!(adam.parameters[0].fits(&gradient), fused);
            adam.step(&[("p".to_owned(), gradient)], 0.05, Clip { factor, value });
            for (place, expected) in expected.as_array().unwrap().iter().enumerate() {
                let is = parameter.double_value(&[place as i64 * EVERY]);
                let off = (is - expected.as_f64().unwrap()).abs();
                assert!(off < 2e-6, "{case}, step {step}, {place}: {is}, {expected}");
            }
        }
    }

    #[test]
    fn steps_are_pytorchs() {
        let plain = Options::default();
        let betas = Options {
            beta1: 0.8,
            beta2: 0.99,
            epsilon: 1e-4,
            ..plain
        };
        let decay = Options {
            weight_decay: 0.1,
            ..plain
        };
        for fused in [true, false] {
            agrees("adam", plain, 0.0, 5.0, fused);
            agrees("betas", betas, 0.0, 0.0, fused);
            agrees("adamw", decay, 0.0, 0.0, fused);
            agrees("norm", plain, 20.0, 0.1, fused);
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let after = |threads| {
            let parameter = floats(|i| (i * 0.11).cos());
            let named = [("p".to_owned(), parameter.shallow_clone())];
            let mut adam = Adam::new(named, Options::default(), threads);
            let clip = Clip {
                factor: 1.0,
                value: 1.0,
            };
            adam.step(&[("p".to_owned(), floats(f64::sin))], 0.1, clip);
            parameter
        };
        assert_eq!(after(1), after(2));
        assert_eq!(after(1), after(7));
    }
}
