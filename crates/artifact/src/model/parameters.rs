//! The names and shapes of a model's weights in its files.

use super::card::DecoderConfig;
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
    /// The shapes of weights, under the tutorial's names.
    pub fn parameters(&self) -> Parameters {
        let DecoderConfig {
            vocabulary,
            channels,
            embedding,
            attention,
            hidden,
            ..
        } = *self;
        let linear = [
            ("attention.encoder_att", channels, attention),
            ("attention.decoder_att", hidden, attention),
            ("attention.full_att", attention, 1),
            ("init_h", channels, hidden),
            ("init_c", channels, hidden),
            ("f_beta", hidden, channels),
            ("fc", hidden, vocabulary),
        ];
        let linear = linear.into_iter().flat_map(|(name, input, output)| {
            [
                (format!("{name}.weight"), vec![output, input]),
                (format!("{name}.bias"), vec![output]),
            ]
        });
        let others = [
            ("embedding.weight", vec![vocabulary, embedding]),
            (
                "decode_step.weight_ih",
                vec![4 * hidden, embedding + channels],
            ),
            ("decode_step.weight_hh", vec![4 * hidden, hidden]),
            ("decode_step.bias_ih", vec![4 * hidden]),
            ("decode_step.bias_hh", vec![4 * hidden]),
        ];
        let others = others.map(|(name, shape)| (name.to_owned(), shape));
        linear.chain(others).collect()
    }
}
