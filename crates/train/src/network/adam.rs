//! Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019) as in PyTorch, with a
//! state that can be saved.
//!
//! On the CPU, one multi-threaded pass over memory clips the gradients, updates both
//! moments and takes the step. On other devices, a few tensor operations on all parameters
//! at once do so, because gradients and moments are contiguous in memory.

use attend_model::slices::{is_readable, numbers, numbers_mut};
use attend_model::weights::StateDict;
use attend_model::{Arena, parallel};
use multiversion::multiversion;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

/// Numbers per chunk, which a thread updates at a time.
const CHUNK: usize = 1 << 15;

/// Adam's parameters, with PyTorch's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Decay of the running mean of the gradients.
    pub beta1: f64,
    /// Decay of the running mean of the gradients' squares.
    pub beta2: f64,
    /// Added to the root of the mean square, so that no step divides by 0.
    pub epsilon: f64,
    /// AdamW's decoupled weight decay: each step takes this share of a weight, times the
    /// learning rate, off it.
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

/// Scaling and clipping of a gradient before the step.
#[derive(Clone, Copy, Debug)]
pub struct Clip {
    /// Factor of each number.
    pub factor: f64,
    /// Then clips each number to ± this; 0: no clipping.
    pub value: f64,
}

/// The optimizer of one group of parameters.
pub struct Adam {
    parameters: Vec<Parameter>,
    /// Running means of all parameters' gradients and of their squares.
    moments: [Arena; 2],
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
    /// An optimizer of these named parameters.
    pub fn new(
        parameters: impl IntoIterator<Item = (String, Tensor)>,
        options: Options,
        threads: usize,
    ) -> Adam {
        let parameters: Vec<(String, Tensor)> = parameters.into_iter().collect();
        let like = || {
            parameters
                .iter()
                .map(|(name, value)| (name, value.shallow_clone()))
        };
        let moments = [Arena::like(like()), Arena::like(like())];
        let views = moments[0].views().iter().zip(moments[1].views());
        let parameters = (parameters.iter().zip(views))
            .map(|((name, value), ((_, mean), (_, square)))| Parameter {
                name: name.clone(),
                value: value.shallow_clone(),
                mean: mean.shallow_clone(),
                square: square.shallow_clone(),
            })
            .collect();
        Adam {
            parameters,
            moments,
            options,
            threads: threads.max(1),
            steps: 0,
        }
    }

    /// Takes one step along `gradients`, which has one for each parameter and may have
    /// more. Parameters that don't learn stay as they are; their moments follow their
    /// gradients, so that they learn like the others once they do.
    ///
    /// # Panics
    /// If a parameter has no gradient.
    pub fn step(&mut self, gradients: &Arena, lr: f64, clip: Clip, learns: &dyn Fn(&str) -> bool) {
        let update = self.update(lr, clip);
        let found: Vec<&Tensor> = self
            .parameters
            .iter()
            .map(|p| p.gradient(gradients))
            .collect();
        if !is_readable(gradients.numbers()) {
            no_grad(|| self.together(gradients, &found, &update, learns));
            return;
        }
        let mut chunks = Vec::new();
        for (parameter, gradient) in self.parameters.iter_mut().zip(found) {
            let update = match learns(&parameter.name) {
                true => update,
                false => update.without_step(),
            };
            chunks.extend(parameter.chunks(gradient).map(|chunk| (update, chunk)));
        }
        let share = chunks.len().div_ceil(self.threads).max(1);
        parallel(chunks.chunks_mut(share).collect(), |_, share| {
            (share.iter_mut()).for_each(|(update, chunk)| fused(*update, chunk));
        });
    }

    /// Counts a step and returns the constants of its update.
    fn update(&mut self, lr: f64, clip: Clip) -> Update {
        self.steps += 1;
        let step = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let Options {
            beta1,
            beta2,
            epsilon,
            weight_decay,
        } = self.options;
        Update {
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
        }
    }

    /// Takes the step with tensor operations on all parameters at once.
    fn together(
        &self,
        gradients: &Arena,
        found: &[&Tensor],
        update: &Update,
        learns: &dyn Fn(&str) -> bool,
    ) {
        let moments = self.moments.each_ref().map(Arena::numbers);
        let steps = match found.len() == gradients.views().len() {
            true => update.plain(moments, gradients.numbers()),
            false => {
                let flat: Vec<Tensor> = found.iter().map(|g| g.flatten(0, -1)).collect();
                update.plain(moments, &Tensor::cat(&flat, 0))
            }
        };
        let counts: Vec<i64> = found.iter().map(|g| g.numel() as i64).collect();
        let each = steps.split_with_sizes(&counts, 0);
        for (parameter, step) in self.parameters.iter().zip(each) {
            if learns(&parameter.name) {
                parameter.take_off(&step.view_as(&parameter.value), update);
            }
        }
    }

    /// Names and values of the parameters.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.parameters.iter().map(|p| (p.name.as_str(), &p.value))
    }

    /// The moments of each parameter: `NAME.mean` and `NAME.square`.
    pub fn state(&self) -> StateDict {
        let both = |p: &Parameter| {
            [
                (format!("{}.mean", p.name), p.mean.shallow_clone()),
                (format!("{}.square", p.name), p.square.shallow_clone()),
            ]
        };
        self.parameters.iter().flat_map(both).collect()
    }

    /// Restores the moments.
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

/// The constants of one step.
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
    #[expect(clippy::expect_used, reason = "the gradients are of the same model")]
    fn gradient<'a>(&self, gradients: &'a Arena) -> &'a Tensor {
        gradients
            .get(&self.name)
            .expect("a gradient for each parameter")
    }

    fn chunks<'a>(&'a mut self, gradient: &'a Tensor) -> impl Iterator<Item = Chunk<'a>> {
        let [value, mean, square] =
            [&mut self.value, &mut self.mean, &mut self.square].map(numbers_mut);
        (value.chunks_mut(CHUNK).zip(mean.chunks_mut(CHUNK)))
            .zip(
                square
                    .chunks_mut(CHUNK)
                    .zip(numbers(gradient).chunks(CHUNK)),
            )
            .map(|((value, mean), (square, gradient))| Chunk {
                value,
                mean,
                square,
                gradient,
            })
    }

    fn take_off(&self, step: &Tensor, update: &Update) {
        let mut value = self.value.shallow_clone();
        if update.keep != 1.0 {
            value *= f64::from(update.keep);
        }
        value -= step;
    }
}

impl Update {
    /// The same for the moments, but without changing the value.
    fn without_step(self) -> Update {
        Update {
            step: 0.0,
            keep: 1.0,
            ..self
        }
    }

    /// With tensor operations: updates the moments and returns what to subtract from the
    /// parameter.
    fn plain(&self, moments: [&Tensor; 2], gradient: &Tensor) -> Tensor {
        let [mut mean, mut square] = moments.map(Tensor::shallow_clone);
        let limit = f64::from(self.limit);
        let gradient =
            (gradient.to_kind(mean.kind()) * f64::from(self.factor)).clamp(-limit, limit);
        let _ = mean.lerp_(&gradient, f64::from(self.gain1));
        let _ = square.g_mul_scalar_(f64::from(self.beta2));
        square += gradient.square() * f64::from(self.gain2);
        let denominator = square.sqrt() / f64::from(self.root) + f64::from(self.epsilon);
        mean / denominator * f64::from(self.step)
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn fused(by: Update, chunk: &mut Chunk) {
    let first = chunk.value.iter_mut().zip(&mut *chunk.mean);
    let second = chunk.square.iter_mut().zip(chunk.gradient);
    let numbers = first.zip(second);
    for ((value, mean), (square, gradient)) in numbers {
        let scaled = gradient * by.factor;
        // Not `clamp` and not `min`: NaN must stay NaN.
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

    fn gradient_of_p(gradient: &Tensor) -> Arena {
        let arena = Arena::like([("p", gradient.shallow_clone())]);
        arena.numbers().shallow_clone().copy_(gradient);
        arena
    }

    /// Against `tests/fixtures/adam.py`; `fused`, or in tensor operations on all
    /// parameters `together`.
    fn agrees(case: &str, options: Options, norm: f64, value: f64, how: &str) {
        let fixture = include_str!("../../tests/fixtures/adam.json");
        let fixture: Value = serde_json::from_str(fixture).unwrap();
        let parameter = floats(|i| (i * 0.11).cos());
        let mut adam = Adam::new([("p".to_owned(), parameter.shallow_clone())], options, 3);
        for (step, expected) in fixture[case].as_array().unwrap().iter().enumerate() {
            let gradient = floats(|i| (i * 0.37 + step as f64).sin() * (1.0 + i % 7.0));
            let factor = match norm {
                0.0 => 1.0,
                norm => norm / (gradient.norm().double_value(&[]) + 1e-6),
            };
            let clip = Clip { factor, value };
            let gradients = gradient_of_p(&gradient);
            if how == "together" {
                let update = adam.update(0.05, clip);
                adam.together(&gradients, &[gradients.numbers()], &update, &|_| true);
            } else {
                adam.step(&gradients, 0.05, clip, &|_| true);
            }
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
        for how in ["fused", "together"] {
            agrees("adam", plain, 0.0, 5.0, how);
            agrees("betas", betas, 0.0, 0.0, how);
            agrees("adamw", decay, 0.0, 0.0, how);
            agrees("norm", plain, 20.0, 0.1, how);
        }
    }

    #[test]
    fn a_parameter_that_begins_to_learn_late_makes_no_larger_steps() {
        for together in [false, true] {
            let parameter = floats(|i| (i * 0.11).cos());
            let begin = parameter.copy();
            let named = [("p".to_owned(), parameter.shallow_clone())];
            let mut adam = Adam::new(named, Options::default(), 3);
            let gradients = gradient_of_p(&floats(|i| 2.0 + i.sin()));
            let clip = Clip {
                factor: 1.0,
                value: 0.0,
            };
            for learns in [false, false, true] {
                assert_eq!(parameter, begin);
                let learns = |_: &str| learns;
                if together {
                    let update = adam.update(0.1, clip);
                    adam.together(&gradients, &[gradients.numbers()], &update, &learns);
                } else {
                    adam.step(&gradients, 0.1, clip, &learns);
                }
            }
            // With a gradient that never changes, a step is as long as the learning rate.
            let off = (begin - &parameter - 0.1).abs().max().double_value(&[]);
            assert!(off < 1e-5, "{off}");
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
            adam.step(&gradient_of_p(&floats(f64::sin)), 0.1, clip, &|_| true);
            parameter
        };
        assert_eq!(after(1), after(2));
        assert_eq!(after(1), after(7));
    }
}
