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

/// The matches of the alignment that the search finds, in the order of the
/// reference. `hypothesis` and `reference` are lengths in words.
pub(super) fn align(matches: &Matches, hypothesis: usize, reference: usize) -> Vec<Match> {
    let alone = alone(matches, hypothesis, reference);
    let certain = |word| match matches.starting_at(word) {
        [m] if alone(m) => Some(*m),
        _ => None,
    };
    let certain = (0..reference).map(certain);
    if certain.clone().flatten().count() == matches.all().len() {
        return certain.flatten().collect();
    }
    let mut search = Search {
        matches,
        chosen: Vec::new(),
        taken: vec![false; reference],
        certain: certain.collect(),
    };
    for m in search.certain.iter().flatten() {
        search.taken[m.reference.range()].fill(true);
    }
    search.run(hypothesis)
}

/// Says of a match whether it competes with no other.
fn alone(matches: &Matches, hypothesis: usize, reference: usize) -> impl Fn(&Match) -> bool {
    let mut uses = vec![0u32; hypothesis + reference];
    let both = move |m: &Match| {
        let theirs = m.reference.range();
        (m.hypothesis.range()).chain(hypothesis + theirs.start..hypothesis + theirs.end)
    };
    for m in matches.all() {
        both(m).for_each(|word| uses[word] += 1);
    }
    move |m| both(m).all(|word| uses[word] == 1)
}

struct Search<'a> {
    matches: &'a Matches,
    certain: Vec<Option<Match>>,
    /// Whether each word of the reference is part of a certain match.
    taken: Vec<bool>,
    /// The choices of all paths, each with the index of the previous choice on its path.
    chosen: Vec<(Option<u32>, Match)>,
}

/// A partial alignment, which covers the words of the reference before `next`.
#[derive(Clone, Copy)]
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
    /// Index of the last choice in [`Search::chosen`].
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
    fn new(words: usize) -> Self {
        Beam {
            paths: Vec::new(),
            used: Vec::new(),
            order: Vec::new(),
            stride: words.div_ceil(64),
        }
    }

    fn push(&mut self, path: Path, used: &[u64]) {
        self.paths.push(path);
        self.used.extend_from_slice(used);
    }

    fn used(&self, i: usize) -> &[u64] {
        &self.used[i * self.stride..][..self.stride]
    }

    fn clear(&mut self) {
        self.paths.clear();
        self.used.clear();
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

impl Search<'_> {
    fn run(mut self, hypothesis: usize) -> Vec<Match> {
        let mut beam = Beam::new(hypothesis);
        let mut next = Beam::new(hypothesis);
        let mut used = vec![0; beam.stride];
        for m in self.certain.iter().flatten() {
            mark(&mut used, m);
        }
        let start = Path {
            next: 0,
            matched: 0,
            chunks: 0,
            distance: 0,
            open: None,
            last: None,
        };
        beam.push(start, &used);
        for word in 0..self.taken.len() {
            next.clear();
            beam.sort();
            for &(_, i) in &beam.order {
                self.extend(beam.paths[i], beam.used(i), word, &mut next);
            }
            std::mem::swap(&mut beam, &mut next);
        }
        beam.sort();
        let mut paths: Vec<Path> = beam.order.iter().map(|&(_, i)| beam.paths[i]).collect();
        paths.iter_mut().for_each(Path::close);
        let best = paths.iter().min_by_key(|path| path.rank()); // the first of equals
        self.trace(best.and_then(|path| path.last))
    }

    /// Adds to `next` all continuations of a path at a word of the reference.
    fn extend(&mut self, mut path: Path, used: &[u64], word: usize, next: &mut Beam) {
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
        for m in self.matches.starting_at(word) {
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

    /// The certain matches, plus the choices of the path that ends with `last`.
    fn trace(self, mut last: Option<u32>) -> Vec<Match> {
        let mut matches = self.certain;
        while let Some((before, m)) = last.map(|last| self.chosen[last as usize]) {
            matches[m.reference.start] = Some(m);
            last = before;
        }
        matches.into_iter().flatten().collect()
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
