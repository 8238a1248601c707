//! BLEU against the real tool's numbers, and against what BLEU must be.

use attend_metrics::{bleu, tokenize};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    corpus: [f64; 4],
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    hypothesis: Vec<String>,
    references: Vec<Vec<String>>,
    bleu: [f64; 4],
}

fn assert_close(ours: [f64; 4], theirs: [f64; 4], what: &str) {
    for k in 0..4 {
        let difference = (ours[k] - theirs[k]).abs();
        assert!(
            difference <= 1e-9,
            "{what}, BLEU-{}: {} for {}",
            k + 1,
            ours[k],
            theirs[k]
        );
    }
}

/// `fixtures/generate.py` made the expectations with pycocoevalcap 1.2.
#[test]
fn equals_the_coco_tool() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/bleu.json")).unwrap();
    let (hypotheses, references): (Vec<_>, Vec<_>) = fixture
        .images
        .iter()
        .map(|i| (i.hypothesis.clone(), i.references.clone()))
        .unzip();
    let ours = bleu(&hypotheses, &references);
    assert_close(ours.corpus, fixture.corpus, "corpus");
    assert_eq!(ours.per_image.len(), fixture.images.len());
    for (i, image) in fixture.images.iter().enumerate() {
        let what = format!("image {i} {:?}", image.hypothesis);
        assert_close(ours.per_image[i], image.bleu, &what);
    }
}

/// The example of the BLEU paper, worked by hand: of seven "the" two count.
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
}

#[test]
#[should_panic(expected = "image 1 has no reference")]
fn an_image_without_references_is_named() {
    bleu(&[vec!["a"], vec!["b"]], &[vec![vec!["a"]], vec![]]);
}

/// Captions over few words, so that they overlap.
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
    }

    #[test]
    fn scores_are_between_0_and_1(images in corpus()) {
        let (hypotheses, references): (Vec<_>, Vec<_>) = images.into_iter().unzip();
        let scores = bleu(&hypotheses, &references);
        for score in scores.per_image.iter().chain([&scores.corpus]).flatten() {
            prop_assert!((0.0..=1.0).contains(score), "{score}");
        }
    }

    /// An image's score is its own, and the corpus is a set.
    #[test]
    fn order_of_images_and_references_is_indifferent(images in corpus(), turn in 0usize..8) {
        let mut turned = images.clone();
        turned.rotate_left(turn % images.len());
        for (_, references) in &mut turned {
            references.reverse();
        }
        let score = |images: Vec<(Vec<String>, Vec<Vec<String>>)>| {
            let (hypotheses, references): (Vec<_>, Vec<_>) = images.into_iter().unzip();
            bleu(&hypotheses, &references)
        };
        let alone = images.iter().map(|i| score(vec![i.clone()]).corpus).collect::<Vec<_>>();
        let (n, before, after) = (images.len(), score(images), score(turned));
        prop_assert_eq!(before.corpus, after.corpus);
        let mut per_image = before.per_image.clone();
        per_image.rotate_left(turn % n);
        prop_assert_eq!(per_image, after.per_image);
        prop_assert_eq!(before.per_image, alone);
    }

    /// Any text at all gives lower-case words of letters and digits, and words
    /// give themselves.
    #[test]
    fn tokens_are_words(text in any::<String>()) {
        let words = tokenize(&text);
        for word in &words {
            prop_assert!(!word.is_empty() && word.chars().all(char::is_alphanumeric));
        }
        prop_assert_eq!(tokenize(&words.join(" ")), words);
    }
}
