//! Sets of numbers that are small and not exact.

/// A set of numbers, each as its last eight bits: numbers that are not found are not there,
/// those that are found may be.
#[derive(Clone, Copy, Default)]
pub(super) struct Bits([u32; 8]);

impl Bits {
    pub fn contains(&self, number: u32) -> bool {
        self.0[place(number)] & bit(number) != 0
    }

    /// The set, 32 bits in each part.
    pub fn parts(&self) -> &[u32; 8] {
        &self.0
    }

    /// Whether the sets may have a number in common.
    pub fn meets(&self, other: &Bits) -> bool {
        let both = self.0.iter().zip(&other.0).map(|(a, b)| a & b);
        both.fold(0, |any, bits| any | bits) != 0
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut bits = Bits::default();
        for number in numbers {
            bits.0[place(number)] |= bit(number);
        }
        bits
    }
}

fn place(number: u32) -> usize {
    number as usize / 32 % 8
}

fn bit(number: u32) -> u32 {
    1 << (number % 32)
}
