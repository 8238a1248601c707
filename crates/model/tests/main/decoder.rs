//! The decoders against their equations in plain PyTorch (`fixtures/decoder.py`), or against
//! the reference implementation (`fixtures/ruotianluo.py`).

use crate::rebuilt::{
    ARCHS, assert_close, cells, decoder_weights, expected, hidden, integers, uniform,
};
use attend_model::{
    Arena, Captions, CrossEntropy, Decoder, DecoderArch, DecoderConfig, Gradients, Objective,
    Output, Reading, decoder as decoders, weights,
};
use tch::{Device, Kind, Tensor, nn};

const CHANNELS: i64 = 12;
const LENGTHS: [i64; 7] = [9, 8, 8, 6, 5, 3, 2];
const IMAGE_OF_CAPTION: [i64; 7] = [2, 0, 1, 0, 2, 2, 0];
const ALPHA_C: f64 = 0.7;

fn decoder(arch: DecoderArch, grid: [i64; 2]) -> (nn::VarStore, Box<dyn Decoder>) {
    let vars = nn::VarStore::new(Device::Cpu);
    let config = DecoderConfig {
        arch,
        vocabulary: 23,
        channels: CHANNELS,
        embedding: 7,
        attention: 9,
        hidden: hidden(arch, 10),
        dropout: 0.5,
        grid,
    };
    let decoder = decoders::new(&vars.root(), &config);
    weights::assign(&vars, &decoder_weights(&vars, 0.6), &|_| false).unwrap();
    (vars, decoder)
}

fn captions(tokens: &Tensor) -> Captions<'_> {
    Captions {
        image: &IMAGE_OF_CAPTION,
        tokens,
        lengths: &LENGTHS,
    }
}

fn gradients_of(decoder: &dyn Decoder) -> Gradients {
    Gradients::new(Arena::like(decoder.parameters()))
}

/// Attention by caption, (B, T, P); 0 after a caption's end.
fn by_caption(out: &Output) -> Tensor {
    let of_step = out.attention.split_with_sizes(&out.counts, 0);
    let padded = of_step
        .iter()
        .map(|step| step.constant_pad_nd([0, 0, 0, LENGTHS.len() as i64 - step.size()[0]]));
    Tensor::stack(&padded.collect::<Vec<_>>(), 1)
}

/// The gradient of this bias, which does not change the softmax, is 0 or a rounding error. A
/// transformer's keys have such a bias.
fn is_without_effect(name: &str) -> bool {
    let ends = ["full_att.bias", "alpha_net.bias", "linears.1.bias"];
    ends.iter().any(|end| name.ends_with(end))
}

fn agrees_with_pytorch(case: &str, native: [i64; 2], grid: [i64; 2]) {
    for arch in ARCHS {
        agrees(arch, case, native, grid);
    }
}

/// Logits, alphas, loss and the gradient of everything. In f32 the loops of some are fused,
/// in f64 they are tensor operations.
fn agrees(arch: DecoderArch, case: &str, native: [i64; 2], grid: [i64; 2]) {
    let file = match arch {
        DecoderArch::AttentionLstm => "decoder".to_owned(),
        of_reference => of_reference.to_string(),
    };
    let tokens = &expected("decoder")["tokens"];
    for kind in [Kind::Float, Kind::Double] {
        let expected = expected(&file);
        let check = |what: &str, is: &Tensor| {
            let named = format!("{case}.{what}");
            let is = is.to_kind(Kind::Float);
            assert_close(&format!("{file} {named}"), &is, &expected[&named]);
        };
        let (mut vars, decoder) = decoder(arch, grid);
        vars.set_kind(kind);
        let size = [3, CHANNELS, native[0], native[1]];
        let maps = uniform(&format!("{case} features"), &size, 0.0, 2.0).to_kind(kind);
        let images = tch::no_grad(|| decoder.prepare(&cells(&maps), native));
        let captions = captions(tokens);
        let pass = decoder.read(&images, captions, Reading::default());
        let out = pass.output();
        check("logits", &out.logits);
        check("alphas", &by_caption(out));
        assert_eq!(out.targets, expected[&format!("{case}.targets")]);

        let objective = CrossEntropy {
            alpha_c: ALPHA_C,
            ..CrossEntropy::default()
        };
        let value = objective.value(out);
        for part in ["cross_entropy", "attention"] {
            check(part, value.part(part).unwrap());
        }
        let total = &expected[&format!("{case}.cross_entropy")]
            + ALPHA_C * &expected[&format!("{case}.attention")];
        assert_close("total", &value.total.to_kind(Kind::Float), &total);

        let mut gradients = gradients_of(decoder.as_ref());
        let of_cells = pass.backward(value.gradients(1.0), &mut gradients, true);
        let of_maps = of_cells.unwrap().transpose(1, 2).reshape(size);
        check("grad.features", &of_maps);
        let named = gradients.arena().views();
        for (name, gradient) in named {
            if is_without_effect(name) {
                assert!(gradient.abs().max().double_value(&[]) < 1e-6);
            } else {
                check(&format!("grad.{name}"), gradient);
            }
        }
        assert_eq!(named.len(), vars.len(), "a parameter has no gradient");
        let parameters = expected
            .keys()
            .filter(|key| key.starts_with(&format!("{case}.grad.")));
        assert_eq!(parameters.count(), vars.len() + 1, "the names are others");
    }
}

#[test]
fn agrees_on_a_finer_grid() {
    agrees_with_pytorch("grid14", [8, 8], [14, 14]);
}

#[test]
fn agrees_on_the_native_grid() {
    agrees_with_pytorch("native", [3, 4], [0, 0]);
}

#[test]
fn agrees_on_a_coarser_grid() {
    agrees_with_pytorch("odd", [5, 7], [3, 4]);
}

#[test]
fn steps_give_what_teacher_forcing_gives() {
    for arch in ARCHS {
        let (_, decoder) = decoder(arch, [14, 14]);
        let tokens = &expected("decoder")["tokens"];
        let maps = uniform("grid14 features", &[3, CHANNELS, 8, 8], 0.0, 2.0);
        let images = decoder.project(&cells(&maps), [8, 8]);
        let pass = decoder.read(&images, captions(tokens), Reading::default());
        let all_at_once = pass.output();
        // The first caption, the longest, belongs to the last image.
        let image = images.select(&integers(&IMAGE_OF_CAPTION[..1]));
        let mut state = decoder.begin(&image);
        let mut row = 0;
        for t in 0..LENGTHS[0] - 1 {
            let token = tokens.int64_value(&[0, t]);
            let step = decoder.step(&image, &[0], &[token], &state);
            let of_caption = all_at_once.logits.narrow(0, row, 1);
            assert_close("logits", &step.logits, &of_caption);
            let attention = all_at_once.attention.narrow(0, row, 1);
            assert_close("attention", &step.attention, &attention);
            state = step.state;
            row += LENGTHS.iter().filter(|length| **length - 1 > t).count() as i64;
        }
        assert_eq!(row, all_at_once.logits.size()[0]);
    }
}

#[test]
fn dropout_is_of_training_alone() {
    for arch in ARCHS {
        let (_, decoder) = decoder(arch, [0, 0]);
        let tokens = &expected("decoder")["tokens"];
        let maps = uniform("native features", &[3, CHANNELS, 3, 4], 0.0, 2.0);
        let images = decoder.project(&cells(&maps), [3, 4]);
        let logits = |dropout| {
            let reading = Reading {
                dropout,
                ..Reading::default()
            };
            let pass = decoder.read(&images, captions(tokens), reading);
            pass.output().logits.shallow_clone()
        };
        assert_eq!(logits(false), logits(false));
        tch::manual_seed(1);
        let dropped = logits(true);
        assert_ne!(dropped, logits(false));
        if arch != DecoderArch::AttentionLstm {
            continue; // dropout before an activation function
        }
        // Dropout preserves the mean: the mean of many draws is near the sum without it.
        let draws: Vec<Tensor> = (0..300).map(|_| logits(true)).collect();
        let mean = Tensor::stack(&draws, 0).mean_dim(0i64, false, Kind::Float);
        assert!((mean - logits(false)).abs().max().double_value(&[]) < 0.2);
    }
}

#[test]
fn attention_is_a_distribution_and_ends_with_the_caption() {
    for arch in ARCHS {
        let (_, decoder) = decoder(arch, [14, 14]);
        let maps = uniform("grid14 features", &[3, CHANNELS, 8, 8], 0.0, 2.0);
        let images = decoder.project(&cells(&maps), [8, 8]);
        let tokens = &expected("decoder")["tokens"];
        let pass = decoder.read(&images, captions(tokens), Reading::default());
        let sums = by_caption(pass.output()).sum_dim_intlist(-1i64, false, Kind::Float); // (B, T)
        for (row, length) in LENGTHS.iter().enumerate() {
            let sums = sums.get(row as i64);
            let real = sums.narrow(0, 0, length - 1) - 1.0;
            assert!(real.abs().max().double_value(&[]) < 1e-5);
            assert_eq!(
                sums.narrow(0, length - 1, LENGTHS[0] - length)
                    .sum(Kind::Float)
                    .double_value(&[]),
                0.0
            );
        }
    }
}

#[test]
fn gradients_add_up_and_begin_anew() {
    for arch in ARCHS {
        let (_, decoder) = decoder(arch, [0, 0]);
        let maps = uniform("native features", &[3, CHANNELS, 3, 4], 0.0, 2.0);
        let images = tch::no_grad(|| decoder.project(&cells(&maps), [3, 4]));
        let tokens = &expected("decoder")["tokens"];
        let mut gradients = gradients_of(decoder.as_ref());
        let mut read = |scale: f64, clear: bool| -> Vec<Tensor> {
            if clear {
                gradients.clear();
            }
            let pass = decoder.read(&images, captions(tokens), Reading::default());
            let value = CrossEntropy::default().value(pass.output());
            pass.backward(value.gradients(scale), &mut gradients, false);
            let views = gradients.arena().views().iter();
            views.map(|(_, gradient)| gradient.copy()).collect()
        };
        let once = read(1.0, true);
        read(0.25, true);
        for (sum, once) in read(0.75, false).iter().zip(&once) {
            assert!((sum - once).abs().max().double_value(&[]) < 1e-6);
        }
        assert_eq!(read(1.0, true), once);
    }
}

#[test]
fn products_of_16_bits_come_near_those_of_32() {
    for arch in ARCHS {
        let (_, decoder) = decoder(arch, [14, 14]);
        let maps = uniform("grid14 features", &[3, CHANNELS, 8, 8], 0.0, 2.0);
        let tokens = &expected("decoder")["tokens"];
        let gradients = |kind: Kind| -> Vec<(String, Tensor)> {
            let cells = cells(&maps).to_kind(kind);
            let images = tch::no_grad(|| decoder.project(&cells, [8, 8]));
            let pass = decoder.read(&images, captions(tokens), Reading::default());
            let value = CrossEntropy::default().value(pass.output());
            let mut gradients = gradients_of(decoder.as_ref());
            let of_cells = pass.backward(value.gradients(1.0), &mut gradients, true);
            let views = gradients.arena().views().iter();
            let named = views.map(|(name, gradient)| (name.clone(), gradient.shallow_clone()));
            named
                .chain([("features".to_owned(), of_cells.unwrap())])
                .collect()
        };
        let exact = gradients(Kind::Float);
        for (kind, most) in [(Kind::BFloat16, 0.06), (Kind::Half, 0.01)] {
            // A transformer is deeper, so more is rounded on the way.
            let most = match arch {
                DecoderArch::Transformer(_) => 3.0 * most,
                _ => most,
            };
            let off_by: Vec<f64> = (gradients(kind).iter().zip(&exact))
                .filter(|((name, _), _)| !is_without_effect(name))
                .map(|((name, is), (_, wanted))| {
                    assert_eq!(is.kind(), Kind::Float, "{name}");
                    let off = (is - wanted).norm() / wanted.norm();
                    let off = off.double_value(&[]);
                    assert!(off < most, "{kind:?} {name}: {off}");
                    off
                })
                .collect();
            // Check that it was computed in 16 bits.
            assert!(off_by.iter().any(|off| *off > most / 100.0), "{off_by:?}");
        }
    }
}

#[test]
fn smoothing_is_libtorchs() {
    let (_, decoder) = decoder(DecoderArch::AttentionLstm, [0, 0]);
    let maps = uniform("native features", &[3, CHANNELS, 3, 4], 0.0, 2.0);
    let images = tch::no_grad(|| decoder.project(&cells(&maps), [3, 4]));
    let tokens = &expected("decoder")["tokens"];
    let pass = decoder.read(&images, captions(tokens), Reading::default());
    let out = pass.output();
    let smoothing = 0.2;
    let objective = CrossEntropy {
        alpha_c: 0.0,
        smoothing,
    };
    let mean = tch::Reduction::Mean;
    let wanted =
        (out.logits).cross_entropy_loss::<Tensor>(&out.targets, None, mean, -100, smoothing);
    assert_close("smoothed", &objective.value(out).total, &wanted);
}

#[test]
fn own_words_come_as_often_as_is_said() {
    for arch in ARCHS.into_iter().take(3) {
        let (_, decoder) = decoder(arch, [0, 0]);
        let maps = uniform("native features", &[3, CHANNELS, 3, 4], 0.0, 2.0);
        let images = tch::no_grad(|| decoder.project(&cells(&maps), [3, 4]));
        let tokens = &expected("decoder")["tokens"];
        let logits = |own_words: f64| {
            tch::manual_seed(3);
            let reading = Reading {
                own_words,
                ..Reading::default()
            };
            let pass = decoder.read(&images, captions(tokens), reading);
            pass.output().logits.shallow_clone()
        };
        let told = logits(0.0);
        let first = LENGTHS.len() as i64; // rows of the first step: all are told <start>
        for own_words in [0.3, 1.0] {
            let own = logits(own_words);
            assert_eq!(own.narrow(0, 0, first), told.narrow(0, 0, first));
            let rest = told.size()[0] - first;
            let same = (own - &told)
                .narrow(0, first, rest)
                .abs()
                .amax(1, false)
                .lt(1e-6);
            let changed = 1.0 - same.to_kind(Kind::Double).mean(None).double_value(&[]);
            assert!(
                changed > 0.5 * own_words,
                "{own_words}: {changed} of the rows"
            );
        }
    }
}
