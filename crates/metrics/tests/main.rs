//! Compares scores with the real tool's numbers and with values known by hand.
#![allow(clippy::unwrap_used)]

use attend_metrics::{DocumentFrequencies, Rewards, bleu, cider, cider_with, rouge, tokenize};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    corpus: Scores,
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Scores {
    bleu: [f64; 4],
    rouge: f64,
    cider: f64,
}

#[derive(Deserialize)]
struct Image {
    hypothesis: Vec<String>,
    references: Vec<Vec<String>>,
    #[serde(flatten)]
    scores: Scores,
}

type Captions = (Vec<Vec<String>>, Vec<Vec<Vec<String>>>);

impl Fixture {
    /// Made by `fixtures/generate.py` with pycocoevalcap 1.2.
    fn read() -> Fixture {
        serde_json::from_str(include_str!("fixtures/scores.json")).unwrap()
    }

    fn captions(&self) -> Captions {
        let images = self.images.iter();
        images
            .map(|i| (i.hypothesis.clone(), i.references.clone()))
            .unzip()
    }
}

fn assert_close(ours: f64, theirs: f64, what: &str) {
    assert!((ours - theirs).abs() <= 1e-9, "{what}: {ours} for {theirs}");
}

#[test]
fn equals_the_coco_tool() {
    let fixture = Fixture::read();
    let (hypotheses, references) = fixture.captions();
    let bleu = bleu(&hypotheses, &references);
    let rouge = rouge(&hypotheses, &references);
    let cider = cider(&hypotheses, &references);
    let compare = |ours: ([f64; 4], f64, f64), theirs: &Scores, what: &str| {
        for k in 0..4 {
            let what = format!("{what}, BLEU-{}", k + 1);
            assert_close(ours.0[k], theirs.bleu[k], &what);
        }
        assert_close(ours.1, theirs.rouge, &format!("{what}, ROUGE-L"));
        assert_close(ours.2, theirs.cider, &format!("{what}, CIDEr"));
    };
    let corpus = (bleu.corpus, rouge.corpus, cider.corpus);
    compare(corpus, &fixture.corpus, "corpus");
    for (i, image) in fixture.images.iter().enumerate() {
        let ours = (bleu.per_image[i], rouge.per_image[i], cider.per_image[i]);
        let what = format!("image {i} {:?}", image.hypothesis);
        compare(ours, &image.scores, &what);
    }
}

/// With a table of all images' frequencies, an image scores the same alone as among them.
#[test]
fn a_table_of_frequencies_makes_scores_independent() {
    let fixture = Fixture::read();
    let (hypotheses, references) = fixture.captions();
    let mut file = Vec::new();
    DocumentFrequencies::new(&references)
        .write(&mut file)
        .unwrap();
    let table = DocumentFrequencies::read(&file[..]).unwrap();
    for (i, image) in fixture.images.iter().enumerate() {
        let alone = cider_with(&table, &hypotheses[i..=i], &references[i..=i]);
        assert_close(alone.corpus, image.scores.cider, &format!("image {i}"));
    }
    let mut again = Vec::new();
    table.write(&mut again).unwrap();
    assert_eq!(again, file);
}

/// Also for words that no reference has, and with a table of other images.
#[test]
fn rewards_are_the_scores_of_the_coco_tool() {
    let (mut hypotheses, references) = Fixture::read().captions();
    let of_fixture = Fixture::read().images;
    let rewards = Rewards::new(&references, None);
    assert_eq!(rewards.images(), references.len());
    for (i, image) in of_fixture.iter().enumerate() {
        let score = rewards.score(i, &image.hypothesis);
        assert_close(score, image.scores.cider, &format!("image {i}"));
    }
    for (i, hypothesis) in hypotheses.iter_mut().enumerate() {
        hypothesis.extend(
            ["zyx", "zyx", "wvu"]
                .iter()
                .take(i % 4)
                .map(|&w| w.to_owned()),
        );
    }
    let table = DocumentFrequencies::new(&references[..references.len() / 2]);
    let rewards = Rewards::new(&references, Some(&table));
    let captions: Vec<(usize, Vec<String>)> = hypotheses.iter().cloned().enumerate().collect();
    let expected = cider_with(&table, &hypotheses, &references).per_image;
    for (ours, theirs) in rewards.scores(&captions).iter().zip(&expected) {
        assert!((ours - theirs).abs() < 1e-12, "{ours} for {theirs}");
    }
}

#[test]
fn a_damaged_table_is_refused_with_its_line() {
    let refused = |text: &str| {
        DocumentFrequencies::read(text.as_bytes())
            .unwrap_err()
            .to_string()
    };
    let header = "document frequencies of n-grams, images: 3\n";
    assert!(refused("").contains("line 1"));
    assert!(refused("2\ta dog\n").contains("line 1"));
    for line in [
        "a dog",
        "4\ta",
        "0\ta",
        "x\ta",
        "-1\ta",
        "2\ta b c d e",
        "2\ta  b",
        "2\t",
    ] {
        let text = format!("{header}2\tthe\n{line}\n");
        assert!(refused(&text).contains("line 3"), "{line}");
    }
}

/// The BLEU paper's example, computed by hand: two of seven "the" count.
#[test]
fn repeated_words_are_clipped() {
    let hypothesis = tokenize("the the the the the the the");
    let references = ["the cat is on the mat", "there is a cat on the mat"];
    let scores = bleu(&[hypothesis], &[references.map(tokenize).to_vec()]);
    assert!((scores.corpus[0] - 2.0 / 7.0).abs() < 1e-8);
    assert!(scores.corpus[1] < 1e-6);
}

#[test]
fn no_images_score_zero() {
    let scores = bleu::<String>(&[], &[]);
    assert_eq!(scores.corpus, [0.0; 4]);
    assert!(scores.per_image.is_empty());
    assert_eq!(rouge::<String>(&[], &[]).corpus, 0.0);
    assert_eq!(cider::<String>(&[], &[]).corpus, 0.0);
}

#[test]
#[should_panic(expected = "image 1 has no reference")]
fn an_image_without_references_is_named() {
    bleu(&[vec!["a"], vec!["b"]], &[vec![vec!["a"]], vec![]]);
}

/// Captions from few different words, so that they overlap.
fn caption(words: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-e]", words)
}

fn corpus() -> impl Strategy<Value = Vec<(Vec<String>, Vec<Vec<String>>)>> {
    let references = prop::collection::vec(caption(0..12), 1..5);
    prop::collection::vec((caption(0..12), references), 1..8)
}

proptest! {
    #[test]
    fn a_caption_against_itself_is_perfect(c in caption(4..20), other in caption(0..20)) {
        let scores = bleu(std::slice::from_ref(&c), &[vec![other, c.clone()]]);
        for score in scores.corpus {
            prop_assert!((score - 1.0).abs() < 1e-8, "{score}");
        }
        // A second image, so that the words of the first are rare.
        let hypotheses = [c.clone(), vec!["z".to_owned()]];
        let references = [vec![c.clone(), c], vec![vec!["z".to_owned()]]];
        prop_assert!((rouge(&hypotheses, &references).corpus - 1.0).abs() < 1e-12);
        prop_assert!((cider(&hypotheses, &references).per_image[0] - 10.0).abs() < 1e-9);
    }

    #[test]
    fn scores_are_between_0_and_1(images in corpus()) {
        let (hypotheses, references): (Vec<_>, Vec<_>) = images.into_iter().unzip();
        let scores = bleu(&hypotheses, &references);
        for score in scores.per_image.iter().chain([&scores.corpus]).flatten() {
            prop_assert!((0.0..=1.0).contains(score), "{score}");
        }
        for score in rouge(&hypotheses, &references).per_image {
            prop_assert!((0.0..=1.0).contains(&score), "{score}");
        }
        for score in cider(&hypotheses, &references).per_image {
            prop_assert!((0.0..=10.0 + 1e-9).contains(&score), "{score}");
        }
    }

    /// The order of images changes neither an image's score nor the corpus's.
    #[test]
    fn order_of_images_and_references_is_indifferent(images in corpus(), turn in 0usize..8) {
        let mut turned = images.clone();
        turned.rotate_left(turn % images.len());
        for (_, references) in &mut turned {
            references.reverse();
        }
        let score = |images: Vec<(Vec<String>, Vec<Vec<String>>)>| {
            let (hypotheses, references): (Vec<_>, Vec<_>) = images.into_iter().unzip();
            (
                bleu(&hypotheses, &references),
                rouge(&hypotheses, &references).per_image,
                cider(&hypotheses, &references).per_image,
            )
        };
        let alone = images.iter().map(|i| score(vec![i.clone()])).collect::<Vec<_>>();
        let (n, before, after) = (images.len(), score(images), score(turned));
        prop_assert_eq!(before.0.corpus, after.0.corpus);
        for (i, alone) in alone.iter().enumerate() {
            let turned = (i + n - turn % n) % n;
            prop_assert_eq!(before.0.per_image[i], after.0.per_image[turned]);
            prop_assert_eq!(before.1[i], after.1[turned]);
            prop_assert!((before.2[i] - after.2[turned]).abs() < 1e-9);
            // CIDEr's weights come from the other images.
            prop_assert_eq!(before.0.per_image[i], alone.0.corpus);
            prop_assert_eq!(before.1[i], alone.1[0]);
        }
    }

    /// Any text becomes lower-case words of letters and digits, which are unchanged when
    /// tokenised again.
    #[test]
    fn tokens_are_words(text in any::<String>()) {
        let words = tokenize(&text);
        for word in &words {
            prop_assert!(!word.is_empty() && word.chars().all(char::is_alphanumeric));
        }
        prop_assert_eq!(tokenize(&words.join(" ")), words);
    }
}
