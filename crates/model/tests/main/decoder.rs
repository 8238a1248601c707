//! The decoder against its equations in plain PyTorch.

use crate::rebuilt::{assert_close, decoder_weights, expected, integers, uniform};
use attend_model::{Decoder, DecoderConfig, Projected, Teacher, cells, loss, weights};
use tch::{Device, Kind, Tensor, nn};

const CHANNELS: i64 = 12;
const LENGTHS: [i64; 7] = [9, 8, 8, 6, 5, 3, 2];
const IMAGE_OF_CAPTION: [i64; 7] = [2, 0, 1, 0, 2, 2, 0];
const ALPHA_C: f64 = 0.7;

fn decoder(grid: [i64; 2]) -> (nn::VarStore, Decoder) {
    let vars = nn::VarStore::new(Device::Cpu);
    let config = DecoderConfig {
        vocabulary: 23,
        channels: CHANNELS,
        embedding: 7,
        attention: 9,
        hidden: 10,
        dropout: 0.5,
        grid,
    };
    let decoder = Decoder::new(&vars.root(), &config);
    weights::assign(&vars, &decoder_weights(&vars, 0.6), &|_| false).unwrap();
    (vars, decoder)
}

fn teacher_forcing(decoder: &Decoder, images: &Projected, tokens: &Tensor, train: bool) -> Teacher {
    decoder.teacher_forcing(
        images,
        &integers(&IMAGE_OF_CAPTION),
        tokens,
        &LENGTHS,
        train,
    )
}

/// Logits, alphas, loss and the gradient of everything.
fn agrees_with_pytorch(case: &str, native: [i64; 2], grid: [i64; 2]) {
    let expected = expected("decoder");
    let check = |what: &str, is: &Tensor| {
        let what = format!("{case}.{what}");
        assert_close(&what, is, &expected[&what]);
    };
    let (vars, decoder) = decoder(grid);
    let maps = uniform(
        &format!("{case} features"),
        &[3, CHANNELS, native[0], native[1]],
        0.0,
        2.0,
    )
    .set_requires_grad(true);
    let images = decoder.project(&cells(&maps), native);
    let out = teacher_forcing(&decoder, &images, &expected["tokens"], false);
    check("logits", &out.logits);
    check("alphas", &out.alphas);
    assert_eq!(out.targets, expected[&format!("{case}.targets")]);

    let loss = loss(&out, ALPHA_C);
    check("cross_entropy", &loss.cross_entropy);
    check("attention", &loss.attention);
    let total = &expected[&format!("{case}.cross_entropy")]
        + ALPHA_C * &expected[&format!("{case}.attention")];
    assert_close("total", &loss.total, &total);

    loss.total.backward();
    check("grad.features", &maps.grad());
    for (name, parameter) in vars.variables() {
        if name == "attention.full_att.bias" {
            // Softmax does not feel it: its gradient is rounding, on both sides.
            assert!(parameter.grad().abs().max().double_value(&[]) < 1e-6);
        } else {
            check(&format!("grad.{name}"), &parameter.grad());
        }
    }
    let parameters = expected
        .keys()
        .filter(|key| key.starts_with(&format!("{case}.grad.")));
    assert_eq!(parameters.count(), vars.len() + 1, "the names are others");
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
    let (_, decoder) = decoder([14, 14]);
    let tokens = &expected("decoder")["tokens"];
    let maps = uniform("grid14 features", &[3, CHANNELS, 8, 8], 0.0, 2.0);
    let images = decoder.project(&cells(&maps), [8, 8]);
    let all_at_once = teacher_forcing(&decoder, &images, tokens, false);
    // The first caption, the longest, is of the last image.
    let image = images.select(&integers(&IMAGE_OF_CAPTION[..1]));
    let mut state = decoder.init_state(&image);
    let mut row = 0;
    for t in 0..LENGTHS[0] - 1 {
        let step = decoder.step(&image, &tokens.narrow(0, 0, 1).select(1, t), &state);
        let of_caption = all_at_once.logits.narrow(0, row, 1);
        assert_close("logits", &step.logits, &of_caption);
        let alpha = all_at_once.alphas.narrow(0, 0, 1).select(1, t);
        assert_close("alpha", &step.alpha, &alpha);
        state = step.state;
        row += LENGTHS.iter().filter(|length| **length - 1 > t).count() as i64;
    }
    assert_eq!(row, all_at_once.logits.size()[0]);
}

#[test]
fn dropout_is_of_training_alone() {
    let (_, decoder) = decoder([0, 0]);
    let tokens = &expected("decoder")["tokens"];
    let maps = uniform("native features", &[3, CHANNELS, 3, 4], 0.0, 2.0);
    let images = decoder.project(&cells(&maps), [3, 4]);
    let logits = |train| teacher_forcing(&decoder, &images, tokens, train).logits;
    assert_eq!(logits(false), logits(false));
    tch::manual_seed(1);
    let dropped = logits(true);
    assert_ne!(dropped, logits(false));
    // Dropout keeps the mean: many draws come near the sum without it.
    let draws: Vec<Tensor> = (0..300).map(|_| logits(true)).collect();
    let mean = Tensor::stack(&draws, 0).mean_dim(0i64, false, Kind::Float);
    assert!((mean - logits(false)).abs().max().double_value(&[]) < 0.2);
}

#[test]
fn attention_is_a_distribution_and_ends_with_the_caption() {
    let (_, decoder) = decoder([14, 14]);
    let maps = uniform("grid14 features", &[3, CHANNELS, 8, 8], 0.0, 2.0);
    let images = decoder.project(&cells(&maps), [8, 8]);
    let out = teacher_forcing(&decoder, &images, &expected("decoder")["tokens"], false);
    let sums = out.alphas.sum_dim_intlist(-1i64, false, Kind::Float); // (B, T)
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
