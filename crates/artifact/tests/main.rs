//! Tests the contract from outside: artifacts are read back as written, damaged ones are
//! refused, interrupted runs continue.
#![allow(clippy::unwrap_used)]

use attend_artifact::dataset::{CaptionRecord, ImageRecord};
use attend_artifact::manifest::FileEntry;
use attend_artifact::shard::{Dtype, TensorShard, TensorShardWriter};
use attend_artifact::vocabulary::{EncodedRecord, Tokenizer, Vocabulary};
use attend_artifact::{Artifact, Input, Manifest, Record, digest_file};

#[test]
fn a_shard_gives_back_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.arrow");
    let mut writer =
        TensorShardWriter::create(&path, "image", Dtype::U8, &[3, 512, 512], &["C", "H", "W"])
            .unwrap();
    let row = |id: i64| {
        (0..3 * 512 * 512)
            .map(|i| ((i as i64 * 31 + id) % 251) as u8)
            .collect::<Vec<u8>>()
    };
    // 45 rows of 768 KiB are several record batches.
    for id in 0..45 {
        writer.push(id * 7, &row(id)).unwrap();
    }
    assert!(writer.push(1, &[0; 5]).is_err());
    assert_eq!(writer.finish().unwrap().rows, 45);
    let shard = TensorShard::open(&path).unwrap();
    assert_eq!(
        (shard.rows(), shard.dtype(), shard.shape()),
        (45, Dtype::U8, &[3, 512, 512][..])
    );
    for id in 0..45 {
        assert_eq!(shard.ids()[id as usize], id * 7);
        assert_eq!(shard.row(id as usize).unwrap(), row(id));
    }
    assert!(shard.row(45).is_none());
}

#[test]
fn a_cut_shard_is_refused_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.arrow");
    let mut writer =
        TensorShardWriter::create(&path, "f", Dtype::F32, &[4, 2], &["cell", "channel"]).unwrap();
    writer.push(1, &[1; 32]).unwrap();
    writer.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = TensorShard::open(&path).map(|_| ()).unwrap_err();
        // An empty file can't be mapped on some systems; all others are refused by name.
        assert!(error.to_string().contains("s.arrow"), "{error}");
    }
}

/// Invalid lengths and offsets are an error, not a panic.
#[test]
fn a_shard_with_any_byte_changed_is_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.arrow");
    let mut writer =
        TensorShardWriter::create(&path, "f", Dtype::F16, &[2, 2], &["cell", "channel"]).unwrap();
    (0..2).for_each(|id| writer.push(id, &[1; 8]).unwrap());
    writer.finish().unwrap();
    let good = std::fs::read(&path).unwrap();
    for place in 0..good.len() {
        for value in [0, 0x7f, 0x80, 0xff, good[place] ^ 1] {
            let mut bytes = good.clone();
            bytes[place] = value;
            std::fs::write(&path, &bytes).unwrap();
            let Ok(shard) = TensorShard::open(&path) else {
                continue;
            };
            let row = shard.shape().iter().product::<usize>() * shard.dtype().bytes();
            for n in 0..shard.rows() {
                assert_eq!(shard.row(n).unwrap().len(), row, "{place} {value}");
            }
        }
    }
}

#[test]
fn records_come_back_and_strange_tables_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let captions: Vec<CaptionRecord> = (0..1000)
        .map(|i| CaptionRecord {
            caption_id: i,
            image_id: i / 5,
            split: "train".into(),
            caption: format!("ein Bild Nº {i} 🐕"),
        })
        .collect();
    CaptionRecord::write(&path, &captions).unwrap();
    assert_eq!(CaptionRecord::read(&path).unwrap(), captions);
    let error = ImageRecord::read(&path).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(
        error.to_string().contains("no column \"file_name\""),
        "{error}"
    );
    std::fs::write(&path, "text").unwrap();
    assert_eq!(CaptionRecord::read(&path).unwrap_err().exit_code(), 4);

    let encoded = vec![
        EncodedRecord {
            caption_id: 1,
            image_id: 2,
            split: "val".into(),
            tokens: vec![7, 1, 2, 8],
        },
        EncodedRecord {
            caption_id: 2,
            image_id: 2,
            split: "val".into(),
            tokens: vec![],
        },
    ];
    EncodedRecord::write(&path, &encoded).unwrap();
    assert_eq!(EncodedRecord::read(&path).unwrap(), encoded);
}

#[test]
fn a_vocabulary_encodes_decodes_and_refuses_strange_ids() {
    assert_eq!(
        Tokenizer::default().words("It's a tri-colored DOG, isn’t_it (2)?"),
        ["its", "a", "tri", "colored", "dog", "isn", "t", "it", "2"]
    );
    let words = [("a".to_owned(), 9), ("dog".to_owned(), 7)];
    let vocabulary = Vocabulary::new(words, 6, 50);
    assert_eq!(vocabulary.encode("A dog barks."), [4, 1, 2, 3, 5]);
    assert_eq!(vocabulary.decode(&[4, 1, 2, 3, 5, 1]), "a dog <unk>");
    assert_eq!(vocabulary.len(), 6);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocab.json");
    vocabulary.write(&path).unwrap();
    assert_eq!(Vocabulary::read(&path).unwrap(), vocabulary);
    let text = std::fs::read_to_string(&path).unwrap();
    for (old, new, why) in [
        ("\"id\": 2", "\"id\": 5", "\"dog\" has id 5"),
        ("\"<end>\": 5", "\"<end>\": 9", "the specials are"),
        ("vocabulary/1", "vocabulary/2", "vocabulary/2"),
        ("\"dog\"", "\"a\"", "\"a\" occurs twice"),
        ("\"dog\"", "\"<unk>\"", "\"<unk>\" is not a word"),
        ("\"dog\"", "\"\"", "\"\" is not a word"),
    ] {
        std::fs::write(&path, text.replace(old, new)).unwrap();
        let error = Vocabulary::read(&path).unwrap_err();
        assert_eq!(error.exit_code(), 4, "{new}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// `<unk>` of the tutorial's files was counted, trained and generated as the word "unk".
#[test]
fn a_special_token_stays_special() {
    for tokenizer in [Tokenizer::LowercaseAlphanumeric, Tokenizer::UnicodeWords] {
        let words = [("a".to_owned(), 9), ("unk".to_owned(), 7)];
        let vocabulary = Vocabulary::new(words, 6, 50).with_tokenizer(tokenizer);
        for (caption, ids) in [
            ("a <unk> a", &[4, 1, 3, 1, 5][..]),
            ("<UNK>,a", &[4, 3, 1, 5]),
            ("unk < unk> <unk", &[4, 2, 2, 2, 5]),
            ("<start> a <<unk>> <end> <pad> <pad>", &[4, 1, 3, 5]),
        ] {
            assert_eq!(vocabulary.encode(caption), ids, "{caption}");
        }
    }
}

/// Such ids were once passed to libtorch unchecked, which ended in a panic.
#[test]
fn token_ids_of_other_programs_are_checked_when_opened() {
    let words = [("a".to_owned(), 9), ("dog".to_owned(), 7)];
    let vocabulary = Vocabulary::new(words, 6, 3); // <unk> 3, <start> 4, <end> 5
    let open = |tokens: &[i32]| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let caption = |caption_id, tokens: &[i32]| EncodedRecord {
            caption_id,
            image_id: 70,
            split: "train".into(),
            tokens: tokens.into(),
        };
        let rows = [caption(11, &[4, 1, 3, 2, 5]), caption(12, tokens)];
        EncodedRecord::write(&root.join("encoded.parquet"), &rows).unwrap();
        vocabulary.write(&root.join("vocab.json")).unwrap();
        let mut manifest = Manifest::draft("vocabulary", "another", "1");
        let dataset = Input {
            kind: "dataset".into(),
            digest: "d".repeat(64),
        };
        manifest.inputs.insert("dataset".into(), dataset);
        manifest.files = ["encoded.parquet", "vocab.json"]
            .map(|name| FileEntry {
                name: name.into(),
                bytes: root.join(name).metadata().unwrap().len(),
                rows: None,
                blake3: digest_file(&root.join(name)).unwrap(),
            })
            .into();
        manifest.digest = manifest.compute_digest();
        let text = serde_json::to_string(&manifest).unwrap();
        std::fs::write(root.join("manifest.json"), text).unwrap();
        let verify = std::process::Command::new(env!("CARGO_BIN_EXE_attend-verify"))
            .arg(root)
            .output()
            .unwrap();
        let opened = Vocabulary::open_encoded(&Artifact::open(root).unwrap());
        assert_eq!(
            verify.status.code(),
            Some(if opened.is_ok() { 0 } else { 4 })
        );
        opened.map(|(_, encoded)| encoded.len())
    };
    assert_eq!(open(&[4, 2, 5]).unwrap(), 2);
    for (tokens, why) in [
        (&[4, 99999, 5][..], "99999 is neither the id of a word"),
        (&[4, -5, 5], "-5 is neither the id of a word"),
        (&[4, 1, 0, 5], "0 is neither the id of a word"),
        (&[4, 4, 1, 5], "4 is neither the id of a word"),
        (&[], "0 tokens"),
        (&[4, 5], "has 0 words"),
        (&[4, 1, 1, 1, 1, 5], "has 4 words"),
        (&[1, 2, 1], "begins with 1 and ends with 1"),
    ] {
        let error = open(tokens).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        let message = error.to_string();
        assert!(
            message.contains("encoded.parquet: ") && message.contains("row 1 (caption 12"),
            "{message}"
        );
        assert!(message.contains(why), "{message}");
    }
}

/// The example `count`, run as a program.
mod stage {
    use attend_artifact::{Artifact, Manifest};
    use rustix::process::{Pid, Signal, kill_process};
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::process::{Command, Output, Stdio};
    use std::time::{Duration, Instant};

    fn command(output: &Path, more: &[&str]) -> Command {
        let mut program = std::env::current_exe().unwrap();
        program.pop();
        program.set_file_name("examples");
        let program = program.join("count");
        assert!(program.exists(), "with --test, add --example count");
        let mut command = Command::new(program);
        command.arg("--output").arg(output).args(more);
        command
    }

    fn run(output: &Path, more: &[&str]) -> Output {
        command(output, more).output().unwrap()
    }

    /// Sends signals after these times (in ms) while the first number is made, which takes
    /// `seconds`. Returns the exit code, the time until exit, and standard error.
    fn signalled(seconds: &str, after: &[u64]) -> (Option<i32>, Duration, String) {
        let folder = tempfile::tempdir().unwrap();
        let sleep = format!("count.sleep={seconds}");
        let mut command = command(&folder.path().join("numbers"), &["--set", &sleep]);
        let started = Instant::now();
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().ends_with("began"));
        let begun = Instant::now();
        for time in after {
            std::thread::sleep(Duration::from_millis(*time).saturating_sub(begun.elapsed()));
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
        let code = child.wait().unwrap().code();
        let said: Vec<String> = lines.map(|line| line.unwrap()).collect();
        (code, started.elapsed(), said.join("\n"))
    }

    #[test]
    fn a_repeated_signal_is_the_same_wish_and_a_later_one_leaves_at_once() {
        let (code, time, said) = signalled("1", &[0, 50, 100]);
        assert_eq!(code, Some(130));
        assert!(
            time >= Duration::from_secs(1),
            "the first number is finished"
        );
        let end =
            "error: interrupted; finished parts are kept, and the same command makes the rest";
        assert!(said.contains("wrote 0") && said.ends_with(end), "{said}");
        let (code, time, said) = signalled("60", &[0, 50, 2500]);
        assert_eq!(code, Some(130));
        assert!(time < Duration::from_secs(30));
        assert!(
            said.contains("press Ctrl-C again to stop at once"),
            "{said}"
        );
    }

    #[test]
    fn who_waits_for_another_run_leaves_at_the_first_signal() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        let lock = std::fs::File::create(folder.path().join("numbers.lock")).unwrap();
        lock.lock().unwrap();
        let mut child = command(&output, &[])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("waiting for it"));
        std::thread::sleep(Duration::from_millis(200));
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }

    #[test]
    fn a_log_that_nobody_reads_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        let writer = std::io::pipe().unwrap().1;
        let status = command(&output, &[]).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(0));
        Artifact::open(&output).unwrap().verify().unwrap();
    }

    fn made(output: &Path, more: &[&str]) -> (Manifest, String) {
        let result = run(output, more);
        let log = String::from_utf8(result.stderr).unwrap();
        assert!(result.status.success(), "{log}");
        (Artifact::open(output).unwrap().manifest, log)
    }

    fn refused(output: &Path, more: &[&str], code: i32, words: &str) {
        let result = run(output, more);
        let log = String::from_utf8(result.stderr).unwrap();
        assert_eq!(result.status.code(), Some(code), "{log}");
        assert!(log.contains(words), "{log}");
    }

    #[test]
    fn it_is_made_once_and_again_when_a_parameter_changes() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        let (first, _) = made(&output, &[]);
        assert_eq!(first.files.len(), 3);
        assert_eq!(first.compute_digest(), first.digest);
        let (second, log) = made(&output, &[]);
        assert!(log.contains("up to date") && second == first);
        let (forced, log) = made(&output, &["--force"]);
        assert!(!log.contains("up to date") && forced == first);
        let (more, _) = made(&output, &["--set", "count.to=4"]);
        assert_eq!(more.counts["numbers"], 4);
        assert_ne!(more.digest, first.digest);
        let left: Vec<_> = folder
            .path()
            .read_dir()
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}: the artifact and its lock");
        let inside = std::fs::read_dir(&output).unwrap().count();
        assert_eq!(
            inside, 6,
            "numbers, manifest, journal, notes, work, sources"
        );
    }

    #[test]
    fn a_killed_run_goes_on_and_ends_with_the_same_digest() {
        let folder = tempfile::tempdir().unwrap();
        let whole = made(&folder.path().join("whole"), &["--set", "count.to=6"]).0;
        for crash_at in 0..6 {
            let output = folder.path().join(format!("at-{crash_at}"));
            let crash = format!("count.crash_at={crash_at}");
            assert!(
                !run(&output, &["--set", "count.to=6", "--set", &crash])
                    .status
                    .success()
            );
            assert!(!output.exists());
            let (resumed, log) = made(&output, &["--set", "count.to=6"]);
            assert_eq!(log.matches("kept").count(), crash_at, "{log}");
            assert_eq!(resumed.digest, whole.digest);
        }
        // A run with other parameters doesn't continue from this one's files.
        let output = folder.path().join("other");
        assert!(
            !run(
                &output,
                &["--set", "count.to=6", "--set", "count.crash_at=4"]
            )
            .status
            .success()
        );
        let (_, log) = made(&output, &["--set", "count.to=5"]);
        assert!(!log.contains("kept"), "{log}");
    }

    #[test]
    fn a_journal_that_was_cut_loses_one_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        assert!(
            !run(
                &output,
                &["--set", "count.to=6", "--set", "count.crash_at=4"]
            )
            .status
            .success()
        );
        let journal = folder.path().join("numbers.staging/.journal.jsonl");
        let text = std::fs::read(&journal).unwrap();
        std::fs::write(&journal, &text[..text.len() - 9]).unwrap();
        let (_, log) = made(&output, &["--set", "count.to=6"]);
        assert_eq!(log.matches("kept").count(), 3, "{log}");
    }

    #[test]
    fn damage_is_found_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        let first = made(&output, &[]).0;
        std::fs::write(output.join("numbers/1.txt"), "7").unwrap();
        let artifact = Artifact::open(&output).unwrap();
        let error = artifact.verify().unwrap_err();
        assert!(
            error.exit_code() == 4 && error.to_string().contains("numbers/1.txt"),
            "{error}"
        );
        std::fs::remove_file(output.join("numbers/1.txt")).unwrap();
        assert_eq!(Artifact::open(&output).unwrap_err().exit_code(), 4);
        let (again, log) = made(&output, &[]);
        assert!(again == first && log.contains("wrote 1"), "{log}");
        assert_eq!(log.matches("kept").count(), 2, "{log}");

        let manifest = output.join("manifest.json");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, text.replace("\"schema\": 1", "\"schema\": 2")).unwrap();
        assert!(
            Artifact::open(&output)
                .unwrap_err()
                .to_string()
                .contains("newer")
        );
        std::fs::write(&manifest, text.replace("\"to\": 3", "\"to\": 4")).unwrap();
        assert!(
            Artifact::open(&output)
                .unwrap_err()
                .to_string()
                .contains("was changed")
        );

        let mine = folder.path().join("mine");
        std::fs::create_dir(&mine).unwrap();
        std::fs::write(mine.join("thesis.txt"), "do not lose").unwrap();
        refused(&mine, &[], 4, "not an artifact");
        assert!(mine.join("thesis.txt").exists());
    }

    /// The numbers that a run logs as written.
    fn wrote(log: &str) -> Vec<&str> {
        let words = log.lines().filter_map(|line| line.split_once("wrote "));
        words.map(|(_, number)| number).collect()
    }

    #[test]
    fn single_shards_are_made_again_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        refused(&output, &["--shards", "1"], 4, "does not exist yet");
        let first = made(&output, &[]).0;
        let (again, log) = made(&output, &["--shards", "0,2"]);
        assert_eq!((again, wrote(&log)), (first.clone(), vec!["0", "2"]));
        refused(&output, &["--shards", "7"], 2, "there is no such shard");
        let other = ["--shards", "1", "--set", "count.to=4"];
        refused(&output, &other, 4, "count.to");
        // A changed source would make another shard.
        let changed = ["--set", "count.plus=1"];
        let one = [&["--shards", "2"], &changed[..]].concat();
        refused(
            &output,
            &one,
            4,
            "numbers/2.txt would not come out as before",
        );
        assert_eq!(Artifact::open(&output).unwrap().manifest, first);
        Artifact::open(&output).unwrap().verify().unwrap();
        // A plain run accepts the change.
        let (new, log) = made(&output, &changed);
        assert_ne!(new.digest, first.digest);
        assert!(wrote(&log).is_empty(), "{log}");
        // And back: only that shard is made again.
        let (back, log) = made(&output, &[]);
        assert_eq!((back, wrote(&log)), (first, vec!["2"]));
    }

    #[test]
    fn any_byte_that_flips_is_found_and_repaired_alone() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        let first = made(&output, &[]).0;
        for file in [
            ".journal.jsonl",
            ".notes/numbers/1.txt",
            "manifest.json",
            "numbers/1.txt",
        ] {
            let path = output.join(file);
            let good = std::fs::read(&path).unwrap();
            for at in [0, good.len() / 2, good.len() - 1] {
                let mut bad = good.clone();
                bad[at] ^= 1;
                std::fs::write(&path, &bad).unwrap();
                let (again, log) = made(&output, &["--repair"]);
                assert_eq!(again, first, "{file} {at}");
                Artifact::open(&output).unwrap().verify().unwrap();
                assert!(
                    wrote(&log).len() <= 1 || file == ".journal.jsonl",
                    "{file} {at}: {log}"
                );
                if file == "numbers/1.txt" {
                    assert_eq!(wrote(&log), ["1"]);
                }
            }
        }
        let (_, log) = made(&output, &["--repair"]);
        assert!(log.contains("up to date"), "{log}");
    }

    #[test]
    fn tasks_in_any_order_make_what_one_run_makes() {
        let folder = tempfile::tempdir().unwrap();
        let whole = made(&folder.path().join("whole"), &["--set", "count.to=7"]).0;
        let output = folder.path().join("numbers");
        let task = |more: &[&str]| {
            let result = run(&output, &[&["--set", "count.to=7"], more].concat());
            let log = String::from_utf8(result.stderr).unwrap();
            assert!(result.status.success(), "{log}");
            log
        };
        assert_eq!(wrote(&task(&["--task", "3/3"])), ["2", "5"]);
        let crash = [
            "--task",
            "1/3",
            "--set",
            "count.to=7",
            "--set",
            "count.crash_at=3",
        ];
        assert!(!run(&output, &crash).status.success());
        let early = ["--finalize", "--set", "count.to=7"];
        refused(
            &output,
            &early,
            4,
            "4 of 7 files are not made yet (the first: numbers/1.txt)",
        );
        let other = ["--task", "2/3", "--set", "count.to=8"];
        refused(&output, &other, 4, "other parameters");
        assert_eq!(wrote(&task(&["--task", "2/3"])), ["1", "4"]);
        assert!(wrote(&task(&["--task", "3/3"])).is_empty());
        assert_eq!(wrote(&task(&["--task", "1/3"])), ["3", "6"]);
        assert!(!output.exists());
        assert!(wrote(&task(&["--finalize"])).is_empty());
        assert_eq!(Artifact::open(&output).unwrap().manifest, whole);
        assert!(task(&["--task", "2/3"]).contains("up to date"));
        refused(&output, &["--task", "4/3"], 2, "I/N");
    }

    /// Makes the artifact or staging folder look like two minutes of work.
    fn age(folder: &Path) {
        let path = folder.join(".work.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut work: serde_json::Value = serde_json::from_str(&text).unwrap();
        work["seconds"] = 150.into();
        std::fs::write(path, work.to_string()).unwrap();
    }

    #[test]
    fn what_took_more_than_a_minute_is_deleted_only_where_a_flag_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        // Unfinished: the newest file is two minutes younger than the beginning.
        let crash = ["--set", "count.to=6", "--set", "count.crash_at=4"];
        assert!(!run(&output, &crash).status.success());
        let work = folder.path().join("numbers.staging/.work.json");
        let begun = std::time::SystemTime::now() - std::time::Duration::from_secs(150);
        let file = std::fs::File::options().append(true).open(&work).unwrap();
        file.set_modified(begun).unwrap();
        let other = ["--set", "count.to=5"];
        refused(&output, &other, 4, "parameters (count.to 6 -> 5), 2 min");
        refused(&output, &other, 4, "--discard");
        let (_, log) = made(&output, &["--set", "count.to=6"]);
        assert_eq!(log.matches("kept").count(), 4, "nothing was lost: {log}");

        // Finished.
        age(&output);
        let first = Artifact::open(&output).unwrap().manifest;
        refused(&output, &other, 4, "parameters (count.to 6 -> 5), 2 min");
        assert_eq!(Artifact::open(&output).unwrap().manifest, first);
        let (discarded, _) = made(&output, &[&other[..], &["--discard"]].concat());
        assert_eq!(discarded.counts["numbers"], 5);
        age(&output);
        made(&output, &["--force"]);
        // Made by another program, so the time is unknown.
        std::fs::remove_file(output.join(".work.json")).unwrap();
        refused(&output, &other, 4, "count.to 3 -> 5");
    }

    #[test]
    fn shards_that_are_taken_over_count_as_the_work_that_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        made(&output, &[]);
        age(&output);
        let (_, log) = made(&output, &["--set", "count.plus=1"]);
        assert_eq!(wrote(&log), ["2"]);
        refused(&output, &["--set", "count.to=5"], 4, "2 min of work");
    }

    #[test]
    fn a_folder_that_is_no_artifact_of_this_kind_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let thesis = |name: &str, file: &str| {
            let place = folder.path().join(name);
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join(file), "do not lose").unwrap();
            place
        };
        let kept = |place: &Path, file: &str| {
            let text = std::fs::read_to_string(place.join(file)).unwrap();
            assert_eq!(text, "do not lose", "{}", place.display());
        };
        for more in [&[][..], &["--force"], &["--discard"]] {
            let mine = thesis("mine", "thesis.txt");
            refused(&mine, more, 4, "not an artifact");
            kept(&mine, "thesis.txt");
            // Names that an artifact has while it replaces another one.
            let marked = thesis("marked", "thesis.txt");
            let inside = thesis("marked/.replaced", "thesis.txt");
            refused(&marked, more, 4, "not an artifact");
            kept(&inside, "thesis.txt");
            let marked = thesis("empty", "thesis.txt");
            std::fs::create_dir_all(marked.join(".replaced")).unwrap();
            let beside = thesis("empty.staging", "thesis.txt");
            refused(&marked, more, 4, "not an artifact");
            kept(&beside, "thesis.txt");
            // A web page's or a browser's manifest.
            let web = thesis("web", "manifest.json");
            refused(&web, more, 4, "not an artifact");
            kept(&web, "manifest.json");
            let file = folder.path().join("file");
            std::fs::write(&file, "do not lose").unwrap();
            refused(&file, more, 4, "there is a file");
            // Names that belong to an artifact beside it.
            let staging = thesis("a.staging", "thesis.txt");
            refused(
                &folder.path().join("a"),
                more,
                4,
                "is not an unfinished artifact",
            );
            kept(&staging, "thesis.txt");
            refused(&staging, more, 2, "name another folder");
            std::fs::write(folder.path().join("b.staging"), "do not lose").unwrap();
            refused(
                &folder.path().join("b"),
                more,
                4,
                "is not an unfinished artifact",
            );
            kept(folder.path(), "b.staging");
            let old = thesis("c.old", "thesis.txt");
            std::fs::write(folder.path().join("c.lock"), "do not lose").unwrap();
            made(&folder.path().join("c"), more);
            made(
                &folder.path().join("c"),
                &[&["--set", "count.to=5"], more].concat(),
            );
            kept(&old, "thesis.txt");
            kept(folder.path(), "c.lock");
            // A user's own file inside an artifact.
            let inside = thesis("c", "notes.txt");
            refused(
                &inside,
                &[&["--set", "count.to=4"], more].concat(),
                4,
                "notes.txt",
            );
            kept(&inside, "notes.txt");
            std::fs::remove_file(inside.join("notes.txt")).unwrap();
        }
        refused(Path::new("/"), &[], 2, "a name");
        refused(Path::new("."), &[], 2, "a name");
        let newer = folder.path().join("newer");
        let text = r#"{"kind": "numbers", "schema": 9, "files": [], "digest": "0"}"#;
        std::fs::create_dir(&newer).unwrap();
        std::fs::write(newer.join("manifest.json"), text).unwrap();
        refused(&newer, &["--force"], 4, "newer version");
    }

    #[test]
    fn an_output_that_is_a_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, disk) = (folder.path().join("numbers"), folder.path().join("disk"));
        std::fs::create_dir(&disk).unwrap();
        std::os::unix::fs::symlink("disk/real", &link).unwrap();
        for to in ["3", "4"] {
            let with_slash = std::path::PathBuf::from(format!("{}/", link.display()));
            let (manifest, _) = made(&with_slash, &["--set", &format!("count.to={to}")]);
            assert_eq!(manifest.counts["numbers"].to_string(), to);
            assert!(link.symlink_metadata().unwrap().is_symlink());
            assert!(disk.join("real/manifest.json").is_file());
            assert!(disk.join("real.lock").exists());
            assert!(!folder.path().join("numbers.lock").exists());
        }
    }

    #[test]
    fn every_file_may_be_read_by_whom_the_umask_says() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        let crash = ["--set", "count.crash_at=2"];
        assert!(!run(&output, &crash).status.success());
        // Like a copy of somebody's private file.
        let private = folder.path().join("numbers.staging/numbers/0.txt");
        std::fs::set_permissions(&private, PermissionsExt::from_mode(0o600)).unwrap();
        made(&output, &[]);
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&output.join("numbers/0.txt")), mode(&plain));
    }

    #[test]
    fn a_second_run_waits_and_finds_the_work_done() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        let lock = std::fs::File::create(folder.path().join("numbers.lock")).unwrap();
        lock.lock().unwrap();
        std::fs::write(folder.path().join("numbers.lock"), "process 7 on box\n").unwrap();
        let second = std::thread::scope(|scope| {
            let second = scope.spawn(|| run(&output, &[]));
            std::thread::sleep(std::time::Duration::from_millis(300));
            assert!(!output.exists());
            drop(lock);
            second.join().unwrap()
        });
        let log = String::from_utf8(second.stderr).unwrap();
        assert!(log.contains("process 7 on box"), "{log}");
        assert!(output.exists());
    }

    fn verify(path: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attend-verify"));
        command.arg(path);
        command
    }

    #[test]
    fn names_move_no_cursor() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder
            .path()
            .join("a\u{1b}[2J\u{7}\u{9b}31m\rb\nc\u{202e}d");
        let shown = "a\\u{1b}[2J\\u{7}\\u{9b}31m\\rb\\nc\\u{202e}d";
        let clean = |text: &[u8]| {
            let text = std::str::from_utf8(text).unwrap();
            let hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(hostile), "{text:?}");
            text.to_owned()
        };
        // log lines
        made(&output, &[]);
        let again = run(&output, &[]);
        assert!(again.status.success());
        assert!(clean(&again.stderr).contains(shown));
        // results
        let verified = verify(&output).output().unwrap();
        assert!(verified.status.success());
        assert!(clean(&verified.stdout).contains(shown));
        // errors may have several lines; none of them looks like another message
        std::fs::remove_file(output.join("manifest.json")).unwrap();
        let refused = verify(&output).output().unwrap();
        let error = clean(&refused.stderr);
        assert!(
            error.contains("a\\u{1b}[2J\\u{7}\\u{9b}31m\\rb\n  c"),
            "{error}"
        );
    }

    #[test]
    fn a_reader_of_results_that_is_gone_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        made(&output, &[]);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = verify(&output);
        command.arg(folder.path().join("none")).stdout(writer);
        let result = command.output().unwrap();
        let error = String::from_utf8(result.stderr).unwrap();
        // the next artifact is verified, too
        assert!(!error.contains("standard output"), "{error}");
        assert_eq!(result.status.code(), Some(4), "{error}");
    }

    #[test]
    fn wrong_command_lines_are_exit_code_2() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("numbers");
        refused(&output, &["--set", "count.too=3"], 2, "the nearest is `to`");
        refused(&output, &["--config", "/no/such.toml"], 2, "no such file");
        refused(&output, &["--config", "/"], 2, "is a folder");
        let config = folder.path().join("c.toml");
        std::fs::write(&config, b"[count]\n# caf\xe9\n").unwrap();
        refused(
            &output,
            &["--config", config.to_str().unwrap()],
            2,
            "c.toml:2: the byte 0xe9",
        );
        refused(&output, &["--input", "dataset=/tmp"], 2, "takes");
        refused(&output, &["--nonsense"], 2, "--nonsense");
        assert!(!output.exists());
    }
}

/// Faulty artifacts of other programs: `attend-verify` lists everything that is wrong.
mod verify {
    use attend_artifact::dataset::{CaptionRecord, ImageRecord, ObjectRecord, RejectedRecord};
    use attend_artifact::shard::{Dtype, TensorShardWriter};
    use attend_artifact::{Artifact, Manifest, Record, Staging, verify::judge};
    use std::path::Path;
    use std::process::Command;

    /// An artifact of text files.
    fn artifact(root: &Path, kind: &str, files: &[(&str, &str)], counts: &[(&str, u64)]) {
        let staging = Staging::open(root, Manifest::draft(kind, "test", "1")).unwrap();
        for (name, text) in files {
            std::fs::write(staging.path(name).unwrap(), text).unwrap();
            staging.done(name, None).unwrap();
        }
        staging.commit(counts).unwrap();
    }

    #[track_caller]
    fn found(root: &Path, expected: &[&str]) {
        let found = judge(root, None, &[]).unwrap().findings;
        let found: Vec<String> = found.iter().map(|finding| finding.to_string()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_dataset_whose_tables_contradict_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("dataset");
        let staging = Staging::open(&root, Manifest::draft("dataset", "test", "1")).unwrap();
        let shard = "shards/train-00000.arrow";
        let path = staging.path(shard).unwrap();
        let mut writer =
            TensorShardWriter::create(&path, "image", Dtype::U8, &[3, 1, 1], &["C", "H", "W"])
                .unwrap();
        for id in [1, 2, 3, 3] {
            writer.push(id, &[0; 3]).unwrap();
        }
        writer.finish().unwrap();
        let image = |image_id: i64, split: &str, row: u32| ImageRecord {
            image_id,
            split: split.into(),
            file_name: "a.jpg".into(),
            // Their product is 0 in 32 bits.
            width: 1 << 16,
            height: 1 << 16,
            shard: shard.into(),
            row,
        };
        let images = [
            image(1, "train", 0),
            image(3, "val", 2),
            image(3, "train", 3),
        ];
        let caption = |caption_id: i64, image_id: i64, split: &str, caption: &str| CaptionRecord {
            caption_id,
            image_id,
            split: split.into(),
            caption: caption.into(),
        };
        let captions = [
            caption(10, 1, "train", "a dog"),
            caption(10, 1, "val", "a cat"),
            caption(11, 99, "train", " "),
        ];
        let object = ObjectRecord {
            image_id: 99,
            name: "dog".into(),
            x: f32::NAN,
            y: 0.0,
            width: 1.0,
            height: 1.0,
        };
        let table = |name: &str| staging.path(name).unwrap();
        ImageRecord::write(&table("images.parquet"), &images).unwrap();
        CaptionRecord::write(&table("captions.parquet"), &captions).unwrap();
        ObjectRecord::write(&table("objects.parquet"), &[object]).unwrap();
        RejectedRecord::write(&table("rejected.parquet"), &[]).unwrap();
        let tables = ["images", "captions", "objects", "rejected"];
        let mut names = tables.map(|name| format!("{name}.parquet")).to_vec();
        names.push(shard.into());
        staging.done_all(&names).unwrap();
        let counts = [("image_height", 1), ("image_width", 1), ("images", 4)];
        staging.commit(&counts).unwrap();
        found(
            &root,
            &[
                "images.parquet: 1 image ids come twice: 3",
                "images.parquet: 1 images in a shard of another split: 3 in shards/train-00000.arrow",
                "images.parquet: 1 images are not in order of split (train, val, test, others by name), shard and row: 3",
                "images.parquet: 3 images, the manifest says 4",
                "shards/train-00000.arrow: 1 rows are of images that images.parquet does not place here: 2",
                "shards/train-00000.arrow: 1 image ids come twice: 3",
                "captions.parquet: 1 captions are of images that are not there: caption 11 of image 99",
                "captions.parquet: 1 captions are in another split than their images: caption 10 of image 1",
                "captions.parquet: 1 captions are empty: caption 11 of image 99",
                "captions.parquet: 1 caption ids come twice: 10",
                "objects.parquet: 1 objects are in images that are not there: 99",
                "objects.parquet: 1 boxes are no finite numbers: dog in image 99",
            ],
        );
        let mut verify = Command::new(env!("CARGO_BIN_EXE_attend-verify"));
        let output = verify.arg(&root).output().unwrap();
        assert_eq!(output.status.code(), Some(4));
        assert_eq!(
            String::from_utf8(output.stderr).unwrap().lines().count(),
            12
        );
    }

    #[test]
    fn a_manifest_lists_files_of_its_own_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("model");
        artifact(&root, "model", &[("a", "")], &[]);
        for name in ["../a", "/etc/passwd", "./../../a"] {
            let mut manifest = Manifest::read(&root).unwrap();
            manifest.files[0].name = name.into();
            manifest.digest = manifest.compute_digest();
            let text = serde_json::to_string(&manifest).unwrap();
            let strange = folder.path().join("strange");
            let _ = std::fs::create_dir(&strange);
            std::fs::write(strange.join("manifest.json"), text).unwrap();
            let error = Artifact::open(&strange).unwrap_err();
            assert!(error.to_string().contains("not in this folder"), "{error}");
        }
    }
}

#[test]
fn a_published_file_that_is_missing_is_named_with_what_brings_it() {
    let why = |path: &str| {
        let input = Input::of_file("encoder.weights", path.as_ref(), "weights");
        input.unwrap_err().to_string()
    };
    assert_eq!(
        why("/nowhere/resnet50-0676ba61.pth"),
        "encoder.weights = \"/nowhere/resnet50-0676ba61.pth\": no such file; `cargo xtask fetch resnet50 --to DIR` brings it"
    );
    assert!(why("/nowhere/mine.pth").ends_with("no such file"));
}
