//! Tables that are text: every form, and what is wrong in them.

use crate::{data_set, fixture, ingest, open, write};
use attend_artifact::dataset::Dataset;
use std::collections::BTreeSet;
use tempfile::TempDir;

const TABLE: [&str; 2] = ["dataset.format=table", "dataset.image_size=16"];

/// A data set with a table, and the photographs a to d in `photos`.
pub fn with_photographs(tables: &[(&str, &[u8])]) -> TempDir {
    let folder = data_set(tables);
    let photos = folder.path().join("root/photos");
    for (name, file) in [
        ("a.jpg", "rgb420.jpg"),
        ("b.jpg", "grey.jpg"),
        ("c.png", "palette.png"),
        ("d.jpg", "progressive.jpg"),
    ] {
        write(&photos.join(name), &fixture(file));
    }
    folder
}

/// Makes the data set of a table, which must succeed.
pub fn made(folder: &TempDir, table: &str, more: &[&str]) -> (Dataset, String) {
    let annotations = format!("dataset.annotations={table:?}");
    let set = [&TABLE[..], &[&annotations], more].concat();
    let log = ingest(folder, "out", &set).success();
    let log = String::from_utf8_lossy(&log.get_output().stderr).into_owned();
    (open(folder, "out").1, log)
}

/// The message that refuses a table, with exit code 3.
pub fn refused(folder: &TempDir, table: &str, more: &[&str]) -> String {
    let annotations = format!("dataset.annotations={table:?}");
    let set = [&TABLE[..], &[&annotations], more].concat();
    let log = ingest(folder, "out", &set).code(3);
    let log = String::from_utf8_lossy(&log.get_output().stderr).into_owned();
    assert!(!folder.path().join("out").exists());
    log
}

/// File, split and captions of each image.
pub fn listed(dataset: &Dataset) -> Vec<(String, String, Vec<String>)> {
    let captions = |id: i64| -> Vec<String> {
        let captions = dataset.captions().iter();
        let own = captions.filter(|caption| caption.image_id == id);
        own.map(|caption| caption.caption.clone()).collect()
    };
    let images = dataset.images().iter();
    images
        .map(|image| {
            let (name, split) = (image.file_name.clone(), image.split.clone());
            (name, split, captions(image.image_id))
        })
        .collect()
}

/// Kind, file, reason and details of each ledger row.
pub fn ledger(dataset: &Dataset) -> Vec<(&str, &str, &str, &str)> {
    let rows = dataset.rejected().iter();
    rows.map(|row| (&*row.kind, &*row.file_name, &*row.reason, &*row.detail))
        .collect()
}

fn expected(rows: &[(&str, &str, &[&str])]) -> Vec<(String, String, Vec<String>)> {
    let rows = rows.iter();
    rows.map(|(name, split, captions)| {
        let captions = captions.iter().map(|caption| (*caption).to_owned());
        ((*name).to_owned(), (*split).to_owned(), captions.collect())
    })
    .collect()
}

/// Two images in train and one in val, with captions that need quotes in CSV.
fn three() -> Vec<(String, String, Vec<String>)> {
    expected(&[
        ("photos/a.jpg", "train", &["A cat, asleep.", "One \"cat\""]),
        ("photos/b.jpg", "train", &["Zwei\nKühe"]),
        ("photos/c.png", "val", &["[unk] ' tree"]),
    ])
}

#[test]
fn every_form_of_text_is_the_same_table() {
    let csv = "image,caption,split\r\na.jpg,\"A cat, asleep.\",train\r\na.jpg,\"One \"\"cat\"\"\",train\r\n\
               b.jpg,\"Zwei\nKühe\",train\r\nc.png,[unk] ' tree,val\r\n";
    let rows = [
        r#"{"file_name": "a.jpg", "captions": ["A cat, asleep.", "One \"cat\""], "set": "training"}"#,
        r#"{"file_name": "b.jpg", "captions": "Zwei\nK\u00fche", "set": "train", "more": {"x": [1]}}"#,
        r#"{"file_name": "c.png", "captions": [{"raw": "[unk] ' tree", "sentid": 9}], "set": "dev"}"#,
    ];
    let lists = "filename;sentences;split\na.jpg;\"[\"\"A cat, asleep.\"\", \"\"One \\\"\"cat\\\"\"\"\"]\";Train\n\
                 b.jpg;\"['Zwei\\nKühe']\";Train\nc.png;\"[\"\"[unk] ' tree\"\"]\";validation\n";
    for (name, text) in [
        ("captions.csv", csv.to_owned()),
        ("captions.txt", format!("\u{feff}{csv}")),
        ("captions.tsv", csv.replace([','], "\t").replace("cat\t asleep", "cat, asleep")),
        ("semicolons.csv", lists.to_owned()),
        ("captions.jsonl", rows.join("\n")),
        ("blank lines.jsonl", format!("\n{}\r\n\n", rows.join("\r\n\r\n"))),
        ("lines.json", rows.join("\n")),
        ("list.json", format!("[\n{}\n]\n", rows.join(",\n"))),
        ("numbered.csv", "split,img_path,caption_0,caption_1\ntrain,a.jpg,\"A cat, asleep.\",\"One \"\"cat\"\"\"\ntrain,b.jpg,\"Zwei\nKühe\",\nval,c.png,[unk] ' tree,\n".to_owned()),
    ] {
        let folder = with_photographs(&[(name, text.as_bytes())]);
        let (dataset, _) = made(&folder, name, &["dataset.image_dir=photos"]);
        assert_eq!(listed(&dataset), three(), "{name}");
        let images: Vec<i64> = dataset.images().iter().map(|image| image.image_id).collect();
        assert_eq!(images, [0, 1, 2], "{name}");
        let empty = ledger(&dataset).iter().filter(|row| row.2 == "empty-caption").count();
        assert_eq!(empty, if name == "numbered.csv" { 2 } else { 0 });
        assert_eq!(dataset.rejected().len(), empty, "{name}");
    }
}

/// The forms of which no program made a header: Flickr8k's, Flickr30k's, and data sets that
/// needed a script first.
#[test]
fn tables_as_people_have_them() {
    let splits = |rows: &[(&str, &[&str])]| {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, captions)| (*name, "train", *captions))
            .collect();
        expected(&rows)
    };
    let train = "train.txt";
    for (what, text, more, rows) in [
        (
            "Flickr8k's captions.txt, photographs in a folder that no key names",
            "image,caption\na.jpg,A dog , running .\na.jpg,\"A dog , \"\"quoted\"\" .\"\nb.jpg,A cow .\n",
            &[][..],
            splits(&[
                (
                    "photos/a.jpg",
                    &["A dog , running .", "A dog , \"quoted\" ."],
                ),
                ("photos/b.jpg", &["A cow ."]),
            ]),
        ),
        (
            "Flickr30k's results.csv",
            "image_name| comment_number| comment\na.jpg| 0| Two \"dogs\" , running .\na.jpg| 1| \"Dogs .\nb.jpg| 0| A cow .\n",
            &["dataset.image_dir=photos"],
            splits(&[
                ("photos/a.jpg", &["Two \"dogs\" , running .", "\"Dogs ."]),
                ("photos/b.jpg", &["A cow ."]),
            ]),
        ),
        (
            "Flickr30k's results.token",
            "a.jpg#0\tTwo \"dogs\" .\na.jpg#1\t\"Dogs\" run .\nb.jpg#0\tA cow .\n",
            &["dataset.image_dir=photos"],
            splits(&[
                ("photos/a.jpg", &["Two \"dogs\" .", "\"Dogs\" run ."]),
                ("photos/b.jpg", &["A cow ."]),
            ]),
        ),
        (
            "Vietnamese lines of file, caption",
            "a.jpg, Một người đàn ông, đang đứng\nb.jpg, Một con bò\n",
            &["dataset.image_dir=photos"],
            splits(&[
                ("photos/a.jpg", &["Một người đàn ông, đang đứng"]),
                ("photos/b.jpg", &["Một con bò"]),
            ]),
        ),
        (
            "keys without extension, and a space",
            "a There is a dog, running\nb A cow\nb Another \"cow\"\n",
            &["dataset.delimiter= ", "dataset.header=false"],
            splits(&[
                ("photos/a.jpg", &["There is a dog, running"]),
                ("photos/b.jpg", &["A cow", "Another \"cow\""]),
            ]),
        ),
        (
            "names with an extension, and a space",
            "a.jpg There is a dog\nb.jpg A cow\n",
            &["dataset.image_dir=photos"],
            splits(&[
                ("photos/a.jpg", &["There is a dog"]),
                ("photos/b.jpg", &["A cow"]),
            ]),
        ),
        (
            "columns without header, by their numbers",
            "7\ta.jpg\tA dog\n8\tb.jpg\tA cow\n",
            &[r#"dataset.columns={ image = "2", caption = "3", id = "1" }"#],
            splits(&[("photos/a.jpg", &["A dog"]), ("photos/b.jpg", &["A cow"])]),
        ),
        (
            "captions by image",
            "{\"b.jpg\": [\"A cow\", \"Two cows\"],\n \"a.jpg\": \"A dog\"}",
            &["dataset.image_dir=photos"],
            splits(&[
                ("photos/b.jpg", &["A cow", "Two cows"]),
                ("photos/a.jpg", &["A dog"]),
            ]),
        ),
        (
            "Windows's separators",
            "image,caption\nphotos\\a.jpg,A dog\n.\\photos\\b.jpg,A cow\n",
            &[],
            splits(&[("photos/a.jpg", &["A dog"]), ("photos/b.jpg", &["A cow"])]),
        ),
    ] {
        let folder = with_photographs(&[(train, text.as_bytes())]);
        let (dataset, _) = made(&folder, train, more);
        assert_eq!(listed(&dataset), rows, "{what}");
        assert!(dataset.rejected().is_empty(), "{what}");
    }
}

/// The split stands in the file's name, in that of its folder, or in a column.
#[test]
fn splits_by_files_and_folders() {
    let row = |name: &str| format!("file_name,text\n{name},x\n");
    let folder = with_photographs(&[
        ("captions_train.csv", row("a.jpg").as_bytes()),
        ("captions_val.csv", row("b.jpg").as_bytes()),
        ("captions_test.csv", row("d.jpg").as_bytes()),
    ]);
    let rows = expected(&[
        ("photos/a.jpg", "train", &["x"]),
        ("photos/b.jpg", "val", &["x"]),
        ("photos/d.jpg", "test", &["x"]),
    ]);
    for pattern in ["captions_*.csv", "captions_{train,val,test}.csv"] {
        let (dataset, _) = made(&folder, pattern, &["dataset.image_dir=photos"]);
        assert_eq!(listed(&dataset), rows, "{pattern}");
    }
    let (dataset, _) = made(
        &folder,
        "captions_*.csv",
        &[
            "dataset.image_dir=photos",
            r#"dataset.splits={ val = "test" }"#,
        ],
    );
    assert_eq!(
        listed(&dataset)
            .iter()
            .filter(|row| row.1 == "test")
            .count(),
        2
    );

    // An ImageFolder: a table in each split's folder, beside its photographs.
    let folder = data_set(&[
        ("train/metadata.csv", row("p/a.jpg").as_bytes()),
        ("train/p/a.jpg", &fixture("grey.jpg")),
        (
            "validation/metadata.jsonl",
            br#"{"file_name": "a.jpg", "text": "x"}"#,
        ),
        ("validation/a.jpg", &fixture("rgb420.jpg")),
    ]);
    let (dataset, _) = made(&folder, "*/metadata.*", &[]);
    let rows = expected(&[
        ("train/p/a.jpg", "train", &["x"]),
        ("validation/a.jpg", "val", &["x"]),
    ]);
    assert_eq!(listed(&dataset), rows);
}

/// `id` is the image's if all rows of an image have the same, and else the caption's.
#[test]
fn ids_of_images_and_of_captions() {
    let ids = |text: &str, more: &[&str]| {
        let folder = with_photographs(&[("train.csv", text.as_bytes())]);
        let (dataset, _) = made(
            &folder,
            "train.csv",
            &[more, &["dataset.image_dir=photos"]].concat(),
        );
        let images: Vec<i64> = dataset
            .images()
            .iter()
            .map(|image| image.image_id)
            .collect();
        let captions: Vec<i64> = dataset
            .captions()
            .iter()
            .map(|caption| caption.caption_id)
            .collect();
        (images, captions)
    };
    let repeated = "id,image,caption\n70,a.jpg,x\n70,a.jpg,y\n9,b.jpg,z\n";
    assert_eq!(ids(repeated, &[]), (vec![70, 9], vec![0, 1, 2]));
    let own = "id,image,caption\n70,a.jpg,x\n71,a.jpg,y\n9,b.jpg,z\n";
    assert_eq!(ids(own, &[]), (vec![0, 1], vec![70, 71, 9]));
    let both =
        "id,image_id,image,caption,sentid\n1,70,a.jpg,x,5\n2,70,a.jpg,y,4\n3,000009,b.jpg,z,3\n";
    assert_eq!(ids(both, &[]), (vec![70, 9], vec![5, 4, 3]));
    let lists = "image,captions,sentids\na.jpg,\"[\"\"x\"\", \"\"y\"\"]\",\"[8, 9]\"\nb.jpg,z,7\n";
    assert_eq!(ids(lists, &[]), (vec![0, 1], vec![8, 9, 7]));
    // One id for two files: each is an image, as in other layouts.
    let twice = "image_id,image,caption\n5,a.jpg,x\n5,b.jpg,y\n";
    assert_eq!(ids(twice, &[]), (vec![5, 6], vec![0, 1]));
    let given = "image,caption,number\na.jpg,x,12\nb.jpg,y,11\n";
    assert_eq!(
        ids(given, &[r#"dataset.columns={ id = "number" }"#]),
        (vec![12, 11], vec![0, 1])
    );
}

/// What only a row has wrong is in the ledger with its line; nothing else is lost.
#[test]
fn bad_rows_are_listed_with_their_line() {
    let csv = "image,caption,split,id\na.jpg,fine,train,1\nb.jpg,short\nb.jpg,too,many,fields,here\n\
               ,no name,train,4\nb.jpg,,train,5\n\"c.png\",\"two\nlines\",val,6\n../a.jpg,outside,train,7\n\
               /etc/passwd,absolute,train,8\ne.jpg,x,../../evil,9\nd.jpg,nul\0byte,test,9\nnone.jpg,x,train,10\n";
    let folder = with_photographs(&[("captions.csv", csv.as_bytes())]);
    let (dataset, log) = made(
        &folder,
        "captions.csv",
        &[
            "dataset.image_dir=photos",
            "dataset.max_rejected_fraction=1.0",
        ],
    );
    let rows = expected(&[
        ("photos/a.jpg", "train", &["fine"]),
        ("photos/c.png", "val", &["two\nlines"]),
        ("photos/d.jpg", "test", &["nul\0byte"]),
    ]);
    assert_eq!(listed(&dataset), rows);
    let found: BTreeSet<(&str, &str, &str)> = ledger(&dataset)
        .into_iter()
        .map(|(kind, name, reason, _)| (kind, name, reason))
        .collect();
    for row in [
        ("image", "captions.csv, line 3", "bad-row"),
        ("image", "captions.csv, line 4", "bad-row"),
        ("image", "captions.csv, line 5", "bad-row"),
        ("caption", "photos/b.jpg", "empty-caption"),
        ("image", "photos/b.jpg", "no-caption"),
        ("image", "../a.jpg", "outside-root"),
        ("image", "/etc/passwd", "outside-root"),
        ("image", "e.jpg", "bad-split"),
        ("image", "photos/none.jpg", "missing"),
    ] {
        assert!(found.contains(&row), "{row:?} of {found:?}");
    }
    assert!(log.contains("bad-row"), "{log}");

    let lines = "{\"image\": \"a.jpg\", \"text\": \"fine\"}\n{\"image\": \"b.jpg\", \"text\": \n{\"image\": 7, \"text\": \"x\"}\n\
                 [1]\n{\"image\": \"b.jpg\", \"text\": true}\n{\"image\": [\"b.jpg\"], \"text\": \"x\"}\n{\"text\": \"x\"}\n\
                 {\"image\": \"b.jpg\", \"text\": [\"x\", {\"y\": 1}]}\n{\"image\": \"d.jpg\", \"text\": NaN}\n{\"image\": \"c.png\", \"text\": null}\n";
    let folder = with_photographs(&[("train.jsonl", lines.as_bytes())]);
    let (dataset, _) = made(
        &folder,
        "train.jsonl",
        &[
            "dataset.image_dir=photos",
            "dataset.max_rejected_fraction=1.0",
        ],
    );
    assert_eq!(
        listed(&dataset),
        expected(&[("photos/a.jpg", "train", &["fine"])])
    );
    let found: Vec<(&str, &str, &str)> = (ledger(&dataset).into_iter())
        .map(|(_, name, reason, detail)| (name, reason, detail))
        .collect();
    for (line, words) in [
        (2, "EOF"),
        (4, "invalid type"),
        (5, "true or false"),
        (6, "a list instead"),
        (7, "image: empty"),
        (8, "object without"),
        (9, "expected value"),
    ] {
        let name = format!("train.jsonl, line {line}");
        assert!(
            found.iter().any(|(file, reason, detail)| *file == name
                && *reason == "bad-row"
                && detail.contains(words)),
            "{line} {words}: {found:?}"
        );
    }
    assert!(
        found.contains(&("photos/7", "missing", "no such file")),
        "{found:?}"
    );
}

/// What no row can be read from is refused as a whole, with file, place and way out.
#[test]
fn what_is_no_table_is_refused_in_one_message() {
    let utf16: Vec<u8> = "image,caption\na.jpg,x\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin = b"image,caption\na.jpg,x\nb.jpg,caf\xe9\n";
    let many: String = (0..10_000)
        .map(|number| format!("a.jpg,x,s{number}\n"))
        .collect();
    let many = format!("image,caption,split\n{many}");
    for (name, content, words) in [
        (
            "t.csv",
            &b"image,caption\na.jpg,\"a dog\nb.jpg,a cow\n"[..],
            &["t.csv:2:", "double the quotes"][..],
        ),
        (
            "t.csv",
            b"image,caption\na.jpg,x\nb.jpg,\"Stop\" says it\n",
            &["t.csv:3:", "double the quotes"],
        ),
        (
            "t.csv",
            b"image,caption,text\na.jpg,x,y\n",
            &["\"caption\" and \"text\"", "dataset.columns = { caption = "],
        ),
        (
            "t.csv",
            b"photo_id,words\n1,x\n",
            &["t.csv:1:", "dataset.columns", "photo_id"],
        ),
        (
            "t.csv",
            b"url,caption\nhttp://x/a.jpg,x\n",
            &["usual name of images", "url"],
        ),
        (
            "t.csv",
            b"image,caption\nhttp://x/a.jpg,x\n",
            &["addresses", "img2dataset"],
        ),
        (
            "t.tsv",
            b"a.jpg\tx\ttrain\nb.jpg\ty\tval\n",
            &["3 columns without a header", "dataset.columns"],
        ),
        (
            "t.txt",
            b"A dog runs.\nA cow stands.\n",
            &["t.txt:1:", "dataset.delimiter"],
        ),
        ("t.csv", b"", &["t.csv: an empty file"]),
        ("t.csv", b" \n\n", &["t.csv: an empty file"]),
        ("t.csv", b"image,caption\n", &["list no image"]),
        ("t.csv", &utf16, &["UTF-16", "UTF-8"]),
        ("t.csv", latin, &["t.csv:3: not UTF-8"]),
        (
            "t.csv",
            many.as_bytes(),
            &["10000 splits", "dataset.columns"],
        ),
        ("t.csv.gz", b"\x1f\x8b\x08\0", &["gzip"]),
        (
            "t.parquet",
            b"PAR1",
            &["t.parquet: not a Parquet file that can be read"],
        ),
        (
            "t.parquet",
            b"PAR1 and nothing that follows, PAR1",
            &["not a Parquet file"],
        ),
        (
            "t.json",
            b"[{\"image\": \"a.jpg\", \"caption\": \"x\"}, ",
            &["t.json:1:", "not valid JSON"],
        ),
        (
            "t.json",
            b"{\"image\": {\"0\": \"a.jpg\"}, \"caption\": {\"0\": \"x\"}}",
            &["records"],
        ),
        (
            "t.json",
            b"{\"images\": [{\"filename\": \"a.jpg\", \"sentences\": []}]}",
            &["karpathy"],
        ),
        ("t.json", b"[]", &["t.json", "usual name"]),
        ("t.json", b"7", &["t.json"]),
        (
            "t.jsonl",
            b"{\"image\": \"a.jpg\"\n{\"image\": \"b.jpg\"}\n",
            &["t.jsonl"],
        ),
    ] {
        let folder = with_photographs(&[(name, content)]);
        let log = refused(&folder, name, &["dataset.image_dir=photos"]);
        for word in words {
            assert!(log.contains(word), "{word:?} is not in: {log}");
        }
        assert_eq!(log.matches("error:").count(), 1, "{log}");
        assert!(!log.contains("panic"), "{log}");
    }
    let folder = with_photographs(&[("t.csv", b"image,caption\na.jpg,x\n")]);
    for (table, words) in [
        ("none.csv", "no such file"),
        ("*.tsv", "*.tsv"),
        ("photos", "not a file"),
    ] {
        let log = refused(&folder, table, &[]);
        assert!(
            log.contains(words) && log.contains("dataset.annotations") || log.contains("*.tsv"),
            "{log}"
        );
    }
    let log = refused(&folder, "t.csv", &[r#"dataset.columns={ image = "foto" }"#]);
    assert!(
        log.contains("has no column \"foto\"") && log.contains("\"image\""),
        "{log}"
    );
}

/// Tables that only look strange.
#[test]
fn odd_tables_are_read_whole() {
    let huge = "x".repeat(20 << 20);
    let mixed = "image,caption\r\na.jpg,one\nb.jpg,two\rc.png,three\r\n\r\n";
    for (what, text, captions) in [
        (
            "mixed newlines",
            mixed.to_owned(),
            vec!["one", "two", "three"],
        ),
        (
            "a huge field",
            format!("image,caption\na.jpg,{huge}\n"),
            vec![&*huge],
        ),
        (
            "no newline at the end",
            "image,caption\na.jpg,one".to_owned(),
            vec!["one"],
        ),
        (
            "spaces in the header",
            " Image , Caption \na.jpg,one\n".to_owned(),
            vec!["one"],
        ),
        (
            "a caption of a quote",
            "image,caption\na.jpg,\"\"\"\"\n".to_owned(),
            vec!["\""],
        ),
        (
            "quotes within",
            "image,caption\na.jpg,6\" pipe\n".to_owned(),
            vec!["6\" pipe"],
        ),
        (
            "captions last, commas without quotes",
            "image,caption\na.jpg,one, two,,three\n".to_owned(),
            vec!["one, two,,three"],
        ),
        (
            "columns of other things",
            "a,b,image,c,caption,d\n,,a.jpg,,one,\n".to_owned(),
            vec!["one"],
        ),
        (
            "a key in two folders, given by its path",
            "image,caption\na.jpg,one\n".to_owned(),
            vec!["one"],
        ),
    ] {
        let folder = with_photographs(&[("train.csv", text.as_bytes())]);
        let (dataset, _) = made(&folder, "train.csv", &["dataset.image_dir=photos"]);
        let found: Vec<&str> = dataset
            .captions()
            .iter()
            .map(|caption| &*caption.caption)
            .collect();
        assert!(found == captions, "{what}");
        assert!(dataset.rejected().is_empty(), "{what}");
    }
}

/// A key that fits two photographs is none of them.
#[test]
fn keys_are_found_in_nested_folders() {
    let folder = data_set(&[
        (
            "train.csv",
            b"key,image,caption\n1,one,x\n2,two,y\n3,three.tif,z\n",
        ),
        ("imgs/p/one.jpg", &fixture("grey.jpg")),
        ("imgs/p/two.jpg", &fixture("grey.jpg")),
        ("imgs/q/two.png", &fixture("palette.png")),
        ("imgs/q/r/three.tif", &fixture("rgb420.jpg")),
        ("imgs/q/.hidden/one.jpg", &fixture("grey.jpg")),
        ("imgs/q/one.txt", b"no photograph"),
    ]);
    let (dataset, _) = made(&folder, "train.csv", &["dataset.max_rejected_fraction=0.5"]);
    let names: Vec<&str> = dataset
        .images()
        .iter()
        .map(|image| &*image.file_name)
        .collect();
    assert_eq!(names, ["imgs/p/one.jpg", "imgs/q/r/three.tif"]);
    assert_eq!(
        ledger(&dataset)[0],
        ("image", "two", "missing", "no such file")
    );
}

/// Absolute paths below the folder of photographs are as good as relative ones.
#[test]
fn absolute_paths_within_the_root() {
    let folder = with_photographs(&[]);
    let root = folder.path().join("root").canonicalize().unwrap();
    let csv = format!(
        "image,caption\n{0}/photos/a.jpg,x\n{0}/../photos/b.jpg,y\n",
        root.display()
    );
    write(&root.join("train.csv"), csv.as_bytes());
    let (dataset, _) = made(&folder, "train.csv", &["dataset.max_rejected_fraction=0.5"]);
    assert_eq!(
        listed(&dataset),
        expected(&[("photos/a.jpg", "train", &["x"])])
    );
    assert_eq!(ledger(&dataset)[0].2, "outside-root");
}

/// What is found in a folder, and the keys to read it by.
#[test]
fn tables_in_a_folder_are_found() {
    let found = |files: &[(&str, &[u8])]| -> Vec<String> {
        let folder = with_photographs(files);
        let layout = attend_ingest::formats::find("table").unwrap();
        let readings = (layout.look)(&folder.path().join("root")).unwrap();
        let keys = |reading: attend_ingest::formats::layout::Reading| {
            let keys = reading.settings.iter();
            let keys = keys.map(|(key, value)| format!("{key}={value}"));
            keys.filter(|key| !key.starts_with("split="))
                .collect::<Vec<_>>()
                .join(" ")
        };
        readings.into_iter().map(keys).collect()
    };
    let csv: &[u8] = b"image,caption\na.jpg,x\nb.jpg,y\n";
    let readme: &[u8] = b"These are photographs, with captions.\nOne per line.\n";
    assert_eq!(
        found(&[
            ("captions.txt", csv),
            ("README.txt", readme),
            ("photos/LICENSE.txt", readme)
        ]),
        [r#"annotations="captions.txt""#]
    );
    let splits = [
        ("c/train-1.csv", csv),
        ("c/val-1.csv", csv),
        ("c/old.csv", b"1,2\n"),
    ];
    assert_eq!(found(&splits), [r#"annotations="c/*-*.csv""#]);
    assert_eq!(
        found(&[("train/metadata.csv", csv), ("test/metadata.csv", csv)]),
        [r#"annotations="*/metadata.csv""#]
    );
    // Two readings are two.
    assert_eq!(
        found(&[(
            "t.jsonl",
            b"{\"image\": \"a.jpg\", \"text\": \"x\", \"caption\": \"y\"}\n"
        )]),
        [
            r#"annotations="t.jsonl" columns={ caption = "text" }"#,
            r#"annotations="t.jsonl" columns={ caption = "caption" }"#
        ]
    );
    let list = format!(
        "[{}{{\"image\": \"a.jpg\", \"text\": \"x\"}}]",
        "{\"image\": \"a.jpg\", \"text\": \"x\"}, ".repeat(5000)
    );
    assert_eq!(
        found(&[("t.json", list.as_bytes())]),
        [r#"annotations="t.json""#]
    );
    // Keys, of photographs that are there.
    assert_eq!(
        found(&[("t.txt", b"a There is a dog\nb A cow\n")]),
        [r#"annotations="t.txt" delimiter=" " header=false"#]
    );
    assert!(found(&[("t.txt", b"a There is a dog\nz A cow\n")]).is_empty());
    let karpathy = br#"{"images": [{"filename": "a.jpg", "sentences": []}], "dataset": "x"}"#;
    assert!(
        found(&[
            ("d.json", karpathy),
            ("e.parquet", b"PAR1"),
            ("f.csv", b"\xff\xfe")
        ])
        .is_empty()
    );
}

/// Tables that pandas, pyarrow and the hub's library wrote
/// (`tests/fixtures/tables/make.py`).
#[test]
fn tables_of_python_programs() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tables");
    let folder = with_photographs(&[]);
    let root = folder.path().join("root");
    for entry in fixtures.read_dir().unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, root.join(path.file_name().unwrap())).unwrap();
    }
    let expected: [(&str, &[&str]); 3] = [
        ("train", &["A \"big\" dog, running", "it's a dog"]),
        ("train", &["Một con bò\nđứng"]),
        ("val", &["[unk] tree", "a tree; green"]),
    ];
    let mut pixels = None;
    for (table, ids) in [
        ("pandas-lists.csv", [0, 1, 2]),
        ("hub-*.parquet", [0, 1, 2]),
        ("pandas-bytes.parquet", [10, 11, 12]),
        ("pandas-lists.tsv", [0, 1, 2]),
        ("pandas-arrays.csv", [0, 1, 2]),
        ("pandas-records.json", [0, 1, 2]),
        ("pandas-lines.jsonl", [0, 1, 2]),
        ("pyarrow-none.parquet", [10, 11, 12]),
        ("pyarrow-snappy.parquet", [10, 11, 12]),
        ("pyarrow-gzip.parquet", [10, 11, 12]),
        ("pyarrow-zstd.parquet", [10, 11, 12]),
    ] {
        let (dataset, _) = made(&folder, table, &["dataset.image_dir=photos"]);
        let listed = listed(&dataset);
        let found: Vec<(&str, Vec<&str>)> = (listed.iter())
            .map(|(_, split, captions)| (&**split, captions.iter().map(String::as_str).collect()))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(split, captions)| (*split, captions.to_vec()))
            .collect();
        assert_eq!(found, expected, "{table}");
        let images = dataset.images();
        assert_eq!(
            images
                .iter()
                .map(|image| image.image_id)
                .collect::<Vec<_>>(),
            ids,
            "{table}"
        );
        let found: Vec<Vec<u8>> = images
            .iter()
            .map(|image| dataset.pixels(image).unwrap().to_vec())
            .collect();
        assert!(
            *pixels.get_or_insert_with(|| found.clone()) == found,
            "{table}"
        );
    }
}
