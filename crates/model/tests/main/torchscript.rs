//! TorchScript modules as encoders.

use attend_artifact::model::{Form, SCRIPT, TorchScriptConfig};
use attend_model::encoder::TorchScript;
use attend_model::{Cells, FrozenEncoder};
use std::path::{Path, PathBuf};
use tch::{CModule, Device, Kind, Tensor};

/// Writes the module that `compute` is; it is traced on two images of 4 x 6 pixels.
fn module(folder: &Path, compute: impl Fn(&Tensor) -> Tensor) -> PathBuf {
    let path = folder.join("module.pt");
    let images = Tensor::zeros([2, 3, 4, 6], (Kind::Float, Device::Cpu));
    let mut traced = |inputs: &[Tensor]| vec![compute(&inputs[0])];
    let module = CModule::create_by_tracing("Net", "forward", &[images], &mut traced);
    module.unwrap().save(&path).unwrap();
    path
}

/// A map of 2 x 3 cells, and what is not known of it.
fn config() -> TorchScriptConfig {
    TorchScriptConfig {
        file: SCRIPT.into(),
        image_size: [4, 6],
        mean: [0.5, 0.25, 0.0],
        std: [0.5, 1.0, 2.0],
        output: Form::Map,
        skip: 0,
        grid: [0, 0],
        channels: 0,
    }
}

fn pool(images: &Tensor) -> Tensor {
    images.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)
}

/// Pixels u8 (n, 3, 4, 6).
fn pixels(n: i64) -> Tensor {
    let bytes: Vec<u8> = (0..n * 72).map(|i| (i * 7 % 256) as u8).collect();
    Tensor::from_data_size(&bytes, &[n, 3, 4, 6], Kind::Uint8)
}

/// The mean of each 2 x 2 pixels of each channel, normalised by hand: (n, 6, 3).
fn by_hand(pixels: &Tensor) -> Vec<f32> {
    let pixel = |image: i64, channel: i64, y: i64, x: i64| {
        let value = pixels.int64_value(&[image, channel, y, x]) as f32 / 255.0;
        let c = channel as usize;
        (value - [0.5, 0.25, 0.0][c]) / [0.5, 1.0, 2.0][c]
    };
    let mut all = Vec::new();
    for image in 0..pixels.size()[0] {
        for cell in 0..6 {
            for channel in 0..3 {
                let (y, x) = (2 * (cell / 3), 2 * (cell % 3));
                let four = [(y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)];
                let sum: f32 = four
                    .iter()
                    .map(|(y, x)| pixel(image, channel, *y, *x))
                    .sum();
                all.push(sum / 4.0);
            }
        }
    }
    all
}

fn assert_by_hand(script: &TorchScript) {
    for n in [1, 5] {
        let pixels = pixels(n);
        let Cells { cells, grid } = script.cells(&pixels).unwrap();
        assert_eq!((cells.size(), grid), (vec![n, 6, 3], [2, 3]));
        let cells: Vec<f32> = cells.flatten(0, -1).try_into().unwrap();
        for (is, by_hand) in cells.iter().zip(by_hand(&pixels)) {
            assert!((is - by_hand).abs() < 1e-5, "{is} instead of {by_hand}");
        }
    }
}

#[test]
fn a_map_s_cells_are_the_normalised_pixels_as_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = module(folder.path(), pool);
    let script = TorchScript::open(&path, &config(), Device::Cpu).unwrap();
    assert_eq!(
        (script.config().grid, script.config().channels),
        ([2, 3], 3)
    );
    assert_by_hand(&script);
    // Opened again with what is known now.
    let known = script.config().clone();
    assert_by_hand(&TorchScript::open(&path, &known, Device::Cpu).unwrap());
}

#[test]
fn tokens_before_the_first_cell_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = module(folder.path(), |images| {
        let tokens = pool(images).flatten(2, 3).transpose(1, 2); // (B, 6, 3)
        let class = tokens.mean_dim(1, true, None) + 9.0;
        Tensor::cat(&[class.shallow_clone(), class, tokens], 1)
    });
    let tokens = TorchScriptConfig {
        output: Form::Tokens,
        skip: 2,
        grid: [2, 3],
        ..config()
    };
    assert_by_hand(&TorchScript::open(&path, &tokens, Device::Cpu).unwrap());
    let refused = |config: TorchScriptConfig, why: &str| {
        let error = TorchScript::open(&path, &config, Device::Cpu)
            .err()
            .unwrap();
        let message = error.to_string();
        assert!(message.starts_with(&*path.to_string_lossy()), "{message}");
        assert!(
            message.contains(why) && message.lines().count() == 1,
            "{message}"
        );
    };
    let unknown = TorchScriptConfig {
        grid: [0, 0],
        ..tokens.clone()
    };
    refused(
        unknown,
        "8 tokens without the first 2 are not the cells of a grid of 0 x 0",
    );
    let all = TorchScriptConfig {
        skip: 0,
        ..tokens.clone()
    };
    refused(
        all,
        "8 tokens without the first 0 are not the cells of a grid of 2 x 3",
    );
    let wider = TorchScriptConfig {
        channels: 4,
        ..tokens.clone()
    };
    refused(wider, "with 3 channels, not of [2, 3] with 4");
    let map = TorchScriptConfig {
        output: Form::Map,
        skip: 0,
        ..tokens
    };
    refused(
        map,
        "is [2, 8, 3]; output = \"map\" is [2, channels, height, width]",
    );
}

#[test]
fn a_file_that_is_no_module_and_a_module_that_fails_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("module.txt");
    std::fs::write(&text, "import torch").unwrap();
    let open = |path: &Path, config: &TorchScriptConfig| -> String {
        let error = TorchScript::open(path, config, Device::Cpu).err().unwrap();
        let message = error.to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    };
    for path in [
        text,
        folder.path().join("none.pt"),
        folder.path().to_owned(),
    ] {
        let message = open(&path, &config());
        assert!(message.contains("no TorchScript module"), "{message}");
        assert!(message.starts_with(&*path.to_string_lossy()), "{message}");
    }
    // Two images alone: no batch of another size.
    let path = module(folder.path(), |images| pool(images).view([1, 6, 2, 3]));
    let message = open(&path, &config());
    assert!(
        message.contains("its output for 2 images is [1, 6, 2, 3]"),
        "{message}"
    );
    let path = module(folder.path(), |images| {
        images
            .view([2, 3, 4, 6])
            .matmul(&Tensor::ones([6, 2], (Kind::Float, Device::Cpu)))
    });
    let other = TorchScriptConfig {
        image_size: [5, 5],
        ..config()
    };
    let message = open(&path, &other);
    assert!(message.contains("the module fails: "), "{message}");
}
