//! The decoders' gradients against finite differences in f64, with dropout; and the gradients
//! of chance. In a process of their own, because random numbers are global.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "main/enumerated.rs"]
mod enumerated;
#[path = "main/rebuilt.rs"]
#[allow(dead_code, reason = "the other tests' helpers")]
mod rebuilt;

use attend_model::{
    Arena, Captions, CrossEntropy, Decoder, DecoderConfig, Gradients, Objective, Reading,
    decoder as decoders, weights,
};
use rebuilt::{ARCHS, decoder_weights, expected, hidden, uniform};
use std::sync::{Mutex, PoisonError};
use tch::{Device, Kind, Tensor, nn};

const CHANNELS: i64 = 12;

/// Held by each test that needs its random numbers for itself.
static RANDOM: Mutex<()> = Mutex::new(());

/// The objective in f64, with dropout, and the gradient of the features.
fn objective_of(
    decoder: &dyn Decoder,
    features: &Tensor,
    objective: CrossEntropy,
    gradients: Option<&mut Gradients>,
) -> (f64, Option<Tensor>) {
    tch::manual_seed(5); // the same words are dropped each time
    let tokens = &expected("decoder")["tokens"];
    let images = tch::no_grad(|| decoder.prepare(features, [8, 8]));
    let captions = Captions {
        image: &[2, 0, 1, 0, 2, 2, 0],
        tokens,
        lengths: &[9, 8, 8, 6, 5, 3, 2],
    };
    let reading = Reading {
        dropout: true,
        ..Reading::default()
    };
    let pass = decoder.read(&images, captions, reading);
    let value = objective.value(pass.output());
    let total = value.total.double_value(&[]);
    let of_cells = gradients.and_then(|into| pass.backward(value.gradients(1.0), into, true));
    (total, of_cells)
}

#[test]
fn gradients_are_finite_differences() {
    let _alone = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    for arch in ARCHS {
        let mut vars = nn::VarStore::new(Device::Cpu);
        let config = DecoderConfig {
            arch,
            vocabulary: 23,
            channels: CHANNELS,
            embedding: 7,
            attention: 9,
            hidden: hidden(arch, 10),
            dropout: 0.5,
            grid: [14, 14],
        };
        let decoder = decoders::new(&vars.root(), &config);
        weights::assign(&vars, &decoder_weights(&vars, 0.6), &|_| false).unwrap();
        vars.set_kind(Kind::Double);
        vars.freeze();
        let size = [3, 64, CHANNELS];
        let features = uniform("differences", &size, 0.0, 2.0).to_kind(Kind::Double);
        let objective = CrossEntropy {
            alpha_c: 0.7,
            smoothing: 0.1,
        };
        let mut gradients = Gradients::new(Arena::like(decoder.parameters()));
        let of_cells = objective_of(decoder.as_ref(), &features, objective, Some(&mut gradients)).1;
        let mut checked = vec![("features", features.shallow_clone(), of_cells.unwrap())];
        let variables = vars.variables();
        for (name, gradient) in gradients.arena().views() {
            let gradient = gradient.shallow_clone();
            checked.push((name, variables[name].shallow_clone(), gradient));
        }
        for (name, parameter, gradient) in checked {
            tch::manual_seed(7);
            let direction = parameter.randn_like();
            let wanted = (&gradient * &direction).sum(None).double_value(&[]);
            let at = |step: f64| {
                tch::no_grad(|| {
                    let mut parameter = parameter.shallow_clone();
                    parameter += &direction * step;
                    let total = objective_of(decoder.as_ref(), &features, objective, None).0;
                    parameter -= &direction * step;
                    total
                })
            };
            let step = 1e-6;
            let is = (at(step) - at(-step)) / (2.0 * step);
            let off = (is - wanted).abs() / wanted.abs().max(1e-3);
            assert!(
                off < 1e-5,
                "{arch} {name}: {is} by differences, {wanted} by the backward pass"
            );
        }
    }
}
