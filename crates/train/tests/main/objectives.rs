//! Trainings by reward, with hard attention, and of an average of weights.

use super::*;

/// A model that has begun to describe, as an option.
fn start(trainer: &Trainer) -> String {
    trainer.run("first", &["train.epochs=2"]);
    format!("train.start={}", trainer.path("first").display())
}

const REWARD: [&str; 4] = [
    "train.objective=reward",
    "train.epochs=4",
    "train.batch=20",
    "train.decoder_lr=5e-3",
];

#[test]
fn a_training_by_reward_earns_more_and_is_killed_without_a_trace() {
    let trainer = Trainer::new();
    let start = start(&trainer);
    let set = [&REWARD[..], &[&start]].concat();
    survives_kills(&trainer, &set, 30);
    let rewards = trainer.scores("whole", "train_reward");
    assert_eq!(rewards.len(), 4);
    assert!(rewards[3] > rewards[0] + 0.1, "{rewards:?}");
    let (first, last) = (
        trainer.scores("first", "cider"),
        trainer.scores("whole", "cider"),
    );
    assert!(last[3] > first[1], "{first:?} {last:?}");
}

#[test]
fn rewards_are_mixed_and_compared_with_the_greedy_caption() {
    let trainer = Trainer::new();
    let start = start(&trainer);
    let more = [
        "reward.baseline=greedy",
        "reward.samples=1",
        "reward.bleu4=0.5",
    ];
    let set = [&REWARD[..], &more, &[&start]].concat();
    let (_, log) = trainer.run("greedy", &set);
    // 24 images in one batch of 20 and one of 4.
    assert_eq!(trainer.scores("greedy", "baseline").len(), 8, "{log}");
    let rewards = trainer.scores("greedy", "train_reward");
    assert!(rewards[3] > rewards[0], "{rewards:?}");
}

#[test]
fn standardised_rewards_are_earned_too_and_are_killed_without_a_trace() {
    let trainer = Trainer::new();
    let start = start(&trainer);
    let set = [&REWARD[..], &["reward.standardise=true", &start]].concat();
    survives_kills(&trainer, &set, 5);
    let standardised = trainer.scores("whole", "train_reward");
    assert!(standardised[3] > standardised[0], "{standardised:?}");
    let (plain, _) = trainer.run("plain", &[&REWARD[..], &[&start]].concat());
    assert_ne!(trainer.scores("plain", "train_reward"), standardised);
    assert!(plain.config["reward"].get("standardise").is_none());
}

#[test]
fn what_can_not_be_rewarded_is_refused() {
    let trainer = Trainer::new();
    trainer.refused(&REWARD, 2, "would begin with random captions");
    let start = start(&trainer);
    for (set, words) in [
        (
            "reward.samples=21",
            "reward.samples = 21 is more than train.batch = 20 captions",
        ),
        ("reward.samples=1", "leaves no others to compare with"),
        ("reward.cider=0", "no caption would earn anything"),
        ("reward.cider=-1", "must be a number of at least 0"),
        ("reward.baseline=mean", "`others` or `greedy`"),
        ("train.attention=hard", "with soft attention"),
        ("train.sampling=0.5", "all captions are the model's own"),
        ("reward.meteor=1", "METEOR's data is not in"),
    ] {
        let set = [&REWARD[..], &[&start, set]].concat();
        let mut command = trainer.command("refused", &set);
        let result = command.env("ATTEND_METEOR", "/nowhere").output().unwrap();
        let code = if words.contains("METEOR") { 3 } else { 2 };
        assert_eq!(result.status.code(), Some(code), "{}", log_of(&result));
        assert!(log_of(&result).contains(words), "{}", log_of(&result));
    }
}

#[test]
fn hard_attention_learns_and_is_killed_without_a_trace() {
    let trainer = Trainer::new();
    let set = [
        "train.attention=hard",
        "hard_attention.share=0.7",
        "train.average=0.9",
    ];
    survives_kills(&trainer, &set, 30);
    let losses = trainer.scores("whole", "train_cross_entropy");
    assert!(losses[7] < losses[0] / 2.0, "{losses:?}");
    assert!(!trainer.scores("whole", "log_prob").is_empty());
    let (soft, _) = trainer.run("soft", &["hard_attention.share=0.7", "train.average=0.9"]);
    assert_ne!(trainer.scores("soft", "train_cross_entropy"), losses);
    assert_eq!(soft.config["hard_attention"]["share"], 0.7);
    trainer.refused(&["hard_attention.share=1.5"], 2, "must be in [0, 1]");
    let set = ["train.attention=hard", "decoder.arch=att2in"];
    trainer.refused(
        &set,
        2,
        "needs decoder.arch = \"attention-lstm\", not att2in",
    );
}

/// With an average of the last step alone, the best checkpoint is that of the training without.
#[test]
fn the_best_checkpoint_has_the_average_and_the_last_one_the_weights() {
    let trainer = Trainer::new();
    let set = ["train.epochs=1"];
    trainer.run("plain", &set);
    trainer.run("average", &[&set[..], &["train.average=0.8"]].concat());
    let read = |run: &str, which: &str| {
        let file = trainer
            .path(run)
            .join(format!("checkpoints/{which}/decoder.safetensors"));
        weights::read(&file).unwrap()
    };
    assert_eq!(read("plain", "last"), read("average", "last"));
    assert_eq!(read("plain", "last"), read("plain", "best"));
    assert_ne!(read("average", "best"), read("plain", "best"));
    // The mean of steps: it lies between the first and the last weights.
    let still = ["train.epochs=1", "train.decoder_lr=0", "train.encoder_lr=0"];
    trainer.run("still", &still);
    let (first, mean, last) = (
        read("still", "last"),
        read("average", "best"),
        read("plain", "last"),
    );
    let distance = |a: &Tensor, b: &Tensor| (a - b).norm().double_value(&[]);
    let [name] = ["fc.weight"];
    let whole = distance(&first[name], &last[name]);
    assert!(distance(&first[name], &mean[name]) < whole);
    assert!(distance(&last[name], &mean[name]) < whole);
}

/// Images of val have one of train's sentences, but for the last two.
#[test]
fn validation_can_be_on_images_whose_sentences_are_new() {
    let trainer = Trainer::of(&World {
        captions: |image_id, name| match image_id {
            104.. => [format!("a {name} sheet"), format!("{name} all over")],
            100.. => [
                format!("a {name} sheet"),
                format!("A plain, {name} picture!"),
            ],
            _ => (ENGLISH.captions)(image_id, name).map(|_| format!("a plain {name} picture")),
        },
        ..ENGLISH
    });
    let set = ["train.epochs=1", "train.validation_new=true"];
    let (manifest, log) = trainer.run("new", &set);
    assert!(log.contains("on 2 of the 6 images of val"), "{log}");
    assert_eq!(manifest.config["train"]["validation_new"], true);
    let (manifest, log) = trainer.run("all", &set[..1]);
    assert!(!log.contains("whose sentences are new"), "{log}");
    assert!(manifest.config["train"].get("validation_new").is_none());
    assert_ne!(
        trainer.scores("new", "cider"),
        trainer.scores("all", "cider")
    );
    let all = "each image of split \"val\" has a sentence of the train split";
    Trainer::new().refused(&["train.validation_new=true"], 3, all);
}
