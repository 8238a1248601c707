//! Which words of two captions may match: sixteen of one caption are compared with a word of
//! the other at once.

use super::lexicon::Forms;
use multiversion::multiversion;

const LANES: usize = 16;

/// A caption's words, with which those of others are compared.
#[derive(Default)]
pub(super) struct Alike {
    blocks: Vec<Block>,
    words: usize,
}

/// The [`Forms`] of sixteen words, by form.
#[derive(Default)]
struct Block {
    hash: [i32; LANES],
    stem: [i32; LANES],
    synsets: [[u32; LANES]; 8],
}

impl Alike {
    /// Takes the place of the words before.
    pub fn set(&mut self, words: &[Forms]) {
        self.words = words.len();
        self.blocks.clear();
        for words in words.chunks(LANES) {
            let mut block = Block::default();
            for (lane, word) in words.iter().enumerate() {
                block.hash[lane] = word.hash;
                block.stem[lane] = word.stem;
                let bits = block.synsets.iter_mut().zip(word.synsets.parts());
                bits.for_each(|(of_block, of_word)| of_block[lane] = *of_word);
            }
            self.blocks.push(block);
        }
    }

    /// For each of `words`, the set of words here whose hash or stem is the same or whose
    /// synonym sets may have one in common; `sets` takes its place in blocks.
    pub fn find(&self, words: &[Forms], sets: &mut Vec<u16>) {
        sets.clear();
        sets.resize(words.len() * self.blocks.len(), 0);
        if !self.blocks.is_empty() {
            compare(&self.blocks, words, sets);
        }
    }

    /// The places of the words of a set that [`Alike::find`] has found, ascending.
    pub fn places<'a>(&self, sets: &'a [u16], word: usize) -> impl Iterator<Item = usize> + 'a {
        let (blocks, words) = (self.blocks.len(), self.words);
        let sets = sets[word * blocks..][..blocks].iter().enumerate();
        sets.flat_map(|(block, set)| {
            let mut left = *set;
            std::iter::from_fn(move || {
                let place = (left != 0).then(|| block * LANES + left.trailing_zeros() as usize);
                left &= left.wrapping_sub(1);
                place
            })
        })
        .take_while(move |place| *place < words)
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn compare(blocks: &[Block], words: &[Forms], sets: &mut [u16]) {
    for (word, sets) in words.iter().zip(sets.chunks_exact_mut(blocks.len())) {
        for (block, set) in blocks.iter().zip(sets) {
            let mut both = [0; LANES];
            for (of_block, of_word) in block.synsets.iter().zip(word.synsets.parts()) {
                for lane in 0..LANES {
                    both[lane] |= of_block[lane] & of_word;
                }
            }
            for (lane, both) in both.into_iter().enumerate() {
                let same = (block.hash[lane] == word.hash) | (block.stem[lane] == word.stem);
                *set |= u16::from(same | (both != 0)) << lane;
            }
        }
    }
}
