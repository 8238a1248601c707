//! Searches captions on request, for `benches/search.py`.
//!
//!     search CHECKPOINT FEATURES.safetensors '{"threads": 2, "batch": 32, "grid": [16, 16]}'
//!
//! The file holds `features` f32 (n, p, C) of the checkpoint's encoder. Each line of standard
//! input is a beam size; each line of output `{"seconds", "captions"}`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for the benchmark"
)]

use attend_artifact::model::Checkpoint;
use attend_describe::{Captioner, Search};
use attend_model::weights;
use serde::Deserialize;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;
use tch::Device;

#[derive(Deserialize)]
struct Settings {
    threads: usize,
    batch: i64,
    grid: [i64; 2],
}

fn main() {
    let [checkpoint, features, settings]: [String; 3] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let settings: Settings = serde_json::from_str(&settings).unwrap();
    attend_model::set_threads(settings.threads);
    let checkpoint = Checkpoint::open(Path::new(&checkpoint)).unwrap();
    let captioner = Captioner::of_features(&checkpoint, Device::Cpu).unwrap();
    let features = &weights::read(Path::new(&features)).unwrap()["features"];
    let search = Search::default();
    for line in std::io::stdin().lock().lines() {
        let beam: usize = line.unwrap().parse().unwrap();
        let begun = Instant::now();
        let mut captions = Vec::new();
        for batch in features.split(settings.batch, 0) {
            let images = captioner.project(&batch, settings.grid);
            let models = [(captioner.decoder.as_ref(), &images)];
            let found = search
                .describe(&models, &captioner.vocabulary, beam)
                .unwrap();
            captions.extend(found.iter().map(|found| found[0].caption()));
        }
        let seconds = begun.elapsed().as_secs_f64();
        let line = serde_json::json!({ "seconds": seconds, "captions": captions });
        println!("{line}");
    }
}
