//! Files of captions are recognised by their content.
#![allow(clippy::unwrap_used, clippy::panic)]

use attend_metrics::captions::{File, Id, Image, pair, references, results};

/// Images and captions of a file of references, whose name says nothing.
#[track_caller]
fn wrote(text: impl AsRef<[u8]>) -> Vec<(String, Vec<String>)> {
    let file = [File::new("a.txt", text.as_ref())];
    let read = references(&file, None).unwrap_or_else(|e| panic!("{e}"));
    let image = |image: &Image| {
        let captions = image.captions.iter().map(|c| c.trim().to_owned());
        (image.id.text().into_owned(), captions.collect())
    };
    read.images().iter().map(image).collect()
}

fn dogs() -> Vec<(String, Vec<String>)> {
    let image = |id: &str, captions: &[&str]| {
        let captions = captions.iter().map(|c| (*c).to_owned()).collect();
        (id.to_owned(), captions)
    };
    vec![
        image("7", &["A dog, brown.", "The \"dog\""]),
        image("9", &["Two red buses."]),
    ]
}

#[test]
fn references_are_read_as_what_they_are() {
    let forms = [
        // COCO's; the byte order mark is Windows's
        "\u{feff}{\"info\": {\"year\": 2014}, \"licenses\": [{\"id\": 1, \"name\": \"x\"}], \"annotations\": [
            {\"id\": 1, \"image_id\": 7, \"caption\": \"A dog, brown.\"},
            {\"id\": 2, \"image_id\": 9, \"caption\": \"Two red buses.\"},
            {\"id\": 3, \"image_id\": 7, \"caption\": \"The \\\"dog\\\"\"}]}",
        // its annotations alone
        r#"[{"image_id": 7, "caption": "A dog, brown."}, {"image_id": "7", "caption": "The \"dog\""},
            {"image_id": 9.0, "caption": "Two red buses."}]"#,
        // Karpathy's
        r#"{"images": [{"cocoid": 7, "imgid": 0, "sentences": [{"raw": "A dog, brown.", "tokens": ["a"]}, {"raw": "The \"dog\""}]},
            {"cocoid": 9, "imgid": 1, "sentences": [{"raw": "Two red buses."}]}], "dataset": "coco"}"#,
        // dictionaries, and the form of the COCO tool's scorers
        r#"{"7": ["A dog, brown.", "The \"dog\""], "9": "Two red buses."}"#,
        r#"{"7": [{"caption": "A dog, brown."}, {"caption": "The \"dog\""}], "9": [{"caption": "Two red buses."}]}"#,
        // JSON Lines
        "{\"image_id\": 7, \"captions\": [\"A dog, brown.\", \"The \\\"dog\\\"\"]}\n\n{\"text\": \"Two red buses.\", \"id\": 9}\n",
        // tables
        "id,image_id,caption\r\n0,7,\"A dog, brown.\"\r\n1,7,\"The \"\"dog\"\"\"\r\n2,9,Two red buses.\r\n",
        "caption;image_id\nA dog, brown.;7\nThe \"dog\";7\nTwo red buses.;9\n",
        "image_id\tcaption\n7\tA dog, brown.\n7\tThe \"dog\"\n9\tTwo red buses.\n",
        "7\tA dog, brown.\n7\tThe \"dog\"\n9\tTwo red buses.\n",
        "image_id| comment_number| comment\n7| 0| A dog, brown.\n7| 1| The \"dog\"\n9| 0| Two red buses.\n",
        "raw,img_id\n\"[\"\"A dog, brown.\"\", \"\"The \\\"\"dog\\\"\"\"\"]\",7\n\"[\"\"Two red buses.\"\"]\",9\n",
    ];
    for form in forms {
        assert_eq!(wrote(form), dogs(), "{form}");
    }
    let wide = "image_id,caption_1,caption_2\n7,a,b\n9,c,d\n";
    assert_eq!(
        wrote(wide)[1],
        ("9".to_owned(), vec!["c".to_owned(), "d".to_owned()])
    );
    let lines = "{\"image\": \"a.jpg\", \"caption\": \"a\\nb\"}";
    assert_eq!(
        wrote(lines),
        [("a.jpg".to_owned(), vec!["a\nb".to_owned()])]
    );
    let quoted = "image,caption\na.jpg,\"two\nlines\"\n";
    assert_eq!(
        wrote(quoted),
        [("a.jpg".to_owned(), vec!["two\nlines".to_owned()])]
    );
}

/// Flickr8k's own file: quotes have no special meaning, and images are found by name.
#[test]
fn token_txt_is_no_text_with_a_line_for_each_image() {
    let token = "b.jpg#0\t\"A dog .\nb.jpg#1\tA \"dog\" , brown\na.jpg#0\tTwo red buses .\"\n";
    let expected = [
        ("b.jpg", vec!["\"A dog .", "A \"dog\" , brown"]),
        ("a.jpg", vec!["Two red buses .\""]),
    ];
    let expected = expected.map(|(id, captions)| {
        (
            id.to_owned(),
            captions.into_iter().map(String::from).collect::<Vec<_>>(),
        )
    });
    assert_eq!(wrote(token), expected);
    // as the data set's place in it, and by name
    for said in [
        r#"{"1": "Buses"}"#,
        r#"{"a.jpg": "Buses"}"#,
        "image,caption\nx/a.jpg#0,Buses\n",
    ] {
        let (file, said) = ([File::new("token", token)], File::new("said", said));
        let pairs = pair(results(&said).unwrap(), references(&file, None).unwrap()).unwrap();
        assert_eq!(pairs.references, [["Two red buses .\""]]);
        assert_eq!(pairs.others.len(), 1);
    }
}

#[track_caller]
fn paired(wrote: &str, said: &str) -> Result<Vec<String>, String> {
    let (wrote, said) = ([File::new("wrote", wrote)], File::new("said", said));
    let pairs = results(&said).and_then(|said| pair(said, references(&wrote, None)?));
    let pairs = pairs.map_err(|e| e.to_string())?;
    Ok(pairs
        .references
        .into_iter()
        .map(|captions| captions.join("|"))
        .collect())
}

#[test]
fn ids_as_text_find_their_images_if_there_is_one() {
    let coco = r#"{"images": [{"id": 42, "file_name": "COCO_val2014_000000000042.jpg"}, {"id": 7, "file_name": "x.png"}],
        "annotations": [{"image_id": 42, "caption": "dog"}, {"image_id": 7, "caption": "bus"}]}"#;
    for id in [
        "42",
        "000042",
        "42.jpg",
        "val2014/000000000042.jpg",
        "COCO_val2014_000000000042",
        "COCO_val2014_000000000042.jpg",
    ] {
        let said = format!(r#"[{{"image_id": {id:?}, "caption": "a"}}]"#);
        assert_eq!(paired(coco, &said).unwrap(), ["dog"], "{id}");
    }
    assert_eq!(paired(coco, "image,caption\nx,a\n").unwrap(), ["bus"]);
    let none = paired(
        coco,
        r#"[{"image_id": 42, "caption": "a"}, {"image_id": "y.png", "caption": "b"}]"#,
    );
    let none = none.unwrap_err();
    assert!(
        none.starts_with(
            "said: [1] is of image \"y.png\", which has no reference in wrote (1 of 2"
        ),
        "{none}"
    );
    let twice = paired(
        coco,
        r#"[{"image_id": "42.jpg", "caption": "a"}, {"image_id": 42, "caption": "b"}]"#,
    );
    assert!(
        twice
            .unwrap_err()
            .contains("image 42 has two results, [0] and [1]")
    );

    // ids that are positions, and names that are numbers: neither is taken for the other
    let karpathy = r#"{"images": [{"imgid": 0, "filename": "00001.jpg", "sentences": [{"raw": "zero"}]},
        {"imgid": 1, "filename": "00002.jpg", "sentences": [{"raw": "one"}]}]}"#;
    assert_eq!(paired(karpathy, r#"{"1": "a"}"#).unwrap(), ["one"]);
    assert_eq!(
        paired(karpathy, r#"{"00001.jpg": "a", "00002": "b"}"#).unwrap(),
        ["zero", "one"]
    );
    assert!(paired(karpathy, r#"{"2": "a"}"#).is_err());
    assert!(
        paired(karpathy, r#"{"0001": "a"}"#).is_err(),
        "0 by its name, 1 by its id"
    );

    // the same number in two folders
    let folders = "image,caption\ntrain/1.jpg,dog\nval/1.jpg,bus\n";
    assert_eq!(paired(folders, r#"{"val/1.jpg": "a"}"#).unwrap(), ["bus"]);
    assert!(paired(folders, r#"{"1.jpg": "a"}"#).is_err());
}

#[test]
fn lines_belong_to_lines() {
    let text = "a man, 2 dogs\n<start> 12:30 on a clock: noon\n\n\"one\" bus\n";
    assert_eq!(
        paired(text, "a\nb\nc\nd\n").unwrap_err(),
        "said: line 3 is of image 3, which has no reference in wrote (1 of 4 results have none; its images are 1, 2, 3, …)"
    );
    assert_eq!(
        paired("a dog\ntwo buses\n", "dog\n[unk] buses").unwrap(),
        ["a dog", "two buses"]
    );
    let coco = r#"{"annotations": [{"image_id": 1, "caption": "a dog"}]}"#;
    assert!(
        paired(coco, "dog\n")
            .unwrap_err()
            .contains("plain text, which names no image")
    );
    let said = r#"[{"image_id": 1, "caption": "a dog"}]"#;
    assert!(
        paired("a dog\n", said)
            .unwrap_err()
            .contains("wrote is plain text")
    );
    let fewer = paired("a dog\ntwo buses\n", "dog\n").unwrap_err();
    assert!(fewer.contains("1 lines, but wrote has 2"), "{fewer}");
}

/// Asserts that a file is refused, with one line that holds all `words`.
#[track_caller]
fn refused(text: impl AsRef<[u8]>, words: &[&str]) {
    let file = [File::new("a.json", text.as_ref())];
    let refused = |e: Option<attend_metrics::Error>| {
        let e = e.map(|e| e.to_string()).unwrap_or_default();
        for words in ["a.json: "].iter().chain(words) {
            assert!(e.contains(words), "{words}: {e}");
        }
        assert!(!e.contains('\n'), "{e}");
    };
    refused(references(&file, None).err());
    refused(results(&file[0]).err());
}

#[test]
fn what_holds_no_captions_is_refused_by_its_name() {
    refused(b"%PDF-1.7\n%\xE2\xE3", &["a PDF", "CSV"]);
    refused(
        b"PK\x03\x04\x14\0 xl/workbook.xml",
        &["an Excel workbook", "CSV"],
    );
    refused(b"PK\x03\x04\x14\0 a.json", &["a zip archive", "unpack"]);
    refused(b"\x1F\x8B\x08\0", &["gzip", "gunzip"]);
    refused(b"PAR1\x15\x04", &["a Parquet table", "read_parquet"]);
    refused(b"\x80\x04\x95\x10", &["a Python pickle", "json.dump"]);
    refused(b"\x93NUMPY\x01\0", &["a NumPy array"]);
    refused(b"\xFF\xFE[\0{\0", &["UTF-16", "iconv"]);
    refused(b"a\0 \0d\0o\0g\0 \0r\0u\0n\0s\0", &["UTF-16", "iconv"]);
    refused(
        b"a dog\nein Hund f\xE4llt\n",
        &["line 2: not UTF-8", "iconv"],
    );
    refused(b"a dog\n\x01\x02\x03", &["line 2: a control character"]);
    refused("<!DOCTYPE html>\n<title>404</title>", &["a web page"]);
    refused("<?xml version=\"1.0\"?>", &["XML"]);
    refused("- image_id: 7\n  caption: a dog\n", &["YAML", "CSV"]);
    refused("---\n7: a dog\n", &["YAML"]);
    for table in [
        "7: a dog\n9: a bus\n",
        "a.jpg A dog.\nb.jpg A bus.\n",
        "7,a dog\n9,a bus\n",
        "Bild,Beschreibung\na.jpg,Ein Hund.\nb.jpg,Ein Bus.\n",
        "Beschreibung;Bild\nEin Hund;a.jpg\nEin Bus, rot;b.jpg\n",
    ] {
        refused(
            table,
            &["a table with image ids", "the header image_id,caption"],
        );
    }
    refused("dog\t0.5\nbus\t0.25\n", &["a table without a header"]);
    refused(
        "# of epoch 3\n{\"image_id\": 7}\n",
        &["some lines are JSON"],
    );
    refused("['a dog', 'a bus']", &["line 1, column 2", "json.dump"]);
    refused(
        "version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
        &["a Git LFS pointer", "git lfs pull"],
    );
    refused(" \n", &["an empty file"]);
    refused(b"\x7FELF\x02\x01\x01\0\xFF", &["a binary file"]);
    refused("{}", &["an empty object"]);
    // tables
    refused(
        "caption\na dog\n",
        &[
            "line 1: a header without a column of image ids",
            "file_name",
        ],
    );
    refused(
        "image_id,said\n7,a dog\n",
        &["line 1: a header without a column of captions", "comment"],
    );
    refused(
        "image,caption\na.jpg,A dog, brown\n",
        &["line 2: 3 fields, not 2"],
    );
    refused(
        "image| comment_number| comment\na.jpg| 0| A dog\nb.jpg| 4 A bus\n",
        &["line 3: 2 fields, not 3"],
    );
    refused(
        "image,caption\na.jpg,\"A dog\nb.jpg,A bus\n",
        &["line 2: a field begins with a quote"],
    );
    refused("image,caption\n,A dog\n", &["line 2 has no image id"]);
    refused(
        "image,captions\na.jpg,\"['A dog']\"\n",
        &["line 2: a list of captions that is not JSON"],
    );
    // JSON
    refused("{'image_id': 7}", &["line 1, column 2", "json.dump"]);
    refused(
        "[{\"image_id\": 7,\n \"capt",
        &["line 2, column", "ends too early"],
    );
    refused(
        "{\"image_id\": 7, \"caption\": \"a\"}\n{\"image_id\": 8,",
        &["line 2, column", "ends too early"],
    );
    refused(
        "[\"a dog\"]",
        &["line 1", "\"a dog\"", "expected an object such as"],
    );
    refused(
        r#"[{"image_id": 7, "prediction": "a dog"}]"#,
        &["[0] has no caption"],
    );
    refused(r#"[{"caption": "a dog"}]"#, &["[0] has no image id"]);
    refused(
        r#"[{"image_id": [7], "caption": "a dog"}]"#,
        &["line 1, column", "an image's id"],
    );
    refused(
        r#"[{"image_id": 7.5, "caption": "a dog"}]"#,
        &["7.5", "an image's id"],
    );
    refused(
        r#"[{"image_id": 7, "caption": 5}]"#,
        &["\"caption\" holds neither a caption nor"],
    );
    refused(
        r#"{"annotations": [{"id": 7, "caption": "a dog"}]}"#,
        &["annotations[0] has no image id"],
    );
    refused(
        r#"{"annotations": [{"image_id": 7, "bbox": [0, 0, 1, 1]}]}"#,
        &["annotations[0] has no caption"],
    );
    refused(
        r#"{"images": [{"id": 7, "file_name": "a.jpg"}]}"#,
        &["no `sentences`", "annotations"],
    );
    refused(
        r#"{"epoch": 3, "loss": 0.1}"#,
        &["the keys \"epoch\", \"loss\""],
    );
    refused(
        "[{\"image_id\": 7, \"caption\": \"a\"}]\n[{\"image_id\": 8, \"caption\": \"a\"}]\n",
        &["line 1: if a file holds several JSON documents"],
    );
}

#[test]
fn results_have_one_caption_for_each_image() {
    let error = |text: &str| results(&File::new("a", text)).err().unwrap().to_string();
    let several = error(r#"{"7": ["a dog", "the dog"]}"#);
    assert!(
        several.contains("image 7 has 2 captions; in results each image has one"),
        "{several}"
    );
    let twice = error(
        "{\"image_id\": 7, \"caption\": \"a\"}\n\n{\"image_id\": \"7\", \"caption\": \"b\"}\n",
    );
    assert!(
        twice.contains("image 7 has two results, line 1 and line 3"),
        "{twice}"
    );
    let twice = error("image,caption\na.jpg,x\na.jpg,y\n");
    assert!(
        twice.contains("image \"a.jpg\" has two results, line 2 and line 3"),
        "{twice}"
    );
    let twice = error("image,caption\n\u{1b}[2J.jpg,x\n\u{1b}[2J.jpg,y\n");
    assert!(twice.contains("control character"), "{twice}");
    let hostile = error(r#"{"a": 5, "\u001b[2J": 6}"#);
    assert!(hostile.contains("\\u{1b}[2J"), "{hostile}");
}

#[test]
fn splits_are_chosen_where_there_are_some() {
    let split = |text: &str, split: &str| {
        let file = [File::new("a", text)];
        let read = references(&file, Some(split)).map_err(|e| e.to_string())?;
        Ok::<_, String>(
            read.images()
                .iter()
                .map(|image| image.id.clone().into_owned())
                .collect::<Vec<_>>(),
        )
    };
    let table = "raw,split,filename\na dog,train,a.jpg\na bus,test,b.jpg\n";
    assert_eq!(split(table, "test").unwrap(), [Id::Name("b.jpg".into())]);
    assert!(
        split(table, "val")
            .unwrap_err()
            .contains("its splits are test, train")
    );
    assert!(split("a dog\n", "val").unwrap_err().contains("no splits"));
    // ids that start again in each split
    let anew = r#"{"images": [{"imgid": 0, "split": "train", "sentences": [{"raw": "dog"}]},
        {"imgid": 0, "split": "test", "sentences": [{"raw": "bus"}]}]}"#;
    assert_eq!(split(anew, "test").unwrap(), [Id::Number(0)]);
    let file = [File::new("a", anew)];
    assert!(
        references(&file, None)
            .err()
            .unwrap()
            .to_string()
            .contains("--split")
    );
}
