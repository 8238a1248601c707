//! The backward pass from the gradients of logits and attention, written by hand.
//!
//! Only the gradients of the state are propagated from step to step; those of the weights are
//! one product each over the rows of all steps.

use super::linear::Products;
use super::read::Read;
use super::{
    Activation, Attended, Cells, Core, EMBEDDING, KEYS, Known, LOGITS, QUERY, VALUES, VECTOR,
    VECTOR_BIAS,
};
use crate::decoder::captions::steps;
use crate::decoder::dropout::{self, through_relu};
use crate::decoder::{Gradients, Output, OutputGradients, Pass};
use crate::product::sum_by;
use tch::Tensor;

/// Gradients of what depends on the images alone.
struct OfImages {
    values: Tensor, // (n, P, H), by the sums of the steps
    keys: Tensor,   // (n, P, A)
}

impl<C: Core> Pass for Read<'_, C> {
    fn output(&self) -> &Output {
        &self.output
    }

    fn backward(
        self: Box<Self>,
        gradients: OutputGradients,
        into: &mut Gradients,
        of_cells: bool,
    ) -> Option<Tensor> {
        into.pass(self.images.kind(), |into| {
            let grad_hidden = LOGITS.back(&self.w, &self.dropped, &gradients.logits, into);
            let grad_hidden = dropout::through(grad_hidden, &self.mask);
            let (gates, of_images) = self.through_steps(&grad_hidden, &gradients.attention, into);
            self.through_words(&gates, into);
            let of_mean = self.through_whole(&gates, into);
            self.through_cells(of_images, of_mean, into, of_cells)
        })
    }
}

impl<C: Core> Read<'_, C> {
    /// The backward pass of the steps, the last one first: the gradients of the known parts of
    /// the gates (N, …), and of the images.
    fn through_steps(
        &self,
        grad_hidden: &Tensor,
        grad_attention: &Tensor,
        into: &Gradients,
    ) -> (Tensor, OfImages) {
        let core = &self.decoder.core;
        let scored = (Activation::Tanh, self.w.get(VECTOR));
        let cells = Cells::of_captions(Known::new(&self.known).embedded, self.image, scored);
        let mut of_cells = cells.gradients();
        let mut products = Products::new(&self.w, self.output.captions());
        let mut state = self.decoder.start(0);
        let (mut gates, mut contexts) = (Vec::new(), Vec::new());
        let steps = steps(&self.output.counts);
        for ((at, b), kept) in steps.into_iter().zip(&self.kept).rev() {
            let at_step = |all: &Tensor| all.narrow(0, at, b);
            // The state of captions that end here is not used any more.
            let mut after: Vec<Tensor> = (state.iter())
                .map(|grad| grad.constant_pad_nd([0, 0, 0, b - grad.size()[0]]))
                .collect();
            after[0] += at_step(grad_hidden);
            let mut attend_back = |attended: &Attended,
                                   grad_context: Tensor,
                                   products: &mut Products,
                                   h: &Tensor| {
                let Attended { query, alpha, .. } = attended;
                let grad_alpha = cells.context_back(&grad_context) + at_step(grad_attention);
                let grad_scores =
                    Tensor::internal_softmax_backward_data(&grad_alpha, alpha, -1, alpha.kind());
                let grad_query = cells.scores_back(query, &grad_scores, &mut of_cells);
                contexts.push(grad_context);
                products.back(&QUERY, h, &grad_query)
            };
            let before = core.back(kept, &after, &mut products, &mut attend_back);
            gates.push(before.known);
            state = before.state;
        }
        products.write(into);
        for all in [&mut gates, &mut contexts] {
            all.reverse();
        }
        into.add(into.view(VECTOR), &of_cells.vector);
        // This bias does not change the softmax.
        let bias = into.view(VECTOR_BIAS);
        into.add(bias, &bias.zeros_like());
        let of_images = OfImages {
            values: cells.of_values(
                &self.output.caption_of_row(),
                &self.output.attention,
                &Tensor::cat(&contexts, 0),
            ),
            keys: cells.of_keys(of_cells),
        };
        (Tensor::cat(&gates, 0), of_images)
    }

    /// The backward pass of the words.
    fn through_words(&self, gates: &Tensor, into: &Gradients) {
        let word = self.decoder.word();
        let grad = word.back(&self.w, &self.words, gates, into); // (N, E)
        let grad = through_relu(&self.words, &grad, self.dropout);
        let count = self.decoder.vocabulary();
        let grad = Tensor::embedding_dense_backward(&grad, &self.inputs, count, -1, false);
        into.add(into.view(EMBEDDING), &grad);
    }

    /// The backward pass of the images' part of the gates: the gradient of the mean of the
    /// attention cells (n, C), if there is such a part.
    fn through_whole(&self, gates: &Tensor, into: &Gradients) -> Option<Tensor> {
        let [v, _] = Known::new(&self.known).whole?;
        let [of_mean, of_v] = self.decoder.core.whole()?;
        let caption = self.output.caption_of_row();
        let image: Vec<i64> = (caption.iter())
            .map(|caption| self.image[*caption as usize])
            .collect();
        let part = sum_by(&image, self.images.len(), gates); // (n, …)
        let grad = of_v.back(&self.w, v, &part, into);
        let grad = through_relu(v, &grad, self.dropout); // (n, H)
        let mean = (self.images.resampling).mean(&self.images.rows.tensors()[0], v.kind());
        Some(of_mean.back(&self.w, &mean, &grad, into))
    }

    /// The backward pass of values and keys, and of the mean. If `of_cells`, returns the
    /// gradient of the encoder's cells.
    fn through_cells(
        &self,
        of_images: OfImages,
        of_mean: Option<Tensor>,
        into: &Gradients,
        of_cells: bool,
    ) -> Option<Tensor> {
        let rows = |all: &Tensor| all.flatten(0, 1);
        let cells = &self.images.rows.tensors()[0]; // (n, p, C)
        let values = &self.known[0];
        let of_keys = KEYS.back(&self.w, &rows(values), &rows(&of_images.keys), into);
        let grad = rows(&of_images.values) + of_keys; // (n P, H)
        let grad = through_relu(&rows(values), &grad, self.dropout);
        let grad = self.images.resampling.spread_back(grad.view_as(values)); // (n, p, H)
        if !of_cells {
            VALUES.write(&rows(cells), &rows(&grad), into);
            return None;
        }
        let grad = VALUES.back(&self.w, &rows(cells), &rows(&grad), into);
        let mut grad = grad.view_as(cells);
        if let Some(of_mean) = of_mean {
            grad += self.images.resampling.mean_back(&of_mean, cells.size()[1]);
        }
        Some(self.images.resampling.keep_back(grad))
    }
}
