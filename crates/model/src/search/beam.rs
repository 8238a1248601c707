//! Beam search, with or without groups.

use super::candidates::{Candidate, best};
use super::constraints::{Allowed, allowed, never};
use super::ensemble::Ensemble;
use super::hypothesis::{Ended, Hypothesis, ranked};
use super::options::SearchOptions;
use super::path::Path;

/// A hypothesis that goes on.
struct Row {
    path: Path,
    log_prob: f64,
}

/// The hypotheses of one image, in groups.
struct Beam {
    groups: Vec<Group>,
    found: Vec<Ended>,
}

/// Hypotheses that compete for the same places.
struct Group {
    rows: Vec<Row>,
    /// Those that ended took theirs with them.
    places: usize,
}

/// The rows of the next step: each one's row in this step, and its token.
type Next = Vec<(usize, i64)>;

pub(super) fn search(mut models: Ensemble, options: &SearchOptions) -> Vec<Vec<Hypothesis>> {
    let mut beams: Vec<Beam> = (0..models.images()).map(|_| Beam::new(options)).collect();
    let mut attention = Vec::new();
    // Before the first word, each group has one row.
    let of_image = |(image, beam): (usize, &Beam)| vec![(image, options.start); beam.groups.len()];
    let mut next: Next = beams.iter().enumerate().flat_map(of_image).collect();
    models.select(&parents(&next));
    let mut mask = Vec::new();
    for length in 0..=options.max_length {
        if next.is_empty() {
            break;
        }
        let tokens: Vec<i64> = next.iter().map(|(_, token)| *token).collect();
        let (log_probs, alpha) = models.step(&tokens);
        attention.push(alpha);
        if mask.is_empty() {
            mask = never(options, log_probs.size()[1] as usize);
        }
        let rows = beams.iter().flat_map(Beam::rows);
        let allowed: Vec<Allowed> = rows.map(|row| allowed(&row.path, options)).collect();
        let candidates = best(&log_probs, &allowed, &mask, options.beam.max(1));
        next.clear();
        let mut first = 0;
        for beam in &mut beams {
            let rows = beam.rows().count();
            beam.advance(&candidates, first, options, length, &mut next);
            first += rows;
        }
        models.select(&parents(&next));
    }
    let found = beams.into_iter().map(|beam| beam.found).collect();
    ranked(found, &attention, options.keep)
}

fn parents(next: &Next) -> Vec<usize> {
    next.iter().map(|(row, _)| *row).collect()
}

impl Beam {
    fn new(options: &SearchOptions) -> Beam {
        let groups = options.groups.clamp(1, options.beam.max(1));
        let group = |group: usize| Group {
            rows: vec![Row {
                path: Path::default(),
                log_prob: 0.0,
            }],
            places: (options.beam.max(1) + groups - 1 - group) / groups,
        };
        Beam {
            groups: (0..groups).map(group).collect(),
            found: Vec::new(),
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.groups.iter().flat_map(|group| &group.rows)
    }

    /// Extends the hypotheses by their best continuations. The rows of this image begin at
    /// `first`; adds its rows of the next step to `next`.
    fn advance(
        &mut self,
        candidates: &[Vec<Candidate>],
        mut first: usize,
        options: &SearchOptions,
        length: usize,
        next: &mut Next,
    ) {
        let begin = next.len();
        let mut taken: Vec<i64> = Vec::new();
        for group in &mut self.groups {
            let rows = group.rows.len();
            let of_rows = &candidates[first..first + rows];
            group.advance(
                of_rows,
                first,
                options,
                length,
                &mut taken,
                &mut self.found,
                next,
            );
            first += rows;
        }
        if self.is_done(options) {
            next.truncate(begin);
            self.groups.iter_mut().for_each(|group| group.rows.clear());
        }
    }

    /// Whether no hypothesis that goes on can get among the best `keep` any more: log-probabilities
    /// only decrease, and the most that a length can do for one is known.
    fn is_done(&self, options: &SearchOptions) -> bool {
        let longest = options.max_length + 1;
        let reach = |row: &Row| options.length_norm.score(row.log_prob, longest);
        let best = self.rows().map(reach).fold(f64::NEG_INFINITY, f64::max);
        let better = |ended: &&Ended| ended.finished && ended.score >= best;
        self.found.iter().filter(better).count() >= options.keep.max(1)
    }
}

impl Group {
    #[expect(clippy::too_many_arguments, reason = "one call, of one step")]
    fn advance(
        &mut self,
        candidates: &[Vec<Candidate>],
        first: usize,
        options: &SearchOptions,
        length: usize,
        taken: &mut Vec<i64>,
        found: &mut Vec<Ended>,
        next: &mut Next,
    ) {
        let loss = |token: i64| match options.diversity {
            0.0 => 0.0,
            each => each * taken.iter().filter(|other| **other == token).count() as f64,
        };
        // What it is chosen by, its log-probability, parent and token.
        let mut best: Vec<(f64, f64, usize, i64)> = Vec::new();
        for (parent, (row, of_row)) in self.rows.iter().zip(candidates).enumerate() {
            best.extend(of_row.iter().map(|(log_prob, token)| {
                let sum = row.log_prob + log_prob;
                (sum - loss(*token), *log_prob, parent, *token)
            }));
        }
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.cmp(&b.2)).then(a.3.cmp(&b.3)));
        best.truncate(self.places);
        // No tokens may follow: rows that don't end now are results as they are.
        let last = length == options.max_length || best.is_empty();
        let (mut rows, mut ended) = (Vec::new(), Vec::new());
        for (_, log_prob, parent, token) in best {
            let Row {
                path,
                log_prob: sum,
            } = &self.rows[parent];
            let sum = sum + log_prob;
            taken.push(token);
            if token == options.end {
                found.push(Ended::new(path.clone(), sum, true, options));
                self.places -= 1;
                ended.push(parent);
            } else if !last {
                rows.push(Row {
                    path: path.and(token, log_prob, first + parent),
                    log_prob: sum,
                });
                next.push((first + parent, token));
            }
        }
        if last {
            let cut = self
                .rows
                .iter()
                .enumerate()
                .filter(|(parent, _)| !ended.contains(parent));
            found.extend(
                cut.map(|(_, row)| Ended::new(row.path.clone(), row.log_prob, false, options)),
            );
        }
        self.rows = rows;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::candidates::best;
    use crate::search::tests::{integers, of_hugging_face};

    #[test]
    fn a_group_prefers_what_hugging_face_prefers() {
        let expected = of_hugging_face();
        let log_probs = &expected["log_probs"];
        let vocabulary = log_probs.size()[1] as usize;
        let chosen = integers(&expected["chosen"]);
        let options = SearchOptions {
            diversity: 0.7,
            ..SearchOptions::new(6, [-1, -1, -1])
        };
        let candidates = best(
            log_probs,
            &vec![Allowed::default(); 12],
            &vec![false; vocabulary],
            6,
        );
        let mut changed = 0;
        for image in 0..6 {
            let row = || Row {
                path: Path::default(),
                log_prob: 0.0,
            };
            let mut group = Group {
                rows: vec![row(), row()],
                places: 2,
            };
            let of_image = &candidates[2 * image..][..2];
            let mut taken = chosen[6 * image..][..4].to_vec();
            let (mut found, mut next) = (Vec::new(), Vec::new());
            group.advance(of_image, 0, &options, 0, &mut taken, &mut found, &mut next);
            let scores = |all: &tch::Tensor| {
                let (_, places) = all
                    .narrow(0, 2 * image as i64, 2)
                    .flatten(0, 1)
                    .topk(2, 0, true, true);
                let place = |place: i64| (place as usize / vocabulary, place % vocabulary as i64);
                integers(&places).into_iter().map(place).collect::<Next>()
            };
            assert_eq!(next, scores(&expected["diverse"]));
            changed += usize::from(next != scores(log_probs));
        }
        assert!(changed > 0, "the groups before had no say");
    }
}
