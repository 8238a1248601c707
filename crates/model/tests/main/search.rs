//! Beam search compared with PyTorch's, with a greedy loop, and with enumeration.

use crate::rebuilt::{ARCHS, cells, decoder_weights, expected, hidden, integers, uniform};
use attend_model::{
    Captions, Decoder, DecoderArch, DecoderConfig, Hypothesis, Images, Reading, SearchOptions,
    decoder as decoders, search,
};
use tch::{Device, Kind, Tensor, nn, no_grad};

const UNK: i64 = 12;
const MAX_LENGTH: usize = 12;

/// The options of `fixtures/search.py`.
pub fn options(beam: usize) -> SearchOptions {
    SearchOptions {
        max_length: MAX_LENGTH,
        never: vec![UNK],
        ..SearchOptions::new(beam, [13, 14, 0])
    }
}

/// Options for a vocabulary of three words, with a beam for all captions of them.
fn everything(max_length: usize) -> SearchOptions {
    SearchOptions {
        max_length,
        never: vec![4],
        ..SearchOptions::new(200, [5, 6, 0])
    }
}

/// A search with one model.
pub fn beam_search(
    decoder: &dyn Decoder,
    images: &Images,
    options: &SearchOptions,
) -> Vec<Vec<Hypothesis>> {
    search(&[(decoder, images)], options)
}

/// The decoder of `fixtures/search.py` and its eight images.
fn searched(scale: f64, vocabulary: i64) -> (Box<dyn Decoder>, Images) {
    searched_images(scale, vocabulary, 8)
}

/// The decoder of `fixtures/search.py` and some images.
pub fn searched_images(scale: f64, vocabulary: i64, count: i64) -> (Box<dyn Decoder>, Images) {
    searched_images_in(scale, vocabulary, count, Kind::Float)
}

/// Likewise, with numbers of this kind.
pub fn searched_images_in(
    scale: f64,
    vocabulary: i64,
    count: i64,
    kind: Kind,
) -> (Box<dyn Decoder>, Images) {
    searched_by(DecoderArch::AttentionLstm, scale, vocabulary, count, kind)
}

/// Likewise, with a decoder of this architecture.
fn searched_by(
    arch: DecoderArch,
    scale: f64,
    vocabulary: i64,
    count: i64,
    kind: Kind,
) -> (Box<dyn Decoder>, Images) {
    let mut vars = nn::VarStore::new(Device::Cpu);
    let config = DecoderConfig {
        arch,
        vocabulary,
        channels: 8,
        embedding: 6,
        attention: 7,
        hidden: hidden(arch, 9),
        dropout: 0.5,
        grid: [6, 6],
    };
    let decoder = decoders::new(&vars.root(), &config);
    let mut dict = decoder_weights(&vars, scale);
    let table = decoder.embedding();
    let embedding = &dict[table] * 3.0;
    dict.insert(table.into(), embedding);
    // Not by `weights::assign`, which refuses the NaN of a test below.
    no_grad(|| {
        for (name, mut variable) in vars.variables() {
            variable.copy_(&dict[&name]);
        }
    });
    vars.set_kind(kind);
    let maps = uniform("searched features", &[count, 8, 4, 4], 0.0, 2.0).to_kind(kind);
    let images = no_grad(|| decoder.project(&cells(&maps), [4, 4]));
    (decoder, images)
}

#[track_caller]
fn assert_near(is: f64, expected: f64) {
    let limit = 1e-4 * expected.abs().max(1.0);
    assert!((is - expected).abs() <= limit, "{is} instead of {expected}");
}

fn agrees_with_pytorch(name: &str, scale: f64) {
    let (decoder, images) = searched(scale, 15);
    let expected = expected("search");
    for beam in [1, 3, 5] {
        let found = beam_search(decoder.as_ref(), &images, &options(beam));
        let rows: Vec<Vec<f64>> = Vec::try_from(&expected[&format!("{name}.beam{beam}")]).unwrap();
        for (image, hypotheses) in found.iter().enumerate() {
            assert!((1..=beam).contains(&hypotheses.len()));
            let of_image = rows.iter().filter(|row| row[0] == image as f64);
            let of_image: Vec<&Vec<f64>> = of_image.collect();
            let finished = hypotheses.iter().take_while(|h| h.finished).count();
            assert_eq!(
                finished,
                of_image.len(),
                "{name}, beam {beam}, image {image}"
            );
            for (hypothesis, row) in hypotheses.iter().zip(of_image) {
                let tokens = row[3..3 + row[2] as usize]
                    .iter()
                    .map(|token| *token as i64);
                assert_eq!(hypothesis.tokens, tokens.collect::<Vec<_>>());
                assert_near(hypothesis.log_prob, row[1]);
            }
            hypotheses[finished..].iter().for_each(is_cut);
        }
    }
}

/// A hypothesis that reached the limit.
fn is_cut(hypothesis: &Hypothesis) {
    assert!(!hypothesis.finished);
    assert_eq!(hypothesis.tokens.len(), MAX_LENGTH);
}

#[test]
fn agrees_with_pytorch_where_captions_end() {
    agrees_with_pytorch("ending", 1.0);
}

#[test]
fn agrees_with_pytorch_where_many_do_not_end() {
    agrees_with_pytorch("endless", 1.5);
}

/// log P of each token of a caption and of `<end>`, by teacher forcing.
fn log_probs(
    decoder: &dyn Decoder,
    images: &Images,
    image: usize,
    caption: &[i64],
    options: &SearchOptions,
) -> Vec<f64> {
    let tokens = [&[options.start], caption, &[options.end]].concat();
    let length = tokens.len() as i64;
    let tokens = integers(&tokens).view([1, length]);
    let captions = Captions {
        image: &[image as i64],
        tokens: &tokens,
        lengths: &[length],
    };
    let out = decoder.read(images, captions, Reading::default());
    let out = out.output();
    let log_probs = out.logits.log_softmax(-1, Kind::Float);
    let of_tokens = log_probs
        .gather(1, &out.targets.unsqueeze(1), false)
        .squeeze_dim(1);
    Vec::try_from(of_tokens.to_kind(Kind::Double)).unwrap()
}

#[test]
fn hypotheses_are_what_they_say() {
    for arch in ARCHS {
        let (decoder, images) = searched_by(arch, 1.5, 15, 8, Kind::Float);
        let options = options(4);
        let mut cut = 0;
        for (image, hypotheses) in beam_search(decoder.as_ref(), &images, &options)
            .iter()
            .enumerate()
        {
            for (place, hypothesis) in hypotheses.iter().enumerate() {
                let each = log_probs(
                    decoder.as_ref(),
                    &images,
                    image,
                    &hypothesis.tokens,
                    &options,
                );
                let counted = hypothesis.tokens.len() + usize::from(hypothesis.finished);
                assert_near(hypothesis.log_prob, each[..counted].iter().sum());
                assert!(
                    !hypotheses[..place]
                        .iter()
                        .any(|other| other.tokens == hypothesis.tokens)
                );
                for never in [options.pad, options.start, options.end, UNK] {
                    assert!(!hypothesis.tokens.contains(&never));
                }
                assert_eq!(hypothesis.alphas.len(), hypothesis.tokens.len());
                for alpha in &hypothesis.alphas {
                    assert_eq!(alpha.len(), 36);
                    assert!((alpha.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                }
                if !hypothesis.finished {
                    is_cut(hypothesis);
                    cut += 1;
                }
            }
        }
        assert!(cut > 0, "no caption reached the limit");
    }
}

#[test]
fn what_counts_as_unk_is_never_produced() {
    let (decoder, images) = searched(1.5, 15);
    let frequent = 8; // a word that these images' captions are full of
    let occurs = |unk: Option<i64>| {
        let options = SearchOptions {
            never: unk.into_iter().collect(),
            ..options(5)
        };
        let found = beam_search(decoder.as_ref(), &images, &options).concat();
        found.iter().any(|h| h.tokens.contains(&frequent))
    };
    assert!(occurs(Some(UNK)) && occurs(None));
    assert!(!occurs(Some(frequent)));
}

/// Greedy search for one image, implemented independently.
fn greedy(decoder: &dyn Decoder, image: &Images) -> (Vec<i64>, bool) {
    let mut state = decoder.begin(image);
    let mut tokens = Vec::new();
    let mut previous = options(1).start;
    loop {
        let step = decoder.step(image, &[0], &[previous], &state);
        let scores: Vec<f32> = Vec::try_from(step.logits.flatten(0, -1)).unwrap();
        let allowed = (1..12).chain([options(1).end]);
        let best = allowed.max_by(|a, b| scores[*a as usize].total_cmp(&scores[*b as usize]));
        previous = best.unwrap();
        if previous == options(1).end || tokens.len() == MAX_LENGTH {
            return (tokens, previous == options(1).end);
        }
        tokens.push(previous);
        state = step.state;
    }
}

#[test]
fn a_beam_of_one_is_greedy() {
    let mut ends = [0, 0];
    for scale in [1.0, 1.5] {
        let (decoder, images) = searched(scale, 15);
        for (image, hypotheses) in beam_search(decoder.as_ref(), &images, &options(1))
            .iter()
            .enumerate()
        {
            let (tokens, finished) =
                greedy(decoder.as_ref(), &images.select(&integers(&[image as i64])));
            assert_eq!(hypotheses.len(), 1);
            assert_eq!(
                (&hypotheses[0].tokens, hypotheses[0].finished),
                (&tokens, finished)
            );
            ends[usize::from(finished)] += 1;
        }
    }
    assert!(
        ends[0] > 0 && ends[1] > 0,
        "both kinds of end should occur: {ends:?}"
    );
}

#[test]
fn a_beam_as_wide_as_the_space_finds_the_best_of_all() {
    for arch in ARCHS {
        let (decoder, images) = searched_by(arch, 1.0, 7, 8, Kind::Float);
        let options = everything(3);
        let mut captions = vec![Vec::new()];
        let mut longest = captions.clone();
        for _ in 0..options.max_length {
            let longer = longest.iter().flat_map(|caption: &Vec<i64>| {
                (1..=3).map(move |word| [caption.as_slice(), &[word]].concat())
            });
            longest = longer.collect();
            captions.extend(longest.clone());
        }
        assert_eq!(captions.len(), 1 + 3 + 9 + 27);
        for (image, hypotheses) in beam_search(decoder.as_ref(), &images, &options)
            .iter()
            .enumerate()
        {
            let score = |caption: &Vec<i64>| -> f64 {
                log_probs(decoder.as_ref(), &images, image, caption, &options)
                    .iter()
                    .sum()
            };
            let mut ranked: Vec<(f64, &Vec<i64>)> =
                captions.iter().map(|c| (score(c), c)).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            assert_eq!(hypotheses.len(), ranked.len());
            for (hypothesis, (log_prob, _)) in hypotheses.iter().zip(&ranked) {
                assert!(hypothesis.finished);
                assert_near(hypothesis.log_prob, *log_prob);
                assert_near(score(&hypothesis.tokens), *log_prob);
            }
            assert_eq!(&hypotheses[0].tokens, ranked[0].1);
        }
    }
}

#[test]
fn an_image_has_the_same_captions_in_any_batch() {
    for arch in ARCHS {
        let (decoder, images) = searched_by(arch, 1.2, 15, 8, Kind::Float);
        for (image, together) in (0..).zip(beam_search(decoder.as_ref(), &images, &options(3))) {
            let image = images.select(&integers(&[image]));
            let alone = beam_search(decoder.as_ref(), &image, &options(3)).remove(0);
            assert_eq!(together.len(), alone.len());
            for (together, alone) in together.iter().zip(&alone) {
                assert_eq!(together.tokens, alone.tokens);
                assert_near(together.log_prob, alone.log_prob);
            }
        }
    }
}

#[test]
fn there_is_always_a_caption() {
    let (decoder, images) = searched(1.0, 15);
    let nothing_allowed = SearchOptions {
        max_length: 0,
        ..options(1)
    };
    for hypotheses in beam_search(decoder.as_ref(), &images, &nothing_allowed) {
        assert_eq!(hypotheses.len(), 1);
        assert!(hypotheses[0].tokens.is_empty());
    }
    // A model whose training diverged.
    let (diverged, images) = searched(f64::NAN, 15);
    for beam in [1, 3] {
        for hypotheses in beam_search(diverged.as_ref(), &images, &options(beam)) {
            assert!(!hypotheses.is_empty() && !hypotheses[0].finished);
        }
    }
    let none = images.select(&Tensor::from_slice::<i64>(&[]));
    assert!(beam_search(decoder.as_ref(), &none, &options(1)).is_empty());
}

#[test]
fn equals_are_ranked_by_their_ids() {
    let (decoder, images) = searched(0.0, 15);
    let options = SearchOptions {
        max_length: 4,
        ..options(3)
    };
    for hypotheses in beam_search(decoder.as_ref(), &images, &options) {
        let tokens: Vec<&[i64]> = hypotheses.iter().map(|h| h.tokens.as_slice()).collect();
        assert_eq!(tokens, [[1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 1, 3]]);
        for hypothesis in &hypotheses {
            assert!(!hypothesis.finished);
            assert!((hypothesis.log_prob + 4.0 * 15f64.ln()).abs() < 1e-5);
        }
    }
}

#[test]
fn an_ensemble_says_what_the_mean_of_its_probabilities_says() {
    for arch in ARCHS {
        is_the_mean_with(searched_by(arch, 1.6, 7, 8, Kind::Float));
    }
}

/// An ensemble of the attention LSTM and a second decoder.
fn is_the_mean_with((second, others): (Box<dyn Decoder>, Images)) {
    let (first, images) = searched(1.0, 7);
    let options = everything(2);
    let alone = beam_search(first.as_ref(), &images, &options);
    let twice = search(
        &[(first.as_ref(), &images), (first.as_ref(), &images)],
        &options,
    );
    for (alone, twice) in alone.iter().flatten().zip(twice.iter().flatten()) {
        assert_eq!(alone.tokens, twice.tokens);
        assert_near(twice.log_prob, alone.log_prob);
    }
    let found = search(
        &[(first.as_ref(), &images), (second.as_ref(), &others)],
        &options,
    );
    let mut moved = 0;
    for (image, hypotheses) in found.iter().enumerate() {
        assert_eq!(hypotheses.len(), 1 + 3 + 9);
        for hypothesis in hypotheses {
            let of =
                |decoder, images| log_probs(decoder, images, image, &hypothesis.tokens, &options);
            let (a, b) = (of(first.as_ref(), &images), of(second.as_ref(), &others));
            let mean = a
                .iter()
                .zip(&b)
                .map(|(a, b)| ((a.exp() + b.exp()) / 2.0).ln());
            assert_near(hypothesis.log_prob, mean.sum());
        }
        moved += usize::from((hypotheses[0].log_prob - alone[image][0].log_prob).abs() > 1e-3);
    }
    assert!(moved > 0, "the second model never has a say");
}
