//! The program from outside: it captions small pictures with a model with random weights.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::manifest::Manifest;
use attend_artifact::model::{CARD, ModelCard};
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Staging, staging};
use attend_testing::checkpoint;
use image::{Rgb, RgbImage};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A checkpoint with random weights and a word that is not ASCII.
fn write_checkpoint(folder: &Path) -> ModelCard {
    let words = ["a", "hündchen", "собака", "犬", "runs"].map(|word| (word.to_owned(), 9));
    let vocabulary = Vocabulary::new(words, 5, 50);
    let card = checkpoint::card(&vocabulary, [24, 32], [0, 0]);
    checkpoint::write(folder, card, &vocabulary, 3, false)
}

/// A model artifact of an earlier version, whose `model.json` has no digests.
fn model(root: &Path) -> PathBuf {
    let path = root.join("model");
    let staging = Staging::open(&path, Manifest::draft("model", "test", "1")).unwrap();
    let best = staging.folder().join("checkpoints/best");
    let written = write_checkpoint(&best);
    let text = std::fs::read(best.join(CARD)).unwrap();
    let mut card: Value = serde_json::from_slice(&text).unwrap();
    card.as_object_mut().unwrap().remove("blake3").unwrap();
    std::fs::write(best.join(CARD), format!("{card:#}\n")).unwrap();
    for file in [CARD].iter().chain(&written.files()) {
        staging
            .done(&format!("checkpoints/best/{file}"), None)
            .unwrap();
    }
    staging.commit(&[]).unwrap();
    path
}

fn picture(path: &Path, width: u32, height: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixel = |x, y| Rgb([(x * 5) as u8, (y * 5) as u8, width as u8]);
    RgbImage::from_fn(width, height, pixel).save(path).unwrap();
}

fn command(model: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-caption"));
    command.arg("--model").arg(model);
    command.args(["--max-length", "6", "--jobs", "1", "--batch", "2"]);
    command
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (Vec<String>, String) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (text.lines().map(str::to_owned).collect(), error)
}

/// Runs a program that gets these bytes on standard input.
fn fed(command: &mut Command, stdin: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn images_before_a_line_that_is_no_path_are_described() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    picture(&root.join("a.png"), 40, 30);
    let list = format!("{}\n\0\n", root.join("a.png").display());
    // Both lines are in one batch.
    let (lines, error) = ended(&fed(command(&model(root)).arg("-"), list.as_bytes()), 3);
    assert_eq!(lines.len(), 1, "{error}");
    assert!(error.contains("line 2 is not a path"), "{error}");
}

#[test]
fn files_folders_and_lists_are_described_and_the_unreadable_named() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    for name in ["in/b.png", "in/a.jpg", "in/more/c.png", "d.png"] {
        picture(&root.join(name), 40, 30);
    }
    std::fs::write(root.join("in/text.jpg"), "no picture at all").unwrap();
    let list = format!("{}\n", root.join("d.png").display());
    let mut run = command(&model);
    run.args(["--recursive", "-", "none.jpg"])
        .arg(root.join("in"));
    let (lines, error) = ended(&fed(&mut run, list.as_bytes()), 3);
    let paths: Vec<&str> = lines
        .iter()
        .map(|line| line.split_once('\t').unwrap().0)
        .collect();
    let expected = ["d.png", "in/a.jpg", "in/b.png", "in/more/c.png"].map(|name| root.join(name));
    assert_eq!(
        paths,
        expected.each_ref().map(|path| path.to_str().unwrap())
    );
    assert!(error.contains("text.jpg: unsupported"), "{error}");
    assert!(error.contains("none.jpg: No such file"), "{error}");
    assert!(error.contains("2 of 6 images"), "{error}");
}

#[test]
fn an_image_is_described_alike_alone_and_in_company() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    let names: Vec<PathBuf> = (0..5).map(|i| root.join(format!("{i}.png"))).collect();
    for (i, path) in names.iter().enumerate() {
        picture(path, 30 + 9 * i as u32, 40);
    }
    let (together, _) = ended(&command(&model).args(&names).output().unwrap(), 0);
    let mut alone = Vec::new();
    for path in &names {
        alone.extend(ended(&command(&model).arg(path).output().unwrap(), 0).0);
    }
    assert_eq!(together, alone);
}

#[test]
fn json_and_figures_go_together() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write_checkpoint(&root.join("checkpoint"));
    for name in ["one/dog.png", "two/dog.png"] {
        picture(&root.join(name), 80, 60);
    }
    let mut command = command(&root.join("checkpoint"));
    command
        .args(["--json", "--attention"])
        .arg(root.join("out"));
    command.args([root.join("one"), root.join("two")]);
    let (lines, _) = ended(&command.output().unwrap(), 0);
    assert_eq!(lines.len(), 2);
    let mut figures = Vec::new();
    for line in &lines {
        let object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["grid"], serde_json::json!([6, 8]));
        let words = object["words"].as_array().unwrap();
        let spoken: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(object["caption"], spoken.join(" "));
        assert!((1..=6).contains(&spoken.len()) && object["log_prob"].as_f64().unwrap() < 0.0);
        let figure = PathBuf::from(object["attention"].as_str().unwrap());
        let size = image::image_dimensions(&figure).unwrap();
        // tiles of 240 x 180 for the photograph and each word, at most 6 in a row
        let tiles = spoken.len() as u32 + 1;
        let columns = tiles.div_ceil(tiles.div_ceil(6)).max(3);
        assert_eq!(size.0, 2 * 32 + columns * 258 - 18);
        assert!(size.1 > tiles.div_ceil(6) * 180);
        figures.push(figure);
    }
    assert_ne!(figures[0], figures[1]);
    let files = std::fs::read_dir(root.join("out")).unwrap().count();
    assert_eq!(files, 2);
}

#[test]
fn the_checkpoint_of_a_running_training_is_found() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write_checkpoint(&root.join("model.staging/checkpoints/last"));
    picture(&root.join("a.png"), 20, 20);
    let run = |checkpoint: &str| {
        let mut command = command(&root.join("model"));
        command
            .args(["--checkpoint", checkpoint])
            .arg(root.join("a.png"));
        command.output().unwrap()
    };
    assert_eq!(ended(&run("last"), 0).0.len(), 1);
    ended(&run("best"), 4);
}

#[test]
fn what_is_no_model_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    picture(&root.join("a.png"), 20, 20);
    let refused = |model: &Path| {
        let output = command(model).arg(root.join("a.png")).output().unwrap();
        ended(&output, 4).1
    };
    assert!(refused(&root.join("none")).contains("does not exist"));
    assert!(refused(root).contains("model.json"));
    // the vocabulary of another model
    let folder = root.join("checkpoint");
    write_checkpoint(&folder);
    let words = std::fs::read_to_string(folder.join("vocab.json")).unwrap();
    std::fs::write(folder.join("vocab.json"), words.replace("runs", "sits")).unwrap();
    assert!(refused(&folder).contains("vocab.json"));
    std::fs::remove_file(folder.join("vocab.json")).unwrap();
    assert!(refused(&folder).contains("vocab.json"));
    write_checkpoint(&folder);
    std::fs::write(folder.join("decoder.safetensors"), "cut").unwrap();
    assert!(refused(&folder).contains("decoder.safetensors"));
}

#[test]
fn one_flipped_bit_of_a_model_is_no_other_caption() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let artifact = model(root);
    picture(&root.join("a.png"), 40, 30);
    // A checkpoint as the trainer writes it now: by itself, and during training.
    let sealed = root.join("sealed");
    let growing = staging::folder_of(&root.join("run")).join("checkpoints/best");
    for folder in [&sealed, &growing] {
        write_checkpoint(folder);
    }
    // In an artifact, one of an earlier version: the manifest has the digests.
    let best = artifact.join("checkpoints/best");
    for (given, folder) in [
        (&artifact, &best),
        (&best, &best),
        (&sealed, &sealed),
        (&root.join("run"), &growing),
    ] {
        let describe = || command(given).arg(root.join("a.png")).output().unwrap();
        ended(&describe(), 0);
        for file in [
            "decoder.safetensors",
            "encoder.safetensors",
            "vocab.json",
            "model.json",
        ] {
            let path = folder.join(file);
            let whole = std::fs::read(&path).unwrap();
            let mut flipped = whole.clone();
            let at = match file {
                "model.json" => text_at(&whole, "0.5") + 2, // dropout 0.4
                "vocab.json" => text_at(&whole, "runs"),
                _ => whole.len() - 2,
            };
            flipped[at] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            let (lines, error) = ended(&describe(), 4);
            assert!(
                lines.is_empty() && error.contains(&*path.to_string_lossy()),
                "{error}"
            );
            std::fs::write(&path, whole).unwrap();
        }
    }
}

fn text_at(bytes: &[u8], text: &str) -> usize {
    let found = |window: &[u8]| window == text.as_bytes();
    bytes.windows(text.len()).position(found).unwrap()
}

/// JPEGs: good ones, and ones that have left a decoder in a bad state.
fn jpegs(folder: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    std::fs::create_dir_all(folder).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    for (name, width) in [("first.jpg", 50), ("last.jpg", 70)] {
        picture(&folder.join(name), width, 44);
    }
    let good = std::fs::read(folder.join("first.jpg")).unwrap();
    // Markers of quantisation tables (ff db) become comments (ff fe).
    let mut no_tables = good.clone();
    while let Some(at) = no_tables.windows(2).position(|two| two == [0xff, 0xdb]) {
        no_tables[at + 1] = 0xfe;
    }
    let bad = vec![
        put("two_starts.jpg", &[&[0xff, 0xd8], &good[..]].concat()),
        put("half.jpg", &good[..good.len() / 2]),
        put("no_tables.jpg", &no_tables),
        put("empty.jpg", b""),
        put("page.jpg", b"<!DOCTYPE html><title>404</title>"),
    ];
    let arithmetic = include_bytes!("fixtures/arithmetic.jpg");
    let good = vec![
        folder.join("first.jpg"),
        put("arithmetic.jpg", arithmetic),
        folder.join("last.jpg"),
    ];
    (good, bad)
}

#[test]
fn good_images_among_bad_ones_get_the_captions_that_they_get_alone() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    let (good, bad) = jpegs(&root.join("in"));
    let mut alone = Vec::new();
    for path in &good {
        let run = command(&model).arg("--json").arg(path).output().unwrap();
        alone.extend(ended(&run, 0).0);
    }
    // a bad one before each good one, in several orders
    for shift in 0..bad.len() {
        let mut all = Vec::new();
        for (n, path) in good.iter().enumerate() {
            all.push(&bad[(n + shift) % bad.len()]);
            all.push(path);
        }
        let run = command(&model).arg("--json").args(&all).output().unwrap();
        let (mut lines, error) = ended(&run, 3);
        lines.retain(|line| !line.contains("\"error\":"));
        assert_eq!(lines, alone, "{all:?}");
        let named = error.lines().filter(|line| line.contains("ERROR")).count();
        assert_eq!(named, 3, "{error}");
    }
}

#[test]
fn what_a_folder_holds_besides_photographs_stops_nothing() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    let folder = root.join("in");
    picture(&folder.join("a.jpg"), 40, 30);
    std::fs::write(folder.join("._a.jpg"), b"\0\x05\x16\x07\0\x02\0\0Mac OS X").unwrap();
    std::fs::write(folder.join(".DS_Store"), "").unwrap();
    std::os::unix::fs::symlink("gone", folder.join("b.jpg")).unwrap();
    let pipe = folder.join("c.jpg");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    std::fs::create_dir(folder.join("d.jpg")).unwrap();
    let run = |paths: &[&Path]| {
        let mut command = command(&model);
        command.args(paths).output().unwrap()
    };
    let (lines, error) = ended(&run(&[&folder]), 3);
    assert_eq!(lines.len(), 1, "{error}");
    assert!(
        error.contains("b.jpg: a link to gone, which does not exist"),
        "{error}"
    );
    assert!(error.contains("c.jpg: a pipe or device"), "{error}");
    assert!(error.contains("2 of 3 images"), "{error}");
    // files that are arguments themselves are reported
    let resource = folder.join("._a.jpg");
    let (lines, error) = ended(
        &run(&[&resource, Path::new("/dev/zero"), &folder.join("d.jpg")]),
        3,
    );
    assert_eq!(lines.len(), 0, "{error}");
    assert!(error.contains("._a.jpg: unsupported"), "{error}");
    assert!(error.contains("/dev/zero: a pipe or device"), "{error}");
    assert!(error.contains("d.jpg: a folder without images"), "{error}");
}

#[test]
fn names_move_no_cursor_and_break_no_line() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    let name = |end: &[u8]| {
        let name = [b"a\x1b[2J\x07\tb\nc\r\xe2\x80\xae\xc2\x9b\xe9", end].concat();
        root.join("in").join(OsStr::from_bytes(&name))
    };
    picture(&root.join("in/good.png"), 40, 30);
    std::fs::rename(root.join("in/good.png"), name(b".png")).unwrap();
    std::fs::write(name(b".jpg"), "no picture").unwrap();
    let mut shown = command(&model);
    shown
        .arg("--attention")
        .arg(root.join("out"))
        .arg(root.join("in"));
    let mut exact = command(&model);
    exact
        .args(["--json", "--attention"])
        .arg(root.join("out"))
        .arg(root.join("in"));
    // With --json, what can't be read has its line, too.
    for (command, count) in [(&mut shown, 1), (&mut exact, 2)] {
        let (lines, error) = ended(&command.output().unwrap(), 3);
        assert_eq!(lines.len(), count, "{lines:?}");
        let hostile = |c: char| c.is_control() || c == '\u{202e}';
        for line in &lines {
            assert!(!line.replacen('\t', "", 1).contains(hostile), "{line:?}");
        }
        assert!(!error.replace('\n', "").contains(hostile), "{error:?}");
        assert_eq!(error.lines().count(), 2, "{error:?}");
    }
    let (lines, _) = ended(&shown.output().unwrap(), 3);
    let (path, _) = lines[0].split_once('\t').unwrap();
    let expected = "a\\u{1b}[2J\\u{7}\\tb\\nc\\r\\u{202e}\\u{9b}\\xe9.png";
    assert_eq!(path, format!("{}/in/{expected}", root.display()));
    let (lines, _) = ended(&exact.output().unwrap(), 3);
    let failed: Value = serde_json::from_str(&lines[0]).unwrap();
    assert!(failed["error"].as_str().unwrap().starts_with("unsupported"));
    let object: Value = serde_json::from_str(&lines[1]).unwrap();
    let bytes = |key: &str| -> Vec<u8> { serde_json::from_value(object[key].clone()).unwrap() };
    assert_eq!(bytes("path_bytes"), name(b".png").as_os_str().as_bytes());
    let figure = PathBuf::from(OsStr::from_bytes(&bytes("attention_bytes")));
    assert!(figure.is_file(), "{figure:?}");
}

#[test]
fn photographs_of_many_pixels_are_described_when_allowed() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    picture(&root.join("a.png"), 40, 30);
    let run = |most: &str| {
        let mut command = command(&model);
        command.args(["--max-pixels", most]).arg(root.join("a.png"));
        command.output().unwrap()
    };
    let (_, error) = ended(&run("1199"), 3);
    assert!(error.contains("too-large: 40 x 30 pixels"), "{error}");
    assert!(error.contains("--max-pixels"), "{error}");
    ended(&run("1200"), 0);
    ended(&run("0"), 2);
}

/// Starts to describe one image very often; returns after the first line of output.
fn begun(root: &Path) -> (Child, BufReader<ChildStdout>, String) {
    let model = model(root);
    picture(&root.join("a.png"), 40, 30);
    let mut child = command(&model)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let list = format!("{}\n", root.join("a.png").display()).repeat(20_000);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(list.as_bytes()).unwrap();
    drop(stdin);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    (child, stdout, first)
}

#[test]
fn an_interrupted_run_ends_with_whole_lines_and_promises_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (child, stdout, first) = begun(root.path());
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let rest: Vec<String> = stdout.lines().map(|line| line.unwrap()).collect();
    let output = child.wait_with_output().unwrap();
    let (_, error) = ended(&output, 130);
    assert!(rest.iter().all(|line| *line == first.trim_end()));
    let described = format!("{} images are described", rest.len() + 1);
    assert!(error.contains(&described), "{error}");
    assert!(!error.contains("makes the rest"), "{error}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let root = tempfile::tempdir().unwrap();
    let (child, stdout, _) = begun(root.path());
    drop(stdout);
    let (_, error) = ended(&child.wait_with_output().unwrap(), 0);
    assert_eq!(error, "");
}

#[test]
fn a_folder_for_figures_that_is_none_is_named() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let image = root.join("a.png");
    picture(&image, 40, 30);
    let mut command = command(&model(root));
    command.arg("--attention").arg(&image).arg(&image);
    let (lines, error) = ended(&command.output().unwrap(), 2);
    assert!(lines.is_empty(), "{lines:?}");
    assert!(error.contains("a.png: a file; name a folder"), "{error}");
}

#[test]
fn each_path_is_answered_before_the_next_is_asked() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    picture(&root.join("a.png"), 40, 30);
    let mut child = command(&model(root))
        .args(["--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut ask = |name: &str| -> Value {
        writeln!(stdin, "{}", root.join(name).display()).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    let first = ask("a.png");
    assert!(first["caption"].is_string());
    let missing = ask("none.png");
    assert_eq!(missing["path"], root.join("none.png").to_str().unwrap());
    assert!(missing["error"].as_str().unwrap().contains("No such file"));
    assert_eq!(ask("a.png"), first);
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn an_image_on_stdin_and_those_of_archives_get_their_captions() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    picture(&root.join("in/a.png"), 40, 30);
    let png = std::fs::read(root.join("in/a.png")).unwrap();
    let mut zip = zip::ZipWriter::new(std::fs::File::create(root.join("p.zip")).unwrap());
    let mut tar = tar::Builder::new(std::fs::File::create(root.join("p.tar")).unwrap());
    let members: [(&str, &[u8]); 4] = [
        ("notes.txt", b"none"),
        ("b/a.png", &png),
        ("b/broken.jpg", b"none"),
        ("b/._a.png", b"of a Mac"),
    ];
    for (name, bytes) in members {
        zip.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).unwrap();
    }
    zip.finish().unwrap();
    tar.finish().unwrap();
    std::fs::write(root.join("cut.zip"), "PK").unwrap();

    let alone = command(&model).arg(root.join("in/a.png")).output().unwrap();
    let (lines, _) = ended(&alone, 0);
    let caption = lines[0].split_once('\t').unwrap().1;
    let mut packed = command(&model);
    packed.arg("--csv");
    packed.args(["p.zip", "p.tar", "cut.zip"].map(|name| root.join(name)));
    let (lines, error) = ended(&packed.output().unwrap(), 3);
    assert_eq!(lines[0], "path,caption,log_prob,finished,error");
    for (archive, rows) in ["p.zip", "p.tar"].iter().zip(lines[1..].chunks(2)) {
        let good = format!("{}/b/a.png,{caption},-", root.join(archive).display());
        assert!(rows[0].starts_with(&good), "{rows:?}");
        assert!(rows[1].contains("b/broken.jpg,,,,unsupported"), "{rows:?}");
    }
    assert_eq!(lines.len(), 6);
    assert!(error.contains("cut.zip"), "{error}");

    let (lines, _) = ended(&fed(command(&model).arg("-"), &png), 0);
    assert_eq!(lines, [format!("-\t{caption}")]);
}

#[test]
fn captions_go_beside_photographs_and_into_them() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    picture(&root.join("in/a.png"), 40, 30);
    picture(&root.join("in/b.jpg"), 40, 30);
    std::fs::write(root.join("in/b.txt"), "mine").unwrap();
    let pixels = |name: &str| image::open(root.join("in").join(name)).unwrap();
    let before = ["a.png", "b.jpg"].map(pixels);
    let run = |more: &[&str]| {
        let mut command = command(&model);
        command
            .args(["--sidecar", ".txt", "--write-xmp"])
            .args(more);
        command.arg(root.join("in")).output().unwrap()
    };
    let (lines, error) = ended(&run(&[]), 3);
    assert_eq!(lines.len(), 2, "both are described");
    assert!(error.contains("b.txt holds another text"), "{error}");
    let text = |name: &str| std::fs::read_to_string(root.join("in").join(name)).unwrap();
    assert_eq!(text("b.txt"), "mine");
    let caption = lines[0].split_once('\t').unwrap().1;
    assert_eq!(text("a.txt"), format!("{caption}\n"));
    ended(&run(&["--replace"]), 0);
    let caption = lines[1].split_once('\t').unwrap().1;
    assert_eq!(text("b.txt"), format!("{caption}\n"));
    assert_eq!(before, ["a.png", "b.jpg"].map(pixels));
    for name in ["a.png", "b.jpg"] {
        let bytes = std::fs::read(root.join("in").join(name)).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(&format!("\">{caption}<")));
    }
    // Once more, nothing changes.
    let written = |name: &str| {
        root.join("in")
            .join(name)
            .metadata()
            .unwrap()
            .modified()
            .unwrap()
    };
    let times = ["a.txt", "a.png", "b.jpg"].map(written);
    ended(&run(&[]), 0);
    assert_eq!(times, ["a.txt", "a.png", "b.jpg"].map(written));
    let mut wrong = command(&model);
    wrong.args(["--sidecar", ".jpg"]).arg(root.join("in"));
    let (_, error) = ended(&wrong.output().unwrap(), 2);
    assert!(error.contains("--sidecar"), "{error}");
}

#[test]
fn options_of_the_search_change_the_captions() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let model = model(root);
    picture(&root.join("a.png"), 40, 30);
    let run = |more: &[&str]| -> Value {
        let mut command = command(&model);
        command
            .args(["--json", "--alphas"])
            .args(more)
            .arg(root.join("a.png"));
        let (lines, _) = ended(&command.output().unwrap(), 0);
        serde_json::from_str(&lines[0]).unwrap()
    };
    let begun = run(&[
        "--prefix",
        "hündchen runs",
        "--n-best",
        "3",
        "--no-repeat-ngram",
        "1",
    ]);
    let caption = begun["caption"].as_str().unwrap();
    assert!(caption.starts_with("hündchen runs"), "{caption}");
    assert_eq!(begun["alternatives"].as_array().unwrap().len(), 2);
    let words: Vec<&str> = caption.split(' ').collect();
    let distinct: std::collections::HashSet<&str> = words.iter().copied().collect();
    assert_eq!(distinct.len(), words.len());
    assert_eq!(begun["alphas"].as_array().unwrap().len(), words.len());
    let without = run(&["--forbid", "a", "--forbid", "runs"]);
    let caption = without["caption"].as_str().unwrap();
    assert!(
        !caption.split(' ').any(|word| ["a", "runs"].contains(&word)),
        "{caption}"
    );
    let sampled = ["--samples", "5", "--temperature", "2", "--seed", "3"];
    assert_eq!(run(&sampled), run(&sampled));
    let mut wrong = command(&model);
    wrong.args(["--prefix", "zebra"]).arg(root.join("a.png"));
    let (_, error) = ended(&wrong.output().unwrap(), 2);
    assert!(error.contains("lacks a word of \"zebra\""), "{error}");
}
