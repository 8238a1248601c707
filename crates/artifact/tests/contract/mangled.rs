//! Bytes changed at random: judging never panics, and never calls whole what has changed or
//! what a stage does not take.

use crate::world::{World, remake, take};
use attend_artifact::Artifact;
use attend_artifact::verify::{KINDS, judge};
use std::path::{Path, PathBuf};

/// xorshift64*: the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    /// Flips, overwrites, cuts out or inserts a few bytes, or cuts off the end.
    fn mangle(&mut self, bytes: &mut Vec<u8>) {
        // Headers and footers say where the rest lies.
        let near = self.below(200).min(bytes.len());
        let at = match self.below(3) {
            0 => near,
            1 => bytes.len() - near,
            _ => self.below(bytes.len()),
        };
        let end = (at + 1 + self.below(8)).min(bytes.len());
        match self.below(5) {
            0 => bytes[at..end]
                .iter_mut()
                .for_each(|byte| *byte ^= 1 << self.below(8)),
            1 => bytes[at..end].fill([0, 0x7f, 0xff][self.below(3)]),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, *b"[{9")),
            _ => bytes.truncate(at),
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let is_hidden = path.file_name().unwrap().as_encoded_bytes()[0] == b'.';
        match path.is_dir() {
            true => files(&path, found),
            false if is_hidden => {}
            false => found.push(path),
        }
    }
    found.sort();
}

#[test]
fn mangled_files_are_judged_without_a_panic_and_what_is_whole_is_taken() {
    let world = World::new();
    let dataset = [Artifact::open(&world.path("dataset")).unwrap()];
    let (mut random, mut taken) = (Random(7), 0);
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(kind);
        world.copy(kind, &root);
        let against = match kind {
            "vocabulary" | "features" => &dataset[..],
            _ => &[],
        };
        let mut names = Vec::new();
        files(&root, &mut names);
        let manifest = root.join("manifest.json");
        let stated = std::fs::read(&manifest).unwrap();
        for path in &names {
            let whole = std::fs::read(path).unwrap();
            for _ in 0..20 {
                let mut bytes = whole.clone();
                random.mangle(&mut bytes);
                std::fs::write(path, &bytes).unwrap();
                let verdict = judge(&root, None, &[]).unwrap();
                let is_manifest = *path == manifest;
                let same = bytes == whole || is_manifest;
                assert!(same || !verdict.is_whole(), "{}", path.display());
                if !is_manifest {
                    // As if a program had written these bytes.
                    remake(&root);
                    if judge(&root, None, against).unwrap().is_whole() {
                        take(&root, kind, &world).unwrap();
                        taken += usize::from(bytes != whole);
                    }
                    std::fs::write(&manifest, &stated).unwrap();
                }
            }
            std::fs::write(path, whole).unwrap();
        }
        assert!(judge(&root, None, against).unwrap().is_whole());
    }
    // Such as other pixels.
    assert!(taken > 20, "{taken}");
}
