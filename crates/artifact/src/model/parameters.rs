//! The names and shapes of a model's weights in its files.

use super::decoder::{DecoderArch, DecoderConfig, TransformerConfig};
use super::resnet::ResNetConfig;
use std::collections::BTreeMap;

/// Shapes of tensors by name; all are of floats.
pub type Parameters = BTreeMap<String, Vec<i64>>;

impl ResNetConfig {
    /// The shapes of weights and BatchNorm statistics, under torchvision's names.
    pub fn parameters(&self) -> Parameters {
        let mut all = Parameters::new();
        let mut unit = |conv: String, norm: String, [input, output]: [i64; 2], kernel: i64| {
            all.insert(
                format!("{conv}.weight"),
                vec![output, input, kernel, kernel],
            );
            for name in ["weight", "bias", "running_mean", "running_var"] {
                all.insert(format!("{norm}.{name}"), vec![output]);
            }
        };
        unit("conv1".into(), "bn1".into(), [3, 64], 7);
        let mut channels = 64;
        for (layer, blocks) in (0..=self.last_stage as i64).zip(self.arch.blocks()) {
            let width = 64 << layer;
            let (kernels, output): (&[i64], i64) = match self.arch.is_bottleneck() {
                true => (&[1, 3, 1], 4 * width),
                false => (&[3, 3], width),
            };
            for number in 0..blocks {
                let block = format!("layer{}.{number}", layer + 1);
                let mut input = channels;
                for (n, kernel) in (1..).zip(kernels) {
                    let made = if n == kernels.len() { output } else { width };
                    let names = (format!("{block}.conv{n}"), format!("{block}.bn{n}"));
                    unit(names.0, names.1, [input, made], *kernel);
                    input = made;
                }
                if number == 0 && (layer > 0 || channels != output) {
                    let path = format!("{block}.downsample");
                    unit(
                        format!("{path}.0"),
                        format!("{path}.1"),
                        [channels, output],
                        1,
                    );
                }
                channels = output;
            }
        }
        all
    }
}

impl DecoderConfig {
    /// The shapes of weights: under the tutorial's names for `attention-lstm`, those of
    /// ruotianluo's `ImageCaptioning.pytorch` for other architectures.
    pub fn parameters(&self) -> Parameters {
        let mut all = Parameters::new();
        match self.arch {
            DecoderArch::AttentionLstm => self.attention_lstm(&mut all),
            DecoderArch::Att2in => self.att2in(&mut all),
            DecoderArch::UpDown => self.up_down(&mut all),
            DecoderArch::Transformer(sizes) => self.transformer(sizes, &mut all),
        }
        all
    }

    fn attention_lstm(&self, all: &mut Parameters) {
        let DecoderConfig {
            vocabulary,
            channels,
            embedding,
            attention,
            hidden,
            ..
        } = *self;
        linear(all, "attention.encoder_att", channels, attention);
        linear(all, "attention.decoder_att", hidden, attention);
        linear(all, "attention.full_att", attention, 1);
        linear(all, "init_h", channels, hidden);
        linear(all, "init_c", channels, hidden);
        linear(all, "f_beta", hidden, channels);
        linear(all, "fc", hidden, vocabulary);
        lstm(all, "decode_step", embedding + channels, hidden);
        all.insert("embedding.weight".to_owned(), vec![vocabulary, embedding]);
    }

    fn att2in(&self, all: &mut Parameters) {
        let DecoderConfig {
            embedding, hidden, ..
        } = *self;
        self.attended(all);
        linear(all, "core.a2c", hidden, 2 * hidden);
        linear(all, "core.i2h", embedding, 5 * hidden);
        linear(all, "core.h2h", hidden, 5 * hidden);
    }

    fn up_down(&self, all: &mut Parameters) {
        let DecoderConfig {
            channels,
            embedding,
            hidden,
            ..
        } = *self;
        self.attended(all);
        linear(all, "fc_embed.0", channels, hidden);
        lstm(all, "core.att_lstm", 2 * hidden + embedding, hidden);
        lstm(all, "core.lang_lstm", 2 * hidden, hidden);
    }

    fn transformer(&self, sizes: TransformerConfig, all: &mut Parameters) {
        let DecoderConfig {
            vocabulary,
            channels,
            hidden,
            ..
        } = *self;
        linear(all, "att_embed.0", channels, hidden);
        all.insert(
            "model.tgt_embed.0.lut.weight".to_owned(),
            vec![vocabulary, hidden],
        );
        linear(all, "model.generator.proj", hidden, vocabulary);
        let parts = [
            ("encoder", sizes.encoder_layers, &["self_attn"][..]),
            ("decoder", sizes.decoder_layers, &["self_attn", "src_attn"]),
        ];
        for (part, layers, attentions) in parts {
            norm(all, &format!("model.{part}"), hidden);
            for layer in (0..layers).map(|layer| format!("model.{part}.layers.{layer}")) {
                for name in attentions {
                    for n in 0..4 {
                        linear(all, &format!("{layer}.{name}.linears.{n}"), hidden, hidden);
                    }
                }
                linear(
                    all,
                    &format!("{layer}.feed_forward.w_1"),
                    hidden,
                    sizes.feed_forward,
                );
                linear(
                    all,
                    &format!("{layer}.feed_forward.w_2"),
                    sizes.feed_forward,
                    hidden,
                );
                for n in 0..=attentions.len() {
                    norm(all, &format!("{layer}.sublayer.{n}"), hidden);
                }
            }
        }
    }

    /// Words, cells and their attention.
    fn attended(&self, all: &mut Parameters) {
        let DecoderConfig {
            vocabulary,
            channels,
            embedding,
            attention,
            hidden,
            ..
        } = *self;
        all.insert("embed.0.weight".to_owned(), vec![vocabulary, embedding]);
        linear(all, "att_embed.0", channels, hidden);
        linear(all, "ctx2att", hidden, attention);
        linear(all, "core.attention.h2att", hidden, attention);
        linear(all, "core.attention.alpha_net", attention, 1);
        linear(all, "logit", hidden, vocabulary);
    }
}

fn linear(all: &mut Parameters, name: &str, input: i64, output: i64) {
    all.insert(format!("{name}.weight"), vec![output, input]);
    all.insert(format!("{name}.bias"), vec![output]);
}

fn norm(all: &mut Parameters, of: &str, width: i64) {
    for name in ["a_2", "b_2"] {
        all.insert(format!("{of}.norm.{name}"), vec![width]);
    }
}

fn lstm(all: &mut Parameters, name: &str, input: i64, hidden: i64) {
    all.insert(format!("{name}.weight_ih"), vec![4 * hidden, input]);
    all.insert(format!("{name}.weight_hh"), vec![4 * hidden, hidden]);
    all.insert(format!("{name}.bias_ih"), vec![4 * hidden]);
    all.insert(format!("{name}.bias_hh"), vec![4 * hidden]);
}
