//! Teacher forcing: a pass over known captions, forward and backward.

use super::layers::{merged, positions, sum_back};
use super::tape::{Tape, Way};
use super::{Decoded, EMBEDDING, Encoded, Transformer};
use crate::decoder::dropout::{dropped, through, through_relu};
use crate::decoder::slots::Slots;
use crate::decoder::{Captions, Gradients, Images, Output, OutputGradients, Pass, Reading};
use std::rc::Rc;
use tch::Tensor;

/// A pass, and what its way back needs.
pub(super) struct Read<'a> {
    decoder: &'a Transformer,
    output: Output,
    images: &'a Images,
    /// Dropout of the embedded cells.
    of_cells: f64,
    encoded: Encoded,
    inputs: Tensor, // (N) tokens
    /// Dropout of the embedded words, (N, D).
    mask: Option<Tensor>,
    decoded: Decoded,
    by_image: Rc<Slots>,
}

impl Transformer {
    /// Reads captions; keeps what the way back needs.
    pub(super) fn forward<'a>(
        &'a self,
        images: &'a Images,
        captions: Captions,
        reading: Reading,
    ) -> Read<'a> {
        let cells = &images.rows.tensors()[0];
        let w = self.weights.in_kind(cells.kind(), EMBEDDING);
        let layers = self.layers(&w, reading.dropout);
        let (known, encoded) = self.encode(&layers, cells, images, Tape::new(true));
        let counts = captions.counts();
        let steps = counts.len() as i64;
        let caption: Vec<i64> = counts.iter().flat_map(|b| 0..*b).collect();
        let of_row = |row: &i64| captions.image[*row as usize];
        let image: Vec<i64> = caption.iter().map(of_row).collect();
        let step: Vec<i64> = (0..)
            .zip(&counts)
            .flat_map(|(t, b)| vec![t; *b as usize])
            .collect();
        let device = cells.device();
        let by_image = Rc::new(Slots::new(images.len(), &image, device));
        let by_caption = Rc::new(Slots::new(captions.len(), &caption, device));
        let like = w.get(EMBEDDING);
        let step = Tensor::from_slice(&step).to_device(device);
        let positions = positions(steps, self.config.hidden, like).index_select(0, &step);
        let inputs = captions.packed(&counts, 0);
        let x = self.embed(&w, &inputs, &positions); // (N, D)
        let (x, mask) = dropped(x, layers.dropout);
        let future = Tensor::full([steps, steps], f64::NEG_INFINITY, (like.kind(), device)).triu(1);
        let own = |_, all: [Tensor; 3]| {
            let [query, key, value] = all.map(|rows| layers.heads(&by_caption.spread(&rows)));
            let attended = layers.attend(&query, [&key, &value], Some(&future));
            let context = by_caption.collect(&attended.context);
            let slots = by_caption.clone();
            let back = move |grad: Tensor| {
                let grads = attended.back(&slots.spread(&grad), None);
                grads.map(|grad| slots.collect(&merged(&grad)))
            };
            (context, back)
        };
        let tape = Tape::new(true);
        let ([logits, attention], decoded) = self.decode(&layers, x, &known, &by_image, tape, own);
        Read {
            decoder: self,
            output: Output {
                logits,
                targets: captions.packed(&counts, 1),
                attention,
                drawn: None,
                counts,
            },
            images,
            of_cells: layers.of_cells,
            encoded,
            inputs,
            mask,
            decoded,
            by_image,
        }
    }
}

impl Read<'_> {
    /// The backward pass; if `of_cells`, returns the gradient of the encoder's cells.
    fn go_back(
        self,
        gradients: &OutputGradients,
        into: &Gradients,
        of_cells: bool,
    ) -> Option<Tensor> {
        let Decoded { tape, norm, output } = self.decoded;
        let heads = self.decoder.sizes.heads as f64;
        let attention = self.by_image.spread(&gradients.attention) / heads; // of each head
        let mut way = Way {
            into,
            attention: Some(attention.unsqueeze(1)),
            known: Vec::new(),
        };
        let grad = norm.back(&output.back(&gradients.logits, into), into);
        let grad = through(tape.back(grad, &mut way), &self.mask) * self.decoder.scale();
        let table = into.view(EMBEDDING);
        let words = table.size()[0];
        let grad = Tensor::embedding_dense_backward(&grad, &self.inputs, words, -1, false);
        into.add(table, &grad);

        let Encoded {
            embedding,
            embedded,
            tape,
            norm,
            maps,
        } = self.encoded;
        let known = way.known.drain(..).rev().flatten();
        let grad = sum_back(maps, known, into);
        let grad = tape.back(norm.back(&grad, into), &mut way);
        let grad = through_relu(&embedded, &grad, self.of_cells);
        let grad = self.images.resampling.spread_back(grad); // (n, p, D)
        if of_cells {
            return Some((self.images.resampling).keep_back(embedding.back(&grad, into)));
        }
        embedding.write(&grad, into);
        None
    }
}

impl Pass for Read<'_> {
    fn output(&self) -> &Output {
        &self.output
    }

    fn backward(
        self: Box<Self>,
        gradients: OutputGradients,
        into: &mut Gradients,
        of_cells: bool,
    ) -> Option<Tensor> {
        let kind = self.images.kind();
        into.pass(kind, |into| self.go_back(&gradients, into, of_cells))
    }
}
