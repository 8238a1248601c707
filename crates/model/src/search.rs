//! Beam search over all images of a batch at once.

use crate::decoder::{Decoder, Images, Rows};
use std::cmp::Ordering;
use std::rc::Rc;
use tch::{Device, Kind, Tensor, no_grad};

/// Parameters of a search.
#[derive(Clone, Copy, Debug)]
pub struct SearchOptions {
    /// Number of hypotheses that are kept at each step; 1 is greedy search.
    pub beam: usize,
    /// Maximum length of a caption, in tokens without `<start>` and `<end>`.
    pub max_length: usize,
    /// Id of `<start>`.
    pub start: i64,
    /// Id of `<end>`.
    pub end: i64,
    /// Id of `<pad>`, which is never produced.
    pub pad: i64,
    /// Id of `<unk>` if it must not be produced.
    pub unk: Option<i64>,
}

/// A caption with its probability and attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The tokens, without `<start>` and `<end>`.
    pub tokens: Vec<i64>,
    /// Sum of the tokens' log-probabilities, including that of `<end>` if the caption is
    /// finished.
    pub log_prob: f64,
    /// Whether it ended with `<end>`.
    pub finished: bool,
    /// Attention of each token over the P cells.
    pub alphas: Vec<Vec<f32>>,
}

/// A token, its attention, and its predecessor.
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

/// Captions every image. Returns each image's hypotheses, best first, at least one and at
/// most `beam`. Finished ones rank before those that reached `max_length` without
/// `<end>`, both by the plain sum of log-probabilities, as in the tutorial; ties keep the
/// order in which they were found. As in the tutorial, a finished hypothesis permanently
/// takes up one place of the beam. Among equally probable continuations, those of the
/// better hypothesis come first, then the smaller ids. Excluding tokens does not
/// renormalise the probabilities of the others.
pub fn beam_search(
    decoder: &dyn Decoder,
    images: &Images,
    options: &SearchOptions,
) -> Vec<Vec<Hypothesis>> {
    ensemble_search(&[(decoder, images)], options)
}

/// [`beam_search`] with an ensemble of models of one vocabulary, at least one. The
/// probabilities of a step are the mean of the models' probabilities. Each model has its
/// own projection of the same images. The attention is the mean over the models that have
/// the first one's grid.
///
/// # Panics
/// If there are no models.
pub fn ensemble_search(
    models: &[(&dyn Decoder, &Images)],
    options: &SearchOptions,
) -> Vec<Vec<Hypothesis>> {
    let members = models.iter().map(|(decoder, images)| Member {
        decoder: *decoder,
        images: images.first(images.len()),
        state: decoder.begin(images),
    });
    no_grad(|| search(Ensemble(members.collect()), options))
}

/// A model and its state during a search.
struct Member<'a> {
    decoder: &'a dyn Decoder,
    images: Images,
    state: Rows,
}

/// Models that search together.
struct Ensemble<'a>(Vec<Member<'a>>);

impl Ensemble<'_> {
    /// Log-probabilities of the next tokens (B, V) and attention (B, P).
    fn step(&mut self, tokens: &[i64]) -> (Tensor, Tensor) {
        let steps: Vec<(Tensor, Tensor)> = (self.0.iter_mut())
            .map(|member| {
                let tokens = Tensor::from_slice(tokens).to_device(member.images.device());
                let step = member.decoder.step(&member.images, &tokens, &member.state);
                member.state = step.state;
                (step.logits.log_softmax(-1, Kind::Float), step.attention)
            })
            .collect();
        if let [(log_probs, alpha)] = &steps[..] {
            return (log_probs.shallow_clone(), alpha.shallow_clone());
        }
        let log_probs: Vec<&Tensor> = steps.iter().map(|(log_probs, _)| log_probs).collect();
        let sum = Tensor::stack(&log_probs, 0).logsumexp([0i64].as_slice(), false); // (B, V)
        let grid = self.0[0].images.grid;
        let alike = steps
            .iter()
            .zip(&self.0)
            .filter(|(_, member)| member.images.grid == grid);
        let alphas: Vec<&Tensor> = alike.map(|((_, alpha), _)| alpha).collect();
        let alpha = Tensor::stack(&alphas, 0).mean_dim(0i64, false, None);
        (sum - (steps.len() as f64).ln(), alpha)
    }

    fn select(&mut self, rows: &Tensor) {
        for member in &mut self.0 {
            member.state = member.state.select(rows);
        }
    }

    fn select_images(&mut self, images: &Tensor) {
        for member in &mut self.0 {
            member.images = member.images.select(images);
        }
    }
}

fn search(mut models: Ensemble, options: &SearchOptions) -> Vec<Vec<Hypothesis>> {
    let count = models.0[0].images.len() as usize;
    let k = options.beam.max(1);
    let mut done: Vec<Vec<Hypothesis>> = (0..count).map(|_| Vec::new()).collect();
    let mut beams: Vec<Beam> = (0..count).map(|image| Beam::new(image, k)).collect();
    models.select(&indices((0..count * k).map(|row| (row / k) as i64)));
    let mut tokens = vec![options.start; count * k];
    for length in 0..=options.max_length {
        if beams.is_empty() {
            break;
        }
        let (log_probs, alpha) = models.step(&tokens);
        let candidates = candidates(&log_probs, options, k);
        let alphas = rows(&alpha);
        let mut parents = Vec::new();
        tokens.clear();
        for (n, beam) in beams.iter_mut().enumerate() {
            for (parent, token) in beam.advance(&candidates, &alphas, n * k, options, length) {
                parents.push((n * k + parent) as i64);
                tokens.push(token);
            }
        }
        let alive: Vec<bool> = beams.iter().map(Beam::is_alive).collect();
        if alive.iter().all(|alive| *alive) {
            models.select(&indices(parents.into_iter()));
            continue;
        }
        // Finished images leave the batch.
        let rows = (0..parents.len()).filter(|row| alive[row / k]);
        models.select(&indices(rows.clone().map(|row| parents[row])));
        tokens = rows.map(|row| tokens[row]).collect();
        models.select_images(&indices(
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
        // All rows are the same before the first word, so only one counts.
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

    /// Extends the beam by the best continuations; returns each row's parent and token.
    fn advance(
        &mut self,
        candidates: &[Vec<(f64, i64)>],
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
            let of_row = candidates[first + parent].iter();
            best.extend(of_row.map(|(log_prob, token)| (row.log_prob + log_prob, parent, *token)));
        }
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        best.truncate(places);
        // No tokens may follow: rows that don't end now are results as they are.
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

/// The best `k` next tokens of each row of `log_probs` (B, V), with their
/// log-probabilities, best first. Ties are in the order of their ids, which libtorch's
/// `topk` does not guarantee.
fn candidates(log_probs: &Tensor, options: &SearchOptions, k: usize) -> Vec<Vec<(f64, i64)>> {
    let never = [Some(options.pad), Some(options.start), options.unk];
    let log_probs = rows(log_probs);
    let best_of = |row: &Vec<f32>| {
        let mut best: Vec<(f64, i64)> = Vec::with_capacity(k + 1);
        for (log_prob, token) in row.iter().map(|p| f64::from(*p)).zip(0i64..) {
            let floor = match best.last() {
                Some(worst) if best.len() == k => worst.0,
                _ => f64::NEG_INFINITY,
            };
            // False for NaN.
            if log_prob > floor && !never.contains(&Some(token)) {
                let place = best.partition_point(|other| other.0 >= log_prob);
                best.insert(place, (log_prob, token));
                best.truncate(k);
            }
        }
        best
    };
    log_probs.iter().map(best_of).collect()
}

fn indices(rows: impl Iterator<Item = i64>) -> Tensor {
    Tensor::from_slice(&rows.collect::<Vec<i64>>())
}

/// The rows of a matrix, copied to the CPU at once.
fn rows(matrix: &Tensor) -> Vec<Vec<f32>> {
    let width = matrix.size()[1].max(1) as usize;
    let flat = matrix.to_device(Device::Cpu).to_kind(Kind::Float);
    let mut numbers = vec![0.0f32; flat.numel()];
    flat.contiguous().copy_data(&mut numbers, flat.numel());
    numbers.chunks(width).map(<[f32]>::to_vec).collect()
}
