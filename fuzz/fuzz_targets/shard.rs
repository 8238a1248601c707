//! Reads arbitrary bytes, and valid shards with some bytes changed, as a shard. The reader
//! must refuse it or read all of its rows: no panic, no access outside the map, no huge
//! allocation.
#![no_main]

use attend_artifact::shard::{Dtype, TensorShard, TensorShardWriter};
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// Valid shards of a few rows: each number type, with one and two record batches.
static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let shapes: [(Dtype, &[usize], usize); 4] = [
        (Dtype::U8, &[3, 2, 2], 3),
        (Dtype::F16, &[4, 2], 2),
        (Dtype::F32, &[2, 3], 0),
        (Dtype::U8, &[1, 800, 800], 2),
    ];
    let good = shapes.map(|(dtype, shape, rows)| {
        let path = path();
        let names = &["a", "b", "c"][..shape.len()];
        let mut writer =
            TensorShardWriter::create(&path, "t", dtype, shape, names).expect("a shard");
        let bytes = shape.iter().product::<usize>() * dtype.bytes();
        for row in 0..rows {
            writer
                .push(row as i64, &vec![row as u8; bytes])
                .expect("a row");
        }
        writer.finish().expect("a shard");
        std::fs::read(path).expect("a shard")
    });
    good.into()
});

fn path() -> PathBuf {
    FOLDER.path().join("s.arrow")
}

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let bytes = match GOOD.get(usize::from(*first)) {
        None => rest.to_vec(),
        Some(good) => {
            let mut bytes = good.clone();
            // Positions count from the end, where the footer is.
            for change in rest.chunks_exact(3) {
                let back = usize::from(u16::from_le_bytes([change[0], change[1]]));
                let place = bytes.len().checked_sub(back + 1);
                if let Some(byte) = place.and_then(|place| bytes.get_mut(place)) {
                    *byte = change[2];
                }
            }
            bytes
        }
    };
    let path = path();
    std::fs::write(&path, &bytes).expect("a file");
    let Ok(shard) = TensorShard::open(&path) else {
        return;
    };
    let row = shard.shape().iter().product::<usize>() * shard.dtype().bytes();
    let mut sum = 0u64;
    for n in 0..shard.rows() {
        let bytes = shard.row(n).expect("each id has a row");
        assert_eq!(bytes.len(), row);
        sum += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    assert!(shard.row(shard.rows()).is_none());
    std::hint::black_box(sum);
});
