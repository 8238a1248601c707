//! The most probable tokens that may follow each hypothesis.

use super::constraints::Allowed;
use crate::slices::numbers;
use crate::{parallel, threads};
use multiversion::multiversion;
use tch::{Device, Kind, Tensor};

/// A token and its log-probability.
pub(super) type Candidate = (f64, i64);

/// The best `k` next tokens of each row of `log_probs` (B, V), best first; ties are in the
/// order of their ids. `never` masks tokens (V).
pub(super) fn best(
    log_probs: &Tensor,
    allowed: &[Allowed],
    never: &[bool],
    k: usize,
) -> Vec<Vec<Candidate>> {
    if log_probs.device() != Device::Cpu
        && let Some(best) = on_device(log_probs, allowed, never, k)
    {
        return best;
    }
    of_rows(log_probs, allowed, never, |row, allowed, found| {
        // Insertion is for few.
        if k * k > row.len() {
            every(row, allowed, never, found);
            found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            found.truncate(k);
        } else {
            few(row, allowed, never, k, found);
        }
    })
}

/// One of all next tokens of each row, by a share of their weights between 0 and 1. At
/// `temperature` 1, a token is as likely as the model says, among those that may follow. `None`
/// if none may.
pub(super) fn drawn(
    log_probs: &Tensor,
    allowed: &[Allowed],
    never: &[bool],
    temperature: f64,
    shares: &[f64],
) -> Vec<Option<Candidate>> {
    let log_probs = log_probs.to_device(Device::Cpu).to_kind(Kind::Float);
    let excluded = Tensor::from_slice(never);
    let possible = log_probs.masked_fill(&excluded, f64::NEG_INFINITY);
    let weights = (&possible - possible.amax(1, true)) / temperature;
    let weights = weights.exp().contiguous();
    let possible = possible.contiguous();
    let rows = numbers(&possible).chunks(never.len());
    let rows = rows.zip(numbers(&weights).chunks(never.len()));
    let rows: Vec<_> = rows.zip(allowed).zip(shares).collect();
    let mut found: Vec<Option<Candidate>> = vec![None; rows.len()];
    let part = rows.len().div_ceil(threads()).max(1);
    let parts = rows.chunks(part).zip(found.chunks_mut(part));
    parallel(parts.collect(), |_, (rows, found)| {
        for ((((log_probs, weights), allowed), share), found) in rows.iter().zip(found) {
            // Most hypotheses may go on with anything.
            let token = match **allowed == Allowed::default() {
                true => weighed(weights, **share),
                false => weighed(&among(log_probs, allowed, temperature), **share),
            };
            *found = token.map(|token| (f64::from(log_probs[token]), token as i64));
        }
    });
    found
}

/// The weights of the tokens that may follow, beside the most probable of them: beside that
/// of all tokens, theirs could all be too small for f32.
fn among(log_probs: &[f32], allowed: &Allowed, temperature: f64) -> Vec<f32> {
    let of = |(token, log_prob): (usize, &f32)| match allowed.takes(token as i64) {
        true => *log_prob,
        false => f32::NEG_INFINITY,
    };
    let possible: Vec<f32> = log_probs.iter().enumerate().map(of).collect();
    let best = possible.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |log_prob: f32| (f64::from(log_prob - best) / temperature).exp() as f32;
    possible.into_iter().map(weight).collect()
}

/// The token to which a share of the sum of weights leads.
fn weighed(weights: &[f32], share: f64) -> Option<usize> {
    let mut rest = share * weights.iter().map(|weight| f64::from(*weight)).sum::<f64>();
    let mut last = None;
    for (token, weight) in weights.iter().enumerate() {
        // False for NaN.
        if *weight > 0.0 {
            last = Some(token);
            rest -= f64::from(*weight);
            if rest < 0.0 {
                break;
            }
        }
    }
    last
}

/// Calls `work` with each row, some rows on each thread.
fn of_rows(
    log_probs: &Tensor,
    allowed: &[Allowed],
    never: &[bool],
    work: impl Fn(&[f32], &Allowed, &mut Vec<Candidate>) + Sync,
) -> Vec<Vec<Candidate>> {
    let log_probs = log_probs.to_device(Device::Cpu).to_kind(Kind::Float);
    let log_probs = log_probs.contiguous();
    let rows: Vec<(&[f32], &Allowed)> = (numbers(&log_probs).chunks(never.len()))
        .zip(allowed)
        .collect();
    let mut found: Vec<Vec<Candidate>> = vec![Vec::new(); rows.len()];
    let part = rows.len().div_ceil(threads()).max(1);
    let parts = rows.chunks(part).zip(found.chunks_mut(part));
    parallel(parts.collect(), |_, (rows, found)| {
        for ((row, allowed), found) in rows.iter().zip(found) {
            work(row, allowed, found);
        }
    });
    found
}

fn every(row: &[f32], allowed: &Allowed, never: &[bool], found: &mut Vec<Candidate>) {
    for (log_prob, token) in row.iter().zip(0usize..) {
        // False for NaN.
        if *log_prob > f32::NEG_INFINITY && !never[token] && allowed.takes(token as i64) {
            found.push((f64::from(*log_prob), token as i64));
        }
    }
}

/// Numbers of a row that are compared with the worst of the best at once.
const BLOCK: usize = 64;

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn few(row: &[f32], allowed: &Allowed, never: &[bool], k: usize, best: &mut Vec<Candidate>) {
    let mut floor = f32::NEG_INFINITY;
    for (block, first) in row.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
        // False for NaN.
        if !block
            .iter()
            .fold(false, |any, log_prob| any | (*log_prob > floor))
        {
            continue;
        }
        for (log_prob, token) in block.iter().zip(first..) {
            if *log_prob > floor && !never[token] && allowed.takes(token as i64) {
                let log_prob = f64::from(*log_prob);
                let place = best.partition_point(|other| other.0 >= log_prob);
                best.insert(place, (log_prob, token as i64));
                best.truncate(k);
                if best.len() == k {
                    floor = best.last().map_or(floor, |worst| worst.0 as f32);
                }
            }
        }
    }
}

/// [`best`] where the numbers are, so that only the best leave the device. `None` if a row
/// has more equal ones than were fetched: which of them libtorch takes is not defined.
fn on_device(
    log_probs: &Tensor,
    allowed: &[Allowed],
    never: &[bool],
    k: usize,
) -> Option<Vec<Vec<Candidate>>> {
    let device = log_probs.device();
    let fetched = (k + 1).min(never.len());
    let excluded: Vec<i64> = (0..)
        .zip(never)
        .filter(|(_, never)| **never)
        .map(|(token, _)| token)
        .collect();
    let excluded = Tensor::from_slice(&excluded).to_device(device);
    let mut masked = log_probs.index_fill(1, &excluded, f64::NEG_INFINITY);
    let blocked = |row: usize| (allowed[row].blocked.iter()).map(move |token| (row as i64, *token));
    let (rows, tokens): (Vec<i64>, Vec<i64>) = (0..allowed.len()).flat_map(blocked).unzip();
    if !rows.is_empty() {
        let place = [rows, tokens].map(|index| Some(Tensor::from_slice(&index).to_device(device)));
        let nothing = Tensor::full(1, f64::NEG_INFINITY, (log_probs.kind(), device));
        let _ = masked.index_put_(&place, &nothing, false);
    }
    if let Some(only) = allowed.first().and_then(|first| first.only) {
        // All hypotheses have the same length, so the same token.
        let kept = masked.narrow(1, only, 1).copy();
        let _ = masked.fill_(f64::NEG_INFINITY);
        masked.narrow(1, only, 1).copy_(&kept);
    }
    let (values, tokens) = masked.topk(fetched as i64, -1, true, true);
    let values = values
        .to_device(Device::Cpu)
        .to_kind(Kind::Float)
        .contiguous();
    let tokens = tokens.to_device(Device::Cpu).contiguous();
    let tokens: Vec<i64> = Vec::try_from(tokens.flatten(0, -1)).ok()?;
    let rows = numbers(&values).chunks(fetched).zip(tokens.chunks(fetched));
    rows.map(|(values, tokens)| {
        if fetched > k && values[k] == values[k - 1] && values[k] > f32::NEG_INFINITY {
            return None;
        }
        let pairs = values
            .iter()
            .zip(tokens)
            .map(|(value, token)| (f64::from(*value), *token));
        let mut best: Vec<Candidate> = pairs
            .filter(|(value, _)| *value > f64::NEG_INFINITY)
            .collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best.truncate(k);
        Some(best)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_follow_is_drawn_however_unlikely_it_is() {
        let log_probs = Tensor::from_slice(&[-1e-9f32, -30.0, -30.1, -40.0]).view([1, 4]);
        let draw = |allowed: &Allowed, never: &[bool]| {
            let found = drawn(
                &log_probs,
                std::slice::from_ref(allowed),
                never,
                0.1,
                &[0.5],
            );
            found[0].map(|(_, token)| token)
        };
        let forced = Allowed {
            only: Some(3),
            blocked: Vec::new(),
        };
        let blocked = Allowed {
            only: None,
            blocked: vec![0],
        };
        let free = Allowed::default();
        assert_eq!(draw(&free, &[false; 4]), Some(0));
        assert_eq!(draw(&forced, &[false; 4]), Some(3));
        assert_eq!(draw(&blocked, &[false; 4]), Some(1));
        assert_eq!(draw(&free, &[true, false, false, false]), Some(1));
        assert_eq!(draw(&free, &[true; 4]), None);
    }

    #[test]
    fn operations_of_a_device_find_what_the_loops_find() {
        tch::manual_seed(3);
        let log_probs = Tensor::randn([40, 200], (Kind::Float, Device::Cpu));
        let never: Vec<bool> = (0..200).map(|token| token % 7 == 0).collect();
        let blocked = |row: i64| Allowed {
            only: None,
            blocked: (0..row).map(|n| n * 3).collect(),
        };
        let free: Vec<Allowed> = (0..40).map(blocked).collect();
        let forced = Allowed {
            only: Some(5),
            blocked: Vec::new(),
        };
        for (allowed, k) in [
            (free, 1),
            (vec![forced; 40], 3),
            (vec![Allowed::default(); 40], 5),
        ] {
            let expected = best(&log_probs, &allowed, &never, k);
            assert_eq!(on_device(&log_probs, &allowed, &never, k), Some(expected));
        }
        // Equals: libtorch's choice among them is not defined.
        let alike = Tensor::zeros([2, 10], (Kind::Float, Device::Cpu));
        let allowed = vec![Allowed::default(); 2];
        assert_eq!(on_device(&alike, &allowed, &[false; 10], 3), None);
        let first = vec![vec![(0.0, 0), (0.0, 1), (0.0, 2)]; 2];
        assert_eq!(best(&alike, &allowed, &[false; 10], 3), first);
    }
}
