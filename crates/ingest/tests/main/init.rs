//! `attend-ingest init`: what it says of a folder, and what it writes.

use crate::archives::zip;
use crate::{data_set, fixture, open, write};
use assert_cmd::Command;
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

/// Runs `init` on `folder/root`; returns standard output, standard error and the exit code.
fn init(folder: &TempDir, more: &[&str]) -> (String, String, i32) {
    let root = folder.path().join("root");
    let mut command = Command::cargo_bin("attend-ingest").unwrap();
    command.arg("init").arg("--data").arg(root).args(more);
    let output = command
        .current_dir(folder.path())
        .env_remove("WEIGHTS")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code().unwrap(),
    )
}

#[track_caller]
fn refused(folder: &TempDir, more: &[&str], code: i32, words: &[&str]) {
    let (_, log, is) = init(folder, more);
    assert_eq!(is, code, "{log}");
    for word in words {
        assert!(log.contains(word), "{word:?} is not in {log}");
    }
    assert!(
        !folder.path().join("configs").exists(),
        "nothing is written"
    );
}

/// The config that was written, and what was said.
#[track_caller]
fn written(folder: &TempDir, more: &[&str]) -> (toml::Table, String) {
    let (out, log, code) = init(folder, more);
    assert_eq!(code, 0, "{log}");
    let text = std::fs::read_to_string(folder.path().join("configs/root.toml")).unwrap();
    (text.parse().unwrap(), out)
}

/// Karpathy's file with one image in each split.
fn karpathy(splits: &[&str]) -> Vec<u8> {
    let image = |(id, split): (usize, &&str)| json!({"filename": format!("{id}.jpg"), "split": split, "sentences": [{"raw": "a dog"}, {"raw": "dogs"}]});
    let images: Vec<_> = splits.iter().enumerate().map(image).collect();
    json!({ "images": images }).to_string().into_bytes()
}

const SPLITS: [&str; 3] = ["train", "val", "test"];

fn photographs(folder: &TempDir, place: &str, count: usize) {
    for id in 0..count {
        let mut bytes = fixture("rgb420.jpg");
        bytes.extend(id.to_le_bytes()); // another content, the same pixels
        write(
            &folder
                .path()
                .join("root")
                .join(place)
                .join(format!("{id}.jpg")),
            &bytes,
        );
    }
}

fn dataset(config: &toml::Table, key: &str) -> Option<toml::Value> {
    config["dataset"].get(key).cloned()
}

#[test]
fn what_is_no_data_set_is_said_with_what_it_lacks() {
    let folder = TempDir::new().unwrap();
    refused(&folder, &[], 3, &["root: no such file or folder (--data)"]);
    std::fs::create_dir(folder.path().join("root")).unwrap();
    refused(&folder, &[], 3, &["an empty folder", "docs/data.md"]);
    photographs(&folder, "a/b", 3);
    refused(
        &folder,
        &[],
        3,
        &["3 photographs, but no captions", "captions.csv"],
    );
    let folder = data_set(&[
        ("src/main.rs", b"fn main() {}"),
        ("src/lib.rs", b""),
        ("x", b""),
    ]);
    refused(
        &folder,
        &[],
        3,
        &["3 files (2 .rs, 1 without an ending), but no photographs"],
    );
    let folder = data_set(&[("coco.tar.gz", b"\x1f\x8b")]);
    refused(
        &folder,
        &[],
        3,
        &["there is coco.tar.gz", "`tar -xf coco.tar.gz`"],
    );
    let folder = data_set(&[("mini/annotations/captions_val2014.json", b"{}")]);
    refused(
        &folder,
        &[],
        3,
        &["root/mini is one: give that with --data"],
    );
    let folder = data_set(&[]);
    let members = vec![("dataset.json".to_owned(), karpathy(&SPLITS))];
    std::fs::create_dir_all(folder.path().join("root")).unwrap();
    zip(&folder.path().join("root/all.zip"), "", &members);
    let all = folder.path().join("root/all.zip");
    let mut command = Command::cargo_bin("attend-ingest").unwrap();
    let command = command
        .args(["init", "--data"])
        .arg(all)
        .current_dir(folder.path());
    let output = command.assert().code(3);
    let log = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(log.contains("`unzip all.zip -d all`"), "{log}");
}

#[test]
fn captions_without_photographs_are_no_data_set() {
    let folder = data_set(&[("dataset.json", &karpathy(&SPLITS))]);
    refused(
        &folder,
        &[],
        3,
        &[
            "dataset.json, in Karpathy's format",
            "such as 0.jpg",
            "--photographs",
        ],
    );
    photographs(&folder, "../elsewhere", 3);
    let (config, out) = written(&folder, &["--photographs", "elsewhere"]);
    assert!(out.contains("3 images, 6 captions"), "{out}");
    let elsewhere = folder.path().join("elsewhere").display().to_string();
    assert_eq!(dataset(&config, "image_dir"), Some(elsewhere.into()));
}

#[test]
fn a_damaged_file_is_named_with_the_place_in_it() {
    let mut text = karpathy(&SPLITS);
    text.truncate(150);
    let folder = data_set(&[("dataset.json", &text)]);
    refused(
        &folder,
        &[],
        3,
        &["dataset.json:1:150:", "the file ends too early"],
    );
}

#[test]
fn two_readings_are_shown_and_neither_is_guessed() {
    let coco = |id: i64| {
        json!({"images": [{"id": id, "file_name": format!("{id}.jpg")}],
            "annotations": [{"id": id, "image_id": id, "caption": "a dog"}]})
        .to_string()
    };
    let folder = data_set(&[
        ("dataset.json", &karpathy(&SPLITS)),
        ("annotations/captions_train2014.json", coco(0).as_bytes()),
        ("annotations/captions_val2014.json", coco(1).as_bytes()),
        // Its photographs are not here.
        ("annotations/captions_val2017.json", coco(2).as_bytes()),
    ]);
    photographs(&folder, "train2014", 3);
    photographs(&folder, "val2014", 3);
    let (_, log, code) = init(&folder, &[]);
    assert_eq!(code, 2, "{log}");
    for words in [
        "in 3 ways",
        "--as coco:2014: COCO's captions of 2014 (train, val): 2 images, 2 captions\n",
        "train 1 (1 captions), val 1 (1 captions)",
        "--as karpathy:train2014: dataset.json, in Karpathy's format, with the photographs in train2014: 3 images",
        "--as karpathy:val2014",
    ] {
        assert!(log.contains(words), "{words:?} is not in {log}");
    }
    let (config, _) = written(&folder, &["--as", "coco:2014"]);
    assert_eq!(dataset(&config, "year"), Some("2014".into()));
    // There is no test: the config says what that means.
    assert_eq!(config["evaluate"]["split"], "val".into());
    let (config, _) = written(&folder, &["--as", "karpathy:val2014", "--force"]);
    assert_eq!(dataset(&config, "image_dir"), Some("val2014".into()));
    let (_, log, code) = init(&folder, &["--as", "flickr8k", "--name", "x"]);
    assert_eq!(code, 2);
    assert!(
        log.contains("can be read as coco:2014, coco:2017, karpathy"),
        "{log}"
    );
}

#[test]
fn a_table_without_header_is_read_by_what_its_columns_hold() {
    let table = |title: &str| {
        let splits = SPLITS.iter().enumerate();
        let row = |(id, split): (usize, &&str)| {
            [1, 2].map(|n| format!("{split}\t{}\t{id}.jpg{title}\ta dog runs {n}\n", 7 + id))
        };
        splits.flat_map(row).collect::<String>()
    };
    let folder = data_set(&[("captions.tsv", table("").as_bytes())]);
    photographs(&folder, "images", 3);
    let (config, out) = written(&folder, &[]);
    let columns = r#"{ caption = "4", id = "2", image = "3", split = "1" }"#;
    let columns: toml::Table = format!("columns = {columns}").parse().unwrap();
    assert_eq!(dataset(&config, "columns").as_ref(), columns.get("columns"));
    assert_eq!(dataset(&config, "header"), Some(false.into()));
    let what =
        r#"images in column "3" and captions in "4", splits in "1", ids in "2": 3 images, 6"#;
    assert!(out.contains(what), "{out}");

    // Two columns of words: either may be the caption.
    let titled = table("\tOf the dog").into_bytes();
    write(&folder.path().join("root/captions.tsv"), &titled);
    let (_, log, code) = init(&folder, &["--force"]);
    assert_eq!(code, 2, "{log}");
    for words in [
        "--as table:3,4,1,2: ",
        r#"captions in "4""#,
        "--as table:3,5,1,2: ",
    ] {
        assert!(log.contains(words), "{words:?} is not in {log}");
    }
    let (config, _) = written(&folder, &["--force", "--as", "table:3,5,1,2"]);
    assert_eq!(config["dataset"]["columns"]["caption"], "5".into());

    // Numbers that repeat are no ids.
    let rows = |names: [&str; 4]| -> String {
        let row = |name: &str| format!("{name}\t640\ta dog runs on {name}\n");
        names.map(row).concat()
    };
    let table = folder.path().join("root/captions.tsv");
    write(
        &table,
        rows(["0.jpg", "1.jpg", "2.jpg", "3.jpg"]).as_bytes(),
    );
    let (config, out) = written(&folder, &["--force"]);
    assert!(config["dataset"]["columns"].get("id").is_none());
    assert!(out.contains("missing: 1 of 4 photographs"), "{out}");

    // No name is that of a photograph which is there.
    write(
        &table,
        rows(["5.jpg", "6.jpg", "7.jpg", "8.jpg"]).as_bytes(),
    );
    let (_, log, code) = init(&folder, &["--force"]);
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("no captions that are known"), "{log}");
}

#[test]
fn a_config_is_not_overwritten() {
    let folder = data_set(&[("dataset.json", &karpathy(&SPLITS))]);
    photographs(&folder, "", 3);
    write(&folder.path().join("configs/root.toml"), b"mine");
    let (_, log, code) = init(&folder, &[]);
    assert_eq!(code, 2);
    assert!(
        log.contains("configs/root.toml: exists already; --force"),
        "{log}"
    );
    assert_eq!(
        std::fs::read(folder.path().join("configs/root.toml")).unwrap(),
        b"mine"
    );
    written(&folder, &["--force"]);
    let (out, _, code) = init(&folder, &["--name", "other", "--output", "there"]);
    assert_eq!(code, 0);
    assert!(out.contains("wrote there/other.toml"), "{out}");
    let (_, log, code) = init(&folder, &["--name", "a b"]);
    assert_eq!(code, 2);
    assert!(log.contains("use letters, digits"), "{log}");
}

#[test]
fn splits_of_other_names_are_renamed_and_missing_ones_are_made() {
    let folder = data_set(&[(
        "dataset.json",
        &karpathy(&["Train", "dev", "test", "extra"]),
    )]);
    photographs(&folder, "", 4);
    let (config, out) = written(&folder, &[]);
    assert!(
        out.contains("train 1 (2 captions), val 1 (2 captions), test 1 (2 captions), extra 1"),
        "{out}"
    );
    let splits = "Train = \"train\"\ndev = \"val\""
        .parse::<toml::Table>()
        .unwrap();
    assert_eq!(dataset(&config, "splits"), Some(splits.into()));

    let folder = data_set(&[("dataset.json", &karpathy(&["train"; 60]))]);
    photographs(&folder, "", 60);
    let (config, out) = written(&folder, &[]);
    assert!(out.contains("no splits to train and to judge by"), "{out}");
    let split = dataset(&config, "split").unwrap();
    assert_eq!(split["replace"], true.into());
    // What it says is what the stage makes.
    let mut ingest = Command::cargo_bin("attend-ingest").unwrap();
    ingest.args(["--config", "configs/root.toml", "--output", "out"]);
    ingest.args(["--set", "dataset.image_size=16"]);
    ingest.current_dir(folder.path()).assert().success();
    let (_, dataset) = open(&folder, "out");
    for split in SPLITS {
        let count = dataset
            .images()
            .iter()
            .filter(|image| image.split == split)
            .count();
        assert!(
            count > 0 && out.contains(&format!("{split} {count} (")),
            "{split} {count}: {out}"
        );
    }
}

#[test]
fn photographs_that_are_missing_or_links_are_found_out() {
    let folder = data_set(&[(
        "dataset.json",
        &karpathy(&["train", "val", "test", "train"]),
    )]);
    photographs(&folder, "pictures", 3);
    let (config, out) = written(&folder, &[]);
    assert_eq!(dataset(&config, "image_dir"), Some("pictures".into()));
    assert!(out.contains("missing: 1 of 4 photographs"), "{out}");

    let folder = data_set(&[("dataset.json", &karpathy(&SPLITS))]);
    photographs(&folder, "../blobs", 3);
    for id in 0..3 {
        let blob = folder.path().join(format!("blobs/{id}.jpg"));
        let link = folder.path().join(format!("root/{id}.jpg"));
        std::os::unix::fs::symlink(blob, link).unwrap();
    }
    let (config, _) = written(&folder, &[]);
    assert_eq!(dataset(&config, "follow_links"), Some(true.into()));
}

#[test]
fn the_tutorial_s_files_are_read_by_their_own_pipeline() {
    let base = "coco_2_cap_per_img_5_min_word_freq";
    let name = |start: &str, end: &str| format!("{start}_{base}.{end}");
    let folder = data_set(&[
        (&name("WORDMAP", "json"), b"{}"),
        (&name("TRAIN_IMAGES", "hdf5"), b""),
        (&name("TRAIN_CAPLENS", "json"), b"[3, 4, 5, 6]"),
        (&name("VAL_IMAGES", "hdf5"), b""),
        (&name("VAL_CAPLENS", "json"), b"[3, 4]"),
    ]);
    let (config, out) = written(&folder, &[]);
    assert!(
        out.contains("the PyTorch tutorial's HDF5 files: 3 images, 6 captions"),
        "{out}"
    );
    assert!(
        out.contains("train 2 (4 captions), val 1 (2 captions)"),
        "{out}"
    );
    assert_eq!(config["run"]["pipeline"], "tutorial".into());
    assert_eq!(
        dataset(&config, "annotations"),
        Some(name("WORDMAP", "json").into())
    );
    // Keys that `attend-hdf5` does not have would be refused.
    assert_eq!(dataset(&config, "image_size"), None);
    assert_eq!(dataset(&config, "format"), None);
}

#[test]
fn weights_are_recognised_by_the_names_in_them() {
    let folder = data_set(&[("dataset.json", &karpathy(&SPLITS))]);
    photographs(&folder, "", 3);
    let names = |stages: &[usize], three: bool| {
        let mut text = String::from("\x40\0\0\0\0\0\0\0{");
        for (stage, blocks) in (1..).zip(stages) {
            for block in 0..*blocks {
                text += &format!("\"module.layer{stage}.{block}.conv1.weight\":0,");
                if three {
                    text += &format!("\"module.layer{stage}.{block}.conv3.weight\":0,");
                }
            }
        }
        text.replace("module.", "").into_bytes()
    };
    for (file, bytes, arch, last_stage, stride_in) in [
        (
            "a.pth",
            names(&[3, 4, 23, 3], true),
            "resnet101",
            "layer4",
            "conv3x3",
        ),
        (
            "b.safetensors",
            names(&[2, 2, 2, 2], false),
            "resnet18",
            "layer4",
            "conv3x3",
        ),
        (
            "c-stride1x1.safetensors",
            names(&[3, 4, 6], true),
            "resnet50",
            "layer3",
            "conv1x1",
        ),
    ] {
        write(&folder.path().join(file), &bytes);
        let (config, _) = written(&folder, &["--weights", file, "--force"]);
        let encoder = &config["encoder"];
        assert_eq!(encoder["arch"], arch.into());
        assert_eq!(encoder["last_stage"], last_stage.into());
        assert_eq!(encoder["stride_in"], stride_in.into());
        let path = folder.path().join(file).display().to_string();
        assert_eq!(encoder["weights"], path.into());
    }
    let script = folder.path().join("net.pt");
    zip(
        &script,
        "net/",
        &[("code/__torch__.py".to_owned(), b"".to_vec())],
    );
    let (config, _) = written(&folder, &["--weights", "net.pt", "--force"]);
    assert_eq!(
        config["torchscript"]["file"],
        script.display().to_string().into()
    );
    write(&folder.path().join("x.pth"), b"nothing");
    let (_, log, code) = init(&folder, &["--weights", "x.pth", "--force"]);
    assert_eq!(code, 3);
    assert!(log.contains("x.pth: no weights of a ResNet"), "{log}");
    let (_, log, code) = init(&folder, &["--weights", "y.pth", "--force"]);
    assert_eq!(code, 3);
    assert!(log.contains("y.pth: no such file (--weights)"), "{log}");
    let (config, out) = written(&folder, &["--force"]);
    let weights = "${WEIGHTS}/resnet101-63fe2227.pth";
    assert_eq!(config["encoder"]["weights"], weights.into());
    assert!(
        out.contains("cargo xtask fetch resnet101 --to weights"),
        "{out}"
    );
}

/// The layouts of real data sets, with their real counts.
#[test]
#[ignore = "needs ATTEND_DATA"]
fn real_data_sets_are_recognised() {
    let data = attend_testing::data();
    let run = |name: &str, more: &[&str]| {
        let folder = TempDir::new().unwrap();
        let mut command = Command::cargo_bin("attend-ingest").unwrap();
        command
            .arg("init")
            .arg("--data")
            .arg(data.join(name))
            .args(more);
        let output = command.current_dir(folder.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            String::from_utf8(text).unwrap(),
            output.status.code().unwrap(),
        )
    };
    let all = |(text, code): (String, i32), expected: i32, words: &[&str]| {
        assert_eq!(code, expected, "{text}");
        for words in words {
            assert!(text.contains(words), "{words:?} is not in {text}");
        }
    };
    let coco = [
        "--as coco:2014: COCO's captions of 2014 (train, val): 811 images",
        "--as karpathy: dataset_coco.json",
    ];
    all(run("coco-mini", &[]), 2, &coco);
    let karpathy = ["train 448", "val 186", "test 177", "left aside"];
    all(run("coco-mini", &["--as", "karpathy"]), 0, &karpathy[..3]);
    let flickr8k = [
        "--as flickr8k: Flickr8k's own files: 384 images, 1920 captions",
        "train 321",
        "val 37",
        "test 26",
        "--as karpathy: ",
    ];
    all(run("flickr8k-mini", &[]), 2, &flickr8k);
    let rsicd = [
        "10921 images",
        "train 8734",
        "val 1094",
        "test 1093",
        "224 x 224",
    ];
    all(run("rsicd", &[]), 0, &rsicd);
    let all_of_them = ["--as karpathy:rsicd/dataset_rsicd.json: rsicd/dataset_rsicd.json"];
    all(run("", &[]), 2, &all_of_them);
}

/// A path of a config is one that the config's reader takes back.
#[test]
fn odd_names_are_quoted() {
    let folder = TempDir::new().unwrap();
    let odd = "a \"b\" 'c' \\d é";
    let root = folder.path().join(odd);
    write(&root.join("dataset.json"), &karpathy(&SPLITS));
    for id in 0..3 {
        write(&root.join(format!("{id}.jpg")), &fixture("rgb420.jpg"));
    }
    let mut command = Command::cargo_bin("attend-ingest").unwrap();
    let command = command
        .arg("init")
        .arg("--data")
        .arg(&root)
        .current_dir(folder.path());
    command.assert().success();
    let configs = folder.path().join("configs").read_dir().unwrap();
    let path = configs.map(|entry| entry.unwrap().path()).next().unwrap();
    let config: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    assert_eq!(
        config["dataset"]["root"].as_str().map(Path::new),
        Some(&*root)
    );
    assert_eq!(config["run"]["name"], "a--b---c---d".into());
}
