//! Additive attention (Bahdanau et al. 2015), forward and backward: the parts of a step that
//! use the cells.
//!
//! ```text
//! a = softmax(w . act(k_i + q))          z = sum_i a_i v_i
//! ```
//!
//! On the CPU, in f32, they are fused loops: `act(k_i + q)`, a hundred thousand numbers per
//! word, is never stored in memory, and the rows of one image share its cells; if they are
//! adjacent, each cell is read once for all of them. In other cases they are tensor
//! operations.
//!
//! Shapes: n images, P cells with keys, p cells with values, C channels of a value, A attention
//! width, B rows, b the first of them.

mod backward;
mod loops;

pub(super) use backward::CellGradients;
pub(super) use loops::Activation;

use super::slots::Slots;
use crate::slices::{is_readable, numbers, numbers_mut};
use crate::{parallel, threads};
use tch::{Device, Kind, Tensor};

/// Cells of images.
#[derive(Clone, Copy)]
pub(super) struct Embedded<'a> {
    pub values: &'a Tensor, // (n, p, C)
    pub keys: &'a Tensor,   // (n, P, A)
}

/// The cells that rows attend to.
pub(super) struct Cells<'a> {
    embedded: Embedded<'a>,
    /// The image of each row, (B).
    pub image: &'a [i64],
    activation: Activation,
    vector: Tensor, // w, (1, A)
    layout: Layout,
}

/// Where the loops are not fused, all have the kind that products are computed in; arguments
/// and results have the weights' kind.
enum Layout {
    /// Loops over the images' own cells.
    Fused,
    /// A copy of the cells for each row.
    Copied {
        values: Tensor, // (B, p, C)
        keys: Tensor,   // (B, P, A)
    },
    /// As many rows for each image as one has at most.
    Even(Slots),
}

impl<'a> Cells<'a> {
    /// For teacher forcing: B captions, of which each step has the first b, and a backward
    /// pass. `vector` is w, (1, A).
    pub(super) fn of_captions(
        embedded: Embedded<'a>,
        image: &'a [i64],
        (activation, vector): (Activation, &Tensor),
    ) -> Cells<'a> {
        Cells::new(embedded, image, (activation, vector), || {
            let index = Tensor::from_slice(image).to_device(embedded.values.device());
            Layout::Copied {
                values: embedded.values.index_select(0, &index),
                keys: embedded.keys.index_select(0, &index),
            }
        })
    }

    /// For one step of a search, of all B rows.
    pub(super) fn of_hypotheses(
        embedded: Embedded<'a>,
        image: &'a [i64],
        (activation, vector): (Activation, &Tensor),
    ) -> Cells<'a> {
        Cells::new(embedded, image, (activation, vector), || {
            let (values, images) = (embedded.values, embedded.values.size()[0]);
            Layout::Even(Slots::new(images, image, values.device()))
        })
    }

    fn new(
        embedded: Embedded<'a>,
        image: &'a [i64],
        (activation, vector): (Activation, &Tensor),
        unfused: impl FnOnce() -> Layout,
    ) -> Cells<'a> {
        let is_fused = is_readable(embedded.values);
        Cells {
            layout: if is_fused { Layout::Fused } else { unfused() },
            embedded,
            image,
            activation,
            vector: vector.detach(),
        }
    }

    /// `w . act(k + query)`: `query` (b, A) -> (b, P).
    pub(super) fn scores(&self, query: &Tensor) -> Tensor {
        let narrow = || query.to_kind(self.embedded.keys.kind());
        match &self.layout {
            Layout::Fused => {
                let [_, cells, width] = sizes(self.embedded.keys);
                let size = [query.size()[0], cells as i64];
                let mut scores = Tensor::empty(size, (Kind::Float, Device::Cpu));
                let query = query.contiguous();
                let (keys, w) = (numbers(self.embedded.keys), numbers(&self.vector));
                let (queries, activation) = (numbers(&query), self.activation);
                self.by_image(numbers_mut(&mut scores), cells, &|image, row, scores| {
                    let keys = image_of(keys, image, cells * width);
                    loops::score(activation, keys, &queries[row * width..], w, scores);
                });
                scores
            }
            Layout::Copied { keys, .. } => {
                let scores = self.seen(keys, &narrow()).matmul(&self.narrow_vector());
                scores.to_kind(query.kind())
            }
            Layout::Even(slots) => {
                let query = slots.spread(&narrow()).unsqueeze(2); // (n, m, 1, A)
                let sums = self.embedded.keys.unsqueeze(1) + query; // (n, m, P, A)
                let scores = self.act(sums).matmul(&self.narrow_vector()); // (n, m, P)
                slots.collect(&scores).to_kind(self.vector.kind())
            }
        }
    }

    /// `sum_i weights_i v_i`: (b, p) -> (b, C), into `context`.
    pub(super) fn context(&self, weights: &Tensor, context: &Tensor) {
        let mut context = context.shallow_clone();
        match &self.layout {
            Layout::Fused => {
                let [_, cells, width] = sizes(self.embedded.values);
                let (values, weights) = (numbers(self.embedded.values), numbers(weights));
                self.by_image(numbers_mut(&mut context), width, &|image, row, context| {
                    let values = image_of(values, image, cells * width);
                    loops::sum(values, &weights[row * cells..], cells, context);
                });
            }
            Layout::Copied { values, .. } => {
                let values = values.narrow(0, 0, weights.size()[0]);
                let weights = weights.to_kind(values.kind()).unsqueeze(1); // (b, 1, p)
                let mut context = context.unsqueeze(1);
                if context.kind() == values.kind() {
                    let _ = weights.bmm_out(&context, &values);
                } else {
                    context.copy_(&weights.bmm(&values));
                }
            }
            Layout::Even(slots) => {
                let values = self.embedded.values;
                let weights = slots.spread(&weights.to_kind(values.kind())); // (n, m, p)
                context.copy_(&slots.collect(&weights.bmm(values)));
            }
        }
    }

    /// `act(k + query)`: `query` (b, A) -> (b, P, A).
    fn seen(&self, keys: &Tensor, query: &Tensor) -> Tensor {
        self.act(keys.narrow(0, 0, query.size()[0]) + query.unsqueeze(1))
    }

    fn act(&self, mut sums: Tensor) -> Tensor {
        match self.activation {
            Activation::Relu => sums.relu_(),
            Activation::Tanh => sums.tanh_(),
        }
    }

    /// w, (A), of the cells' kind.
    fn narrow_vector(&self) -> Tensor {
        let kind = self.embedded.keys.kind();
        self.vector.squeeze_dim(0).to_kind(kind)
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

fn sizes(tensor: &Tensor) -> [usize; 3] {
    let size = tensor.size();
    [size[0] as usize, size[1] as usize, size[2] as usize]
}
