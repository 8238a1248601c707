//! Loads checkpoints and captions images with them.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::model::{
    CARD, Checkpoint, EncoderConfig, Form, SCRIPT, TorchScriptConfig, seal,
};
use attend_artifact::shard::Dtype;
use attend_artifact::vocabulary::Vocabulary;
use attend_describe::{Captioner, Consensus, Search};
use attend_model::{Cells, encoder as encoders, gather, weights};
use attend_testing::checkpoint;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use tch::{CModule, Device, Kind, Tensor, nn, no_grad};

const SIZE: [i64; 2] = [16, 24];

fn vocabulary() -> Vocabulary {
    let words = ["a", "dog", "cat", "runs", "sits"];
    Vocabulary::new(words.map(|word| (word.to_owned(), 9)), 5, 50)
}

fn write_checkpoint(folder: &Path, seed: u64) {
    let words = vocabulary();
    let card = checkpoint::card(&words, SIZE, [3, 3]);
    checkpoint::write(folder, card, &words, seed, false);
}

fn load(folder: &Path) -> attend_program::Result<Captioner> {
    Captioner::load(&Checkpoint::open(folder)?, Device::Cpu, None)
}

/// Pixels of n images.
fn pixels(n: usize) -> Vec<Vec<u8>> {
    let size = 3 * SIZE[0] as usize * SIZE[1] as usize;
    let image = |n: usize| (0..size).map(|i| (i * (7 + 4 * n) % 251) as u8).collect();
    (0..n).map(image).collect()
}

#[test]
fn pixels_and_the_encoder_s_features_are_described_alike() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("checkpoint");
    write_checkpoint(&folder, 3);
    let captioner = load(&folder).unwrap();
    let images = pixels(4);
    let search = Search {
        max_length: 7,
        ..Search::default()
    };
    let described = captioner.describe(&images, &search, 3).unwrap().concat();
    assert_eq!(described.len(), 4);
    for description in &described {
        assert_eq!(description.word_log_probs.len(), description.words.len());
        assert!((1..=7).contains(&description.words.len()) && description.log_prob < 0.0);
        assert_eq!(description.alphas.len(), description.words.len());
        assert_eq!(description.grid, [3, 3]);
        for alpha in &description.alphas {
            assert!(alpha.len() == 9 && (alpha.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        }
    }
    // The same weights in an encoder with BatchNorm not folded.
    let vars = nn::VarStore::new(Device::Cpu);
    let encoder = encoders::new(&vars.root(), captioner.card.encoder.resnet().unwrap());
    let dict = weights::read(&folder.join("encoder.safetensors")).unwrap();
    encoder.load(&vars, &dict).unwrap();
    let rows: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let batch = gather(&rows, &[3, SIZE[0], SIZE[1]], Dtype::U8).unwrap();
    let Cells { cells, grid } = no_grad(|| encoder.encode(&batch, false, Kind::Float));
    assert_eq!(grid, captioner.card.encoder.grid(SIZE));
    let seen = captioner.project(&cells, grid);
    let again = search.describe(
        &[(captioner.decoder.as_ref(), &seen)],
        &captioner.vocabulary,
        3,
    );
    let again = again.unwrap().concat();
    for (a, b) in described.iter().zip(&again) {
        assert_eq!(a.words, b.words);
        assert!((a.log_prob - b.log_prob).abs() < 1e-3);
    }
    // An ensemble of a model with itself is that model.
    let pair = [(captioner.decoder.as_ref(), &seen); 2];
    let together = search.describe(&pair, &captioner.vocabulary, 3).unwrap();
    let words = |all: &[attend_describe::Description]| -> Vec<String> {
        all.iter()
            .map(|description| description.caption())
            .collect()
    };
    assert_eq!(words(&together.concat()), words(&again));
}

#[test]
fn a_torchscript_module_is_the_eye_of_a_model_that_was_made_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("checkpoint");
    let words = vocabulary();
    let mut card = checkpoint::card(&words, SIZE, [0, 0]);
    let encoder = TorchScriptConfig {
        file: SCRIPT.into(),
        image_size: SIZE,
        mean: [0.5; 3],
        std: [0.1; 3],
        output: Form::Map,
        skip: 0,
        grid: [2, 3],
        channels: 3,
    };
    card.decoder.channels = encoder.channels;
    card.encoder = EncoderConfig::TorchScript(encoder);
    card.encoder_blake3 = "of the module".into();
    checkpoint::write(&folder, card, &words, 3, true);
    let images = Tensor::zeros([2, 3, SIZE[0], SIZE[1]], (Kind::Float, Device::Cpu));
    let pool = |images: &Tensor| images.avg_pool2d([8, 8], [8, 8], [0, 0], false, true, None);
    let mut traced = |inputs: &[Tensor]| vec![pool(&inputs[0])];
    let module = CModule::create_by_tracing("Net", "forward", &[images], &mut traced);
    module.unwrap().save(folder.join(SCRIPT)).unwrap();
    seal(&folder, &BTreeMap::new()).unwrap();

    let captioner = load(&folder).unwrap();
    let images = pixels(4);
    let search = Search {
        max_length: 7,
        ..Search::default()
    };
    let described = captioner.describe(&images, &search, 3).unwrap().concat();
    // The same cells as features, for a captioner that never loads the module.
    let rows: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let batch = gather(&rows, &[3, SIZE[0], SIZE[1]], Dtype::U8).unwrap();
    let cells = pool(&((batch.to_kind(Kind::Float) / 255.0 - 0.5) / 0.1));
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let blind = Captioner::of_features(&checkpoint, Device::Cpu).unwrap();
    let seen = blind.project(&cells.flatten(2, 3).transpose(1, 2), [2, 3]);
    let again = search.describe(&[(blind.decoder.as_ref(), &seen)], &blind.vocabulary, 3);
    let again = again.unwrap().concat();
    for (a, b) in described.iter().zip(&again) {
        assert_eq!(a.words, b.words);
        assert!((a.log_prob - b.log_prob).abs() < 1e-3);
    }
    assert!(blind.look(&batch).is_err());

    std::fs::write(folder.join(SCRIPT), "no module").unwrap();
    let Err(error) = load(&folder) else {
        panic!("a module that has changed was loaded");
    };
    assert!(error.to_string().contains("encoder.pt: damaged"), "{error}");
}

#[test]
fn images_of_another_size_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("checkpoint");
    write_checkpoint(&folder, 3);
    let captioner = load(&folder).unwrap();
    let error = captioner.describe(&[vec![0; 5]], &Search::default(), 1);
    assert!(error.unwrap_err().to_string().contains("5 bytes"));
}

#[test]
fn alternatives_differ_and_options_are_of_words() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("checkpoint");
    write_checkpoint(&folder, 3);
    let captioner = load(&folder).unwrap();
    let images = pixels(3);
    let word = captioner.vocabulary.word(1).unwrap();
    let begun = Search {
        max_length: 7,
        n_best: 4,
        prefix: word.to_uppercase(),
        ..Search::default()
    };
    let sampled = Search {
        samples: 9,
        temperature: 3.0,
        consensus: Consensus::CiderD,
        ..begun.clone()
    };
    for search in [&begun, &sampled] {
        for found in captioner.describe(&images, search, 5).unwrap() {
            assert_eq!(found.len(), 4);
            let captions: HashSet<String> = found.iter().map(|d| d.caption()).collect();
            assert_eq!(captions.len(), 4);
            assert!(found.iter().all(|description| description.words[0] == word));
            for two in found.windows(2) {
                assert!((two[0].finished && !two[1].finished) || two[0].score >= two[1].score);
            }
        }
    }
    let refused = |change: fn(&mut Search)| {
        let mut search = Search::default();
        change(&mut search);
        let checked = search.check();
        let described = checked.and_then(|()| captioner.describe(&images, &search, 1));
        let error = described.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    };
    let lacks = "search.prefix: the model's vocabulary lacks a word of \"a zebra\"";
    assert_eq!(refused(|search| search.prefix = "a zebra".into()), lacks);
    let messages = [
        refused(|search| search.forbid = vec!["zebra".into()]),
        refused(|search| search.min_length = 51),
        refused(|search| search.temperature = 0.0),
        refused(|search| search.top_p = f64::NAN),
        refused(|search| search.n_best = 0),
        refused(|search| (search.groups, search.samples) = (2, 2)),
    ];
    let keys = [
        "forbid",
        "min_length",
        "temperature",
        "top_p",
        "n_best",
        "groups",
    ];
    for (message, key) in messages.iter().zip(keys) {
        assert!(message.starts_with(&format!("search.{key}: ")), "{message}");
    }
}

/// The one-line error for a checkpoint of an earlier version (without digests) that `spoil`
/// has damaged.
fn refusal(spoil: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("checkpoint");
    write_checkpoint(&folder, 3);
    let path = folder.join(CARD);
    let text = std::fs::read(&path).unwrap();
    let mut card: Map<String, Value> = serde_json::from_slice(&text).unwrap();
    card.remove("blake3").unwrap();
    std::fs::write(&path, serde_json::to_string_pretty(&card).unwrap()).unwrap();
    spoil(&folder);
    let Err(error) = load(&folder) else {
        panic!("a spoilt checkpoint was loaded");
    };
    assert_eq!(error.exit_code(), 4, "{error}");
    let message = error.to_string();
    eprintln!("{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[test]
fn a_missing_or_cut_file_is_named() {
    for name in [
        "vocab.json",
        "encoder.safetensors",
        "decoder.safetensors",
        CARD,
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
fn another_vocabulary_is_refused_by_both_digests() {
    let other = Vocabulary::new([("dog".to_owned(), 1)], 1, 50);
    let message = refusal(|folder| other.write(&folder.join("vocab.json")).unwrap());
    assert!(message.contains("vocab.json: BLAKE3 "), "{message}");
    assert!(message.contains("was trained with"), "{message}");
}

#[test]
fn weights_of_another_model_than_the_card_s_are_refused() {
    for (from, to, named) in [
        ("\"hidden\": 16", "\"hidden\": 7", "decoder.safetensors"),
        ("\"resnet18\"", "\"resnet34\"", "encoder.safetensors"),
        ("\"vocabulary\": 9", "\"vocabulary\": 10", "9 ids"),
    ] {
        let message = refusal(|folder| {
            let path = folder.join(CARD);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
        });
        assert!(message.contains(named), "{message}");
    }
}
