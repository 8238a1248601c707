//! Intervals, compared with scores of corpora in which the drawn images are repeated, and with
//! numpy's percentiles.
#![allow(clippy::unwrap_used)]

use attend_metrics::meteor::Data;
use attend_metrics::{
    Bootstrap, Corpus, Difference, DocumentFrequencies, Metric, Scorer, Tally, tokenize,
};
use std::time::Instant;

const HYPOTHESES: [&str; 6] = [
    "a dog runs on the grass",
    "a dog runs on the beach",
    "a man rides a horse",
    "two red buses",
    "a plane over a green field with trees",
    "a cat",
];
const REFERENCES: [[&str; 2]; 6] = [
    [
        "a dog is running on the grass",
        "the dog runs on green grass",
    ],
    ["a dog runs on the beach", "a hound runs along the sea"],
    ["a man is riding a brown horse", "a person rides on a horse"],
    ["two red buses at a stop at night", "a red bus"],
    ["a plane flies over a field", "a plane over the green field"],
    ["children play in the park", "many kids are in a park"],
];

fn captions(hypotheses: &[&str], images: &[usize]) -> (Vec<Vec<String>>, Vec<Vec<Vec<String>>>) {
    let references = |&image: &usize| REFERENCES[image].map(tokenize).to_vec();
    (
        images
            .iter()
            .map(|&image| tokenize(hypotheses[image]))
            .collect(),
        images.iter().map(references).collect(),
    )
}

fn corpus(hypotheses: &[&str], images: &[usize]) -> Corpus {
    let (ours, theirs) = captions(hypotheses, images);
    Corpus::of_words(&ours, &theirs)
}

const ALL: [usize; 6] = [0, 1, 2, 3, 4, 5];

/// METEOR takes part if its data is installed.
fn scorer() -> Scorer {
    let folder = Data::default_folder().unwrap_or_default();
    Scorer {
        meteor: Data::of_folder(&folder).unwrap(),
        frequencies: None,
    }
}

fn tally(hypotheses: &[&str]) -> Tally {
    scorer().tally(&Metric::ALL, &corpus(hypotheses, &ALL), || ())
}

/// The scores of a corpus in which images are repeated, with the document frequencies of all.
fn directly(hypotheses: &[&str], images: &[usize]) -> Vec<f64> {
    let frequencies = DocumentFrequencies::new(&captions(hypotheses, &ALL).1);
    let scorer = Scorer {
        frequencies: Some(frequencies),
        ..scorer()
    };
    let scores = scorer.score(&Metric::ALL, &corpus(hypotheses, images));
    scores.iter().map(|score| score.corpus).collect()
}

/// numpy's `percentile` of sorted values, written out.
fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = share * (values.len() - 1) as f64;
    let (below, above) = (
        values[place.floor() as usize],
        values[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

#[track_caller]
fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} for {b}");
}

#[test]
fn a_resample_is_scored_as_a_corpus_of_its_images() {
    let tally = tally(&HYPOTHESES);
    for resample in 0..20 {
        let draws = Bootstrap::default().draws(resample, 6);
        let (sums, direct) = (tally.of(&draws), directly(&HYPOTHESES, &draws));
        assert_eq!(sums.len(), direct.len());
        sums.iter().zip(&direct).for_each(|(a, b)| close(*a, *b));
    }
    // A complete match has no chunk in the sums of METEOR, repeated or not.
    let (sums, direct) = (tally.of(&[1; 6]), directly(&HYPOTHESES, &[1; 6]));
    sums.iter().zip(&direct).for_each(|(a, b)| close(*a, *b));
}

#[test]
fn intervals_and_differences_equal_a_direct_computation() {
    let other = [
        "a dog",
        "a dog runs on the beach",
        "a man",
        "a bus",
        "a field",
        "kids in the park",
    ];
    let bootstrap = Bootstrap {
        resamples: 60,
        ..Bootstrap::default()
    };
    let draws: Vec<Vec<usize>> = (0..60)
        .map(|resample| bootstrap.draws(resample, 6))
        .collect();
    let [ours, theirs] = [&HYPOTHESES, &other].map(|hypotheses| -> Vec<Vec<f64>> {
        draws
            .iter()
            .map(|images| directly(hypotheses, images))
            .collect()
    });
    let (a, b) = (tally(&HYPOTHESES), tally(&other));
    for (at, interval) in bootstrap.intervals(&a).iter().enumerate() {
        let values: Vec<f64> = ours.iter().map(|scores| scores[at]).collect();
        close(interval.low, percentile(values.clone(), 0.025));
        close(interval.high, percentile(values, 0.975));
        close(interval.score, directly(&HYPOTHESES, &ALL)[at]);
    }
    for (at, found) in bootstrap.differences(&a, &b).iter().enumerate() {
        let pairs = ours.iter().zip(&theirs);
        let values: Vec<f64> = pairs.map(|(ours, theirs)| ours[at] - theirs[at]).collect();
        let better = values.iter().filter(|value| **value > 0.0).count() as f64;
        close(found.low, percentile(values.clone(), 0.025));
        close(found.high, percentile(values, 0.975));
        close(found.better, better / 60.0);
    }
}

/// Made by `fixtures/bootstrap.py` with numpy.
#[test]
fn draws_and_percentiles_are_numpys() {
    #[derive(serde::Deserialize)]
    struct Fixture {
        scores: Vec<f64>,
        interval: [f64; 2],
        first_draws: Vec<usize>,
    }
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/bootstrap.json")).unwrap();
    // ROUGE-L of n words, of which the first k are the reference's, is k / n.
    let words = |n: usize| vec!["a"; n];
    let matches: Vec<usize> = fixture
        .scores
        .iter()
        .map(|s| (s * 20.0).round() as usize)
        .collect();
    let of = |k: &usize| [words(*k), vec!["b"; 20 - k]].concat();
    let hypotheses: Vec<_> = matches.iter().map(of).collect();
    let references: Vec<_> = matches.iter().map(|_| vec![words(20)]).collect();
    let corpus = Corpus::of_words(&hypotheses, &references);
    let tally = Scorer::default().tally(&[Metric::Rouge], &corpus, || ());
    let bootstrap = Bootstrap::default();
    assert_eq!(
        bootstrap.draws(0, fixture.scores.len()),
        fixture.first_draws
    );
    let interval = &bootstrap.intervals(&tally)[0];
    close(interval.low, fixture.interval[0]);
    close(interval.high, fixture.interval[1]);
}

#[test]
fn a_model_cannot_be_told_from_itself() {
    let tally = tally(&HYPOTHESES);
    for found in Bootstrap::default().differences(&tally, &tally) {
        assert_eq!((found.low, found.high, found.better), (0.0, 0.0, 0.5));
        assert!(!found.is_clear());
    }
}

/// All seven scores of 5,000 images.
#[test]
fn five_thousand_images_take_no_time() {
    let images: Vec<usize> = (0..5000).map(|image| image % 6).collect();
    let tally = scorer().tally(&Metric::ALL, &corpus(&HYPOTHESES, &images), || ());
    let begin = Instant::now();
    assert_eq!(Bootstrap::default().intervals(&tally)[0].key, "bleu1");
    let taken = begin.elapsed().as_secs_f64();
    eprintln!("1,000 resamples of 5,000 images: {taken:.3} s");
    assert!(taken < 5.0, "{taken} s");
}

/// BLEU-4 of captions without any match differs in the ninth decimal, for certain.
#[test]
fn a_difference_that_nobody_sees_is_not_clear() {
    let of = |difference: f64| Difference {
        key: "bleu4",
        difference,
        low: 0.9 * difference,
        high: 1.1 * difference,
        better: 1.0,
    };
    assert!(!of(1e-9).is_clear());
    assert!(of(1e-4).is_clear() && of(-1e-4).is_clear());
}
