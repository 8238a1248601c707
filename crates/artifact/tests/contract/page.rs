//! What docs/contract.md says is what the code does.

use crate::world::{World, json, redigest};
use arrow_schema::DataType;
use attend_artifact::ledger::Reason;
use attend_artifact::manifest::schema;
use attend_artifact::shard::{Dtype, TensorShard};
use attend_artifact::verify::{KINDS, judge};
use attend_artifact::vocabulary::Tokenizer;
use attend_artifact::{Manifest, schemas};
use attend_program::describe::Description;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/contract.md");
    std::fs::read_to_string(path).unwrap()
}

/// The cells of the first table that begins at a line or after it.
fn table<'a>(page: &'a str, after: &str) -> Vec<Vec<&'a str>> {
    assert!(page.lines().any(|line| line == after), "no line {after:?}");
    let rows = (page.lines().skip_while(|line| *line != after))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let cells = |row: &'a str| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`')).collect()
    };
    rows.skip(2).map(cells).collect()
}

/// The first block of code in a language after a heading.
fn block<'a>(page: &'a str, after: &str, language: &str) -> &'a str {
    let (_, rest) = page.split_once(after).unwrap();
    let (_, rest) = rest.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn tables_have_the_columns_of_the_page() {
    fn name(data_type: &DataType) -> String {
        match data_type {
            DataType::Utf8 => "string".to_owned(),
            DataType::List(item) => format!("list<{}>", name(item.data_type())),
            other => other.to_string().to_lowercase(),
        }
    }
    let page = page();
    for (kind, file, schema) in schemas::tables() {
        let described = table(&page, &format!("#### `{kind}`: `{file}`"));
        let described: Vec<(&str, String)> = (described.iter())
            .map(|row| (row[0], row[1].to_owned()))
            .collect();
        let fields = schema.fields().iter();
        let columns: Vec<(&str, String)> = fields
            .map(|field| (field.name().as_str(), name(field.data_type())))
            .collect();
        assert_eq!(described, columns, "{kind} {file}");
    }
    let tables = page.lines().filter(|line| line.starts_with("#### "));
    assert_eq!(tables.count(), schemas::tables().len());
}

#[test]
fn kinds_versions_reasons_and_tokenizers_are_those_of_the_page() {
    let page = page();
    let mut versions: BTreeMap<&str, u32> = BTreeMap::new();
    for row in table(&page, "## Versions") {
        let last = versions.insert(row[0], row[1].parse().unwrap());
        assert_eq!(last.unwrap_or_default() + 1, versions[row[0]], "{row:?}");
    }
    let newest: BTreeMap<&str, u32> = KINDS.map(|kind| (kind, schema(kind))).into();
    assert_eq!(versions, newest);
    for kind in KINDS {
        assert!(page.contains(&format!("\n## {kind}\n")), "{kind}");
    }
    let reasons = Reason::ALL
        .iter()
        .map(|reason| format!("`{}`", reason.code()));
    let reasons: Vec<String> = reasons.collect();
    let reasons = reasons.join(", ");
    assert!(page.replace('\n', " ").contains(&reasons), "{reasons}");
    for tokenizer in [Tokenizer::LowercaseAlphanumeric, Tokenizer::UnicodeWords] {
        let name = serde_json::to_value(tokenizer).unwrap();
        assert!(page.contains(&format!("`{}`", name.as_str().unwrap())));
    }
}

#[test]
fn every_count_stands_on_the_page() {
    let (page, world) = (page(), World::new());
    for kind in KINDS {
        let (_, section) = page.split_once(&format!("\n## {kind}\n")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let begin = "| count | needed | meaning |";
        let counts = table(section, begin);
        let counts: Vec<&str> = (counts.iter())
            .flat_map(|row| row[0].split(", ").map(|name| name.trim_matches('`')))
            .collect();
        let needed = table(section, begin)
            .into_iter()
            .filter(|row| row[1] == "yes");
        let needed: Vec<&str> = needed.flat_map(|row| row[0].split("`, `")).collect();
        let manifest = Manifest::read(&world.path(kind)).unwrap();
        for name in manifest.counts.keys() {
            assert!(counts.contains(&name.as_str()), "{kind} {name}");
        }
        // Without those that are needed, it is refused.
        for name in needed {
            let folder = tempfile::tempdir().unwrap();
            world.copy(kind, folder.path());
            json(&folder.path().join("manifest.json"), |manifest| {
                manifest["counts"]
                    .as_object_mut()
                    .unwrap()
                    .shift_remove(name)
                    .unwrap();
                redigest(manifest);
            });
            assert!(
                !judge(folder.path(), None, &[]).unwrap().is_whole(),
                "{name}"
            );
        }
    }
}

#[test]
fn numbers_are_printed_as_the_page_says() {
    for row in table(&page(), "### Numbers") {
        let number: Value = serde_json::from_str(row[0]).unwrap();
        assert_eq!(number.to_string(), row[1]);
    }
}

#[test]
fn the_digest_on_the_page_is_right_in_rust_and_in_python() {
    let page = page();
    let begin = "## The digest, step by step";
    let manifest = block(&page, begin, "json");
    let typed: Manifest = serde_json::from_str(manifest).unwrap();
    assert_eq!(typed.compute_digest(), typed.digest);
    let file = block(&page, begin, "text");
    assert_eq!(typed.files[0].bytes, file.len() as u64);
    assert_eq!(
        typed.files[0].blake3,
        blake3::hash(file.as_bytes()).to_hex().as_str()
    );
    let hashed = block(&page, "The text that is hashed here:", "text").trim_end();
    let hash = |text: &str| blake3::hash(text.as_bytes()).to_hex().to_string();
    assert_eq!(hash(hashed), typed.digest);
    // Python's standard library has no BLAKE3: this stand-in hashes what it is to hash here.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("words")).unwrap();
    std::fs::write(folder.path().join("words/manifest.json"), manifest).unwrap();
    let stand_in = format!(
        "class blake3:\n    def __init__(self, text):\n        assert text == {hashed:?}.encode(), text\n    def hexdigest(self):\n        return {:?}\n",
        typed.digest
    );
    std::fs::write(folder.path().join("blake3.py"), stand_in).unwrap();
    std::fs::write(
        folder.path().join("digest.py"),
        block(&page, begin, "python"),
    )
    .unwrap();
    let mut python = Command::new("python3");
    let ended = python.arg("digest.py").current_dir(folder.path()).output();
    let ended = match ended {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return, // no Python here
        ended => ended.unwrap(),
    };
    let error = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(
        String::from_utf8(ended.stdout).unwrap(),
        "True\n",
        "{error}"
    );
}

/// `fixtures/pyarrow.arrow` was written with the page's code: rows of 2 cells of 3 channels,
/// in batches of two images and of one. Every number is image * 100 + its position.
#[test]
fn a_shard_that_pyarrow_wrote_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let shard = TensorShard::open(&folder.join("pyarrow.arrow")).unwrap();
    assert_eq!((shard.dtype(), shard.shape()), (Dtype::F32, &[2, 3][..]));
    assert_eq!((shard.ids(), shard.column()), (&[7, 8, 9][..], "features"));
    for (row, id) in shard.ids().iter().enumerate() {
        let expected: Vec<u8> = (0..6u8)
            .flat_map(|at| (*id as f32 * 100.0 + f32::from(at)).to_le_bytes())
            .collect();
        assert_eq!(shard.row(row).unwrap(), expected);
    }
}

#[test]
fn the_description_on_the_page_is_one() {
    let page = page();
    let text = block(&page, "answers `--describe` with", "json");
    let description: Description = serde_json::from_str(text).unwrap();
    assert_eq!(description.name, "word-pieces");
    assert!(KINDS.contains(&description.output.as_str()));
    assert_eq!(description.parameters["pieces"]["size"], 4000);
}
