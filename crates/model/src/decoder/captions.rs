//! Captions whose words are known.

use tch::{Device, Tensor};

/// Captions whose words are known: at least one, each of at least two tokens.
#[derive(Clone, Copy)]
pub struct Captions<'a> {
    /// Which of the n images each describes, B.
    pub image: &'a [i64],
    /// `<start>` … `<end>`, padded: i64 (B, L).
    pub tokens: &'a Tensor,
    /// Tokens of each, `<start>` and `<end>` included; descending.
    pub lengths: &'a [i64],
}

/// How captions are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// With dropout.
    pub dropout: bool,
    /// Scheduled sampling (Bengio et al. 2015): how often the word that the next step
    /// is told is drawn from the model's own distribution instead.
    pub own_words: f64,
}

impl Captions<'_> {
    /// B.
    pub fn len(&self) -> i64 {
        self.image.len() as i64
    }

    /// Whether there is no caption.
    pub fn is_empty(&self) -> bool {
        self.image.is_empty()
    }

    /// Which image each describes, on that device: i64 (B).
    pub fn images(&self, device: Device) -> Tensor {
        Tensor::from_slice(self.image).to_device(device)
    }

    /// b of each step t: captions that have a token t + 1.
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

/// Each step's first row and number of rows, where rows of all steps lie one after the
/// other.
pub fn steps(counts: &[i64]) -> Vec<(i64, i64)> {
    let ends = counts.iter().scan(0, |end, b| {
        *end += b;
        Some((*end - b, *b))
    });
    ends.collect()
}
