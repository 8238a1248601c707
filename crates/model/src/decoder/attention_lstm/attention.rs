//! Attention, forward and backward: the parts of a step that use the cells.
//!
//! On the CPU, in f32, they are fused loops: `relu(W_e f + W_d h)`, a hundred thousand
//! numbers per word, is never stored in memory, and captions of one image share its cells;
//! if they are adjacent, each cell is read once for all of them. In other cases they are
//! tensor operations on a copy of the cells for each caption.

use super::Projected;
use crate::product::sum_by;
use crate::slices::{is_readable, numbers, numbers_mut};
use crate::{parallel, threads};
use multiversion::multiversion;
use tch::{Device, Kind, Tensor};

/// Number of partial sums in parallel, which determines the order of summation.
const LANES: usize = 32;

/// The cells of the images of a batch of captions.
pub(super) struct Cells<'a> {
    pub images: Projected<'a>,
    /// The image of each caption, (B).
    pub image: &'a [i64],
    full_att: Tensor, // (1, A)
    gathered: Option<Gathered>,
}

/// A copy of the cells for each caption, if the loops are not fused. All have the kind that
/// products are computed in; arguments and results have the weights' kind.
struct Gathered {
    features: Tensor,  // (B, p, C)
    projected: Tensor, // (B, P, A)
    full_att: Tensor,  // (A)
}

/// Gradients that the backward pass accumulates step by step.
pub(super) struct CellGradients {
    /// Of `projected`, (n, P, A), or (B, P, A) until [`Cells::of_projected`].
    projected: Tensor,
    /// Of `full_att.weight`, (1, A).
    pub full_att: Tensor,
}

impl<'a> Cells<'a> {
    pub(super) fn new(images: Projected<'a>, image: &'a [i64], full_att: &Tensor) -> Cells<'a> {
        let gathered = (!is_readable(images.features)).then(|| {
            let index = Tensor::from_slice(image).to_device(images.features.device());
            Gathered {
                features: images.features.index_select(0, &index),
                projected: images.projected.index_select(0, &index),
                full_att: full_att
                    .detach()
                    .squeeze_dim(0)
                    .to_kind(images.features.kind()),
            }
        });
        Cells {
            images,
            image,
            full_att: full_att.detach(),
            gathered,
        }
    }

    /// `w . relu(W_e f + query)`: `query` (b, A), of the first b captions -> (b, P).
    pub(super) fn scores(&self, query: &Tensor) -> Tensor {
        let b = query.size()[0];
        if let Some(gathered) = &self.gathered {
            let scores = gathered.seen(query).matmul(&gathered.full_att);
            return scores.to_kind(query.kind());
        }
        let [_, cells, width] = sizes(self.images.projected);
        let mut scores = Tensor::empty([b, cells as i64], (Kind::Float, Device::Cpu));
        let query = query.contiguous();
        let (projected, w) = (numbers(self.images.projected), numbers(&self.full_att));
        let queries = numbers(&query);
        self.by_image(numbers_mut(&mut scores), cells, &|image, row, scores| {
            let projected = image_of(projected, image, cells * width);
            score(projected, &queries[row * width..], w, scores);
        });
        scores
    }

    /// The backward pass of [`Cells::scores`]: adds to `into` and returns the gradient of
    /// `query` (b, A).
    pub(super) fn scores_back(
        &self,
        query: &Tensor,
        scores: &Tensor,
        into: &mut CellGradients,
    ) -> Tensor {
        let b = query.size()[0];
        if let Some(gathered) = &self.gathered {
            let (seen, wide) = (gathered.seen(query), query.kind()); // (b, P, A)
            let scores = scores.to_kind(seen.kind());
            let grad_w = scores.view([1, -1]).mm(&seen.flatten(0, 1)); // (1, A)
            into.full_att += grad_w.to_kind(wide);
            let grad_seen = scores.unsqueeze(-1) * &gathered.full_att; // (b, P, A)
            let passed = seen.threshold_backward(&grad_seen, 0.0);
            let mut grad_first = into.projected.narrow(0, 0, b);
            grad_first += &passed;
            return passed.sum_dim_intlist(1i64, false, wide);
        }
        let [_, cells, width] = sizes(self.images.projected);
        let (query, scores) = (query.contiguous(), scores.contiguous());
        let (queries, scores) = (numbers(&query), numbers(&scores));
        let (projected, w) = (numbers(self.images.projected), numbers(&self.full_att));
        let images = self.image;
        // Each thread has some cells of all images; gradients of shared parameters are
        // added up afterwards, in the order of the cells.
        let range = cells.div_ceil(threads());
        let mut parts: Vec<BackPart> = (0..cells.div_ceil(range))
            .map(|_| BackPart {
                grad_projected: Vec::new(),
                grad_query: vec![0.0; queries.len()],
                grad_w: vec![0.0; width],
            })
            .collect();
        for image in numbers_mut(&mut into.projected).chunks_exact_mut(cells * width) {
            for (part, grad_projected) in parts.iter_mut().zip(image.chunks_mut(range * width)) {
                part.grad_projected.push(grad_projected);
            }
        }
        parallel(parts.iter_mut().collect(), |n, part| {
            let rows = (queries.chunks_exact(width).zip(scores.chunks_exact(cells)))
                .zip(part.grad_query.chunks_exact_mut(width));
            for (((query, scores), grad_query), image) in rows.zip(images) {
                let grad_projected = &mut *part.grad_projected[*image as usize];
                let first = n * range;
                let scores = &scores[first..][..grad_projected.len() / width];
                let projected = image_of(projected, *image, cells * width);
                let projected = &projected[first * width..][..grad_projected.len()];
                let gradients = (grad_query, grad_projected, &mut part.grad_w[..]);
                score_back(projected, query, w, scores, gradients);
            }
        });
        let mut grad_query = Tensor::zeros([b, width as i64], (Kind::Float, Device::Cpu));
        for part in &parts {
            add(numbers_mut(&mut grad_query), &part.grad_query);
            add(numbers_mut(&mut into.full_att), &part.grad_w);
        }
        grad_query
    }

    /// `sum_i weights_i f_i`: (b, p) -> (b, C), into `context`.
    pub(super) fn context(&self, weights: &Tensor, context: &Tensor) {
        if let Some(Gathered { features, .. }) = &self.gathered {
            let features = features.narrow(0, 0, weights.size()[0]);
            let weights = weights.to_kind(features.kind()).unsqueeze(1); // (b, 1, p)
            let mut context = context.unsqueeze(1);
            if context.kind() == features.kind() {
                let _ = weights.bmm_out(&context, &features);
            } else {
                context.copy_(&weights.bmm(&features));
            }
            return;
        }
        let [_, cells, width] = sizes(self.images.features);
        let (features, weights) = (numbers(self.images.features), numbers(weights));
        let mut context = context.shallow_clone();
        self.by_image(numbers_mut(&mut context), width, &|image, row, context| {
            let features = image_of(features, image, cells * width);
            sum(features, &weights[row * cells..], cells, context);
        });
    }

    /// Gradient of the weights of [`Cells::context`]: (b, C) -> (b, p).
    pub(super) fn context_back(&self, context: &Tensor) -> Tensor {
        let b = context.size()[0];
        if let Some(Gathered { features, .. }) = &self.gathered {
            let narrow = context.to_kind(features.kind()).unsqueeze(-1); // (b, C, 1)
            let weights = features.narrow(0, 0, b).bmm(&narrow).squeeze_dim(-1);
            return weights.to_kind(context.kind());
        }
        let [_, cells, width] = sizes(self.images.features);
        let mut weights = Tensor::empty([b, cells as i64], (Kind::Float, Device::Cpu));
        let (features, context) = (numbers(self.images.features), numbers(context));
        self.by_image(numbers_mut(&mut weights), cells, &|image, row, weights| {
            let features = image_of(features, image, cells * width);
            let contexts = context[row * width..].chunks_exact(width);
            for (context, weights) in contexts.zip(weights.chunks_exact_mut(cells)) {
                dots(features, context, weights);
            }
        });
        weights
    }

    /// Gradients to accumulate into, initially 0.
    pub(super) fn gradients(&self) -> CellGradients {
        let gathered = self.gathered.as_ref().map(|gathered| &gathered.projected);
        let size = gathered.unwrap_or(self.images.projected).size();
        let options = (self.full_att.kind(), self.full_att.device());
        CellGradients {
            projected: Tensor::zeros(size, options),
            full_att: self.full_att.zeros_like(),
        }
    }

    /// The gradient of `projected`, (n, P, A).
    pub(super) fn of_projected(&self, gradients: CellGradients) -> Tensor {
        match self.gathered {
            Some(_) => sum_by(
                self.image,
                self.images.projected.size()[0],
                &gradients.projected,
            ),
            None => gradients.projected,
        }
    }

    /// Divides the rows of `out`, each `width` numbers of a caption, among the threads, and
    /// calls `work` with an image, the first of some adjacent rows of it, and these rows.
    fn by_image(
        &self,
        out: &mut [f32],
        width: usize,
        work: &(dyn Fn(i64, usize, &mut [f32]) + Sync),
    ) {
        let images = &self.image[..out.len() / width];
        let rows = images.len().div_ceil(threads()).max(1);
        let parts = out.chunks_mut(rows * width).zip(images.chunks(rows));
        parallel(parts.collect(), |part, (mut out, images)| {
            let mut row = part * rows;
            for of_image in images.chunk_by(|a, b| a == b) {
                let (these, rest) = out.split_at_mut(of_image.len() * width);
                work(of_image[0], row, these);
                row += of_image.len();
                out = rest;
            }
        });
    }
}

/// The part of `numbers` that belongs to one image, `count` numbers.
fn image_of(numbers: &[f32], image: i64, count: usize) -> &[f32] {
    &numbers[image as usize * count..][..count]
}

impl Gathered {
    /// `relu(W_e f + query)`: `query` (b, A) -> (b, P, A).
    fn seen(&self, query: &Tensor) -> Tensor {
        let projected = self.projected.narrow(0, 0, query.size()[0]);
        (projected + query.to_kind(self.projected.kind()).unsqueeze(1)).relu_()
    }
}

/// The gradients that one thread computes in [`Cells::scores_back`].
struct BackPart<'a> {
    /// The thread's cells of each image.
    grad_projected: Vec<&'a mut [f32]>,
    grad_query: Vec<f32>,
    grad_w: Vec<f32>,
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// Scores of all cells of an image for some queries, one row for each.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn score(projected: &[f32], queries: &[f32], w: &[f32], scores: &mut [f32]) {
    let width = w.len();
    let cells = projected.len() / width;
    for (n, cell) in projected.chunks_exact(width).enumerate() {
        for (query, scores) in (queries.chunks_exact(width)).zip(scores.chunks_exact_mut(cells)) {
            let mut sums = [0.0; LANES];
            let mut rest = 0.0;
            let tail = width / LANES * LANES;
            for ((p, q), w) in (cell.chunks_exact(LANES))
                .zip(query.chunks_exact(LANES))
                .zip(w.chunks_exact(LANES))
            {
                for lane in 0..LANES {
                    sums[lane] += (p[lane] + q[lane]).max(0.0) * w[lane];
                }
            }
            for ((p, q), w) in cell[tail..].iter().zip(&query[tail..]).zip(&w[tail..]) {
                rest += (p + q).max(0.0) * w;
            }
            scores[n] = sums.iter().sum::<f32>() + rest;
        }
    }
}

/// Adds to the gradients of `query`, `projected` and `w`.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn score_back(
    projected: &[f32],
    query: &[f32],
    w: &[f32],
    scores: &[f32],
    (grad_query, grad_projected, grad_w): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let width = query.len();
    for ((cell, grad_cell), score) in (projected.chunks_exact(width))
        .zip(grad_projected.chunks_exact_mut(width))
        .zip(scores)
    {
        let (grad_query, grad_w) = (&mut grad_query[..width], &mut grad_w[..width]);
        let (cell, grad_cell, w) = (&cell[..width], &mut grad_cell[..width], &w[..width]);
        for a in 0..width {
            let seen = cell[a] + query[a];
            let passed = if seen > 0.0 { score * w[a] } else { 0.0 };
            grad_query[a] += passed;
            grad_cell[a] += passed;
            grad_w[a] += seen.max(0.0) * score;
        }
    }
}

/// `out = sum_i weights_i cells_i` for some rows: weights (r, p), out (r, C).
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn sum(features: &[f32], weights: &[f32], cells: usize, out: &mut [f32]) {
    out.fill(0.0);
    let width = features.len() / cells;
    // Four cells at a time, so that `out` is read and written a quarter as often.
    for (n, four) in features.chunks(4 * width).enumerate() {
        for (out, weights) in out.chunks_exact_mut(width).zip(weights.chunks_exact(cells)) {
            let w = &weights[4 * n..];
            if four.len() < 4 * width {
                for (cell, w) in four.chunks_exact(width).zip(w) {
                    for (out, number) in out.iter_mut().zip(cell) {
                        *out += w * number;
                    }
                }
                continue;
            }
            let (a, rest) = four.split_at(width);
            let (b, rest) = rest.split_at(width);
            let (c, d) = rest.split_at(width);
            for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *out += w[0] * a + w[1] * b + (w[2] * c + w[3] * d);
            }
        }
    }
}

/// `out_i = cells_i . vector`.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn dots(cells: &[f32], vector: &[f32], out: &mut [f32]) {
    for (cell, out) in cells.chunks_exact(vector.len()).zip(out) {
        let mut sums = [0.0; LANES];
        let tail = vector.len() / LANES * LANES;
        for (x, y) in (cell.chunks_exact(LANES)).zip(vector.chunks_exact(LANES)) {
            for lane in 0..LANES {
                sums[lane] += x[lane] * y[lane];
            }
        }
        let rest: f32 = (cell[tail..].iter().zip(&vector[tail..]))
            .map(|(x, y)| x * y)
            .sum();
        *out = sums.iter().sum::<f32>() + rest;
    }
}

fn sizes(tensor: &Tensor) -> [usize; 3] {
    let size = tensor.size();
    [size[0] as usize, size[1] as usize, size[2] as usize]
}
