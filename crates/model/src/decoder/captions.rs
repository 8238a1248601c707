//! Known captions, for teacher forcing.

use tch::{Device, Tensor};

/// A batch of known captions: at least one, each of at least two tokens.
#[derive(Clone, Copy)]
pub struct Captions<'a> {
    /// Which of the n images each caption describes, (B).
    pub image: &'a [i64],
    /// `<start>` … `<end>`, padded: i64 (B, L).
    pub tokens: &'a Tensor,
    /// Number of tokens of each caption, including `<start>` and `<end>`; descending.
    pub lengths: &'a [i64],
}

/// Options for a pass over captions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Whether to use dropout.
    pub dropout: bool,
    /// Scheduled sampling (Bengio et al. 2015): probability that a step's input word is
    /// drawn from the model's own distribution instead of taken from the caption. Decoders
    /// that read all words at once, as the transformer does, take each from the caption.
    pub own_words: f64,
    /// Hard attention (Xu et al. 2015, section 4.1): whether each step sees one cell of the
    /// attention grid, drawn by the attention, instead of the mean of all.
    pub hard: bool,
}

impl Captions<'_> {
    /// B, the number of captions.
    pub fn len(&self) -> i64 {
        self.image.len() as i64
    }

    /// Whether there is no caption.
    pub fn is_empty(&self) -> bool {
        self.image.is_empty()
    }

    /// The image of each caption, on `device`: i64 (B).
    pub fn images(&self, device: Device) -> Tensor {
        Tensor::from_slice(self.image).to_device(device)
    }

    /// For each step t, the number b of captions that have a token t + 1.
    pub fn counts(&self) -> Vec<i64> {
        let steps = self.lengths.first().map_or(0, |length| length - 1);
        let longer = |t: i64| self.lengths.partition_point(|length| length - 1 > t) as i64;
        (0..steps).map(longer).collect()
    }

    /// Tokens from position `first` on, step by step: i64 (N).
    pub fn packed(&self, counts: &[i64], first: i64) -> Tensor {
        let of_step =
            (counts.iter().zip(first..)).map(|(b, t)| self.tokens.select(1, t).narrow(0, 0, *b)); // (b)
        Tensor::cat(&of_step.collect::<Vec<_>>(), 0)
    }
}

/// Each step's first row and number of rows, if the rows of all steps are concatenated.
pub fn steps(counts: &[i64]) -> Vec<(i64, i64)> {
    let ends = counts.iter().scan(0, |end, b| {
        *end += b;
        Some((*end - b, *b))
    });
    ends.collect()
}
