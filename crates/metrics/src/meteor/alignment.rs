//! The search for the best alignment of two captions.
//!
//! An alignment is a selection from the possible matches that uses each word at
//! most once. The best one matches the most words, in the fewest chunks (runs that
//! are contiguous and in the same order in both captions), with the smallest
//! distance between matched words. The tool runs a beam search over the words of
//! the reference. This module makes the same choices, so that it ends at the same
//! alignment even if that is not the best.

use super::matching::{Match, Matcher, Matches};

/// Number of partial alignments kept at each word.
const BEAM: usize = 40;

/// Aligns one pair of captions after another; each takes the memory of the one before.
#[derive(Default)]
pub(super) struct Aligner {
    /// How many matches use each word of the hypothesis, then of the reference.
    uses: Vec<u32>,
    /// The match that starts at each word of the reference, if it competes with no other; in
    /// the end, the one that is chosen there.
    certain: Vec<Option<Match>>,
    /// Whether each word of the reference is part of a certain match.
    taken: Vec<bool>,
    /// The choices of all paths, each with the index of the previous choice on its path.
    chosen: Vec<(Option<u32>, Match)>,
    beams: [Beam; 2],
    alignment: Vec<Match>,
}

impl Aligner {
    /// The matches of the alignment that the search finds, in the order of the reference.
    /// `hypothesis` and `reference` are lengths in words.
    pub fn align(&mut self, matches: &Matches, hypothesis: usize, reference: usize) -> &[Match] {
        let words = |m: &Match| {
            let theirs = m.reference.range();
            (m.hypothesis.range()).chain(hypothesis + theirs.start..hypothesis + theirs.end)
        };
        self.uses.clear();
        self.uses.resize(hypothesis + reference, 0);
        for m in matches.all() {
            words(m).for_each(|word| self.uses[word] += 1);
        }
        let alone = |m: &Match| words(m).all(|word| self.uses[word] == 1);
        self.certain.clear();
        self.certain
            .extend((0..reference).map(|word| match matches.starting_at(word) {
                [m] if alone(m) => Some(*m),
                _ => None,
            }));
        if self.certain.iter().flatten().count() < matches.all().len() {
            self.search(matches, hypothesis);
        }
        self.alignment.clear();
        self.alignment.extend(self.certain.iter().flatten());
        &self.alignment
    }
}

/// A partial alignment, which covers the words of the reference before `next`.
#[derive(Clone, Copy, Default)]
struct Path {
    next: usize,
    /// Words matched in both captions. Inexact matches count half, rounded down, so that
    /// one between single words counts 0.
    matched: usize,
    /// Number of closed chunks.
    chunks: usize,
    distance: usize,
    /// The end of the open chunk in the hypothesis.
    open: Option<usize>,
    /// Index of the last choice in [`Aligner::chosen`].
    last: Option<u32>,
}

impl Path {
    /// Smaller for better paths: by words, then chunks, then distance, in one number. Fewer
    /// than 2^32 words are in memory.
    fn rank(&self) -> u128 {
        let unmatched = u128::from(!(self.matched as u32));
        unmatched << 96 | (self.chunks as u128) << 64 | self.distance as u128
    }

    fn take(&mut self, m: &Match) {
        let weight = |length| match m.matcher {
            Matcher::Exact => length,
            _ => length / 2,
        };
        self.matched += weight(m.hypothesis.length) + weight(m.reference.length);
        if self.open.is_some_and(|end| end != m.hypothesis.start) {
            self.chunks += 1;
        }
        self.open = Some(m.hypothesis.range().end);
        self.next = m.reference.range().end;
    }

    fn close(&mut self) {
        self.chunks += usize::from(self.open.take().is_some());
    }
}

fn distance(m: &Match) -> usize {
    m.hypothesis.start.abs_diff(m.reference.start)
}

/// Paths, each with the set of words of the hypothesis that it uses.
#[derive(Default)]
struct Beam {
    paths: Vec<Path>,
    /// The bit sets of all paths, one after another.
    used: Vec<u64>,
    /// `u64`s per set.
    stride: usize,
    /// Ranks and indices of paths.
    order: Vec<(u128, usize)>,
}

impl Beam {
    fn push(&mut self, path: Path, used: &[u64]) {
        self.paths.push(path);
        self.used.extend_from_slice(used);
    }

    fn used(&self, i: usize) -> &[u64] {
        &self.used[i * self.stride..][..self.stride]
    }

    /// Without paths, for a hypothesis of so many words.
    fn clear(&mut self, words: usize) {
        self.paths.clear();
        self.used.clear();
        self.stride = words.div_ceil(64);
    }

    /// Sorts the best paths into `order`, best first; equal ones in the order in which they
    /// were found.
    fn sort(&mut self) {
        self.order.clear();
        self.order
            .extend(self.paths.iter().map(Path::rank).zip(0..));
        if self.order.len() > BEAM {
            self.order.select_nth_unstable(BEAM);
            self.order.truncate(BEAM);
        }
        self.order.sort_unstable();
    }
}

impl Aligner {
    /// Adds the matches that the search chooses to the certain ones.
    fn search(&mut self, matches: &Matches, hypothesis: usize) {
        let [mut beam, mut next] = std::mem::take(&mut self.beams);
        beam.clear(hypothesis);
        self.taken.clear();
        self.taken.resize(self.certain.len(), false);
        self.chosen.clear();
        beam.paths.push(Path::default());
        beam.used.resize(beam.stride, 0);
        for m in self.certain.iter().flatten() {
            self.taken[m.reference.range()].fill(true);
            mark(&mut beam.used, m);
        }
        for word in 0..self.taken.len() {
            next.clear(hypothesis);
            beam.sort();
            for &(_, i) in &beam.order {
                self.extend(matches, (beam.paths[i], beam.used(i)), word, &mut next);
            }
            std::mem::swap(&mut beam, &mut next);
        }
        beam.sort();
        beam.paths.iter_mut().for_each(Path::close);
        let paths = beam.order.iter().map(|&(_, i)| &beam.paths[i]);
        let best = paths.min_by_key(|path| path.rank()); // the first of equals
        self.trace(best.and_then(|path| path.last));
        self.beams = [beam, next];
    }

    /// Adds to `next` all continuations of a path at a word of the reference.
    fn extend(
        &mut self,
        matches: &Matches,
        (mut path, used): (Path, &[u64]),
        word: usize,
        next: &mut Beam,
    ) {
        if word < path.next {
            next.push(path, used);
            return;
        }
        if let Some(m) = &self.certain[word] {
            path.take(m);
            path.distance += distance(m);
            next.push(path, used);
            return;
        }
        for m in matches.starting_at(word) {
            if self.taken[m.reference.range()].contains(&true) || overlaps(used, m) {
                continue;
            }
            let mut longer = path;
            longer.take(m);
            longer.last = Some(self.chosen.len() as u32); // at most 40 paths a word
            self.chosen.push((path.last, *m));
            next.push(longer, used);
            let at = next.used.len() - next.stride;
            mark(&mut next.used[at..], m);
            // the tool adds a match's distance to the path being extended, not to
            // the new path, and so to all later extensions of that path
            path.distance += distance(m);
        }
        path.close();
        path.next += 1;
        next.push(path, used);
    }

    /// Adds the choices of the path that ends with `last`.
    fn trace(&mut self, mut last: Option<u32>) {
        while let Some((before, m)) = last.map(|last| self.chosen[last as usize]) {
            self.certain[m.reference.start] = Some(m);
            last = before;
        }
    }
}

/// Adds the words that a match covers in the hypothesis to a set.
fn mark(used: &mut [u64], m: &Match) {
    for word in m.hypothesis.range() {
        used[word / 64] |= 1 << (word % 64);
    }
}

/// Whether a set has any of the words that a match covers in the hypothesis.
fn overlaps(used: &[u64], m: &Match) -> bool {
    let mut words = m.hypothesis.range();
    words.any(|word| used[word / 64] >> (word % 64) & 1 == 1)
}
