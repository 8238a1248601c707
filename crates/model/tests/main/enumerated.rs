//! Training by reward, and hard attention, on models so small that every caption and every
//! choice of cells can be enumerated: the expected gradient is the gradient of the expectation,
//! by finite differences in f64.

use crate::RANDOM;
use crate::rebuilt::{ARCHS, decoder_weights, hidden, uniform};
use attend_model::{
    Arena, Captions, CrossEntropy, Decoder, DecoderArch, DecoderConfig, Gradients, HardAttention,
    Images, Objective, Reading, Reward, Sampling, SearchOptions, decoder as decoders, search,
    weights,
};
use std::sync::PoisonError;
use tch::{Device, Kind, Tensor, nn};

const CHANNELS: i64 = 5;
const PAD: i64 = 0;
const START: i64 = 3;
const END: i64 = 4;
const WORDS: [i64; 2] = [1, 2];
const MAX_LENGTH: usize = 3;

struct Tiny {
    vars: nn::VarStore,
    decoder: Box<dyn Decoder>,
    cells: Tensor,
}

impl Tiny {
    fn new(arch: DecoderArch) -> Tiny {
        let mut vars = nn::VarStore::new(Device::Cpu);
        let config = DecoderConfig {
            arch,
            vocabulary: 5,
            channels: CHANNELS,
            embedding: 4,
            attention: 3,
            hidden: hidden(arch, 6),
            dropout: 0.0,
            grid: [2, 1],
        };
        let decoder = decoders::new(&vars.root(), &config);
        weights::assign(&vars, &decoder_weights(&vars, 0.9), &|_| false).unwrap();
        vars.set_kind(Kind::Double);
        vars.freeze();
        let cells = uniform("enumerated", &[2, 2, CHANNELS], 0.0, 2.0).to_kind(Kind::Double);
        Tiny {
            vars,
            decoder,
            cells,
        }
    }

    fn images(&self) -> Images {
        tch::no_grad(|| self.decoder.project(&self.cells, [2, 1]))
    }

    fn gradients(&self) -> Gradients {
        Gradients::new(Arena::like(self.decoder.parameters()))
    }

    /// Compares gradients with the differences of `value` along random directions.
    fn compare(&self, gradients: &Gradients, value: impl Fn(&Tiny) -> f64) {
        let variables = self.vars.variables();
        for (name, gradient) in gradients.arena().views() {
            tch::manual_seed(7);
            let mut parameter = variables[name].shallow_clone();
            let direction = parameter.randn_like();
            let wanted = (gradient * &direction).sum(None).double_value(&[]);
            let mut at = |step: f64| {
                tch::no_grad(|| parameter += &direction * step);
                let value = value(self);
                tch::no_grad(|| parameter -= &direction * step);
                value
            };
            let step = 1e-6;
            let is = (at(step) - at(-step)) / (2.0 * step);
            let off = (is - wanted).abs() / wanted.abs().max(1e-3);
            assert!(off < 1e-5, "{name}: {is} by differences, {wanted} expected");
        }
    }
}

/// Every caption that can be drawn, with `<start>`, by descending length: those of the most
/// words have no `<end>`.
fn every_caption() -> Vec<Vec<i64>> {
    let mut open = vec![vec![START]];
    let mut all = Vec::new();
    while let Some(caption) = open.pop() {
        if caption.len() > MAX_LENGTH {
            all.push(caption);
            continue;
        }
        all.push([&caption[..], &[END]].concat());
        open.extend(WORDS.map(|word| [&caption[..], &[word]].concat()));
    }
    all.sort_by_key(|caption| std::cmp::Reverse(caption.len()));
    all
}

struct Batch {
    image: Vec<i64>,
    tokens: Tensor,
    lengths: Vec<i64>,
}

impl Batch {
    /// Each caption for each of both images.
    fn new(captions: &[Vec<i64>]) -> Batch {
        let longest = captions[0].len();
        let mut batch = (Vec::new(), Vec::new(), Vec::new());
        for caption in captions {
            for image in 0..2 {
                let mut tokens = caption.clone();
                tokens.resize(longest, PAD);
                batch.0.push(image);
                batch.1.extend(tokens);
                batch.2.push(caption.len() as i64);
            }
        }
        Batch {
            tokens: Tensor::from_slice(&batch.1).view([-1, longest as i64]),
            image: batch.0,
            lengths: batch.2,
        }
    }

    fn captions(&self) -> Captions<'_> {
        Captions {
            image: &self.image,
            tokens: &self.tokens,
            lengths: &self.lengths,
        }
    }
}

/// The probability of each caption, if `<pad>` and `<start>` are never drawn.
fn probabilities(tiny: &Tiny, batch: &Batch) -> Vec<f64> {
    let images = tiny.images();
    let pass = (tiny.decoder).read(&images, batch.captions(), Reading::default());
    let out = pass.output();
    let never = Tensor::from_slice(&[PAD, START]);
    let possible = out.logits.index_fill(1, &never, f64::NEG_INFINITY);
    let log_probs = possible.log_softmax(-1, None);
    let of_target = log_probs.gather(1, &out.targets.unsqueeze(1), false);
    let mut sums = vec![0.0; batch.image.len()];
    for (row, caption) in out.caption_of_row().into_iter().enumerate() {
        sums[caption as usize] += of_target.double_value(&[row as i64, 0]);
    }
    sums.into_iter().map(f64::exp).collect()
}

fn rewards(batch: &Batch) -> Vec<f64> {
    let rewards = uniform("rewards", &[batch.image.len() as i64], 0.0, 3.0);
    Vec::try_from(rewards.to_kind(Kind::Double)).unwrap()
}

#[test]
fn the_expected_gradient_is_that_of_the_expected_reward() {
    let _alone = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    for arch in ARCHS {
        is_that_of_the_expected_reward(&Tiny::new(arch));
    }
}

fn is_that_of_the_expected_reward(tiny: &Tiny) {
    let batch = Batch::new(&every_caption());
    let rewards = rewards(&batch);
    let expected = |tiny: &Tiny| {
        let probabilities = probabilities(tiny, &batch);
        let pairs = probabilities.iter().zip(&rewards);
        -pairs.map(|(p, reward)| p * reward).sum::<f64>()
    };
    let probabilities = probabilities(tiny, &batch);
    let sum: f64 = probabilities.iter().sum();
    assert!((sum - 2.0).abs() < 1e-12, "of each image 1: {sum}");
    for baseline in [0.0, 1.7] {
        let mut gradients = tiny.gradients();
        let images = tiny.images();
        let pass = (tiny.decoder).read(&images, batch.captions(), Reading::default());
        let count = rewards.len() as f64;
        let objective = Reward {
            weights: (probabilities.iter().zip(&rewards))
                .map(|(p, reward)| count * p * (reward - baseline))
                .collect(),
            never: vec![PAD, START],
        };
        let value = objective.value(pass.output());
        pass.backward(value.gradients(1.0), &mut gradients, false);
        tiny.compare(&gradients, expected);
    }
}

#[test]
fn captions_are_drawn_as_often_as_the_model_says() {
    let tiny = Tiny::new(DecoderArch::AttentionLstm);
    let every = every_caption();
    let batch = Batch::new(&every);
    let probabilities = probabilities(&tiny, &batch);
    let draws = 10_000;
    let options = SearchOptions {
        max_length: MAX_LENGTH,
        sampling: Some(Sampling {
            count: draws,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 3,
        }),
        ..SearchOptions::new(1, [START, END, PAD])
    };
    let found = search(&[(tiny.decoder.as_ref(), &tiny.images())], &options);
    for (at, p) in probabilities.iter().enumerate() {
        let caption = &every[at / 2][1..];
        let of_image = &found[batch.image[at] as usize];
        let words = caption.strip_suffix(&[END]).unwrap_or(caption);
        let is = of_image.iter().filter(|found| found.tokens == words);
        let is = is.count() as f64 / draws as f64;
        let deviation = (p * (1.0 - p) / draws as f64).sqrt();
        assert!(
            (is - p).abs() < 4.5 * deviation,
            "{caption:?}: {is}, not {p}"
        );
    }
}

#[test]
fn the_expected_gradient_of_hard_attention_is_that_of_the_expected_log_probability() {
    let _alone = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
    let tiny = Tiny::new(DecoderArch::AttentionLstm);
    // One caption of two words and its end: three steps, so 2 x 2 x 2 choices of cells.
    let batch = Batch::new(&[vec![START, 2, 1, END]]);
    let images = tiny.images();
    let reading = Reading {
        hard: true,
        ..Reading::default()
    };
    let objective = HardAttention {
        words: CrossEntropy::default(),
        reward: 1.0,
        entropy: 0.0,
        baseline: Some(-2.5),
    };
    // Both images' choices are drawn until each of the 64 has come, and weighed by its
    // probability.
    let read = |tiny: &Tiny, images: &Images, seed: i64| {
        tch::manual_seed(seed);
        let pass = tiny.decoder.read(images, batch.captions(), reading);
        let out = pass.output();
        let drawn: Vec<i64> = Vec::try_from(out.drawn.as_ref().unwrap()).unwrap();
        let of_drawn = (out.attention).gather(1, &out.drawn.as_ref().unwrap().unsqueeze(1), false);
        let p = of_drawn.log().sum(None).exp().double_value(&[]);
        let log_probs = out.logits.log_softmax(-1, None);
        let of_target = log_probs.gather(1, &out.targets.unsqueeze(1), false);
        (drawn, p, of_target.sum(None).double_value(&[]))
    };
    let mut seeds = std::collections::BTreeMap::new();
    for seed in 0..20_000 {
        let (drawn, ..) = read(&tiny, &images, seed);
        seeds.entry(drawn).or_insert(seed);
        if seeds.len() == 64 {
            break;
        }
    }
    assert_eq!(seeds.len(), 64);
    let expected = |tiny: &Tiny| {
        let images = tiny.images();
        let parts = seeds.iter().map(|(cells, seed)| {
            let (drawn, p, log_prob) = read(tiny, &images, *seed);
            assert_eq!(&drawn, cells, "a step that small changes no draw");
            -p * log_prob / 6.0 // tokens
        });
        parts.sum::<f64>()
    };
    let mut gradients = tiny.gradients();
    for seed in seeds.values() {
        let (_, p, _) = read(&tiny, &images, *seed);
        tch::manual_seed(*seed);
        let pass = tiny.decoder.read(&images, batch.captions(), reading);
        let value = objective.value(pass.output());
        pass.backward(value.gradients(p), &mut gradients, false);
    }
    tiny.compare(&gradients, expected);
}
