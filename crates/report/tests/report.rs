//! The program from outside: reports of small evaluations.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_artifact::evaluation::{ImageScore, WORDS, WordsRecord};
use attend_artifact::{Artifact, Input, Manifest, Record, Staging};
use attend_testing::{DataSet, Run, Split};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const SIDE: usize = 16;
/// No caption is markup, whatever it says.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)> \u{202e}\"quoted\" & 'single'";
const SAID: [&str; 4] = [
    "a dog runs on the grass",
    "a red cat",
    "a dog on a red cat",
    "the cat runs",
];

/// Images 1 to `test` in split test, and some in train.
fn dataset(root: &Path, test: i64) -> Artifact {
    let split = |name, first, count| Split { name, first, count };
    let data = DataSet {
        side: SIDE,
        splits: &[split("train", 1000, 2), split("test", 1, test)],
        pixels: &|id| vec![id as u8; 3 * SIDE * SIDE],
        captions: &|id| match id {
            1000.. => vec!["A dog runs on the grass.".into()],
            2 => vec![HOSTILE.into()],
            _ => vec![format!("A dog runs on grass {id}."), "a red cat".into()],
        },
        objects: &[],
    };
    data.write(&root.join("dataset"))
}

fn caption(image_id: i64, beam: u32, shift: usize) -> String {
    let at = image_id as usize + beam as usize + shift;
    SAID[at % SAID.len()].to_owned()
}

fn row(image_id: i64, beam: u32, shift: usize) -> ImageScore {
    ImageScore {
        image_id,
        beam,
        caption: caption(image_id, beam, shift),
        log_prob: -(image_id as f64),
        bleu4: f64::NAN,
        meteor: f64::NAN,
        rouge_l: f64::NAN,
        cider: f64::NAN,
        finished: true,
        named: 0,
        inside: 0.0,
        chance: 0.0,
    }
}

fn words(image_id: i64, shift: usize) -> WordsRecord {
    let words = caption(image_id, 3, shift);
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    WordsRecord {
        image_id,
        attention: [255, 0, 17, 255].repeat(words.len()),
        log_probs: vec![-0.5; words.len()],
        words,
        grid_height: 2,
        grid_width: 2,
    }
}

/// An evaluation of images 1 to `test` at beam sizes 1 and 3; `shift` gives other captions.
fn evaluation(root: &Path, name: &str, dataset: &Artifact, shift: usize) -> PathBuf {
    let folder = root.join(name);
    let mut draft = Manifest::draft("evaluation", "test", "1");
    draft.config = json!({"evaluate": {"split": "test", "primary_beam": 3}});
    let input = Input {
        kind: "dataset".into(),
        digest: dataset.manifest.digest.clone(),
    };
    draft.inputs.insert("dataset".into(), input);
    let staging = Staging::open(&folder, draft).unwrap();
    let test = dataset.count("images") as i64 - 2;
    let of_beam = |beam| (1..=test).map(move |id| row(id, beam, shift));
    let rows: Vec<ImageScore> = of_beam(1).chain(of_beam(3)).collect();
    ImageScore::write(&staging.path("per_image.parquet").unwrap(), &rows).unwrap();
    let in_words: Vec<WordsRecord> = (1..=test).map(|id| words(id, shift)).collect();
    WordsRecord::write(&staging.path(WORDS).unwrap(), &in_words).unwrap();
    let results = |beam: u32| -> Value {
        let result = |row: ImageScore| json!({"image_id": row.image_id, "caption": row.caption});
        of_beam(beam).map(result).collect()
    };
    let scores = json!({"split": "test", "images": test, "beams": {"1": {}, "3": {}}, "notes": ["a <note>"]});
    for (name, value) in [
        ("results.json", results(3)),
        ("results-beam-1.json", results(1)),
        ("results-beam-3.json", results(3)),
        ("scores.json", scores),
    ] {
        std::fs::write(staging.path(name).unwrap(), value.to_string()).unwrap();
        staging.done(name, None).unwrap();
    }
    staging.done("per_image.parquet", None).unwrap();
    staging.done(WORDS, None).unwrap();
    staging
        .commit(&[("images", test as u64), ("beams", 2)])
        .unwrap();
    folder
}

fn program(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attend-report"));
    command.current_dir(root).env("ATTEND_METEOR", "none");
    command
}

fn report(root: &Path, evaluation: &str, output: &str) -> Command {
    let mut command = program(root);
    let evaluation = format!("--input=evaluation={evaluation}");
    command.args([&evaluation, "--input=dataset=dataset", "--output", output]);
    command
}

fn page(root: &Path, output: &str) -> String {
    std::fs::read_to_string(root.join(output).join("report.html")).unwrap()
}

/// What the page packs in an element.
fn unpacked(page: &str, id: &str) -> Vec<u8> {
    use base64::Engine;
    use std::io::Read;
    let (_, rest) = page.split_once(&format!("id=\"{id}\">")).unwrap();
    let text = rest.split_once('<').unwrap().0;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap();
    let mut all = Vec::new();
    flate2::read::ZlibDecoder::new(&bytes[..])
        .read_to_end(&mut all)
        .unwrap();
    all
}

#[test]
fn a_report_has_every_caption_and_no_markup_from_data() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let data = dataset(root, 9);
    evaluation(root, "evaluation", &data, 0);
    let name = "--set=report.name=\"<b>run\"";
    report(root, "evaluation", "out").arg(name).ok();
    let artifact = Artifact::open_kind(&root.join("out"), "report").unwrap();
    artifact.verify().unwrap();
    assert_eq!(artifact.manifest.files.len(), 10); // the page and 9 thumbnails
    let jpeg = std::fs::read(root.join("out/thumbnails/7.jpg")).unwrap();
    assert_eq!(&jpeg[..2], [0xff, 0xd8]);

    let page = page(root, "out");
    assert!(page.contains("<h1>&lt;b&gt;run</h1>") && page.contains("<p>a &lt;note&gt;</p>"));
    assert_eq!(page.matches("<script").count(), 3);
    assert!(!page.contains("onerror=alert"), "a caption in the frame");
    // Nothing is fetched from elsewhere.
    assert!(!page.contains("http://") && !page.contains("https://"));
    let data: Value = serde_json::from_slice(&unpacked(&page, "data")).unwrap();
    assert_eq!(data["beams"], json!([1, 3]));
    assert_eq!(data["primary"], 1);
    assert_eq!(data["captions"][1][4], caption(5, 3, 0));
    let escaped = HOSTILE.replace('\u{202e}', "\\u{202e}");
    assert_eq!(data["references"][1][0], escaped);
    assert_eq!(data["logProbs"][0][2], -300);
    assert_eq!(data["words"][0], caption(1, 3, 0).split(' ').count());
    assert_eq!(data["wordLogProbs"][0][0], -50);
    let attention = unpacked(&page, "attention");
    assert_eq!(attention[..4], [15, 0, 1, 15]);
    let words: u64 = (0..9).map(|at| data["words"][at].as_u64().unwrap()).sum();
    assert_eq!(attention.len() as u64, 4 * words);
}

#[test]
fn the_same_inputs_give_the_same_report_and_it_is_made_once() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let data = dataset(root, 5);
    evaluation(root, "evaluation", &data, 0);
    report(root, "evaluation", "a").arg("--jobs=1").ok();
    report(root, "evaluation", "b").arg("--jobs=3").ok();
    let digest = |name: &str| Artifact::open(&root.join(name)).unwrap().manifest.digest;
    assert_eq!(digest("a"), digest("b"));
    let again = report(root, "evaluation", "a").ok();
    assert!(again.log.contains("up to date"), "{}", again.log);
    assert_eq!(again.lines(), ["a/report.html"]);
}

#[test]
fn a_folder_of_other_files_is_never_replaced() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let data = dataset(root, 2);
    evaluation(root, "evaluation", &data, 0);
    std::fs::create_dir(root.join("mine")).unwrap();
    std::fs::write(root.join("mine/report.html"), "mine").unwrap();
    report(root, "evaluation", "mine").refused(4, &["mine", "not an artifact"]);
    assert_eq!(page(root, "mine"), "mine");
}

#[test]
fn an_interrupted_report_goes_on_to_the_same_one() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let data = dataset(root, 600);
    evaluation(root, "evaluation", &data, 0);
    report(root, "evaluation", "whole").ok();
    let mut child = report(root, "evaluation", "cut")
        .arg("--jobs=1")
        .spawn()
        .unwrap();
    while !root.join("cut.staging/thumbnails/1.jpg").exists() && child.try_wait().unwrap().is_none()
    {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    // 130, unless the run was so fast that the signal came too late
    let code = child.wait().unwrap().code();
    let gone = !root.join("cut").exists();
    assert!(code == Some(130) && gone || code == Some(0), "{code:?}");
    report(root, "evaluation", "cut").ok();
    let digest = |name: &str| Artifact::open(&root.join(name)).unwrap().manifest.digest;
    assert_eq!(digest("whole"), digest("cut"));
}

#[test]
fn evaluations_without_words_or_scores_are_reported_too() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let data = dataset(root, 4);
    let folder = evaluation(root, "evaluation", &data, 0);
    // As another program leaves it: three columns, and no words.
    let path = folder.join("manifest.json");
    std::fs::remove_file(folder.join(WORDS)).unwrap();
    let mut manifest = Manifest::read(&folder).unwrap();
    manifest.files.retain(|file| file.name != WORDS);
    manifest.schema = 1;
    manifest.config = json!({});
    manifest.digest = manifest.compute_digest();
    std::fs::write(path, serde_json::to_string(&manifest).unwrap()).unwrap();
    report(root, "evaluation", "out").ok();
    let page = page(root, "out");
    assert!(page.contains("keeps no attention"));
    let data: Value = serde_json::from_slice(&unpacked(&page, "data")).unwrap();
    // results.json says which beam size is the primary one.
    assert_eq!(
        (&data["primary"], &data["words"]),
        (&json!(1), &json!([0, 0, 0, 0]))
    );
}

#[test]
fn two_evaluations_are_compared_image_by_image() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let data = dataset(root, 12);
    evaluation(root, "evaluation", &data, 0);
    evaluation(root, "other", &data, 1);
    let names = [
        "--set=report.against=other",
        "--set=report.against_name=other",
    ];
    report(root, "evaluation", "out").args(names).ok();
    let page = page(root, "out");
    assert!(page.contains("<h2>Compared with other</h2>") && page.contains("Most changed"));
    let data: Value = serde_json::from_slice(&unpacked(&page, "data")).unwrap();
    assert_eq!(data["other"]["captions"][0], caption(1, 3, 1));

    let compare = |other: &str| {
        let mut command = program(root);
        command.args([
            "compare",
            "evaluation",
            other,
            "dataset",
            "--names",
            "a",
            "b",
        ]);
        command
    };
    let same = compare("evaluation").ok().out;
    assert!(
        same.contains("a and b can't be told apart: every interval includes 0."),
        "{same}"
    );
    let json: Value = serde_json::from_str(&compare("other").arg("--json").ok().out).unwrap();
    let found = &json[0];
    assert_eq!(
        (&found["beam"], &found["score"]),
        (&json!(1), &json!("bleu1"))
    );
    let of = |key: &str| found[key].as_f64().unwrap();
    assert!(
        of("low") <= of("difference") && of("difference") <= of("high"),
        "{found}"
    );
    assert_eq!(found["clear"], of("low") > 0.0 || of("high") < 0.0);
}

#[test]
fn the_worst_come_first_with_what_people_say() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let data = dataset(root, 9);
    evaluation(root, "evaluation", &data, 0);
    let worst = |more: &[&str]| {
        let mut command = program(root);
        command.args(["worst", "evaluation", "dataset"]).args(more);
        command
    };
    let text = worst(&["--by=log_prob", "-n", "2"]).ok().out;
    let expected = format!(
        "  1  9.png   log-probability -9.00\n     says    {}\n     people  A dog runs on grass 9.\n             a red cat\n  2  8.png",
        caption(9, 3, 0)
    );
    assert!(text.starts_with(&expected), "{text}");
    let list: Value =
        serde_json::from_str(&worst(&["--by=log_prob", "--best", "--json"]).ok().out).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 9);
    assert_eq!(
        (&list[0]["image_id"], &list[0]["cider"]),
        (&json!(1), &Value::Null)
    );
    assert!(
        worst(&["--by=log_prob", "--best", "-n3"])
            .ok()
            .out
            .contains("\\u{202e}")
    );
    worst(&["--beam", "2"]).refused(2, &["--beam 2", "1, 3"]);
    worst(&[]).refused(2, &["no such score"]);
}

#[test]
fn an_evaluation_of_other_images_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let data = dataset(root, 4);
    evaluation(root, "few", &data, 0);
    std::fs::remove_dir_all(root.join("dataset")).unwrap();
    dataset(root, 5);
    report(root, "few", "out").refused(4, &["few", "no caption of image 5", "5.png"]);
    assert!(!root.join("out").exists());
}
