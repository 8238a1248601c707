//! Parquet tables: photographs as bytes or as paths, other writers' types, and damage.

use crate::tables::{ledger, listed, made, refused, with_photographs};
use crate::{data_set, fixture, write};
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Int64Array, LargeBinaryArray,
    LargeStringArray, RecordBatch, StringArray, StructArray,
};
use arrow_schema::{DataType, Field};
use attend_artifact::ledger::Reason;
use attend_ingest::config::Section;
use attend_ingest::formats;
use attend_ingest::parquet_file::Photographs;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use std::path::Path;
use std::sync::Arc;

const LIMIT: u64 = 1 << 20;

/// Columns by name.
pub type Columns<'a> = Vec<(&'a str, ArrayRef)>;

/// A Parquet file of these columns, with `rows` rows in a row group.
pub fn parquet_file(
    columns: Columns<'_>,
    rows: usize,
    properties: WriterPropertiesBuilder,
) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    let properties = properties.set_max_row_group_row_count(Some(rows)).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn plain(columns: Columns<'_>) -> Vec<u8> {
    parquet_file(columns, 2, WriterProperties::builder())
}

/// The hub's column of photographs: a structure of bytes and the file's name.
pub fn hub(bytes: &[Option<Vec<u8>>], paths: &[Option<&str>]) -> ArrayRef {
    let bytes: BinaryArray = bytes.iter().map(|bytes| bytes.as_deref()).collect();
    let paths: StringArray = paths.iter().copied().collect();
    let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
    Arc::new(StructArray::from(vec![
        (
            field("bytes", DataType::Binary),
            Arc::new(bytes) as ArrayRef,
        ),
        (field("path", DataType::Utf8), Arc::new(paths)),
    ]))
}

pub fn strings(texts: &[&str]) -> ArrayRef {
    Arc::new(
        texts
            .iter()
            .map(|text| Some(*text))
            .collect::<StringArray>(),
    )
}

pub fn lists(rows: &[&[&str]]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        row.iter()
            .for_each(|text| lists.values().append_value(text));
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn numbers(numbers: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(numbers.to_vec()))
}

fn pictures() -> [Vec<u8>; 3] {
    ["rgb420.jpg", "grey.jpg", "palette.png"].map(fixture)
}

#[test]
fn photographs_as_bytes_of_any_type_and_captions_of_any_type() {
    let [a, b, c] = pictures();
    let all = [a.clone(), b.clone(), c.clone()];
    let split: DictionaryArray<Int8Type> = ["train", "train", "validation"].into_iter().collect();
    let split: ArrayRef = Arc::new(split);
    let captions: ArrayRef = Arc::new(LargeStringArray::from(vec!["one", "two", "three"]));
    let bytes = Arc::new(BinaryArray::from_iter_values(&all));
    let large: ArrayRef = Arc::new(LargeBinaryArray::from_iter_values(&all));
    let some = all.clone().map(Some);
    let of_hub = hub(&some, &[Some("a.jpg"), None, Some("c.png")]);
    let as_bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(["one", "two", "three"]));
    let lists = lists(&[&["one"], &["two"], &["three"]]);
    for (what, columns, folder) in [
        (
            "hub",
            vec![
                ("image", of_hub.clone()),
                ("text", captions.clone()),
                ("split", split.clone()),
            ],
            "image/bytes",
        ),
        (
            "binary",
            vec![
                ("split", split.clone()),
                ("image", bytes.clone() as ArrayRef),
                ("captions", lists),
            ],
            "image",
        ),
        (
            "another name",
            vec![
                ("jpg_bytes", large.clone()),
                ("filename", strings(&["a", "b", "c"])),
                ("caption", captions.clone()),
                ("split", split.clone()),
            ],
            "jpg_bytes",
        ),
        (
            "text as bytes",
            vec![
                ("image", of_hub),
                ("sentence", as_bytes),
                ("set", split.clone()),
            ],
            "image/bytes",
        ),
    ] {
        let file = plain(columns);
        let folder_name = format!("data/t.parquet/{folder}");
        let root = data_set(&[("data/t.parquet", &file)]);
        let more = match what {
            "another name" => &[r#"dataset.columns={ image = "jpg_bytes" }"#][..],
            _ => &[],
        };
        let (dataset, _) = made(&root, "data/t.parquet", more);
        let found: Vec<_> = listed(&dataset);
        let row = |number: usize, split: &str, caption: &str| {
            (
                format!("{folder_name}/{number}"),
                split.to_owned(),
                vec![caption.to_owned()],
            )
        };
        let expected = [
            row(0, "train", "one"),
            row(1, "train", "two"),
            row(2, "val", "three"),
        ];
        assert_eq!(found, expected, "{what}");
        assert!(dataset.rejected().is_empty(), "{what}");
    }
    // Which of two columns it is, is not guessed.
    let file = plain(vec![
        ("jpg_bytes", large),
        ("filename", strings(&["a", "b", "c"])),
        ("caption", captions),
        ("split", split),
    ]);
    let root = data_set(&[("t.parquet", &file)]);
    let log = refused(&root, "t.parquet", &[]);
    assert!(
        log.contains("\"filename\" and \"jpg_bytes\" could each be the image"),
        "{log}"
    );
}

/// Paths in Parquet, also in the hub's structure if it has no bytes.
#[test]
fn photographs_as_paths() {
    let captions = || strings(&["one", "two", "three"]);
    let names = ["a.jpg", "b.jpg", "c.png"];
    let ids = || numbers(&[7, 5, 6]);
    for image in [strings(&names), hub(&[None, None, None], &names.map(Some))] {
        let file = plain(vec![
            ("image", image),
            ("caption", captions()),
            ("image_id", ids()),
        ]);
        let root = with_photographs(&[("train.parquet", &file)]);
        let (dataset, _) = made(&root, "train.parquet", &["dataset.image_dir=photos"]);
        let names: Vec<&str> = dataset
            .images()
            .iter()
            .map(|image| &*image.file_name)
            .collect();
        assert_eq!(names, ["photos/a.jpg", "photos/b.jpg", "photos/c.png"]);
        let ids: Vec<i64> = dataset
            .images()
            .iter()
            .map(|image| image.image_id)
            .collect();
        assert_eq!(ids, [7, 5, 6]);
    }
}

/// A photograph that stands in a row for each of its captions is one image; two that share
/// a name are two.
#[test]
fn repeated_photographs_are_recognised_by_their_bytes() {
    let [a, b, _] = pictures();
    let bytes = [
        Some(a.clone()),
        Some(a.clone()),
        Some(b.clone()),
        Some(b.clone()),
        Some(a.clone()),
    ];
    let paths = [
        Some("1.jpg"),
        Some("1.jpg"),
        Some("1.jpg"),
        None,
        Some("2.jpg"),
    ];
    let captions = strings(&["one", "two", "three", "four", "five"]);
    let file = plain(vec![
        ("image", hub(&bytes, &paths)),
        ("caption", captions.clone()),
    ]);
    let root = data_set(&[("train.parquet", &file)]);
    let (dataset, _) = made(&root, "train.parquet", &[]);
    let found: Vec<Vec<String>> = listed(&dataset)
        .into_iter()
        .map(|(.., captions)| captions)
        .collect();
    assert_eq!(
        found,
        [&["one", "two"][..], &["three"], &["four"], &["five"]]
    );

    // By id, without names; an id of two photographs is two images.
    let ids = numbers(&[3, 3, 3, 8, 9]);
    let file = plain(vec![
        ("image", hub(&bytes, &[None; 5])),
        ("caption", captions),
        ("id", ids),
    ]);
    let root = data_set(&[("train.parquet", &file)]);
    let (dataset, _) = made(&root, "train.parquet", &[]);
    let found: Vec<Vec<String>> = listed(&dataset)
        .into_iter()
        .map(|(.., captions)| captions)
        .collect();
    assert_eq!(
        found,
        [&["one", "two"][..], &["three"], &["four"], &["five"]]
    );
    let ids: Vec<i64> = dataset
        .images()
        .iter()
        .map(|image| image.image_id)
        .collect();
    assert_eq!(ids, [3, 10, 8, 9]);
}

#[test]
fn rows_that_can_not_be_used_are_in_the_ledger() {
    let [a, ..] = pictures();
    let cut = a[..a.len() / 2].to_vec();
    let bytes = [
        Some(a),
        None,
        Some(b"no picture".to_vec()),
        Some(vec![]),
        Some(cut),
    ];
    let image = hub(&bytes, &[Some("a.jpg"), None, None, None, None]);
    let captions = strings(&["one", "two", "three", "four", "five"]);
    let file = plain(vec![("image", image), ("caption", captions)]);
    let root = data_set(&[("train.parquet", &file)]);
    let (dataset, _) = made(
        &root,
        "train.parquet",
        &["dataset.max_rejected_fraction=1.0"],
    );
    assert_eq!(listed(&dataset).len(), 1);
    let reasons: Vec<(&str, &str)> = ledger(&dataset)
        .into_iter()
        .filter(|row| row.0 == "image")
        .map(|(_, name, reason, _)| (name.rsplit('/').next().unwrap(), reason))
        .collect();
    assert_eq!(
        reasons,
        [
            ("1", "missing"),
            ("2", "unsupported"),
            ("3", "truncated"),
            ("4", "truncated")
        ]
    );

    // Cells of another type.
    let names = ["a.jpg", "b.jpg", "c.png"];
    let captions: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    let file = plain(vec![("image", strings(&names)), ("caption", captions)]);
    let root = with_photographs(&[("train.parquet", &file)]);
    let log = refused(&root, "train.parquet", &["dataset.image_dir=photos"]);
    assert!(
        log.contains("2 bad-row") && log.contains("row 0): bad-row: caption: true or false"),
        "{log}"
    );
    let noise: ArrayRef = Arc::new(BinaryArray::from_iter_values([
        b"\xff\xfe",
        b"\xfe\xfe",
        b"\xff\xff",
    ]));
    let file = plain(vec![("image", strings(&names)), ("caption", noise)]);
    let root = with_photographs(&[("train.parquet", &file)]);
    let log = refused(&root, "train.parquet", &["dataset.image_dir=photos"]);
    assert!(
        log.contains(
            "no row can be read; train.parquet, row 0: caption: bytes or an object instead of text"
        ),
        "{log}"
    );
    let file = plain(vec![
        ("image", numbers(&[1, 2, 3])),
        ("caption", numbers(&[10, 20, 30])),
    ]);
    let root = with_photographs(&[("train.parquet", &file)]);
    write(
        &root.path().join("root/photos/000002.jpg"),
        &fixture("grey.jpg"),
    );
    write(&root.path().join("root/photos/2.jpg"), &fixture("grey.jpg"));
    let (dataset, _) = made(
        &root,
        "train.parquet",
        &[
            "dataset.image_dir=photos",
            "dataset.max_rejected_fraction=1.0",
        ],
    );
    assert_eq!(
        listed(&dataset),
        [(
            "photos/2.jpg".to_owned(),
            "train".to_owned(),
            vec!["20".to_owned()]
        )]
    );
}

/// Sixty rows of bytes, some of them null, in any form that writers choose.
fn sixty(rows: usize, properties: WriterPropertiesBuilder) -> (Vec<u8>, Vec<Option<Vec<u8>>>) {
    let row = |number: usize| {
        let bytes = (0..200 + number)
            .map(|at| (at * number % 251) as u8)
            .collect();
        (!number.is_multiple_of(13)).then_some(bytes)
    };
    let all: Vec<Option<Vec<u8>>> = (0..60).map(row).collect();
    let captions: Vec<String> = (0..60).map(|number| format!("row {number}")).collect();
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    let paths: Vec<Option<&str>> = vec![None; 60];
    let columns = vec![
        ("image", hub(&all, &paths)),
        ("caption", strings(&captions)),
        ("split", strings(&["train"; 60])),
    ];
    (parquet_file(columns, rows, properties), all)
}

/// Any thread may ask for any row at any time, and gets that row.
#[test]
fn rows_in_any_order_from_any_thread() {
    let pages = || {
        WriterProperties::builder()
            .set_data_page_row_count_limit(5)
            .set_write_batch_size(1)
    };
    let snappy = || pages().set_compression(Compression::SNAPPY);
    let folder = data_set(&[]);
    for (what, rows, properties) in [
        ("one group, a dictionary", 100, WriterProperties::builder()),
        (
            "one group, pages of five rows",
            100,
            pages().set_dictionary_enabled(false),
        ),
        ("groups of seven rows", 7, snappy()),
        (
            "a dictionary that ends within a group",
            30,
            snappy().set_dictionary_page_size_limit(1000),
        ),
        (
            "gzip",
            30,
            pages().set_compression(Compression::GZIP(GzipLevel::default())),
        ),
        (
            "brotli",
            30,
            pages().set_compression(Compression::BROTLI(BrotliLevel::default())),
        ),
        ("lz4", 30, pages().set_compression(Compression::LZ4)),
        (
            "lz4, raw",
            30,
            pages().set_compression(Compression::LZ4_RAW),
        ),
        (
            "zstd, second version of pages",
            30,
            pages()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_writer_version(parquet::file::properties::WriterVersion::PARQUET_2_0),
        ),
    ] {
        let (bytes, all) = sixty(rows, properties);
        let path = folder.path().join(format!("{what}.parquet"));
        write(&path, &bytes);
        for step in [1, 7, 59, 23] {
            let photographs = Photographs::open(&path, "image/bytes").unwrap();
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (photographs, all) = (&photographs, &all);
                    scope.spawn(move || {
                        for at in (thread..60).step_by(4) {
                            let row = at * step % 60;
                            match (photographs.read(row, LIMIT), &all[row]) {
                                (Ok(read), Some(bytes)) => assert!(read == *bytes, "{what} {row}"),
                                (Err(why), None) => assert_eq!(why.reason, Reason::Missing),
                                (Err(why), Some(_)) => panic!("{what} {row}: {}", why.detail),
                                (Ok(_), None) => panic!("{what} {row} is null"),
                            }
                        }
                    });
                }
            });
            assert_eq!(
                photographs.read(60, LIMIT).unwrap_err().reason,
                Reason::Corrupt
            );
            assert_eq!(
                photographs.read(1, 10).unwrap_err().reason,
                Reason::TooLarge
            );
        }
    }
}

/// Reads a table and then all of its photographs, as the stage does. Returns the number of
/// captions and of photographs that could be read, or the message.
fn read_all(root: &Path) -> Result<(usize, usize), String> {
    let layout = formats::find("table").unwrap();
    let section = Section {
        annotations: "t.parquet".into(),
        ..Section::default()
    };
    let annotations = (layout.read)(root, &section).map_err(|e| e.to_string())?;
    let path = root.join("t.parquet");
    let photographs = Photographs::open(&path, "image/bytes")?;
    let read = (0..annotations.images.len()).filter(|row| photographs.read(*row, LIMIT).is_ok());
    Ok((annotations.captions.len(), read.count()))
}

/// Cut files and flipped bits: a message that names the file, or a refusal for each row that
/// is lost. Nothing panics or hangs.
#[test]
fn damaged_parquet_is_refused_or_loses_rows_only() {
    let folder = data_set(&[]);
    let root = folder.path().join("root");
    let path = root.join("t.parquet");
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        let properties = WriterProperties::builder().set_compression(compression);
        let (bytes, _) = sixty(20, properties.set_dictionary_page_size_limit(2000));
        write(&path, &bytes);
        assert_eq!(read_all(&root), Ok((60, 55)));
        for length in (5..bytes.len()).step_by(211) {
            write(&path, &bytes[..length]);
            let why = read_all(&root).unwrap_err();
            assert!(
                why.contains("t.parquet: not a Parquet file that can be read"),
                "{length}: {why}"
            );
        }
        let (mut refused, mut lost, mut whole) = (0, 0, 0);
        let footer = bytes.len() - 2500;
        for at in (4..footer)
            .step_by(157)
            .chain((footer..bytes.len()).step_by(11))
        {
            for flip in [0xff, 0x01, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                write(&path, &damaged);
                match read_all(&root) {
                    Err(why) => {
                        assert!(
                            why.contains("t.parquet") || why.contains("column"),
                            "{at}: {why}"
                        );
                        refused += 1;
                    }
                    Ok((60, 55)) => whole += 1,
                    Ok(_) => lost += 1,
                }
            }
        }
        assert!(
            refused > 20 && lost > 0 && whole > 20,
            "{refused} {lost} {whole}"
        );
    }
}

/// A page that can't be read takes its own rows with it, and no others.
#[test]
fn a_damaged_page_loses_its_own_rows() {
    let pages = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::SNAPPY);
    let (mut bytes, all) = sixty(
        100,
        pages
            .set_data_page_row_count_limit(10)
            .set_write_batch_size(1),
    );
    let folder = data_set(&[]);
    let path = folder.path().join("t.parquet");
    // In the middle of row 25.
    let needle = &all[25].as_ref().unwrap()[..40];
    let at = bytes.windows(40).position(|window| window == needle);
    let at = at.unwrap_or(bytes.len() / 3);
    bytes[at - 300..at].fill(0xff);
    write(&path, &bytes);
    let photographs = Photographs::open(&path, "image/bytes").unwrap();
    let read: Vec<usize> = (0..60)
        .filter(|row| photographs.read(*row, LIMIT).is_ok())
        .collect();
    assert!(read.len() >= 40 && read.len() < 55, "{read:?}");
    assert!(read.contains(&1) && read.contains(&59), "{read:?}");
}
