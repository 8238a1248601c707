//! The parts of a step that look at the cells, forward and backward.
//!
//! On the CPU, in f32, they are fused loops: `relu(W_e f + W_d h)`, a hundred
//! thousand numbers for each word, never reaches memory, and captions of one image
//! share its cells. Elsewhere they are tensor operations over one copy of the cells
//! for each caption.

use super::{Captions, Projected};
use crate::parallel;
use multiversion::multiversion;
use std::sync::Mutex;
use tch::{Device, Kind, Tensor};

/// Numbers that are summed side by side; the order of a sum depends on nothing else.
const LANES: usize = 16;

/// The images as a batch of captions sees them.
pub(super) struct Cells<'a> {
    images: &'a Projected,
    full_att: Tensor, // (1, A)
    image: &'a [i64], // of each caption
    /// features (B, p, C) and projected (B, P, A) of each caption, where the loops
    /// are not fused.
    gathered: Option<(Tensor, Tensor)>,
}

/// What the backward pass gathers, step by step.
pub(super) struct CellGradients {
    /// Of `projected`, (n, P, A), or (B, P, A) until [`Cells::of_projected`].
    projected: Tensor,
    /// Of `full_att.weight`, (1, A).
    pub full_att: Tensor,
}

impl<'a> Cells<'a> {
    pub(super) fn new(
        images: &'a Projected,
        captions: &Captions<'a>,
        full_att: &Tensor,
    ) -> Cells<'a> {
        let fused = images.device() == Device::Cpu && images.features.kind() == Kind::Float;
        let gathered = (!fused).then(|| {
            let index = captions.index(images.device());
            (
                images.features.index_select(0, &index),
                images.projected.index_select(0, &index),
            )
        });
        Cells {
            images,
            full_att: full_att.detach(),
            image: captions.image,
            gathered,
        }
    }

    /// `w . relu(W_e f + query)`: `query` (b, A), of the first b captions -> (b, P).
    pub(super) fn scores(&self, query: &Tensor) -> Tensor {
        let b = query.size()[0];
        if let Some((_, projected)) = &self.gathered {
            let seen = (projected.narrow(0, 0, b) + query.unsqueeze(1)).relu(); // (b, P, A)
            return seen.matmul(&self.full_att.squeeze_dim(0));
        }
        let [_, cells, width] = sizes(&self.images.projected);
        let scores = Tensor::empty([b, cells as i64], (Kind::Float, Device::Cpu));
        let query = query.contiguous();
        let (projected, w) = (view(&self.images.projected), view(&self.full_att));
        let (queries, images) = (view(&query), self.image);
        by_rows(view_mut(&scores), cells, &|row, scores| {
            let projected = of(projected, images[row], cells * width);
            score(projected, &queries[row * width..][..width], w, scores);
        });
        scores
    }

    /// Gradients of [`Cells::scores`]: adds to `into`; gives that of `query` (b, A).
    pub(super) fn scores_back(
        &self,
        query: &Tensor,
        scores: &Tensor,
        into: &mut CellGradients,
    ) -> Tensor {
        let b = query.size()[0];
        if let Some((_, projected)) = &self.gathered {
            let seen = (projected.narrow(0, 0, b) + query.unsqueeze(1)).relu(); // (b, P, A)
            let scores = scores.unsqueeze(-1); // (b, P, 1)
            into.full_att += (&seen * &scores)
                .sum_dim_intlist([0i64, 1].as_slice(), false, None)
                .unsqueeze(0);
            let seen = seen.sign() * (scores * &self.full_att); // (b, P, A)
            let mut of_first = into.projected.narrow(0, 0, b);
            of_first += &seen;
            return seen.sum_dim_intlist(1i64, false, None);
        }
        let [_, cells, width] = sizes(&self.images.projected);
        let (query, scores) = (query.contiguous(), scores.contiguous());
        let (queries, scores) = (view(&query), view(&scores));
        let (projected, w) = (view(&self.images.projected), view(&self.full_att));
        let images = self.image;
        // Each thread has some cells of all images; what they have in common is added
        // up afterwards, in the order of the cells.
        let range = cells.div_ceil(threads());
        let mut parts: Vec<BackPart> = (0..cells.div_ceil(range))
            .map(|_| BackPart {
                of_projected: Vec::new(),
                of_query: vec![0.0; queries.len()],
                of_w: vec![0.0; width],
            })
            .collect();
        for image in view_mut(&into.projected).chunks_exact_mut(cells * width) {
            for (part, of_projected) in parts.iter_mut().zip(image.chunks_mut(range * width)) {
                part.of_projected.push(of_projected);
            }
        }
        let parts: Vec<Mutex<BackPart>> = parts.into_iter().map(Mutex::new).collect();
        parallel(parts.len(), &|n| {
            let Ok(mut part) = parts[n].lock() else {
                return;
            };
            let part = &mut *part;
            let rows = (queries.chunks_exact(width).zip(scores.chunks_exact(cells)))
                .zip(part.of_query.chunks_exact_mut(width));
            for (((query, scores), of_query), image) in rows.zip(images) {
                let of_projected = &mut *part.of_projected[*image as usize];
                let first = n * range;
                let scores = &scores[first..][..of_projected.len() / width];
                let projected = of(projected, *image, cells * width);
                let projected = &projected[first * width..][..of_projected.len()];
                let gradients = (of_query, of_projected, &mut *part.of_w);
                score_back(projected, query, w, scores, gradients);
            }
        });
        let of_query = Tensor::zeros([b, width as i64], (Kind::Float, Device::Cpu));
        for part in parts.into_iter().flat_map(Mutex::into_inner) {
            add(view_mut(&of_query), &part.of_query);
            add(view_mut(&into.full_att), &part.of_w);
        }
        of_query
    }

    /// `sum_i weights_i f_i`: (b, p) -> (b, C), into `context`.
    pub(super) fn context(&self, weights: &Tensor, context: &Tensor) {
        if let Some((features, _)) = &self.gathered {
            let features = features.narrow(0, 0, weights.size()[0]);
            let mut context = context.shallow_clone();
            context.copy_(&weights.unsqueeze(1).bmm(&features).squeeze_dim(1));
            return;
        }
        let [_, cells, width] = sizes(&self.images.features);
        let (features, weights) = (view(&self.images.features), view(weights));
        let images = self.image;
        by_rows(view_mut(context), width, &|row, context| {
            let features = of(features, images[row], cells * width);
            sum(features, &weights[row * cells..][..cells], context);
        });
    }

    /// Gradient of the weights of [`Cells::context`]: (b, C) -> (b, p).
    pub(super) fn context_back(&self, context: &Tensor) -> Tensor {
        let b = context.size()[0];
        if let Some((features, _)) = &self.gathered {
            return features
                .narrow(0, 0, b)
                .bmm(&context.unsqueeze(-1))
                .squeeze_dim(-1);
        }
        let [_, cells, width] = sizes(&self.images.features);
        let weights = Tensor::empty([b, cells as i64], (Kind::Float, Device::Cpu));
        let (features, context) = (view(&self.images.features), view(context));
        let images = self.image;
        by_rows(view_mut(&weights), cells, &|row, weights| {
            let features = of(features, images[row], cells * width);
            dots(features, &context[row * width..][..width], weights);
        });
        weights
    }

    /// Room for the gradients, 0.
    pub(super) fn gradients(&self) -> CellGradients {
        let projected = self.gathered.as_ref().map(|(_, projected)| projected);
        CellGradients {
            projected: projected.unwrap_or(&self.images.projected).zeros_like(),
            full_att: self.full_att.zeros_like(),
        }
    }

    /// The gradient of `projected`, (n, P, A).
    pub(super) fn of_projected(&self, gradients: CellGradients) -> Tensor {
        match self.gathered {
            Some(_) => {
                let index = Tensor::from_slice(self.image).to_device(self.images.device());
                let mut sum = self.images.projected.zeros_like();
                sum.index_add_(0, &index, &gradients.projected)
            }
            None => gradients.projected,
        }
    }
}

/// The numbers of an image, of all images'.
fn of(numbers: &[f32], image: i64, count: usize) -> &[f32] {
    &numbers[image as usize * count..][..count]
}

/// What one thread writes to in [`Cells::scores_back`].
struct BackPart<'a> {
    /// Its cells of each image.
    of_projected: Vec<&'a mut [f32]>,
    of_query: Vec<f32>,
    of_w: Vec<f32>,
}

fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}

/// Calls `of_row` with each row of `out`, some rows on each thread.
fn by_rows(out: &mut [f32], width: usize, of_row: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    let rows = (out.len() / width).div_ceil(threads()).max(1);
    let parts = out.chunks_mut(rows * width).map(Mutex::new);
    let parts: Vec<Mutex<&mut [f32]>> = parts.collect();
    parallel(parts.len(), &|part| {
        let Ok(mut out) = parts[part].lock() else {
            return;
        };
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            of_row(part * rows + row, out);
        }
    });
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

#[multiversion(targets("x86_64+avx2", "x86_64+avx512f"))]
fn score(projected: &[f32], query: &[f32], w: &[f32], scores: &mut [f32]) {
    for (cell, score) in projected.chunks_exact(query.len()).zip(scores) {
        let mut sums = [0.0; LANES];
        let mut rest = 0.0;
        let tail = query.len() / LANES * LANES;
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
        *score = sums.iter().sum::<f32>() + rest;
    }
}

/// Adds to the gradients of `query`, `projected` and `w`.
#[multiversion(targets("x86_64+avx2", "x86_64+avx512f"))]
fn score_back(
    projected: &[f32],
    query: &[f32],
    w: &[f32],
    scores: &[f32],
    (of_query, of_projected, of_w): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let width = query.len();
    for ((cell, of_cell), score) in (projected.chunks_exact(width))
        .zip(of_projected.chunks_exact_mut(width))
        .zip(scores)
    {
        let (of_query, of_w) = (&mut of_query[..width], &mut of_w[..width]);
        let (cell, of_cell, w) = (&cell[..width], &mut of_cell[..width], &w[..width]);
        for a in 0..width {
            let seen = cell[a] + query[a];
            let passed = if seen > 0.0 { score * w[a] } else { 0.0 };
            of_query[a] += passed;
            of_cell[a] += passed;
            of_w[a] += seen.max(0.0) * score;
        }
    }
}

/// `out = sum_i weights_i cells_i`.
#[multiversion(targets("x86_64+avx2", "x86_64+avx512f"))]
fn sum(cells: &[f32], weights: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    // Four cells at a time, so that `out` is read and written a quarter as often.
    let width = out.len();
    let mut fours = cells.chunks_exact(4 * width);
    let mut weights_of_fours = weights.chunks_exact(4);
    for (four, w) in fours.by_ref().zip(weights_of_fours.by_ref()) {
        let (a, rest) = four.split_at(width);
        let (b, rest) = rest.split_at(width);
        let (c, d) = rest.split_at(width);
        for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out += w[0] * a + w[1] * b + (w[2] * c + w[3] * d);
        }
    }
    let rest = fours.remainder().chunks_exact(width);
    for (cell, w) in rest.zip(weights_of_fours.remainder()) {
        for (out, number) in out.iter_mut().zip(cell) {
            *out += w * number;
        }
    }
}

/// `out_i = cells_i . vector`.
#[multiversion(targets("x86_64+avx2", "x86_64+avx512f"))]
fn dots(cells: &[f32], vector: &[f32], out: &mut [f32]) {
    for (cell, out) in cells.chunks_exact(vector.len()).zip(out) {
        let mut sums = [0.0; 2 * LANES];
        let tail = vector.len() / sums.len() * sums.len();
        for (x, y) in (cell.chunks_exact(2 * LANES)).zip(vector.chunks_exact(2 * LANES)) {
            for lane in 0..2 * LANES {
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

/// The numbers of a contiguous f32 tensor on the CPU.
fn view(tensor: &Tensor) -> &[f32] {
    assert!(tensor.is_contiguous() && tensor.kind() == Kind::Float);
    // SAFETY: contiguous f32 in this process's memory, alive as long as the tensor.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel()) }
}

/// The same, to write to: of a tensor that nothing else looks at meanwhile.
#[allow(
    clippy::mut_from_ref,
    reason = "a tensor is a shared handle of its numbers"
)]
fn view_mut(tensor: &Tensor) -> &mut [f32] {
    assert!(tensor.is_contiguous() && tensor.kind() == Kind::Float);
    // SAFETY: as above; the callers hold the only slice of this tensor.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) }
}
