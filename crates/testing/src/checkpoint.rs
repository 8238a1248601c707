//! Checkpoints of random weights, made without libtorch.

use attend_artifact::digest_file;
use attend_artifact::model::{
    self, Arch, DECODER, DecoderArch, DecoderConfig, ENCODER, EncoderConfig, LastStage, ModelCard,
    Parameters, ResNetConfig,
};
use attend_artifact::vocabulary::Vocabulary;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::BTreeMap;
use std::path::Path;

/// Weights by name: shape and f32 numbers.
pub struct Weights(pub BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Weights {
    /// Numbers in [-1, 1) divided by the root of the number of inputs; BatchNorm's weights
    /// and statistics in [0.5, 1.5). The same seed gives the same numbers.
    pub fn random(parameters: &Parameters, seed: u64) -> Weights {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut uniform = move || {
            // xorshift64*
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 24) as f32
        };
        let mut draw = |name: &str, shape: &[i64]| {
            let shape: Vec<usize> = shape.iter().map(|n| *n as usize).collect();
            let count = shape.iter().product();
            let inputs: usize = shape.iter().skip(1).product();
            let of_norm = shape.len() == 1 && (name.contains("bn") || name.contains("running"));
            let number = |_| match of_norm {
                true => 0.5 + uniform(),
                false => (2.0 * uniform() - 1.0) / (inputs as f32).sqrt(),
            };
            let numbers = (0..count).map(number).collect();
            (shape, numbers)
        };
        let all = parameters.iter();
        Weights(
            all.map(|(name, shape)| (name.clone(), draw(name, shape)))
                .collect(),
        )
    }

    /// As a safetensors file.
    pub fn bytes(&self) -> Vec<u8> {
        let bytes: Vec<Vec<u8>> = (self.0.values())
            .map(|(_, numbers)| numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
            .collect();
        let views = self
            .0
            .iter()
            .zip(&bytes)
            .map(|((name, (shape, _)), bytes)| {
                (
                    name,
                    TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
                )
            });
        safetensors::serialize(views, None).unwrap()
    }
}

/// The card of a small model: a ResNet-18 up to layer1, and a narrow decoder.
pub fn card(vocabulary: &Vocabulary, image_size: [i64; 2], grid: [i64; 2]) -> ModelCard {
    ModelCard {
        encoder: EncoderConfig::ResNet(ResNetConfig {
            arch: Arch::Resnet18,
            last_stage: LastStage::Layer1,
            ..ResNetConfig::default()
        }),
        decoder: DecoderConfig {
            arch: DecoderArch::default(),
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
/// and said, and `<end>` is unlikely. With `frozen` its card names the encoder's weights. Of
/// an encoder that is no ResNet it has no file.
pub fn write(
    folder: &Path,
    mut card: ModelCard,
    vocabulary: &Vocabulary,
    seed: u64,
    frozen: bool,
) -> ModelCard {
    let resnet = card.encoder.resnet();
    let encoder = resnet.map(|resnet| Weights::random(&resnet.parameters(), seed).bytes());
    let mut decoder = Weights::random(&card.decoder.parameters(), seed + 1);
    for (name, (_, numbers)) in &mut decoder.0 {
        numbers.iter_mut().for_each(|number| *number *= 6.0);
        if name == "fc.bias" {
            numbers[card.decoder.vocabulary as usize - 1] = -4.0;
        }
    }
    let files = tempfile::tempdir().unwrap();
    let words = files.path().join("vocab.json");
    vocabulary.write(&words).unwrap();
    card.vocabulary_blake3 = digest_file(&words).unwrap();
    if let (true, Some(encoder)) = (frozen, &encoder) {
        let path = files.path().join(ENCODER);
        std::fs::write(&path, encoder).unwrap();
        card.encoder_blake3 = digest_file(&path).unwrap();
    }
    model::write(folder, &card, &words, |new| {
        if let Some(encoder) = &encoder {
            std::fs::write(new.join(ENCODER), encoder).unwrap();
        }
        std::fs::write(new.join(DECODER), decoder.bytes()).unwrap();
        Ok(())
    })
    .unwrap();
    card
}
