//! Killed, out of disk, damaged, changed: what is made again, and what is not.

use crate::reproducible::{IMAGES, SET, digests, fifty, run};
use crate::{fixture, open, write};
use attend_artifact::Artifact;
use std::process::{Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// The stage with a command line of its own.
fn stage(folder: &TempDir, output: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-ingest"));
    let root = format!("dataset.root={:?}", folder.path().join("root"));
    command.arg("--output").arg(folder.path().join(output));
    for item in [&SET[..], &[&root, "dataset.max_rejected_fraction=0.05"]].concat() {
        command.args(["--set", item]);
    }
    command.args(more);
    command
}

/// What a run says, and its exit code.
fn says(folder: &TempDir, output: &str, more: &[&str]) -> (String, i32) {
    let output = stage(folder, output, more).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    (log, output.status.code().unwrap())
}

/// Makes the data set and says how.
fn made(folder: &TempDir, more: &[&str]) -> String {
    let (log, code) = says(folder, "out", more);
    assert_eq!(code, 0, "{log}");
    log
}

/// Which shards are other files than before, by their inode.
fn remade(folder: &TempDir, before: &[(String, Id)]) -> Vec<String> {
    let now = shards(folder);
    assert_eq!(now.len(), before.len());
    let pairs = now.into_iter().zip(before);
    let other = pairs.filter(|(now, before)| now != *before);
    other.map(|((name, _), _)| name).collect()
}

/// Which file it is. The number alone may come back once a file is gone.
type Id = (u64, i64, i64);

fn shards(folder: &TempDir) -> Vec<(String, Id)> {
    use std::os::unix::fs::MetadataExt;
    let shards = folder.path().join("out/shards");
    let mut files: Vec<_> = (shards.read_dir().unwrap())
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let file = entry.metadata().unwrap();
            (name, (file.ino(), file.mtime(), file.mtime_nsec()))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn killed_at_any_instant_it_goes_on_to_the_same_end() {
    let folder = fifty();
    let begun = Instant::now();
    run(&folder, "whole", "2", &[]).success();
    let whole = begun.elapsed();
    // Until fifty were killed: how many end before it depends on the machine's load.
    let (mut killed, mut instant) = (0, 0);
    while killed < 50 {
        let output = format!("out-{instant}");
        // Not only the first kill: the run that goes on is killed, too.
        for part in [instant * 37 % 50, instant * 11 % 50] {
            let mut child = stage(&folder, &output, &["--jobs", "2"])
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(whole * part / 50);
            child.kill().unwrap(); // SIGKILL
            killed += u32::from(child.wait().unwrap().code().is_none());
        }
        let (log, code) = says(&folder, &output, &[]);
        assert_eq!(code, 0, "{log}");
        assert_eq!(digests(&folder, &output), digests(&folder, "whole"));
        open(&folder, &output);
        std::fs::remove_dir_all(folder.path().join(&output)).unwrap();
        instant += 1;
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let folder = fifty();
    run(&folder, "whole", "2", &[]).success();
    // Writing past so many blocks of 512 bytes fails, as on a disk that is full.
    for blocks in [1, 20, 48] {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let stage = stage(&folder, "out", &["--jobs", "2"]);
        let output = Command::new("sh")
            .args(["-c", &limited, "sh"])
            .arg(stage.get_program())
            .args(stage.get_args())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(
            log.contains("out.staging/") && log.contains("too large"),
            "{log}"
        );
        let errors = log.lines().filter(|line| line.starts_with("error:"));
        assert_eq!(errors.count(), 1, "{log}");
        assert!(!folder.path().join("out").exists());
    }
    made(&folder, &[]);
    assert_eq!(digests(&folder, "out"), digests(&folder, "whole"));
}

#[test]
fn single_shards_come_back_byte_for_byte() {
    let folder = fifty();
    made(&folder, &[]);
    let (first, files) = (digests(&folder, "out"), shards(&folder));
    made(&folder, &["--shards", "train-00003,val-00000"]);
    assert_eq!(
        remade(&folder, &files),
        ["train-00003.arrow", "val-00000.arrow"]
    );
    assert_eq!(digests(&folder, "out"), first);

    let files = shards(&folder);
    std::fs::remove_file(folder.path().join("out/shards/train-00001.arrow")).unwrap();
    made(&folder, &[]);
    assert_eq!(remade(&folder, &files).len(), 1);
    open(&folder, "out");

    let (log, code) = says(&folder, "out", &["--shards", "train-00009"]);
    assert!(
        code == 2 && log.contains("shards/train-00000.arrow to shards/val-00002.arrow"),
        "{log}"
    );
    let other = ["--shards", "val-00000", "--set", "dataset.image_size=16"];
    let (log, code) = says(&folder, "out", &other);
    assert!(code == 4 && log.contains("dataset.image_size"), "{log}");
    assert_eq!(digests(&folder, "out"), first);
}

#[test]
fn a_flipped_byte_in_any_file_is_repaired() {
    let folder = fifty();
    made(&folder, &[]);
    let (first, files) = (digests(&folder, "out"), shards(&folder));
    for (name, _) in &files {
        flip(&folder, &format!("shards/{name}"));
        let before = shards(&folder);
        assert_eq!(
            Artifact::open(&folder.path().join("out"))
                .unwrap()
                .verify()
                .unwrap_err()
                .exit_code(),
            4
        );
        made(&folder, &["--repair"]);
        assert_eq!(remade(&folder, &before), [name.as_str()]);
    }
    let before = shards(&folder);
    for name in ["images", "captions", "objects", "rejected"] {
        flip(&folder, &format!("{name}.parquet"));
        made(&folder, &["--repair"]);
        open(&folder, "out");
    }
    flip(&folder, "manifest.json");
    made(&folder, &["--repair"]);
    assert_eq!(digests(&folder, "out"), first);
    assert!(remade(&folder, &before).is_empty());
}

fn flip(folder: &TempDir, name: &str) {
    let path = folder.path().join("out").join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_photograph_that_changed_is_named() {
    let folder = fifty();
    made(&folder, &[]);
    let (first, files) = (digests(&folder, "out"), shards(&folder));
    let photograph = folder.path().join("root/10-rgb420.jpg");
    write(&photograph, &fixture("rgb422.jpg"));
    // Even where size and time would not tell.
    let (log, code) = says(&folder, "out", &["--shards", "train-00000"]);
    assert_eq!(code, 3, "{log}");
    for words in ["train-00000.arrow", "1 of its photographs", "10-rgb420.jpg"] {
        assert!(log.contains(words), "{log}");
    }
    assert_eq!(digests(&folder, "out"), first);
    assert!(remade(&folder, &files).is_empty());
    // Without --shards the change is taken, in its own shard alone.
    made(&folder, &[]);
    assert_eq!(remade(&folder, &files), ["train-00000.arrow"]);
    assert_ne!(digests(&folder, "out"), first);
}

#[test]
fn a_rejected_photograph_is_tried_again_when_it_changed() {
    let folder = fifty();
    let photograph = folder.path().join("root/10-rgb420.jpg");
    write(&photograph, &fixture("cut.jpg"));
    let log = made(&folder, &[]);
    assert!(log.contains("1 truncated"), "{log}");
    let counts = open(&folder, "out").0.manifest.counts;
    assert_eq!(
        (
            counts["rejected.truncated"],
            counts["rejected.image-rejected"]
        ),
        (1, 1)
    );
    let files = shards(&folder);
    assert!(made(&folder, &[]).contains("up to date"));
    write(&photograph, &fixture("rgb420.jpg"));
    made(&folder, &[]);
    assert_eq!(open(&folder, "out").1.images().len(), IMAGES);
    assert_eq!(remade(&folder, &files), ["train-00000.arrow"]);
}

#[test]
fn tasks_in_any_order_make_the_same_data_set() {
    let folder = fifty();
    write(
        &folder.path().join("root/10-rgb420.jpg"),
        &fixture("cut.jpg"),
    );
    let whole = ["dataset.max_rejected_fraction=0.05"];
    run(&folder, "whole", "2", &whole).success();
    let (log, code) = says(&folder, "out", &["--finalize"]);
    assert!(code == 4 && log.contains("8 of 8 files"), "{log}");
    // Two at once, one of them twice.
    for together in [["4/5", "2/5"], ["5/5", "2/5"], ["1/5", "3/5"]] {
        let tasks = together.map(|task| {
            let mut task = stage(&folder, "out", &["--task", task, "--jobs", "1"]);
            task.stderr(Stdio::null()).spawn().unwrap()
        });
        for mut task in tasks {
            assert!(task.wait().unwrap().success());
        }
        assert!(!folder.path().join("out").exists());
    }
    made(&folder, &["--finalize"]);
    assert_eq!(digests(&folder, "out"), digests(&folder, "whole"));
    open(&folder, "out");
}
