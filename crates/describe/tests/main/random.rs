//! Checkpoints of random weights, for the tests of several crates.

use attend_artifact::digest_file;
use attend_artifact::model::{
    self, Arch, DECODER, DecoderConfig, ENCODER, EncoderConfig, LastStage, ModelCard,
};
use attend_artifact::vocabulary::Vocabulary;
use attend_model::{decoder as decoders, encoder as encoders, weights};
use std::path::Path;
use tch::{Device, nn};

/// The card of a small model for these words and images.
pub fn card(vocabulary: &Vocabulary, image_size: [i64; 2], grid: [i64; 2]) -> ModelCard {
    ModelCard {
        encoder: EncoderConfig {
            arch: Arch::Resnet18,
            last_stage: LastStage::Layer1,
            ..EncoderConfig::default()
        },
        decoder: DecoderConfig {
            vocabulary: vocabulary.len() as i64,
            channels: 64,
            embedding: 8,
            attention: 8,
            hidden: 16,
            dropout: 0.5,
            grid,
        },
        image_size,
        vocabulary_blake3: String::new(),
        encoder_blake3: String::new(),
    }
}

/// Writes a checkpoint that has something to say: words depend strongly on what was seen
/// and said, and `<end>` is unlikely. With `frozen` its card names the encoder's weights.
pub fn checkpoint(
    folder: &Path,
    mut card: ModelCard,
    vocabulary: &Vocabulary,
    seed: i64,
    frozen: bool,
) {
    tch::manual_seed(seed);
    let [encoder, decoder] = [0, 1].map(|_| nn::VarStore::new(Device::Cpu));
    encoders::new(&encoder.root(), &card.encoder);
    decoders::new(&decoder.root(), &card.decoder);
    tch::no_grad(|| {
        for (name, mut weights) in decoder.variables() {
            let _ = weights.g_mul_scalar_(6.0);
            if name == "fc.bias" {
                let _ = weights.get(card.decoder.vocabulary - 1).fill_(-4.0);
            }
        }
        for (name, mut statistics) in encoder.variables() {
            if name.contains(".running_") {
                let _ = statistics.uniform_(0.5, 1.5);
            }
        }
    });
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name);
    vocabulary.write(&file("vocab.json")).unwrap();
    card.vocabulary_blake3 = digest_file(&file("vocab.json")).unwrap();
    for (name, vars) in [(ENCODER, encoder), (DECODER, decoder)] {
        weights::write(&file(name), &vars.variables().into_iter().collect()).unwrap();
    }
    if frozen {
        card.encoder_blake3 = digest_file(&file(ENCODER)).unwrap();
    }
    model::write(folder, &card, &file("vocab.json"), |new| {
        for name in [ENCODER, DECODER] {
            std::fs::copy(file(name), new.join(name)).unwrap();
        }
        Ok(())
    })
    .unwrap();
}
