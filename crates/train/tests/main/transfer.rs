//! Trainings that begin with a model of other captions.

use super::*;
use attend_model::weights::StateDict;

/// Some of the words of [`ENGLISH`] in another order, and one that its model doesn't know.
const OTHER: &str = "sheet of red green blue picture on plain a";

/// The decoder's parameters that have a row for each token.
const WORDS: [&str; 3] = ["embedding.weight", "fc.weight", "fc.bias"];

/// A trained model `first`, then a vocabulary of [`OTHER`]; `train.start` as an option.
fn trained(trainer: &mut Trainer) -> (Vocabulary, String) {
    trainer.run("first", &["train.epochs=2"]);
    let known = Vocabulary::read(&trainer.vocabulary.join("vocab.json")).unwrap();
    other_words(trainer, OTHER);
    let start = format!("train.start={}", trainer.path("first").display());
    (known, start)
}

fn other_words(trainer: &mut Trainer, words: &str) {
    let words = words.split(' ').map(|word| (word.to_owned(), 1));
    let words = Vocabulary::new(words, 1, 50);
    trainer.vocabulary = trainer.path(&format!("words-{}", words.len()));
    let dataset = Artifact::open(&trainer.dataset).unwrap();
    vocabulary::write(&trainer.vocabulary, &dataset, &words);
}

fn read(trainer: &Trainer, checkpoint: &str, file: &str) -> StateDict {
    weights::read(&trainer.path(checkpoint).join(file)).unwrap()
}

#[test]
fn words_in_common_begin_with_their_weights_and_new_ones_as_without_a_start() {
    let mut trainer = Trainer::new();
    let (known, start) = trained(&mut trainer);
    let still = ["epochs=1", "decoder_lr=0", "encoder_lr=0"];
    let still = still.map(|item| format!("train.{item}"));
    let set = [&*still[0], &still[1], &still[2]];
    trainer.run("nothing", &set);
    let (_, log) = trainer.run("second", &[&set[..], &[&start]].concat());
    assert!(
        log.contains("8 of 9 words begin with the weights of"),
        "{log}"
    );

    let words = Vocabulary::read(&trainer.vocabulary.join("vocab.json")).unwrap();
    let decoder = |run: &str| read(&trainer, run, "checkpoints/best/decoder.safetensors");
    let (first, nothing, second) = (decoder("first"), decoder("nothing"), decoder("second"));
    for name in WORDS {
        for id in 0..words.len() as i64 {
            let token = words.word(id).unwrap();
            let old = (0..known.len() as i64).find(|old| known.word(*old) == Some(token));
            let expected = match old {
                Some(old) => first[name].get(old),
                None => nothing[name].get(id),
            };
            assert_eq!(old.is_none(), token == "of");
            assert_eq!(second[name].get(id), expected, "{name} of {token}");
        }
    }
    for (name, tensor) in &first {
        let same = second[name].size() == tensor.size() && second[name] == *tensor;
        assert_eq!(same, !WORDS.contains(&&**name), "{name}");
    }

    trainer.refused(
        &["decoder.hidden=8", &start],
        4,
        "decoder.safetensors: fc.weight",
    );
    other_words(&mut trainer, "nichts davon");
    trainer.refused(&[&start], 4, "no word in common with this vocabulary");
}

#[test]
fn at_first_only_the_words_learn() {
    let mut trainer = Trainer::new();
    let (_, start) = trained(&mut trainer);
    let set = [
        "train.epochs=2",
        "train.freeze=1",
        "train.keep_last=2",
        &start,
    ];
    let (whole, _) = trainer.run("second", &set);
    let changed = |[from, to]: [&str; 2], file: &str| -> Vec<String> {
        let [from, to] = [from, to].map(|checkpoint| read(&trainer, checkpoint, file));
        let differs =
            |name: &&String| from[*name].size() != to[*name].size() || from[*name] != to[*name];
        from.keys().filter(differs).cloned().collect()
    };
    let folder = "second/checkpoints/epoch-0000";
    let epochs = [
        "first/checkpoints/best".to_owned(),
        format!("{folder}1"),
        format!("{folder}2"),
    ];
    let [start_, frozen, free] = epochs.each_ref().map(|name| &**name);
    let mut words = WORDS.map(str::to_owned).to_vec();
    words.sort();
    assert_eq!(changed([start_, frozen], "decoder.safetensors"), words);
    assert!(changed([start_, frozen], "encoder.safetensors").is_empty());
    let all = read(&trainer, free, "decoder.safetensors").len();
    // The attention's last bias is the same for all cells: it never learns.
    assert!(changed([frozen, free], "decoder.safetensors").len() >= all - 1);
    assert!(changed([frozen, free], "encoder.safetensors").len() > 20);
    assert_eq!(whole.config["train"]["freeze"], 1);
    trainer.refused(&["train.freeze=1"], 2, "would freeze random weights");
}

#[test]
fn a_killed_transfer_ends_bit_for_bit_like_one_that_was_not() {
    let mut trainer = Trainer::new();
    let (_, start) = trained(&mut trainer);
    let set = ["train.epochs=3", "train.freeze=2", &start];
    let (whole, _) = trainer.run("whole", &set);
    let mut kills = 0;
    while !trainer.path("killed").exists() {
        let mut command = trainer.command("killed", &set);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(150 + 130 * kills));
        let _ = child.kill();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills >= 3, "only {kills} kills");
    let (resumed, log) = trainer.run("killed", &set);
    assert_eq!(resumed.digest, whole.digest, "{log}");
    // Without a start, nothing is recorded of it: earlier models stay up to date.
    let (plain, _) = trainer.run("plain", &["train.epochs=1"]);
    assert!(plain.config["train"].get("freeze").is_none());
}
