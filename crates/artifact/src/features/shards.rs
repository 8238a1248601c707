//! The shards of features: their names, and what may be wrong with one.

use crate::findings::Findings;
use crate::shard::TensorShard;
use attend_program::{Result, check_interrupt};

/// The folder of the shards of further views.
pub(super) const VIEWS: &str = "views/";

/// The shard of further views of the images of a shard.
pub fn view_shard(shard: &str) -> String {
    VIEWS.to_owned() + shard.trim_start_matches("shards/")
}

/// The shard whose images a shard of further views has.
pub(super) fn plain_shard(views: &str) -> String {
    "shards/".to_owned() + views.trim_start_matches(VIEWS)
}

/// Maps a shard, and notes what is wrong with it; `None` if it can't be used. All shards have
/// the type that is `promised` first.
pub(super) fn open(
    name: &str,
    expected: &[usize],
    promised: &mut Option<&str>,
    findings: &mut Findings,
) -> Result<Option<TensorShard>> {
    let Some(path) = findings.file(name)? else {
        return Ok(None);
    };
    let Some(shard) = findings.take(TensorShard::open(&path))? else {
        return Ok(None);
    };
    findings.rows(name, shard.rows());
    if shard.column() != "features" {
        let why = format!("its tensors are called {:?}, not features", shard.column());
        findings.note(name, why);
    }
    let (dtype, shape) = (shard.dtype().name(), shard.shape());
    let good = dtype != "u8" && promised.is_none_or(|promised| promised == dtype);
    if shape != expected || !good {
        let promised = promised.unwrap_or("one float type");
        let why = format!("features {shape:?} of {dtype}, expected {expected:?} of {promised}");
        findings.note(name, why);
        return Ok(None);
    }
    *promised = Some(dtype);
    Ok(Some(shard))
}

/// Notes images whose numbers are invalid, if all numbers are to be looked at.
pub(super) fn note_strange(name: &str, shard: &TensorShard, findings: &mut Findings) -> Result<()> {
    if findings.thorough {
        let strange = strange(shard)?.into_iter().map(|id| format!("image {id}"));
        let what = "images have features that are NaN or infinite";
        findings.all(name, what, strange);
    }
    Ok(())
}

/// The images of a shard whose numbers are infinite or NaN.
pub(super) fn strange(shard: &TensorShard) -> Result<Vec<i64>> {
    let mut strange = Vec::new();
    for (row, id) in shard.ids().iter().enumerate() {
        check_interrupt()?;
        if !(shard.row(row)).is_some_and(|numbers| shard.dtype().all_finite(numbers)) {
            strange.push(*id);
        }
    }
    Ok(strange)
}
