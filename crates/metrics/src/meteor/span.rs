//! Runs of words.

/// A run of consecutive words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub start: usize,
    pub length: usize,
}

impl Span {
    pub fn word(start: usize) -> Span {
        Span { start, length: 1 }
    }

    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.start + self.length
    }
}
