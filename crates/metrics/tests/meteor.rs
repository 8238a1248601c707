//! METEOR on data small enough to compute by hand and, if the real data is installed,
//! compared with the real tool's numbers.

#![allow(clippy::unwrap_used)] // a helper that fails fails its test

use attend_metrics::meteor::{Data, Meteor, meteor};
use attend_metrics::{Corpus, Error};
use proptest::prelude::*;
use serde::Deserialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;

/// A folder with small files of the form that METEOR's data is compiled from.
fn sources() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut jar =
        zip::ZipWriter::new(fs::File::create(folder.path().join("meteor-1.5.jar")).unwrap());
    for (name, text) in [
        ("function/english.words", "a\nthe\nis\non\n"),
        (
            "nonbreaking/english.prefixes",
            "# titles\nMr\nmr\n\nno #NUMERIC_ONLY#\n",
        ),
        (
            "synonym/english.synsets",
            "child\n7\ndog\n1 2\nhound\n2\nman\n3\nperson\n3 4\n",
        ),
        (
            "synonym/english.exceptions",
            "child\nchildren childer\nman\nmen\n",
        ),
    ] {
        jar.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        jar.write_all(text.as_bytes()).unwrap();
    }
    jar.finish().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    write_table(
        folder.path(),
        "0.1\nruns quickly\nis in a hurry\n0.2\nmany\na lot of\n0.1\nmany\nplenty of\n0.1\nplenty of\nmany\n",
    );
    folder
}

fn write_table(folder: &Path, text: &str) {
    let file = fs::File::create(folder.join("data/paraphrase-en.gz")).unwrap();
    let mut table = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    table.write_all(text.as_bytes()).unwrap();
    table.finish().unwrap();
}

/// The compiled small data.
static SMALL: LazyLock<(Data, Vec<u8>)> = LazyLock::new(|| {
    let folder = sources();
    let file = folder.path().join("small.meteor");
    Data::compile(folder.path(), &file).unwrap();
    (Data::open(&file).unwrap(), fs::read(&file).unwrap())
});

fn words(caption: &str) -> Vec<String> {
    caption.split(' ').map(String::from).collect()
}

fn score(hypothesis: &str, references: &[&str]) -> f64 {
    let references = references.iter().map(|r| words(r)).collect();
    let scores = meteor(&SMALL.0, &[words(hypothesis)], &[references]);
    assert_eq!(scores.per_image.len(), 1);
    scores.per_image[0]
}

#[track_caller]
fn assert_score(hypothesis: &str, reference: &str, expected: f64) {
    let score = score(hypothesis, &[reference]);
    assert!((score - expected).abs() < 1e-12, "{score} for {expected}");
}

/// If both captions match completely in one chunk, the score is the matcher's weight.
#[test]
fn each_matcher_has_its_weight() {
    assert_score("blue bus", "blue bus", 1.0);
    assert_score("jumping", "jumps", 0.6);
    assert_score("hound", "dog", 0.8);
    assert_score("many", "a lot of", 0.6);
    assert_score("is in a hurry", "runs quickly", 0.6);
    assert_score("bus", "car", 0.0);
}

#[test]
fn words_have_the_synonyms_of_their_base_forms() {
    assert_score("men", "person", 0.8); // irregular
    assert_score("persons", "man", 0.8); // regular
    assert_score("children", "childer", 0.8); // both irregular
}

#[test]
fn order_and_function_words_weigh() {
    // precision and recall 1, two chunks for two matches: 1 - 0.6
    assert_score("bus blue", "blue bus", 0.4);
    // precision 0.75 / (0.75 + 0.25), recall 1, one chunk for one match
    assert_score("the bus", "bus", 0.4 / (0.15 / 0.75 + 0.85));
    // precision 1, recall 1 / 2; the chunk holds one and a half words at most
    assert_score("bus", "blue bus", 0.4 / (0.15 + 0.85 / 0.5));
}

/// An inexact match of one word counts 0 in the search. It is made only if there is no
/// other match, or if it joins two chunks.
#[test]
fn uncertain_inexact_matches_are_left_out() {
    assert_score("dogs", "dog", 0.0); // by stem, and as synonyms
    assert_score("plenty of", "many", 0.6); // twice a paraphrase, but two words
    let joined = score("blue dogs jump", &["blue dog jump"]);
    assert!((joined - 2.6 / 3.0).abs() < 1e-12, "{joined}");
}

#[test]
fn the_best_reference_counts() {
    assert_eq!(score("blue bus", &["car", "blue bus", "bus"]), 1.0);
}

#[test]
fn a_corpus_sums_counts() {
    let hypotheses = ["blue bus", "hound", "car"].map(words);
    let references = ["blue bus", "dog", "tree"].map(|r| vec![words(r)]);
    let scores = meteor(&SMALL.0, &hypotheses, &references);
    assert_eq!(scores.per_image[0], 1.0);
    assert_eq!(scores.per_image[2], 0.0);
    // 2.8 of 4 words on both sides; chunks of perfect images aren't counted
    assert!((scores.corpus - 0.7).abs() < 1e-12, "{scores:?}");
}

#[test]
fn every_image_counts_as_progress() {
    let done = std::sync::atomic::AtomicUsize::new(0);
    let hypotheses = ["blue bus", "hound", "car"].map(words);
    let references = ["blue bus", "dog", "tree"].map(|r| vec![words(r)]);
    let corpus = Corpus::of_words(&hypotheses, &references);
    corpus.meteor(&SMALL.0, || _ = done.fetch_add(1, Relaxed));
    assert_eq!(done.load(Relaxed), 3);
}

#[test]
fn nothing_scores_nothing() {
    for (hypothesis, reference) in [("", ""), ("", "bus"), ("bus", "")] {
        assert_score(hypothesis, reference, 0.0);
    }
    let none: [Vec<String>; 0] = [];
    let empty = Meteor {
        corpus: 0.0,
        per_image: vec![],
    };
    assert_eq!(meteor(&SMALL.0, &none, &[]), empty);
}

#[test]
#[should_panic(expected = "image 1 has no reference")]
fn an_image_without_references_is_named() {
    meteor(
        &SMALL.0,
        &[vec!["a"], vec!["b"]],
        &[vec![vec!["a"]], vec![]],
    );
}

/// METEOR normalises captions once more, whatever tokeniser was used.
#[test]
fn captions_are_normalised() {
    for (line, other) in [
        ("t-shirt", "T shirt"),
        ("u.s.", "us"),
        ("bus.", "bus ."),
        ("``bus''", "\u{201c} bus \u{201d}"),
        ("50%(off)", "50 % ( off )"),
        ("mr. BUS", "mr. bus"),
        ("no. 5", "no. 5"),
    ] {
        assert_eq!(score(line, &[other]), 1.0, "{line:?}");
    }
    assert!(score("no. BUS", &["no bus"]) < score("no. 5", &["no. 5"]));
    // only the first of two hyphens splits: one of two words matches
    assert_score("x-y-z", "w-y-z", 0.5 * 0.4);
}

/// Bars vanish from a hypothesis and split a reference.
#[test]
fn bars_are_not_words() {
    assert_eq!(score("blue ||| bus|||", &["blue bus"]), 1.0);
    assert_eq!(score("blue bus", &["car ||| blue bus"]), 1.0);
}

fn error(result: Result<impl Sized, Error>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn bad_sources_are_refused() {
    let folder = sources();
    let into = folder.path().join("out.meteor");
    let compile = || error(Data::compile(folder.path(), &into));

    write_table(folder.path(), "0.1\nmany\n\n");
    assert!(compile().contains("without words"));
    let table = folder.path().join("data/paraphrase-en.gz");
    let bytes = fs::read(&table).unwrap();
    fs::write(&table, &bytes[..bytes.len() - 5]).unwrap();
    assert!(compile().contains("paraphrase-en.gz"));
    fs::remove_file(&table).unwrap();
    assert!(compile().contains("paraphrase-en.gz"));
    fs::write(folder.path().join("meteor-1.5.jar"), "no archive").unwrap();
    assert!(compile().contains("meteor-1.5.jar"));
    assert!(!into.exists());
}

/// Writes bytes and opens them.
fn open(bytes: &[u8]) -> Result<Data, Error> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.meteor");
    fs::write(&file, bytes).unwrap();
    Data::open(&file)
}

#[test]
fn other_files_are_refused() {
    let good = &SMALL.1;
    assert!(open(good).unwrap().verify().is_ok());
    assert!(error(open(b"")).contains("not METEOR data"));
    assert!(error(open(b"something else")).contains("not METEOR data"));
    assert!(error(open(&good[..good.len() - 1])).contains("damaged"));
    assert!(error(open(&[good, &[0][..]].concat())).contains("damaged"));
    let mut newer = good.clone();
    newer[8] = 99;
    assert!(error(open(&newer)).contains("version 99"));
    assert!(error(Data::open(Path::new("/nowhere"))).contains("/nowhere"));
    assert!(error(Data::open(&std::env::temp_dir())).contains("not a file"));
}

/// Compiling gives the same bytes each time and doesn't disturb a reader.
#[test]
fn data_can_be_compiled_again() {
    let folder = sources();
    let file = folder.path().join("again.meteor");
    Data::compile(folder.path(), &file).unwrap();
    let data = Data::open(&file).unwrap();
    assert_eq!(fs::read(&file).unwrap(), SMALL.1);
    write_table(folder.path(), "0.1\nblue\nred\n");
    Data::compile(folder.path(), &file).unwrap();
    assert_ne!(fs::read(&file).unwrap(), SMALL.1);
    data.verify().unwrap();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

/// Captions of words that involve every matcher.
fn caption(words: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    let word = prop::sample::select(vec![
        "a", "the", "is", "dog", "dogs", "hound", "man", "men", "persons", "many", "lot", "of",
        "plenty", "in", "hurry", "runs", "running", "quickly", "bus", ",",
    ]);
    prop::collection::vec(word.prop_map(String::from), words)
}

fn corpus() -> impl Strategy<Value = Vec<(Vec<String>, Vec<Vec<String>>)>> {
    let references = prop::collection::vec(caption(0..12), 1..5);
    prop::collection::vec((caption(0..12), references), 1..8)
}

fn scores(data: &Data, images: Vec<(Vec<String>, Vec<Vec<String>>)>) -> Meteor {
    let (hypotheses, references): (Vec<_>, Vec<_>) = images.into_iter().unzip();
    meteor(data, &hypotheses, &references)
}

proptest! {
    #[test]
    fn a_caption_against_itself_is_perfect(c in caption(1..20), other in caption(0..20)) {
        prop_assert_eq!(scores(&SMALL.0, vec![(c.clone(), vec![other, c])]).per_image, [1.0]);
    }

    #[test]
    fn order_of_images_is_indifferent(images in corpus(), turn in 0usize..8) {
        let turn = turn % images.len();
        let mut turned = images.clone();
        turned.rotate_left(turn);
        let mut before = scores(&SMALL.0, images.clone());
        let after = scores(&SMALL.0, turned);
        for score in before.per_image.iter().chain([&before.corpus]) {
            prop_assert!((0.0..=1.0).contains(score), "{}", score);
        }
        prop_assert_eq!(before.corpus, after.corpus);
        before.per_image.rotate_left(turn);
        prop_assert_eq!(&before.per_image, &after.per_image);
        let first = scores(&SMALL.0, images[..1].to_vec());
        prop_assert_eq!(first.per_image[0], after.per_image[(after.per_image.len() - turn) % after.per_image.len()]);
    }

    #[test]
    fn any_text_can_be_scored(hypothesis in any::<String>(), reference in any::<String>()) {
        let score = score(&hypothesis, &[&reference]);
        prop_assert!((0.0..=1.0).contains(&score), "{}", score);
    }

    /// `open` notices damage in the header and `verify` anywhere; no damage makes scoring
    /// read outside the file.
    #[test]
    fn damaged_data_never_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..40),
        images in corpus(),
    ) {
        let mut bytes = SMALL.1.clone();
        for (place, change) in damage {
            let place = place.index(bytes.len());
            bytes[place] ^= change;
        }
        if bytes != SMALL.1 && let Ok(data) = open(&bytes) {
            prop_assert!(data.verify().is_err());
            for score in scores(&data, images).per_image {
                prop_assert!((0.0..=1.0).contains(&score), "{}", score);
            }
        }
    }
}

#[derive(Deserialize)]
struct Fixture {
    corpus: f64,
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    hypothesis: String,
    references: Vec<String>,
    meteor: f64,
}

/// `fixtures/meteor.py` made the expected scores with pycocoevalcap 1.2. The test needs the
/// real data: `ATTEND_METEOR` is the folder with `meteor-1.5.jar`.
#[test]
fn equals_the_coco_tool() {
    let Some(source) = std::env::var_os("ATTEND_METEOR").map(PathBuf::from) else {
        eprintln!("skipped: ATTEND_METEOR is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("english.meteor");
    Data::compile(&source, &file).unwrap();
    let data = Data::open(&file).unwrap();
    data.verify().unwrap();

    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/meteor.json")).unwrap();
    let pair = |i: &Image| {
        (
            words(&i.hypothesis),
            i.references.iter().map(|r| words(r)).collect(),
        )
    };
    let ours = scores(&data, fixture.images.iter().map(pair).collect());
    for (image, ours) in fixture.images.iter().zip(ours.per_image) {
        let what = &image.hypothesis;
        assert!(
            (ours - image.meteor).abs() < 1e-12,
            "{what:?}: {ours} for {}",
            image.meteor
        );
    }
    assert!(
        (ours.corpus - fixture.corpus).abs() < 1e-12,
        "{}",
        ours.corpus
    );
}
