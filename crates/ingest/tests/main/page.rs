//! The examples of `docs/data.md`: each is a data set that is read as the page says.

use crate::archives::{Member, tar};
use crate::{fixture, open, write};
use assert_cmd::Command;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// An example: its files and photographs, its config, and what comes out of it.
#[derive(Default)]
struct Example {
    files: Vec<(String, String)>,
    config: String,
    counts: String,
}

/// The examples of the page: the blocks before each config, and the line after it.
fn examples() -> Vec<Example> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/data.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut examples = Vec::new();
    let mut example = Example::default();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            if !example.config.is_empty() && !line.is_empty() {
                line.clone_into(&mut example.counts);
                examples.push(std::mem::take(&mut example));
            }
            continue;
        };
        let block = lines.by_ref().take_while(|line| *line != "```");
        let text: String = block.map(|line| format!("{line}\n")).collect();
        match info.split_once(' ') {
            None if info == "toml" => example.config = text,
            None => (),
            Some((_, name)) => example.files.push((name.to_owned(), text)),
        }
    }
    examples
}

impl Example {
    /// Writes its files into `root`; photographs are all different.
    fn make(&self, root: &Path) {
        std::fs::create_dir_all(root).unwrap();
        let mut number = 0;
        let mut photograph = || {
            number += 1;
            let mut bytes = fixture("rgb420.jpg");
            bytes.extend([number]); // after the end marker, so it changes no pixel
            bytes
        };
        for (name, text) in &self.files {
            if name == "photographs" {
                for name in text.lines() {
                    write(&root.join(name), &photograph());
                }
            } else if name.ends_with(".tar") {
                let members: Vec<Member> = text
                    .lines()
                    .map(|line| match line.split_once(": ") {
                        Some((name, text)) => (name.to_owned(), text.as_bytes().to_vec()),
                        None => (line.to_owned(), photograph()),
                    })
                    .collect();
                tar(&root.join(name), "", &members);
            } else {
                write(&root.join(name), text.as_bytes());
            }
        }
    }
}

/// `train 1, val 2; 3 captions.`
fn counted(folder: &TempDir, output: &str) -> String {
    let (_, dataset) = open(folder, output);
    let mut splits: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for image in dataset.images() {
        let order = ["train", "val", "test"]
            .iter()
            .position(|split| *split == image.split);
        *splits
            .entry((order.unwrap_or(3), &image.split))
            .or_default() += 1;
    }
    let splits: Vec<String> = splits
        .into_iter()
        .map(|((_, split), count)| format!("{split} {count}"))
        .collect();
    format!(
        "{}; {} captions.",
        splits.join(", "),
        dataset.captions().len()
    )
}

#[test]
fn each_example_of_the_page_is_read_as_it_says() {
    let examples = examples();
    assert_eq!(examples.len(), 7);
    for example in examples {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("root");
        example.make(&root);
        write(&folder.path().join("c.toml"), example.config.as_bytes());
        let mut ingest = Command::cargo_bin("attend-ingest").unwrap();
        ingest.arg("--config").arg(folder.path().join("c.toml"));
        ingest.arg("--output").arg(folder.path().join("out"));
        ingest
            .arg("--set")
            .arg(format!("dataset.root={:?}", root.display().to_string()));
        ingest
            .args(["--set", "dataset.image_size=16"])
            .assert()
            .success();
        assert_eq!(
            counted(&folder, "out"),
            example.counts,
            "{}",
            example.config
        );
    }
}

/// What `init` writes for each example gives the data set that the page's config gives.
#[test]
fn init_recognises_each_example_of_the_page() {
    for example in examples() {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("root");
        example.make(&root);
        let config = folder.path().join("c.toml");
        let mut init = Command::cargo_bin("attend-ingest").unwrap();
        init.arg("init")
            .arg("--data")
            .arg(&root)
            .arg("--output")
            .arg(&config);
        init.assert().success();
        let mut ingest = Command::cargo_bin("attend-ingest").unwrap();
        ingest
            .arg("--config")
            .arg(&config)
            .arg("--output")
            .arg(folder.path().join("out"));
        ingest
            .args(["--set", "dataset.image_size=16"])
            .assert()
            .success();
        assert_eq!(
            counted(&folder, "out"),
            example.counts,
            "{}",
            example.config
        );
    }
}
