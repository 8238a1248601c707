//! Searches compared with a straightforward search of one image at a time, which does nothing
//! but what the definition says.

use crate::rebuilt::integers;
use crate::search::{beam_search, options, searched_images, searched_images_in};
use attend_model::decoder::Rows;
use attend_model::{Decoder, Hypothesis, Images, LengthNorm, Sampling, SearchOptions};
use attend_program::random::{mix, unit};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use tch::{Kind, no_grad};

/// A caption that goes on: its tokens and their log-probabilities.
#[derive(Clone, Default)]
struct Caption {
    tokens: Vec<i64>,
    log_probs: Vec<f64>,
}

/// A caption that ended: whether with `<end>`, and all log-probabilities.
struct Result {
    tokens: Vec<i64>,
    log_probs: Vec<f64>,
    finished: bool,
}

impl Caption {
    fn sum(&self) -> f64 {
        self.log_probs.iter().sum()
    }

    fn and(&self, token: i64, log_prob: f64) -> Caption {
        Caption {
            tokens: [&self.tokens[..], &[token]].concat(),
            log_probs: [&self.log_probs[..], &[log_prob]].concat(),
        }
    }

    fn cut(self) -> Result {
        Result {
            tokens: self.tokens,
            log_probs: self.log_probs,
            finished: false,
        }
    }

    fn ended(mut self) -> Result {
        self.tokens.pop();
        Result {
            finished: true,
            ..self.cut()
        }
    }
}

/// A state, and the log-probabilities of the next token.
type Said = (Rc<Rows>, Vec<f64>);

/// A model that looks at one image, and what it said after each beginning.
struct Model<'a> {
    decoder: &'a dyn Decoder,
    image: Images,
    said: RefCell<HashMap<Vec<i64>, Said>>,
}

impl Model<'_> {
    /// The state after these tokens, the first `<start>`, and log-probabilities of the next.
    fn after(&self, tokens: &[i64]) -> Said {
        let known = self.said.borrow().get(tokens).cloned();
        known.unwrap_or_else(|| {
            let (last, before) = tokens.split_last().unwrap();
            let state = match before {
                [] => Rc::new(self.decoder.begin(&self.image)),
                before => self.after(before).0,
            };
            let step = self.decoder.step(&self.image, &[0], &[*last], &state);
            let log_probs = step.logits.log_softmax(-1, Kind::Float).flatten(0, -1);
            let log_probs = Vec::try_from(log_probs.to_kind(Kind::Double)).unwrap();
            let said = (Rc::new(step.state), log_probs);
            self.said.borrow_mut().insert(tokens.to_vec(), said.clone());
            said
        })
    }
}

/// Whether a token may follow.
fn may_follow(tokens: &[i64], token: i64, options: &SearchOptions) -> bool {
    let banned: HashSet<i64> = (options.never.iter().copied())
        .chain([options.pad, options.start])
        .collect();
    let forced = options.prefix.get(tokens.len());
    let longer = [tokens, &[token]].concat();
    let n = options.no_repeat_ngram;
    let grams: Vec<&[i64]> = if n == 0 {
        vec![]
    } else {
        longer.windows(n).collect()
    };
    let distinct: HashSet<&[i64]> = grams.iter().copied().collect();
    !banned.contains(&token)
        && forced.is_none_or(|forced| *forced == token)
        && (token != options.end || tokens.len() >= options.min_length)
        && (token == options.end || distinct.len() == grams.len())
}

/// All allowed continuations of a caption with their log-probabilities.
fn continuations(model: &Model, options: &SearchOptions, tokens: &[i64]) -> Vec<(i64, f64)> {
    let (_, log_probs) = model.after(&[&[options.start], tokens].concat());
    (0..)
        .zip(log_probs)
        .filter(|(token, _)| may_follow(tokens, *token, options))
        .collect()
}

fn beam(model: &Model, options: &SearchOptions) -> Vec<Result> {
    let size = |group: usize| (group..options.beam).step_by(options.groups).count();
    let mut groups: Vec<(Vec<Caption>, usize)> = (0..options.groups)
        .map(|group| (vec![Caption::default()], size(group)))
        .collect();
    let mut results = Vec::new();
    for length in 0..=options.max_length {
        let mut taken: Vec<i64> = Vec::new();
        for (captions, places) in &mut groups {
            let mut all: Vec<(f64, usize, Caption)> = Vec::new();
            for (parent, caption) in captions.iter().enumerate() {
                for (token, log_prob) in continuations(model, options, &caption.tokens) {
                    let before = taken.iter().filter(|other| **other == token).count();
                    let longer = caption.and(token, log_prob);
                    all.push((
                        longer.sum() - options.diversity * before as f64,
                        parent,
                        longer,
                    ));
                }
            }
            // Stable: of equals, the first parent and the smallest token come first.
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            all.truncate(*places);
            let mut going = Vec::new();
            let mut ended_from = Vec::new();
            let last = length == options.max_length || all.is_empty();
            for (_, parent, caption) in all {
                let token = *caption.tokens.last().unwrap();
                taken.push(token);
                if token == options.end {
                    *places -= 1;
                    ended_from.push(parent);
                    results.push(caption.ended());
                } else {
                    going.push(caption);
                }
            }
            if last {
                for (parent, caption) in captions.iter().enumerate() {
                    if !ended_from.contains(&parent) {
                        results.push(caption.clone().cut());
                    }
                }
                going.clear();
            }
            *captions = going;
        }
    }
    results
}

fn samples(model: &Model, options: &SearchOptions, sampling: &Sampling) -> Vec<Result> {
    let one = |number: usize| {
        let mut caption = Caption::default();
        loop {
            let length = caption.tokens.len();
            let mut next = continuations(model, options, &caption.tokens);
            if sampling.top_k > 0 || sampling.top_p < 1.0 {
                next.sort_by(|a, b| b.1.total_cmp(&a.1));
            }
            if sampling.top_k > 0 {
                next.truncate(sampling.top_k);
            }
            let weight = |(_, log_prob): &(i64, f64)| (log_prob / sampling.temperature).exp();
            let total: f64 = next.iter().map(weight).sum();
            let mut before = 0.0;
            next.retain(|candidate| {
                let keep = before < sampling.top_p;
                before += weight(candidate) / total;
                keep
            });
            let total: f64 = next.iter().map(weight).sum();
            let uniform = unit(mix(&[sampling.seed, number as u64, length as u64]));
            let mut sum = 0.0;
            let drawn = next.iter().find(|candidate| {
                sum += weight(candidate) / total;
                uniform < sum
            });
            let (token, log_prob) = *drawn.unwrap_or_else(|| next.last().unwrap());
            if token == options.end {
                return caption.and(token, log_prob).ended();
            }
            if length == options.max_length {
                return caption.cut();
            }
            caption = caption.and(token, log_prob);
        }
    };
    (0..sampling.count).map(one).collect()
}

fn score(result: &Result, norm: LengthNorm) -> f64 {
    let sum: f64 = result.log_probs.iter().sum();
    let tokens = result.log_probs.len().max(1) as f64;
    match norm {
        LengthNorm::None => sum,
        LengthNorm::Average => sum / tokens,
        LengthNorm::Gnmt => sum / (5.0 + tokens).powf(0.6) * 6f64.powf(0.6),
    }
}

/// Compares the search of many images at once with that of one after the other.
fn agrees(decoder: &dyn Decoder, images: &Images, options: &SearchOptions) {
    let found = beam_search(decoder, images, options);
    assert_eq!(found.len() as i64, images.len());
    let mut differ = 0;
    for (n, found) in (0..).zip(&found) {
        let model = Model {
            decoder,
            image: images.select(&integers(&[n])),
            said: RefCell::default(),
        };
        let mut expected = no_grad(|| match &options.sampling {
            None => beam(&model, options),
            Some(sampling) => samples(&model, options, sampling),
        });
        expected.sort_by(|a, b| {
            let [x, y] = [a, b].map(|result| score(result, options.length_norm));
            b.finished.cmp(&a.finished).then(y.total_cmp(&x))
        });
        expected.truncate(options.keep);
        differ += usize::from(!same(found, &expected, options));
    }
    // Sums of a batch may be rounded another way, and two captions be so close.
    assert!(
        differ * 500 <= found.len(),
        "{differ} of {}: {options:?}",
        found.len()
    );
}

fn same(found: &[Hypothesis], expected: &[Result], options: &SearchOptions) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() < 1e-4 * b.abs().max(1.0);
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| {
            let probabilities = found.token_log_probs.iter().zip(&expected.log_probs);
            found.tokens == expected.tokens
                && found.finished == expected.finished
                && close(found.score, score(expected, options.length_norm))
                && close(found.log_prob, expected.log_probs.iter().sum())
                && probabilities.into_iter().all(|(a, b)| close(*a, *b))
                && found.alphas.len() == found.tokens.len()
        })
}

#[test]
fn every_option_does_what_its_definition_says() {
    let (decoder, images) = searched_images(1.2, 15, 500);
    let of = |change: fn(&mut SearchOptions)| {
        move |beam: usize| {
            let mut options = options(beam);
            options.keep = 3;
            change(&mut options);
            options
        }
    };
    let variants = [
        of(|options| options.keep = usize::MAX),
        of(|options| options.keep = 1),
        of(|options| options.length_norm = LengthNorm::Average),
        of(|options| options.length_norm = LengthNorm::Gnmt),
        of(|options| options.min_length = 5),
        of(|options| options.no_repeat_ngram = 1),
        of(|options| options.no_repeat_ngram = 2),
        of(|options| options.never.extend([8, 3])),
        of(|options| options.prefix = vec![2, 7, 7]),
        of(|options| {
            options.keep = 1;
            options.length_norm = LengthNorm::Average;
            options.min_length = 3;
            options.no_repeat_ngram = 3;
            options.prefix = vec![1];
        }),
    ];
    let few = images.first(60);
    for beam in [1, 3, 5] {
        agrees(decoder.as_ref(), &images, &variants[1](beam));
        for variant in &variants {
            agrees(decoder.as_ref(), &few, &variant(beam));
        }
    }
}

#[test]
fn groups_are_chosen_one_after_the_other() {
    let (decoder, images) = searched_images(1.2, 15, 60);
    for (beam, groups, diversity) in [(4, 2, 0.5), (5, 3, 2.0), (3, 3, 0.2), (6, 2, 0.0)] {
        for keep in [1, usize::MAX] {
            let options = SearchOptions {
                groups,
                diversity,
                keep,
                ..options(beam)
            };
            agrees(decoder.as_ref(), &images, &options);
        }
    }
    let words = |diversity| {
        let options = SearchOptions {
            groups: 5,
            diversity,
            ..options(5)
        };
        let found = beam_search(decoder.as_ref(), &images, &options);
        let distinct = |found: &Vec<Hypothesis>| {
            found
                .iter()
                .map(|h| h.tokens.clone())
                .collect::<HashSet<_>>()
                .len()
        };
        found.iter().map(distinct).sum::<usize>()
    };
    assert_eq!(words(0.0), 60, "without diversity all groups say the same");
    assert!(words(2.0) > 200);
}

#[test]
fn samples_are_drawn_as_said() {
    let (decoder, images) = searched_images(1.2, 15, 60);
    for (temperature, top_k, top_p) in [(1.0, 0, 1.0), (0.7, 4, 1.0), (1.3, 0, 0.8), (1.0, 5, 0.6)]
    {
        let options = SearchOptions {
            sampling: Some(Sampling {
                count: 4,
                temperature,
                top_k,
                top_p,
                seed: 7,
            }),
            no_repeat_ngram: 2,
            ..options(1)
        };
        agrees(decoder.as_ref(), &images, &options);
    }
}

#[test]
fn samples_come_as_often_as_the_model_says() {
    let (decoder, images) = searched_images(1.0, 7, 1);
    let count = 20_000;
    let options = SearchOptions {
        max_length: 2,
        sampling: Some(Sampling {
            count,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 1,
        }),
        ..SearchOptions::new(1, [5, 6, 0])
    };
    let found = beam_search(decoder.as_ref(), &images, &options).concat();
    assert_eq!(found.len(), count);
    let model = Model {
        decoder: decoder.as_ref(),
        image: images,
        said: RefCell::default(),
    };
    let mut seen = HashSet::new();
    for hypothesis in found.iter().filter(|hypothesis| hypothesis.finished) {
        if seen.insert(hypothesis.tokens.clone()) {
            let times = found
                .iter()
                .filter(|other| other.finished && other.tokens == hypothesis.tokens)
                .count();
            // Of what is allowed.
            let probability: f64 = (0..=hypothesis.tokens.len())
                .map(|n| {
                    let next = continuations(&model, &options, &hypothesis.tokens[..n]);
                    let token = hypothesis.tokens.get(n).unwrap_or(&options.end);
                    let all: f64 = next.iter().map(|(_, log_prob)| log_prob.exp()).sum();
                    next.iter()
                        .find(|(other, _)| other == token)
                        .unwrap()
                        .1
                        .exp()
                        / all
                })
                .product();
            let expected = probability * count as f64;
            // Five standard deviations.
            let limit = 5.0 * (expected * (1.0 - probability)).sqrt() + 1.0;
            assert!(
                (times as f64 - expected).abs() < limit,
                "{times} instead of {expected}"
            );
        }
    }
    assert!(seen.len() > 3);
}

#[test]
fn samples_of_an_image_depend_on_nothing_beside_it() {
    let (decoder, images) = searched_images(1.2, 15, 8);
    let options = SearchOptions {
        sampling: Some(Sampling {
            count: 3,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 3,
        }),
        ..options(1)
    };
    let together = beam_search(decoder.as_ref(), &images, &options);
    let tokens = |found: &[Hypothesis]| found.iter().map(|h| h.tokens.clone()).collect::<Vec<_>>();
    for (n, found) in (0..).zip(&together) {
        let alone = beam_search(decoder.as_ref(), &images.select(&integers(&[n])), &options);
        assert_eq!(tokens(&alone[0]), tokens(found));
    }
    let other = SearchOptions {
        sampling: options.sampling.map(|sampling| Sampling {
            seed: 4,
            ..sampling
        }),
        ..options
    };
    let others = beam_search(decoder.as_ref(), &images, &other);
    assert_ne!(tokens(&others.concat()), tokens(&together.concat()));
}

#[test]
fn in_double_precision_the_same_captions_come_out() {
    // The tensor operations of other devices and types.
    let (decoder, images) = searched_images(1.2, 15, 40);
    let (wide, wide_images) = searched_images_in(1.2, 15, 40, Kind::Double);
    for beam in [1, 4] {
        let [a, b] = [(&decoder, &images), (&wide, &wide_images)].map(|(decoder, images)| {
            beam_search(decoder.as_ref(), images, &options(beam)).concat()
        });
        let differ = a
            .iter()
            .zip(&b)
            .filter(|(a, b)| a.tokens != b.tokens)
            .count();
        assert!(
            a.len() == b.len() && differ * 100 <= a.len(),
            "{differ} of {}",
            a.len()
        );
    }
}
