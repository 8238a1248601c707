//! Takes steps of training by reward on request, for `benches/reward.py`.
//!
//!     reward RUN THREADS IMAGES '{"decoder": {…}, "train": {…}, "reward": {…}}'
//!
//! RUN has `dataset`, `vocabulary`, `features` and `model` (whose best checkpoint it begins
//! with). Each line of standard input is a number of steps of so many IMAGES; each line of output
//! `{"seconds", "scoring", "rewards"}` of them: the whole time, that of the scores alone, and the
//! mean reward of each step.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for the benchmark"
)]

use attend_artifact::Artifact;
use attend_artifact::dataset::Dataset;
use attend_artifact::features::Features;
use attend_artifact::model::Checkpoint;
use attend_artifact::vocabulary::Vocabulary;
use attend_model::weights;
use attend_train::config::Config;
use attend_train::data::{Data, ImageInput};
use attend_train::network::Network;
use attend_train::order::{Group, batches};
use attend_train::reward::Critic;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, run, threads, images, config] = &arguments[..] else {
        return println!("reward RUN THREADS IMAGES CONFIG");
    };
    let mut config: Config = serde_json::from_str(config).unwrap();
    attend_model::set_threads(threads.parse().unwrap());
    let device = attend_model::device(&config.train.device).unwrap();
    let open = |name: &str| Artifact::open(&Path::new(run).join(name)).unwrap();
    let (words, encoded) = Vocabulary::open_encoded(&open("vocabulary")).unwrap();
    let features = Features::open(&open("features")).unwrap();
    let grid = features.grid().map(|n| n as i64);
    let dataset = Dataset::open(&open("dataset")).unwrap();
    let source = ImageInput::Features(features);
    let data = Data::new(dataset, source, encoded, "val", None).unwrap();
    let checkpoint = Checkpoint::of_artifact(&open("model"), "best").unwrap();
    config.decoder.dropout = checkpoint.card.decoder.dropout;
    let decoder = weights::read(&checkpoint.folder.join("decoder.safetensors")).unwrap();
    let mut network = Network::on_features(checkpoint.card, &config, grid, None, device);
    network.start_from(&decoder).unwrap();
    let critic = Critic::new(&config, &data, &words, None);

    let of_step = |step: usize| -> Vec<Group> {
        let images: usize = images.parse().unwrap();
        let plan = batches(&critic.images(), images, 1, 1, 0);
        let mut groups = plan[step % (plan.len() - 1)].clone();
        groups.iter_mut().for_each(|group| group.captions.clear());
        groups
    };
    let mut step = 0;
    for line in std::io::stdin().lock().lines() {
        let steps: usize = line.unwrap().trim().parse().unwrap();
        let work: Vec<_> = (step..step + steps)
            .map(|step| {
                let groups = of_step(step);
                let of: Vec<usize> = groups.iter().map(|group| group.image).collect();
                (data.batch(&groups).unwrap(), of)
            })
            .collect();
        let (mut rewards, mut scoring) = (Vec::new(), 0.0);
        let begun = Instant::now();
        for (batch, of) in &work {
            let seed = step as u64;
            let outcome = network
                .read_by_reward(batch, 1.0, (&critic, of, seed))
                .unwrap();
            network.step(config.train.decoder_lr, 0.0, 0.0, config.train.clip);
            rewards.push(outcome.value("reward"));
            step += 1;
        }
        let seconds = begun.elapsed().as_secs_f64();
        for (batch, of) in &work {
            let images = network.look(&batch.images).unwrap();
            let drawn = critic.draw(network.decoder.as_ref(), &images, 0);
            let begun = Instant::now();
            critic.rewards(&drawn, of);
            scoring += begun.elapsed().as_secs_f64();
        }
        let line = serde_json::json!({"seconds": seconds, "scoring": scoring, "rewards": rewards});
        println!("{line}");
    }
}
