//! What is made again, and what is not, after a kill, a full disk, damage or changes.

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

/// Output and exit code of a run.
fn says(folder: &TempDir, output: &str, more: &[&str]) -> (String, i32) {
    let output = stage(folder, output, more).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    (log, output.status.code().unwrap())
}

/// Makes the data set and returns the log.
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

/// The identity of a file. The inode alone may be reused after a file is removed.
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
    // Until fifty runs were killed: how many finish before that depends on the machine's
    // load.
    let (mut killed, mut instant) = (0, 0);
    while killed < 50 {
        let output = format!("out-{instant}");
        // The resumed run is killed as well.
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
    // Writing more than this number of 512-byte blocks fails, as on a full disk.
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
    // Even if size and time are the same.
    let (log, code) = says(&folder, "out", &["--shards", "train-00000"]);
    assert_eq!(code, 3, "{log}");
    for words in ["train-00000.arrow", "1 of its photographs", "10-rgb420.jpg"] {
        assert!(log.contains(words), "{log}");
    }
    assert_eq!(digests(&folder, "out"), first);
    assert!(remade(&folder, &files).is_empty());
    // Without --shards, the change is accepted, and only its shard is made again.
    made(&folder, &[]);
    assert_eq!(remade(&folder, &files), ["train-00000.arrow"]);
    assert_ne!(digests(&folder, "out"), first);
}

/// Removes a shard of the artifact.
fn lose(folder: &TempDir, name: &str) {
    let shards = folder.path().join("out/shards");
    std::fs::remove_file(shards.join(name)).unwrap();
}

type Digests = (String, std::collections::BTreeMap<String, String>);

/// Changes photographs of `train-00000` and `train-00001`, numbers 10 and 13, removes one
/// of `val-00000`, and adds a missing one of `val-00001`.
fn fifty_that_changed() -> (TempDir, Digests) {
    let folder = fifty();
    let photograph = |name: &str| folder.path().join("root").join(name);
    std::fs::rename(photograph("30-rgb420.jpg"), photograph("kept")).unwrap();
    made(&folder, &[]);
    let first = digests(&folder, "out");
    write(&photograph("10-rgb420.jpg"), &fixture("rgb422.jpg"));
    write(&photograph("13-progressive.jpg"), &fixture("cut.jpg"));
    std::fs::remove_file(photograph("3-progressive.jpg")).unwrap();
    std::fs::rename(photograph("kept"), photograph("30-rgb420.jpg")).unwrap();
    (folder, first)
}

#[test]
fn photographs_of_other_shards_stand_in_no_repairs_way() {
    let (folder, first) = fifty_that_changed();
    let files = shards(&folder);
    for more in [&["--repair"][..], &["--shards", "train-00003"]] {
        lose(&folder, "train-00003.arrow");
        made(&folder, more);
        assert_eq!(remade(&folder, &files), ["train-00003.arrow"]);
        open(&folder, "out");
    }
    made(&folder, &["--shards", "train-00002,val-00002"]);
    let files = shards(&folder);
    // Tables are made from the notes.
    for name in ["images.parquet", "rejected.parquet", "manifest.json"] {
        flip(&folder, name);
        made(&folder, &["--repair"]);
        open(&folder, "out");
    }
    let mut expected = vec![];
    for (shard, photograph) in [
        ("train-00000", "10-rgb420.jpg is another picture"),
        ("train-00001", "13-progressive.jpg is truncated"),
        ("val-00000", "3-progressive.jpg is missing"),
        ("val-00001", "30-rgb420.jpg was missing"),
    ] {
        let (log, code) = says(&folder, "out", &["--shards", shard]);
        assert!(
            code == 3 && log.contains(photograph) && log.contains(shard),
            "{log}"
        );
        // The refused shards don't get in the way, and the artifact is intact.
        assert!(made(&folder, &["--repair"]).contains("up to date"));
        open(&folder, "out");
        expected.push(format!("{shard}.arrow"));
    }
    assert!(remade(&folder, &files).is_empty());
    assert_eq!(digests(&folder, "out"), first);
    // Without --shards, the changes are accepted, and only their shards are made again.
    made(&folder, &["--set", "dataset.max_rejected_fraction=0.1"]);
    assert_eq!(remade(&folder, &files), expected);
}

#[test]
fn a_lost_shard_whose_photograph_changed_is_named_and_the_others_come_back() {
    let (folder, first) = fifty_that_changed();
    lose(&folder, "train-00000.arrow");
    lose(&folder, "train-00003.arrow");
    let (log, code) = says(&folder, "out", &["--repair"]);
    assert!(
        code == 3 && log.contains("10-rgb420.jpg is another picture"),
        "{log}"
    );
    made(&folder, &["--shards", "train-00003"]);
    let shards: Vec<String> = shards(&folder).into_iter().map(|(name, _)| name).collect();
    assert!(shards.contains(&"train-00003.arrow".into()) && shards.len() == 7);
    write(
        &folder.path().join("root/10-rgb420.jpg"),
        &fixture("rgb420.jpg"),
    );
    made(&folder, &["--repair"]);
    open(&folder, "out");
    assert_eq!(digests(&folder, "out"), first);
}

/// An interrupted run has made a shard from changed photographs; `--repair` of another
/// shard keeps the artifact's own.
#[test]
fn an_interrupted_run_stands_in_no_repairs_way() {
    let (folder, first) = fifty_that_changed();
    let (log, code) = says(
        &folder,
        "out",
        &["--set", "dataset.max_rejected_fraction=0.0"],
    );
    assert!(
        code == 3 && folder.path().join("out.staging").exists(),
        "{log}"
    );
    lose(&folder, "train-00003.arrow");
    made(&folder, &["--repair"]);
    open(&folder, "out");
    assert_eq!(digests(&folder, "out"), first);
}

/// An artifact that was copied without its hidden files, which are not content.
#[test]
fn without_notes_a_shard_comes_back_though_others_photographs_changed() {
    let (folder, first) = fifty_that_changed();
    let out = folder.path().join("out");
    std::fs::remove_file(out.join(".journal.jsonl")).unwrap();
    std::fs::remove_dir_all(out.join(".notes")).unwrap();
    lose(&folder, "train-00003.arrow");
    made(&folder, &["--repair"]);
    open(&folder, "out");
    assert_eq!(digests(&folder, "out"), first);
    let (log, code) = says(&folder, "out", &["--shards", "train-00000"]);
    assert!(code == 4 && log.contains("train-00000"), "{log}");
    assert_eq!(digests(&folder, "out"), first);
}

/// A run links files that it takes over; making one again must not change the old
/// artifact's.
#[test]
fn a_shard_that_is_made_again_leaves_the_old_artifact_whole() {
    let folder = fifty();
    made(&folder, &[]);
    let whole = digests(&folder, "out");
    // The first task has shards 0, 2, 4 and 6.
    for name in ["10-rgb420.jpg", "32-rgb444.jpg"] {
        write(&folder.path().join("root").join(name), &fixture("grey.jpg"));
        made(&folder, &["--task", "1/2"]);
        open(&folder, "out");
    }
    assert_eq!(digests(&folder, "out"), whole);
    // A shard whose photographs changed after its task was done is out of date, not
    // missing.
    made(&folder, &["--task", "2/2"]);
    write(
        &folder.path().join("root/10-rgb420.jpg"),
        &fixture("rgb422.jpg"),
    );
    let (log, code) = says(&folder, "out", &["--finalize"]);
    assert!(
        code == 4 && log.contains("1 of 8 files are out of date") && log.contains("train-00000"),
        "{log}"
    );
    made(&folder, &["--task", "1/2"]);
    made(&folder, &["--finalize"]);
    run(&folder, "fresh", "2", &[]).success();
    assert_eq!(digests(&folder, "out"), digests(&folder, "fresh"));
}

#[test]
fn an_archive_that_is_gone_stands_in_no_other_ones_way() {
    let image = |id: usize, split: &str| {
        serde_json::json!({"filepath": split, "filename": "a.jpg", "imgid": id, "split": split,
            "sentences": [{"raw": "x", "sentid": id}]})
    };
    let list = serde_json::json!({"images": [image(0, "train"), image(1, "val")]});
    let folder = crate::data_set(&[("dataset_coco.json", list.to_string().as_bytes())]);
    let root = folder.path().join("root");
    for split in ["train", "val"] {
        crate::archives::zip(
            &root.join(split).with_extension("zip"),
            "",
            &[("a.jpg".into(), fixture("grey.jpg"))],
        );
    }
    made(&folder, &[]);
    let first = digests(&folder, "out");
    write(&root.join("val.zip"), b"<html>");
    lose(&folder, "train-00000.arrow");
    made(&folder, &["--repair"]);
    assert_eq!(digests(&folder, "out"), first);
    let (log, code) = says(&folder, "out", &["--shards", "val-00000"]);
    assert!(code == 3 && log.contains("val.zip"), "{log}");
    std::fs::remove_file(root.join("val.zip")).unwrap();
    made(&folder, &["--shards", "train-00000"]);
    assert_eq!(digests(&folder, "out"), first);
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

/// A system may refuse advice, locks, links and exchange of names without harm.
#[test]
#[cfg(target_os = "linux")]
fn a_system_that_can_do_less_makes_the_same_data_set() {
    let refusals = "fadvise64:error=EINVAL flock:error=ENOLCK linkat,link:error=EPERM \
        renameat2:error=EINVAL madvise:error=EINVAL";
    let refuse = refusals
        .split_whitespace()
        .map(|call| format!("--inject={call}"));
    let refuse: Vec<String> = refuse.collect();
    let can = |command: &mut Command| command.output().is_ok_and(|out| out.status.success());
    if !can(Command::new("strace").args(["-f", "-o", "/dev/null", "true"])) {
        eprintln!("skipped: no strace");
        return;
    }
    let folder = fifty();
    let large = [
        "--set=dataset.image_size=512",
        "--set=dataset.shard_size=25",
    ]; // of 18 MiB
    let (log, code) = says(&folder, "whole", &large);
    assert_eq!(code, 0, "{log}");
    let (log, code) = says(&folder, "out", &large);
    assert_eq!(code, 0, "{log}");
    std::fs::remove_file(folder.path().join("out/shards/train-00000.arrow")).unwrap();
    // First a run that replaces an old artifact, then one that makes a new one.
    for more in [&["--repair"][..], &[]] {
        let stage = stage(&folder, "out", &[&large, more].concat());
        let mut traced = Command::new("strace");
        traced.args(["-f", "-o", "/dev/null"]).args(&refuse);
        let output = traced
            .arg(stage.get_program())
            .args(stage.get_args())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        assert!(log.contains("no lock to be had"), "{log}");
        open(&folder, "out");
        assert_eq!(digests(&folder, "out"), digests(&folder, "whole"));
        std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    }
}

/// A file that an interrupted repair took over is a link: if damaged since, it is made
/// again.
#[test]
fn a_shard_that_a_repair_took_over_and_that_was_damaged_since_is_repaired() {
    let (folder, first) = fifty_that_changed();
    let (log, code) = says(&folder, "out", &["--shards", "train-00000"]);
    assert!(
        code == 3 && folder.path().join("out.staging").exists(),
        "{log}"
    );
    flip(&folder, "shards/train-00003.arrow");
    made(&folder, &["--repair"]);
    open(&folder, "out");
    assert_eq!(digests(&folder, "out"), first);
}
