//! Checkpoint folders.

use crate::rebuilt::{assert_close, decoder_weights, resnet_weights, uniform};
use attend_model::encoder::normalised;
use attend_model::{
    Arch, Captioner, Cells, DecoderConfig, EncoderConfig, LastStage, ModelCard, StrideIn, weights,
};
use std::path::Path;
use tch::{Device, Kind, Tensor, no_grad};

const VOCABULARY: &str = "{\"words\": []}\n";

fn card() -> ModelCard {
    ModelCard {
        encoder: EncoderConfig {
            arch: Arch::Resnet18,
            last_stage: LastStage::Layer2,
            stride_in: StrideIn::Conv3x3,
        },
        decoder: DecoderConfig {
            vocabulary: 9,
            channels: 128,
            embedding: 4,
            attention: 5,
            hidden: 6,
            dropout: 0.5,
            grid: [14, 14],
        },
        image_size: [32, 48],
        vocabulary_blake3: blake3::hash(VOCABULARY.as_bytes()).to_hex().to_string(),
        encoder_blake3: String::new(),
    }
}

/// A checkpoint whose BatchNorm statistics are not those of a fresh model.
fn checkpoint(folder: &Path) -> Captioner {
    let captioner = Captioner::new(card(), Device::Cpu);
    let (encoder, decoder) = (&captioner.encoder_vars, &captioner.decoder_vars);
    weights::assign(encoder, &resnet_weights(encoder), &|_| false).unwrap();
    weights::assign(decoder, &decoder_weights(decoder, 0.5), &|_| false).unwrap();
    captioner.save(folder).unwrap();
    std::fs::write(folder.join("vocab.json"), VOCABULARY).unwrap();
    captioner
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let saved = checkpoint(folder.path());
    let loaded = Captioner::load(folder.path(), Device::Cpu).unwrap();
    assert_eq!(loaded.card, saved.card);
    for (is, was) in [
        (&loaded.encoder_vars, &saved.encoder_vars),
        (&loaded.decoder_vars, &saved.decoder_vars),
    ] {
        let is = is.variables();
        for (name, variable) in was.variables() {
            assert_eq!(is[&name], variable, "{name}");
        }
    }
    let pixels = uniform("pixels", &[2, 3, 32, 48], 0.0, 256.0).to_kind(Kind::Uint8);
    let Cells { cells: seen, grid } = loaded.encode(&pixels);
    assert_eq!((seen.size(), grid), (vec![2, 24, 128], [4, 6]));
    assert!(!seen.requires_grad());
    let unfolded = no_grad(|| saved.encoder.encode(&pixels, false, Kind::Float));
    assert_close("encode", &seen, &unfolded.cells);
}

#[test]
fn pixels_are_normalised_as_torchvision_does() {
    // (x / 255 - mean) / std by hand, for x = 0, 51, 255 in the three channels.
    let pixels = Tensor::from_slice(&[0u8, 51, 255]).view([1, 3, 1, 1]);
    let normalised: Vec<f32> = Vec::try_from(normalised(&pixels).flatten(0, -1)).unwrap();
    for (is, by_hand) in normalised.iter().zip([-2.117904, -1.142857, 2.64]) {
        assert!((is - by_hand).abs() < 1e-5, "{is} instead of {by_hand}");
    }
}

/// The one line about a checkpoint that `spoil` spoilt.
fn refusal(spoil: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    checkpoint(folder.path());
    spoil(folder.path());
    let Err(error) = Captioner::load(folder.path(), Device::Cpu) else {
        panic!("a spoilt checkpoint was loaded");
    };
    let message = error.to_string();
    eprintln!("{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[test]
fn a_missing_or_cut_file_is_named() {
    for name in [
        "model.json",
        "vocab.json",
        "encoder.safetensors",
        "decoder.safetensors",
    ] {
        let missing = refusal(|folder| std::fs::remove_file(folder.join(name)).unwrap());
        assert!(missing.contains(name), "{missing}");
        let cut = refusal(|folder| {
            let whole = std::fs::read(folder.join(name)).unwrap();
            std::fs::write(folder.join(name), &whole[..whole.len() / 2]).unwrap();
        });
        assert!(cut.contains(name), "{cut}");
    }
}

#[test]
fn another_vocabulary_is_refused() {
    let other = "{\"words\": [1]}\n";
    let message = refusal(|folder| std::fs::write(folder.join("vocab.json"), other).unwrap());
    assert!(message.contains("vocab.json"), "{message}");
    assert!(message.contains(&card().vocabulary_blake3), "{message}");
    assert!(
        message.contains(blake3::hash(other.as_bytes()).to_hex().as_str()),
        "{message}"
    );
}

#[test]
fn a_card_of_another_model_is_refused() {
    for (from, to, named) in [
        ("\"resnet18\"", "\"resnet50\"", "decoder.channels = 128"),
        ("\"resnet18\"", "\"resnet19\"", "resnet19"),
        ("\"hidden\": 6", "\"hidden\": 7", "decoder.safetensors"),
        ("\"hidden\": 6", "\"hidden\": 0", "decoder.hidden = 0"),
        ("\"layer2\"", "\"layer3\"", "the encoder makes 256"),
        (
            "\"hidden\": 6",
            "\"hidden\": 6, \"layers\": 2",
            "decoder.layers",
        ),
        ("\"arch\": \"resnet18\",", "", "encoder.arch"),
        (
            "\"vocabulary\": 9",
            "\"vocabulary\": -9",
            "decoder.vocabulary = -9",
        ),
        (
            "\"dropout\": 0.5",
            "\"dropout\": 1.5",
            "decoder.dropout = 1.5",
        ),
        ("\"image_size\"", "\"imagesize\"", "imagesize"),
    ] {
        let message = refusal(|folder| {
            let path = folder.join("model.json");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
        });
        assert!(message.contains(named), "{message}");
    }
}
