//! Runs training steps on request, for `benches/{training,transformer,epoch,cuda}.py`.
//!
//!     step BATCHES.safetensors '{"threads": 2, "native": [8, 8], "encoder": {…}, "decoder": {…}, "train": {…}}'
//!
//! The file holds the decoder's weights (`decoder.NAME`) and batches (`N.features`
//! (n, p, C) or `N.pixels` (n, 3, H, W), `N.image` (B), `N.tokens` (B, L), `N.lengths`
//! (B)). With `encoder.weights` the encoder learns, too, from pixels. Each line of standard
//! input is a number of steps; each line of output `{"seconds", "losses"}` of them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for the benchmark"
)]

use attend_artifact::model::{DecoderConfig, EncoderConfig, ModelCard};
use attend_model::weights::{self, StateDict};
use attend_model::{CrossEntropy, Reading};
use attend_train::config::Config;
use attend_train::data::Batch;
use attend_train::network::Network;
use serde::Deserialize;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
struct Settings {
    threads: usize,
    native: [i64; 2],
    #[serde(flatten)]
    config: Config,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap();
    let settings: Settings = serde_json::from_str(&arguments.next().unwrap()).unwrap();
    attend_model::set_threads(settings.threads);
    let device = attend_model::device(&settings.config.train.device).unwrap();
    let dict = weights::read(Path::new(&file)).unwrap();
    let of = |prefix: &str| -> StateDict {
        let of_prefix = |(name, tensor): (&String, &Tensor)| {
            Some((
                name.strip_prefix(prefix)?.to_owned(),
                tensor.shallow_clone(),
            ))
        };
        dict.iter().filter_map(of_prefix).collect()
    };
    let decoder = of("decoder.");
    let config = &settings.config;
    let size = |names: &[&str], axis: usize| -> i64 {
        let found = names.iter().find_map(|name| decoder.get(*name));
        found.unwrap().size()[axis]
    };
    let embeddings = [
        "embedding.weight",
        "embed.0.weight",
        "model.tgt_embed.0.lut.weight",
    ];
    let of_cells = ["attention.encoder_att.weight", "att_embed.0.weight"];
    let card = ModelCard {
        decoder: DecoderConfig {
            arch: config.arch(),
            vocabulary: size(&embeddings, 0),
            channels: size(&of_cells, 1),
            embedding: size(&embeddings, 1),
            attention: config.decoder.attention,
            hidden: config.decoder.hidden,
            dropout: config.decoder.dropout,
            grid: config.decoder.grid,
        },
        encoder: EncoderConfig::ResNet(config.encoder.config.clone()),
        image_size: [256, 256],
        vocabulary_blake3: String::new(),
        encoder_blake3: String::new(),
    };
    let mut network = match config.encoder.weights.as_str() {
        "" => Network::on_features(card, config, settings.native, None, device),
        weights => Network::on_pixels(card, config, Some(Path::new(weights)), device).unwrap(),
    };
    network.start_from(&decoder).unwrap();
    let numbers = |tensor: &Tensor| Vec::<i64>::try_from(tensor.to_kind(Kind::Int64)).unwrap();
    let batches: Vec<Batch> = (0..)
        .map_while(|n| {
            let batch = of(&format!("{n}."));
            let batch = Batch {
                images: (batch.get("features").or(batch.get("pixels")))?.shallow_clone(),
                image_of_caption: numbers(&batch["image"]),
                tokens: batch["tokens"].shallow_clone(),
                lengths: numbers(&batch["lengths"]),
            };
            Some(batch.pinned_for(device))
        })
        .collect();
    let reading = Reading {
        dropout: config.decoder.dropout > 0.0,
        ..Reading::default()
    };
    let objective = CrossEntropy {
        alpha_c: config.train.alpha_c,
        smoothing: config.train.label_smoothing,
    };
    let mut next = batches.iter().cycle();
    for line in std::io::stdin().lock().lines() {
        let steps: usize = line.unwrap().trim().parse().unwrap();
        let mut losses = Vec::new();
        let begun = Instant::now();
        for batch in next.by_ref().take(steps) {
            let outcome = network.read(batch, &objective, (1.0, reading), false);
            losses.push(outcome.unwrap().total);
            let train = &config.train;
            network.step(train.decoder_lr, train.encoder_lr, 0.0, train.clip);
        }
        if let Device::Cuda(number) = device {
            tch::Cuda::synchronize(number as i64);
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{}",
            serde_json::json!({ "seconds": seconds, "losses": losses })
        );
    }
}
