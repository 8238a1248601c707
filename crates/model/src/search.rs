//! Beam search over all images of a batch at once.

use crate::decoder::{Decoder, Projected, State};
use std::cmp::Ordering;
use std::rc::Rc;
use tch::{Kind, Tensor, no_grad};

/// What to search for.
#[derive(Clone, Copy, Debug)]
pub struct SearchOptions {
    /// Hypotheses that are kept at each step; 1 is greedy search.
    pub beam: usize,
    /// Longest caption, in tokens without `<start>` and `<end>`.
    pub max_length: usize,
    /// Id of `<start>`.
    pub start: i64,
    /// Id of `<end>`.
    pub end: i64,
    /// Id of `<pad>`, which is never produced.
    pub pad: i64,
    /// Id of `<unk>`, where it shall never be produced.
    pub unk: Option<i64>,
}

/// A caption and how the model came to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its tokens, without `<start>` and `<end>`.
    pub tokens: Vec<i64>,
    /// Sum of the tokens' log-probabilities; that of `<end>` is included where
    /// the caption is finished.
    pub log_prob: f64,
    /// Whether it ended with `<end>`.
    pub finished: bool,
    /// Attention of each token over the P cells.
    pub alphas: Vec<Vec<f32>>,
}

/// A token, how it was looked for, and what came before.
struct Node {
    token: i64,
    alpha: Vec<f32>,
    before: Path,
}

type Path = Option<Rc<Node>>;

/// A row of the batch.
#[derive(Clone)]
struct Row {
    path: Path,
    /// -inf: no hypothesis.
    log_prob: f64,
}

/// The hypotheses of one image.
struct Beam {
    image: usize,
    rows: Vec<Row>,
    found: Vec<Hypothesis>,
}

/// Captions every image: its hypotheses, best first, at most `beam` and never
/// none. Finished ones rank before those that reached `max_length`, both by the
/// plain sum of log-probabilities, as in the tutorial; equals keep the order in
/// which they were found. As in the tutorial, a finished hypothesis takes one
/// place of the beam with it.
pub fn beam_search(
    decoder: &Decoder,
    images: &Projected,
    options: &SearchOptions,
) -> Vec<Vec<Hypothesis>> {
    no_grad(|| search(decoder, images, options))
}

fn search(decoder: &Decoder, all: &Projected, options: &SearchOptions) -> Vec<Vec<Hypothesis>> {
    let count = all.len() as usize;
    let k = options.beam.max(1);
    let mut done: Vec<Vec<Hypothesis>> = (0..count).map(|_| Vec::new()).collect();
    let mut beams: Vec<Beam> = (0..count).map(|image| Beam::new(image, k)).collect();
    let mut images = all.select(&indices((0..count).map(|n| n as i64)));
    let mut state = decoder
        .init_state(&images)
        .select(&indices((0..count * k).map(|row| (row / k) as i64)));
    let mut tokens = vec![options.start; count * k];
    for length in 0..=options.max_length {
        if beams.is_empty() {
            break;
        }
        let step = decoder.step(
            &images,
            &Tensor::from_slice(&tokens).to_device(all.device()),
            &state,
        );
        let candidates = Candidates::of(&step.logits, options, k);
        let alphas = vectors(&step.alpha);
        let mut parents = Vec::new();
        tokens.clear();
        for (n, beam) in beams.iter_mut().enumerate() {
            for (parent, token) in beam.advance(&candidates, &alphas, n * k, options, length) {
                parents.push((n * k + parent) as i64);
                tokens.push(token);
            }
        }
        let alive: Vec<bool> = beams.iter().map(Beam::is_alive).collect();
        state = step.state;
        if alive.iter().all(|alive| *alive) {
            state = state.select(&indices(parents.into_iter()));
            continue;
        }
        // Images that are done leave the batch.
        let rows = (0..parents.len()).filter(|row| alive[row / k]);
        state = state.select(&indices(rows.clone().map(|row| parents[row])));
        tokens = rows.map(|row| tokens[row]).collect();
        images = images.select(&indices(
            (0..alive.len()).filter(|n| alive[*n]).map(|n| n as i64),
        ));
        let (going, finished): (Vec<Beam>, Vec<Beam>) = beams.into_iter().partition(Beam::is_alive);
        finished
            .into_iter()
            .for_each(|beam| done[beam.image] = beam.found);
        beams = going;
    }
    for hypotheses in &mut done {
        hypotheses.sort_by(|a, b| {
            b.finished.cmp(&a.finished).then(
                b.log_prob
                    .partial_cmp(&a.log_prob)
                    .unwrap_or(Ordering::Equal),
            )
        });
    }
    done
}

impl Beam {
    fn new(image: usize, k: usize) -> Beam {
        let mut rows = vec![
            Row {
                path: None,
                log_prob: f64::NEG_INFINITY
            };
            k
        ];
        // All rows are alike before the first word: one of them counts.
        rows[0].log_prob = 0.0;
        Beam {
            image,
            rows,
            found: Vec::new(),
        }
    }

    fn is_alive(&self) -> bool {
        self.rows.iter().any(|row| row.log_prob > f64::NEG_INFINITY)
    }

    /// Goes on with the best continuations; says each row's parent and token.
    fn advance(
        &mut self,
        candidates: &Candidates,
        alphas: &[Vec<f32>],
        first: usize,
        options: &SearchOptions,
        length: usize,
    ) -> Vec<(usize, i64)> {
        let places = self.rows.len() - self.found.len();
        let mut best: Vec<(f64, usize, i64)> = Vec::new();
        for (parent, row) in self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.log_prob > f64::NEG_INFINITY)
        {
            let of_row = candidates.row(first + parent);
            best.extend(of_row.map(|(log_prob, token)| (row.log_prob + log_prob, parent, token)));
        }
        best.retain(|(log_prob, ..)| *log_prob > f64::NEG_INFINITY);
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        best.truncate(places);
        // Nothing may follow: rows that do not end now are answers as they stand.
        let last = length == options.max_length || best.is_empty();
        let mut rows = Vec::new();
        let mut came_from = Vec::new();
        let mut ended = Vec::new();
        for (log_prob, parent, token) in best {
            let before = self.rows[parent].path.clone();
            if token == options.end {
                let found = Hypothesis::from_path(&before, log_prob, true);
                self.found.push(found);
                ended.push(parent);
            } else if !last {
                let alpha = alphas[first + parent].clone();
                rows.push(Row {
                    path: Some(Rc::new(Node {
                        token,
                        alpha,
                        before,
                    })),
                    log_prob,
                });
                came_from.push((parent, token));
            }
        }
        if last {
            let cut = self.rows.iter().enumerate().filter(|(parent, row)| {
                row.log_prob > f64::NEG_INFINITY && !ended.contains(parent)
            });
            let cut = cut.map(|(_, row)| Hypothesis::from_path(&row.path, row.log_prob, false));
            self.found.extend(cut.collect::<Vec<_>>());
        }
        rows.resize(
            self.rows.len(),
            Row {
                path: None,
                log_prob: f64::NEG_INFINITY,
            },
        );
        came_from.resize(rows.len(), (0, options.pad));
        self.rows = rows;
        came_from
    }
}

impl Hypothesis {
    fn from_path(path: &Path, log_prob: f64, finished: bool) -> Hypothesis {
        let (mut tokens, mut alphas) = (Vec::new(), Vec::new());
        let mut node = path;
        while let Some(at) = node {
            tokens.push(at.token);
            alphas.push(at.alpha.clone());
            node = &at.before;
        }
        tokens.reverse();
        alphas.reverse();
        Hypothesis {
            tokens,
            log_prob,
            finished,
            alphas,
        }
    }
}

/// The best next tokens of each row.
struct Candidates {
    log_probs: Vec<f32>,
    tokens: Vec<i64>,
    width: usize,
}

impl Candidates {
    /// `logits` (B, V): the best `k` of each row, by descending probability.
    fn of(logits: &Tensor, options: &SearchOptions, k: usize) -> Candidates {
        let log_probs = logits.log_softmax(-1, Kind::Float);
        for never in [Some(options.pad), Some(options.start), options.unk]
            .into_iter()
            .flatten()
        {
            let _ = log_probs.select(1, never).fill_(f64::NEG_INFINITY);
        }
        let width = k.min(logits.size()[1] as usize);
        let (values, tokens) = log_probs.topk(width as i64, 1, true, true);
        Candidates {
            log_probs: numbers(&values),
            tokens: integers(&tokens),
            width,
        }
    }

    fn row(&self, row: usize) -> impl Iterator<Item = (f64, i64)> {
        let range = row * self.width..(row + 1) * self.width;
        self.log_probs[range.clone()]
            .iter()
            .map(|p| f64::from(*p))
            .zip(self.tokens[range].iter().copied())
    }
}

impl State {
    /// Some rows of the state.
    fn select(&self, rows: &Tensor) -> State {
        let rows = rows.to_device(self.h.device());
        State {
            h: self.h.index_select(0, &rows),
            c: self.c.index_select(0, &rows),
        }
    }
}

fn indices(rows: impl Iterator<Item = i64>) -> Tensor {
    Tensor::from_slice(&rows.collect::<Vec<i64>>())
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor
        .to_device(tch::Device::Cpu)
        .to_kind(Kind::Float)
        .contiguous();
    let mut out = vec![0.0; flat.numel()];
    flat.copy_data(&mut out, flat.numel());
    out
}

fn integers(tensor: &Tensor) -> Vec<i64> {
    let flat = tensor.to_device(tch::Device::Cpu).contiguous();
    let mut out = vec![0; flat.numel()];
    flat.copy_data(&mut out, flat.numel());
    out
}

/// Rows of a matrix.
fn vectors(matrix: &Tensor) -> Vec<Vec<f32>> {
    let width = matrix.size()[1] as usize;
    numbers(matrix)
        .chunks(width.max(1))
        .map(<[f32]>::to_vec)
        .collect()
}
