//! The backward pass of attention.

use super::{Activation, Cells, Layout, image_of, loops, sizes};
use crate::product::sum_by;
use crate::slices::{numbers, numbers_mut};
use crate::{parallel, threads};
use tch::{Device, Kind, Tensor};

/// Gradients that the backward pass accumulates step by step.
pub(in crate::decoder) struct CellGradients {
    /// Of the keys, (n, P, A), or (B, P, A) until [`Cells::of_keys`].
    keys: Tensor,
    /// Of `w`, (1, A).
    pub(in crate::decoder) vector: Tensor,
}

impl Cells<'_> {
    /// The backward pass of [`Cells::scores`]: adds to `into` and returns the gradient of
    /// `query` (b, A).
    pub(in crate::decoder) fn scores_back(
        &self,
        query: &Tensor,
        scores: &Tensor,
        into: &mut CellGradients,
    ) -> Tensor {
        match &self.layout {
            Layout::Copied { keys, .. } => self.copied_back(keys, query, scores, into),
            _ => self.fused_back(query, scores, into),
        }
    }

    fn copied_back(
        &self,
        keys: &Tensor,
        query: &Tensor,
        scores: &Tensor,
        into: &mut CellGradients,
    ) -> Tensor {
        let (b, wide) = (query.size()[0], query.kind());
        let seen = self.seen(keys, &query.to_kind(keys.kind())); // (b, P, A)
        let scores = scores.to_kind(seen.kind());
        let grad_w = scores.reshape([1, -1]).mm(&seen.flatten(0, 1)); // (1, A)
        into.vector += grad_w.to_kind(wide);
        let grad_seen = scores.unsqueeze(-1) * self.narrow_vector(); // (b, P, A)
        let passed = match self.activation {
            Activation::Relu => seen.threshold_backward(&grad_seen, 0.0),
            Activation::Tanh => Tensor::tanh_backward(&grad_seen, &seen),
        };
        let mut grad_first = into.keys.narrow(0, 0, b);
        grad_first += &passed;
        passed.sum_dim_intlist(1i64, false, wide)
    }

    fn fused_back(&self, query: &Tensor, scores: &Tensor, into: &mut CellGradients) -> Tensor {
        let [_, cells, width] = sizes(self.embedded.keys);
        let (query, scores) = (query.contiguous(), scores.contiguous());
        let (queries, scores) = (numbers(&query), numbers(&scores));
        let (keys, w) = (numbers(self.embedded.keys), numbers(&self.vector));
        let (images, activation) = (self.image, self.activation);
        // Each thread has some cells of all images; gradients of shared parameters are
        // added up afterwards, in the order of the cells.
        let range = cells.div_ceil(threads());
        let mut parts: Vec<BackPart> = (0..cells.div_ceil(range))
            .map(|_| BackPart {
                grad_keys: Vec::new(),
                grad_query: vec![0.0; queries.len()],
                grad_w: vec![0.0; width],
            })
            .collect();
        for image in numbers_mut(&mut into.keys).chunks_exact_mut(cells * width) {
            for (part, grad_keys) in parts.iter_mut().zip(image.chunks_mut(range * width)) {
                part.grad_keys.push(grad_keys);
            }
        }
        parallel(parts.iter_mut().collect(), |n, part| {
            let rows = (queries.chunks_exact(width).zip(scores.chunks_exact(cells)))
                .zip(part.grad_query.chunks_exact_mut(width));
            for (((query, scores), grad_query), image) in rows.zip(images) {
                let grad_keys = &mut *part.grad_keys[*image as usize];
                let first = n * range;
                let scores = &scores[first..][..grad_keys.len() / width];
                let keys = image_of(keys, *image, cells * width);
                let keys = &keys[first * width..][..grad_keys.len()];
                let gradients = (grad_query, grad_keys, &mut part.grad_w[..]);
                loops::score_back(activation, keys, query, w, scores, gradients);
            }
        });
        let mut grad_query = query.zeros_like();
        for part in &parts {
            add(numbers_mut(&mut grad_query), &part.grad_query);
            add(numbers_mut(&mut into.vector), &part.grad_w);
        }
        grad_query
    }

    /// Gradient of the weights of [`Cells::context`]: (b, C) -> (b, p).
    pub(in crate::decoder) fn context_back(&self, context: &Tensor) -> Tensor {
        let b = context.size()[0];
        if let Layout::Copied { values, .. } = &self.layout {
            let narrow = context.to_kind(values.kind()).unsqueeze(-1); // (b, C, 1)
            let weights = values.narrow(0, 0, b).bmm(&narrow).squeeze_dim(-1);
            return weights.to_kind(context.kind());
        }
        let [_, cells, width] = sizes(self.embedded.values);
        let mut weights = Tensor::empty([b, cells as i64], (Kind::Float, Device::Cpu));
        let context = context.contiguous();
        let (values, context) = (numbers(self.embedded.values), numbers(&context));
        self.by_image(numbers_mut(&mut weights), cells, &|image, row, weights| {
            let values = image_of(values, image, cells * width);
            let contexts = context[row * width..].chunks_exact(width);
            for (context, weights) in contexts.zip(weights.chunks_exact_mut(cells)) {
                loops::dots(values, context, weights);
            }
        });
        weights
    }

    /// The gradient of the values, (n, p, C), from those of all steps: `weights` (N, p) and the
    /// gradients of the contexts (N, C), whose rows belong to the captions `caption` (N).
    pub(in crate::decoder) fn of_values(
        &self,
        caption: &[i64],
        weights: &Tensor,
        context: &Tensor,
    ) -> Tensor {
        let size = self.embedded.values.size();
        let values = Tensor::empty(&size, (context.kind(), context.device()));
        let mut rows = vec![Vec::new(); size[0] as usize];
        for (row, caption) in (0i64..).zip(caption) {
            rows[self.image[*caption as usize] as usize].push(row);
        }
        for (image, rows) in (0..).zip(rows) {
            let rows = Tensor::from_slice(&rows).to_device(context.device());
            let [weights, context] = [weights, context].map(|all| all.index_select(0, &rows));
            let _ = weights.tr().mm_out(&values.get(image), &context);
        }
        values
    }

    /// Gradients to accumulate into, initially 0.
    pub(in crate::decoder) fn gradients(&self) -> CellGradients {
        let keys = match &self.layout {
            Layout::Copied { keys, .. } => keys,
            _ => self.embedded.keys,
        };
        let options = (self.vector.kind(), self.vector.device());
        CellGradients {
            keys: Tensor::zeros(keys.size(), options),
            vector: self.vector.zeros_like(),
        }
    }

    /// The gradient of the keys, (n, P, A).
    pub(in crate::decoder) fn of_keys(&self, gradients: CellGradients) -> Tensor {
        match self.layout {
            Layout::Copied { .. } => {
                let images = self.embedded.keys.size()[0];
                sum_by(self.image, images, &gradients.keys)
            }
            _ => gradients.keys,
        }
    }
}

/// The gradients that one thread computes in [`Cells::scores_back`].
struct BackPart<'a> {
    /// The thread's cells of each image.
    grad_keys: Vec<&'a mut [f32]>,
    grad_query: Vec<f32>,
    grad_w: Vec<f32>,
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
