//! Photographs with texts beside them: WebDataset's tars, and folders.

use crate::archives::{Member, tar, zip};
use crate::{data_set, fixture, ingest, open, write};
use attend_artifact::dataset::Dataset;
use std::collections::BTreeMap;
use tempfile::TempDir;

const SMALL: &str = "dataset.image_size=16";
const TARS: &str = "dataset.format=webdataset";
const FOLDER: &str = "dataset.format=folder";
const ANY: &str = "dataset.max_rejected_fraction=1.0";

const PHOTOGRAPHS: [&str; 7] = [
    "rgb420.jpg",
    "grey.jpg",
    "palette.png",
    "lossless.webp",
    "rgba.png",
    "rgb444.jpg",
    "cmyk.jpg",
];

/// Split, file and captions of each photograph; its id is its index.
fn samples() -> Vec<(&'static str, &'static str, [String; 3])> {
    let splits = ["train", "train", "train", "train", "val", "val", "test"];
    let captions = |id: usize| {
        let captions = ["a picture", "a picture", "une image"];
        captions.map(|caption| format!("{caption} {id} ."))
    };
    let photographs = PHOTOGRAPHS.iter().zip(splits).enumerate();
    photographs
        .map(|(id, (file, split))| (split, *file, captions(id)))
        .collect()
}

fn extension(file: &str) -> &str {
    file.rsplit('.').next().unwrap()
}

/// Images (all columns but their files' names) with pixels, and captions.
fn content(folder: &TempDir, output: &str) -> (Vec<String>, Vec<String>) {
    let (_, dataset) = open(folder, output);
    assert!(
        dataset.rejected().is_empty(),
        "{output}: {:?}",
        dataset.rejected()
    );
    let image = |image: &attend_artifact::dataset::ImageRecord| {
        let pixels = blake3::hash(dataset.pixels(image).unwrap());
        format!(
            "{} {} {}x{} {} {} {pixels}",
            image.image_id, image.split, image.width, image.height, image.shard, image.row
        )
    };
    let captions = dataset.captions().iter();
    let caption = |c: &attend_artifact::dataset::CaptionRecord| {
        format!("{} {} {}", c.image_id, c.split, c.caption)
    };
    (
        dataset.images().iter().map(image).collect(),
        captions.map(caption).collect(),
    )
}

/// One data set as Karpathy's file, as tars with texts, with JSON and as img2dataset writes
/// them, as a folder, as a zip and a tar of that folder: the same images, captions and
/// splits.
#[test]
fn in_every_layout_the_data_set_is_the_same() {
    let images: Vec<_> = (samples().iter().enumerate())
        .map(|(id, (split, file, captions))| {
            let sentences: Vec<_> = (captions.iter().enumerate())
                .map(|(n, raw)| serde_json::json!({"raw": raw, "sentid": 3 * id + n}))
                .collect();
            serde_json::json!({"filename": file, "imgid": id, "split": split, "sentences": sentences})
        })
        .collect();
    let folder = data_set(&[(
        "dataset_coco.json",
        serde_json::json!({ "images": images })
            .to_string()
            .as_bytes(),
    )]);
    let root = folder.path().join("root");
    for name in PHOTOGRAPHS {
        write(&root.join(name), &fixture(name));
    }
    ingest(&folder, "karpathy", &[SMALL]).success();
    let expected = content(&folder, "karpathy");
    assert_eq!(expected.1.len(), 21);

    let members = |id: usize, file: &str, texts: &[(&str, String)]| -> Vec<Member> {
        let photograph = (format!("{id:05}.{}", extension(file)), fixture(file));
        let texts = texts.iter();
        let texts =
            texts.map(|(kind, text)| (format!("{id:05}.{kind}"), text.clone().into_bytes()));
        [photograph].into_iter().chain(texts).collect()
    };
    type Texts = dyn Fn(&[String; 3]) -> Vec<(&'static str, String)>;
    let forms: [(&str, &Texts); 4] = [
        ("txt", &|captions| {
            vec![("txt", captions.join("\n") + "\n"), ("cls", "7".into())]
        }),
        ("crlf", &|captions| {
            vec![(
                "CAPTION",
                format!("\u{feff}{}\r\n\r\n \r\n", captions.join("\r\n")),
            )]
        }),
        ("captions", &|captions| {
            vec![(
                "json",
                serde_json::json!({"captions": captions, "status": null}).to_string(),
            )]
        }),
        // The text is that of the JSON, as img2dataset writes it.
        ("img2dataset", &|captions| {
            let meta = serde_json::json!({"caption": captions[0], "captions": captions[1..],
                "url": "http://x/y", "key": "00000", "status": "success", "error_message": null,
                "width": 75, "exif": "{}"});
            vec![("txt", captions[0].clone()), ("json", meta.to_string())]
        }),
    ];
    for (form, texts) in forms {
        let place = root.join(form);
        std::fs::create_dir(&place).unwrap();
        let mut tars: BTreeMap<String, Vec<Member>> = BTreeMap::new();
        for (id, (split, file, captions)) in samples().iter().enumerate() {
            let shard = format!("{split}-{:05}.tar", id / 3);
            tars.entry(shard)
                .or_default()
                .extend(members(id, file, &texts(captions)));
        }
        for (name, members) in &tars {
            tar(&place.join(name), "", members);
        }
        // What img2dataset leaves beside its tars.
        write(&place.join("00000_stats.json"), b"{\"count\": 7}");
        write(&place.join("00000.parquet"), b"PAR1");
        let pattern = format!("dataset.annotations={form}/*-{{00000..00002}}*");
        ingest(&folder, form, &[SMALL, TARS, &pattern]).success();
        assert_eq!(content(&folder, form), expected, "{form}");
    }

    let mut files: Vec<Member> = Vec::new();
    for (id, (split, file, captions)) in samples().iter().enumerate() {
        let top = match *split {
            "train" => "train2014",
            "val" => "Valid",
            other => other,
        };
        let members = members(id, file, &[("txt", captions.join("\n"))]);
        files.extend(
            members
                .into_iter()
                .map(|(name, bytes)| (format!("{top}/x/{name}"), bytes)),
        );
    }
    files.sort_by_key(|(name, _)| name.rsplit('/').next().unwrap().to_owned());
    for (name, bytes) in &files {
        write(&root.join("loose").join(name), bytes);
        write(&root.join("loose/.hidden").join(name), bytes);
        write(&root.join("loose/__MACOSX").join(name), bytes);
    }
    zip(&root.join("whole.zip"), "rsicd/", &files);
    tar(&root.join("whole.tar"), "./", &files);
    for archive in ["whole.zip", "whole.tar"] {
        ingest(
            &folder,
            archive,
            &[SMALL, FOLDER, &format!("dataset.image_dir={archive}")],
        )
        .success();
        assert_eq!(content(&folder, archive), expected, "{archive}");
        let whole = format!("dataset.root={:?}", root.join(archive));
        let output = format!("{archive}-root");
        ingest(&folder, &output, &[SMALL, FOLDER, &whole]).success();
        assert_eq!(content(&folder, &output), expected, "{archive}");
    }
    let whole = format!("dataset.root={:?}", root.join("whole.tar"));
    ingest(&folder, "one-tar", &[SMALL, TARS, &whole]).success();
    assert_eq!(content(&folder, "one-tar"), expected);
    ingest(
        &folder,
        "loose",
        &[SMALL, FOLDER, "dataset.image_dir=loose"],
    )
    .success();
    assert_eq!(content(&folder, "loose"), expected);
}

type ByFile<'a, T> = BTreeMap<&'a str, T>;

/// The reason of each row for an image, by its file; the captions of each image.
fn outcome(dataset: &Dataset) -> (ByFile<'_, (&str, &str)>, ByFile<'_, Vec<&str>>) {
    let rows = dataset.rejected().iter().filter(|row| row.kind == "image");
    let rows = rows.map(|row| (&*row.file_name, (&*row.reason, &*row.detail)));
    let captions = |id: i64| -> Vec<&str> {
        let captions = dataset.captions().iter().filter(|c| c.image_id == id);
        captions.map(|c| &*c.caption).collect()
    };
    let images = dataset.images().iter();
    let images = images.map(|image| (&*image.file_name, captions(image.image_id)));
    (rows.collect(), images.collect())
}

/// A tar with these members, whatever their names.
fn raw_tar(members: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_old();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn link(kind: tar::EntryType, name: &str, target: &str) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_path(name).unwrap();
    header.set_link_name(target).unwrap();
    header.set_size(0);
    header.set_cksum();
    header
}

#[test]
fn odd_members_of_a_tar_have_their_documented_reason() {
    let jpeg = fixture("grey.jpg");
    let long = vec![b'x'; (1 << 20) + 1];
    let shard = raw_tar(&[
        // Out of order, and apart from each other.
        (b"late.txt", b"late"),
        (b"1.5.jpg", &jpeg),
        (b"1.6.jpg", &jpeg),
        (b"late.jpg", &jpeg),
        (b"1.6.txt", b"one point six"),
        (b"1.5.txt", b"one point five"),
        // Without a caption: no text, an empty one, other texts, white space.
        (b"none.jpg", &jpeg),
        (b"empty.jpg", &jpeg),
        (b"empty.txt", b""),
        (b"blank.jpg", &jpeg),
        (b"blank.txt", b" \n\t\r\n"),
        (b"class.jpg", &jpeg),
        (b"class.cls", b"7"),
        // Texts without a photograph, and of another one's name.
        (b"README.txt", b"read me\nwell"),
        // Several texts; what one repeats of an earlier one counts once.
        (b"several.jpg", &jpeg),
        (b"several.txt", b"one\ntwo\ntwo"),
        (b"several.caption", b"two\nthree"),
        (b"several.json", br#"{"caption": "zero", "captions": ["one", null]}"#),
        // Several photographs of one name, and parts of a sample.
        (b"twin.png", &fixture("rgba.png")),
        (b"twin.JPG", &jpeg),
        (b"twin.txt", b"twin"),
        (b"part.jpg", &jpeg),
        (b"part.seg.png", &fixture("rgba.png")),
        (b"part.txt", b"part"),
        (b"pair.left.jpg", &jpeg),
        (b"pair.right.jpg", &jpeg),
        (b"pair.txt", b"pair"),
        // img2dataset's failures.
        (b"gone.json", br#"{"status": "failed_to_download", "error_message": "HTTP Error 404", "caption": "gone"}"#),
        (b"failed.jpg", &jpeg),
        (b"failed.json", br#"{"status": "failed_to_resize", "caption": "failed"}"#),
        // JSON of another kind, texts of another encoding, a text that is too long.
        (b"list.jpg", &jpeg),
        (b"list.json", b"[1, 2]"),
        (b"cut.jpg", &jpeg),
        (b"cut.json", b"{\"caption\": \"cut"),
        (b"number.jpg", &jpeg),
        (b"number.json", b"{\"caption\": 5}"),
        (b"latin.jpg", &jpeg),
        (b"latin.txt", b"caf\xe9"),
        (b"long.jpg", &jpeg),
        (b"long.txt", &long),
        (b"rescued.jpg", &jpeg),
        (b"rescued.json", b"nonsense"),
        (b"rescued.txt", b"rescued"),
        (b"metadata.json", b"nonsense"),
        // Names that lead elsewhere.
        (b"../up.jpg", &jpeg),
        (b"../up.txt", b"up"),
        (b"/root.jpg", &jpeg),
        (b"a/../../out.jpg", &jpeg),
        (b"byte\xff.jpg", &jpeg),
        // What is no picture.
        (b"text.jpg", b"text"),
        (b"text.txt", b"a text"),
        (b"void.jpg", b""),
        (b"void.txt", b"a void"),
        (b"other.heic", b"\0\0\0\x18ftypheic"),
        (b"other.txt", b"another format"),
        (b".hidden.jpg", &jpeg),
        (b"__MACOSX/._late.jpg", b"Mac OS X"),
    ]);
    let folder = data_set(&[("train-0.tar", &shard)]);
    ingest(&folder, "out", &[SMALL, TARS, ANY]).success();
    let (artifact, dataset) = open(&folder, "out");
    let (rejected, kept) = outcome(&dataset);
    let name = |name: &str| format!("train-0.tar/{name}");
    let expected: &[(&str, &[&str])] = &[
        ("1.5.jpg", &["one point five"]),
        ("1.6.jpg", &["one point six"]),
        ("late.jpg", &["late"]),
        ("several.jpg", &["zero", "one", "two", "two", "three"]),
        ("twin.JPG", &["twin"]),
        ("part.jpg", &["part"]),
        ("pair.left.jpg", &["pair"]),
        ("pair.right.jpg", &["pair"]),
        ("rescued.jpg", &["rescued"]),
    ];
    let mut seen: Vec<_> = kept
        .iter()
        .map(|(name, captions)| ((*name).to_owned(), captions.clone()))
        .collect();
    let mut wanted: Vec<_> = expected
        .iter()
        .map(|(file, captions)| (name(file), captions.to_vec()))
        .collect();
    seen.sort();
    wanted.sort();
    assert_eq!(seen, wanted);
    let reasons = [
        ("none.jpg", "no-caption", "no caption that can be used"),
        ("empty.jpg", "no-caption", "no caption that can be used"),
        ("blank.jpg", "no-caption", "no caption that can be used"),
        ("class.jpg", "no-caption", "no caption that can be used"),
        (
            "twin.png",
            "duplicate-id",
            "twin.JPG has the same name, but for its extension",
        ),
        (
            "gone.json",
            "missing",
            "its status is failed_to_download: HTTP Error 404",
        ),
        ("failed.jpg", "missing", "its status is failed_to_resize"),
        (
            "list.jpg",
            "no-caption",
            "list.json: a caption in it is no text",
        ),
        ("cut.jpg", "no-caption", "cut.json: not JSON: EOF"),
        (
            "number.jpg",
            "no-caption",
            "number.json: a caption in it is no text",
        ),
        ("latin.jpg", "no-caption", "latin.txt: not UTF-8"),
        (
            "long.jpg",
            "no-caption",
            "long.txt: 1048577 bytes, more than 1048576",
        ),
        ("../up.jpg", "outside-root", "leads out of the image root"),
        ("/root.jpg", "outside-root", "leads out of the image root"),
        (
            "a/../../out.jpg",
            "outside-root",
            "leads out of the image root",
        ),
        ("text.jpg", "unsupported", ""),
        ("void.jpg", "truncated", ""),
        ("other.heic", "unsupported", ""),
        ("byte\u{fffd}.jpg", "no-caption", ""),
    ];
    for (file, reason, detail) in reasons {
        let images = rejected.iter();
        let rows: Vec<_> = images
            .filter(|(name, _)| **name == file || name.ends_with(&format!("0.tar/{file}")))
            .collect();
        let [(_, (found, why))] = rows[..] else {
            panic!("{file}: {rows:?}")
        };
        assert_eq!(*found, reason, "{file}: {why}");
        assert!(why.contains(detail), "{file}: {why}");
    }
    assert_eq!(rejected.len(), reasons.len(), "{rejected:?}");
    let captions: Vec<_> = dataset
        .rejected()
        .iter()
        .filter(|row| row.kind == "caption")
        .collect();
    let alone = captions.iter().filter(|row| row.reason == "no-image");
    assert_eq!(alone.count(), 2, "{captions:?}");
    assert_eq!(artifact.count("images"), 9);
}

#[test]
fn links_in_a_tar_lead_to_its_members_only() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut put = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes).unwrap();
    };
    put("blobs/x", &fixture("grey.jpg"));
    put("blobs/t", b"a text");
    for name in ["soft", "hard", "out", "loop", "gone", "etc"] {
        put(&format!("{name}.txt"), name.as_bytes());
    }
    put("textlink.jpg", &fixture("grey.jpg"));
    for header in [
        link(tar::EntryType::Symlink, "soft.jpg", "blobs/x"),
        link(tar::EntryType::Link, "hard.jpg", "blobs/x"),
        link(tar::EntryType::Symlink, "out.jpg", "../../x.jpg"),
        link(tar::EntryType::Symlink, "etc.jpg", "/etc/passwd"),
        link(tar::EntryType::Symlink, "loop.jpg", "loop.jpg"),
        link(tar::EntryType::Link, "gone.jpg", "nothing"),
        link(tar::EntryType::Symlink, "textlink.txt", "/etc/passwd"),
        link(tar::EntryType::Symlink, "textlink.caption", "blobs/t"),
    ] {
        archive.append(&header, &b""[..]).unwrap();
    }
    let folder = data_set(&[("val.tar", &archive.into_inner().unwrap())]);
    ingest(&folder, "out", &[SMALL, TARS, ANY]).success();
    let (_, dataset) = open(&folder, "out");
    let (rejected, kept) = outcome(&dataset);
    let expected: [(&str, &[&str]); 3] = [
        ("val.tar/hard.jpg", &["hard"]),
        ("val.tar/soft.jpg", &["soft"]),
        ("val.tar/textlink.jpg", &["a text"]),
    ];
    let kept: Vec<(&str, &[&str])> = kept.iter().map(|(name, c)| (*name, &c[..])).collect();
    assert_eq!(kept, expected);
    let reasons: Vec<_> = rejected
        .iter()
        .map(|(name, (reason, _))| (*name, *reason))
        .collect();
    let expected = [
        ("val.tar/etc.jpg", "outside-root"),
        ("val.tar/gone.jpg", "unreadable"),
        ("val.tar/loop.jpg", "unreadable"),
        ("val.tar/out.jpg", "outside-root"),
    ];
    assert_eq!(reasons, expected);
}

/// Texts are no way out of the folder either.
#[test]
fn links_in_a_folder_are_followed_on_request_only() {
    use std::os::unix::fs::symlink;
    let picture = fixture("grey.jpg");
    let folder = data_set(&[
        ("train/a.jpg", &picture),
        ("train/b.jpg", &picture),
        ("train/b.txt", b"b"),
        ("../elsewhere/secret", b"a secret"),
        ("../elsewhere/more/c.jpg", &picture),
        ("../elsewhere/more/c.txt", b"c"),
    ]);
    let root = folder.path().join("root/train");
    symlink("../../elsewhere/secret", root.join("a.txt")).unwrap();
    symlink("../../elsewhere/more", root.join("more")).unwrap();
    symlink("../train", root.join("loop")).unwrap();
    let log = ingest(&folder, "out", &[SMALL, FOLDER, ANY]).success();
    let log = String::from_utf8_lossy(&log.get_output().stderr).into_owned();
    assert!(
        log.contains("more: a link to a folder is not followed"),
        "{log}"
    );
    let (_, dataset) = open(&folder, "out");
    let (rejected, kept) = outcome(&dataset);
    assert_eq!(kept.keys().collect::<Vec<_>>(), [&"train/b.jpg"]);
    let (reason, detail) = rejected["train/a.jpg"];
    assert_eq!(reason, "no-caption");
    assert!(detail.contains("a.txt: a link leads out"), "{detail}");

    let follow = "dataset.follow_links=true";
    let refused = ingest(&folder, "loop", &[SMALL, FOLDER, ANY, follow]).code(3);
    let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(message.contains("loop"), "{message}");
    std::fs::remove_file(root.join("loop")).unwrap();
    ingest(&folder, "followed", &[SMALL, FOLDER, ANY, follow]).success();
    let names: Vec<_> = (open(&folder, "followed").1.images().iter())
        .map(|image| image.file_name.clone())
        .collect();
    assert_eq!(names, ["train/a.jpg", "train/b.jpg", "train/more/c.jpg"]);
}

#[test]
fn what_is_no_tar_is_named_with_the_way_out() {
    let whole = raw_tar(&[(b"a.jpg", &fixture("grey.jpg")), (b"a.txt", b"a")]);
    let folder = data_set(&[
        ("train-0.tar", &whole),
        ("cut.tar", &whole[..1500]),
        ("packed.tar", b"\x1f\x8b\x08\0\0\0\0\0"),
        ("text.tar", b"<html>"),
        ("empty.tar", &raw_tar(&[])),
        ("a.parquet", b"PAR1"),
        ("none/x.tar", &raw_tar(&[(b"a.jpg", &fixture("grey.jpg"))])),
        ("unsplit.tar", &whole),
    ]);
    for (annotations, code, words) in [
        (
            "cut.tar",
            3,
            &["cut.tar: ", "copy or download it again"][..],
        ),
        ("packed.tar", 3, &["packed.tar: packed by gzip", "gunzip"]),
        ("text.tar", 3, &["a web page"]),
        ("empty.tar", 3, &["its annotations list no image"]),
        (
            "a.parquet",
            3,
            &["a.parquet: is no .tar", "dataset.annotations"],
        ),
        (
            "train-{0..2}.tar",
            3,
            &["there is no train-1.tar", "1 more"],
        ),
        ("train-{0..2.tar", 2, &["a { without its }"]),
        ("b*.tar", 3, &["there is no b*.tar"]),
        (
            "unsplit.tar",
            3,
            &[
                "nothing says which split",
                "dataset.split = { val = 0.05, test = 0.05 }",
            ],
        ),
        ("none/x.tar", 3, &["nothing says which split"]),
    ] {
        let refused = ingest(
            &folder,
            "out",
            &[SMALL, TARS, &format!("dataset.annotations={annotations}")],
        )
        .code(code);
        let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        for word in words {
            assert!(message.contains(word), "{annotations}: {message}");
        }
    }
    let refused = ingest(
        &folder,
        "out",
        &[SMALL, FOLDER, "dataset.image_dir=nowhere"],
    )
    .code(3);
    let message = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(message.contains("nowhere: no such folder"), "{message}");
    ingest(
        &folder,
        "out",
        &[SMALL, TARS, "dataset.annotations=train-{0..0}.tar"],
    )
    .success();
}

/// More shards than a process may have files open.
#[test]
fn a_thousand_shards_need_few_open_files() {
    let folder = TempDir::new().unwrap();
    let jpeg = fixture("grey.jpg");
    for shard in 0..600 {
        let name = format!("{shard:06}.jpg");
        let text = format!("{shard:06}.txt");
        let bytes = raw_tar(&[(name.as_bytes(), &jpeg), (text.as_bytes(), b"a picture")]);
        write(
            &folder.path().join(format!("root/train/{shard:05}.tar")),
            &bytes,
        );
    }
    let script = format!(
        "ulimit -n 256; exec {:?} --output {:?} --set dataset.root={:?} --set {SMALL} --set {TARS} --set 'dataset.annotations=train/{{00000..00599}}.tar'",
        env!("CARGO_BIN_EXE_attend-ingest"),
        folder.path().join("out"),
        folder.path().join("root"),
    );
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(script)
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stderr)
    );
    assert_eq!(open(&folder, "out").1.images().len(), 600);
}

#[test]
fn a_caption_that_changed_and_a_new_photograph_are_noticed() {
    let picture = fixture("grey.jpg");
    let folder = data_set(&[("train/a.jpg", &picture), ("train/a.txt", b"old")]);
    let caption = |expected: &[&str]| {
        ingest(&folder, "out", &[SMALL, FOLDER]).success();
        let (_, dataset) = open(&folder, "out");
        let captions: Vec<_> = dataset
            .captions()
            .iter()
            .map(|c| c.caption.clone())
            .collect();
        assert_eq!(captions, expected);
        let sources = std::fs::read_to_string(folder.path().join("out/.sources")).unwrap();
        assert!(
            sources.contains("train/a.txt") && sources.contains("train\","),
            "{sources}"
        );
    };
    caption(&["old"]);
    write(&folder.path().join("root/train/a.txt"), b"new\nnewer");
    caption(&["new", "newer"]);
    write(&folder.path().join("root/train/b.jpg"), &picture);
    write(&folder.path().join("root/train/b.txt"), b"b");
    caption(&["new", "newer", "b"]);
}

/// What is found in a folder, without its root.
fn looked(folder: &TempDir, name: &str) -> Vec<(&'static str, String, String)> {
    let path = folder.path().join("root").join(name);
    let layouts = attend_ingest::formats::LAYOUTS.into_iter();
    let readings = layouts.flat_map(|layout| {
        let readings = (layout.look)(&path).unwrap().into_iter();
        readings.map(move |reading| {
            let settings = reading
                .settings
                .iter()
                .map(|(key, value)| format!("{key}={value}"));
            (
                layout.name,
                reading.what,
                settings.collect::<Vec<_>>().join(" "),
            )
        })
    });
    readings.collect()
}

#[test]
fn tars_and_folders_are_recognised() {
    let pair = raw_tar(&[(b"a.jpg", b"x"), (b"a.txt", b"a"), (b"b.jpg", b"x")]);
    let folder = data_set(&[
        ("wds/train-0.tar", &pair),
        ("wds/val-0.tar", &pair),
        ("wds/train-0_stats.json", b"{}"),
        ("nested/x/0.tar", &pair),
        ("photos/p.tar", &raw_tar(&[(b"a.jpg", b"x")])),
        ("broken/p.tar", b"nothing"),
        ("split/train2014/x/a.jpg", b"x"),
        ("split/train2014/x/a.txt", b"x"),
        ("split/val2014/b.jpg", b"x"),
        ("flat/a.JPG", b"x"),
        ("flat/a.TXT", b"x"),
        ("flat/a.json", b"x"),
        ("boxes/a.jpg", b"x"),
        ("boxes/a.json", b"{\"boxes\": []}"),
        ("said/a.jpg", b"x"),
        ("said/a.json", b"{\"caption\": \"x\"}"),
        ("bare/a.jpg", b"x"),
        ("empty/.x", b""),
    ]);
    let root = folder.path().join("root");
    zip(
        &root.join("flat.zip"),
        "",
        &[("a.jpg".into(), vec![]), ("a.txt".into(), vec![])],
    );
    let split = "split={ val = 0.05, test = 0.05 }";
    let one = format!("annotations=\"0.tar\" {split}");
    for (name, layout, words, settings) in [
        (
            "wds",
            "webdataset",
            "2 tars of WebDataset's (1 of 2 photographs in train-0.tar",
            "annotations=\"*.tar\"",
        ),
        (
            "wds/val-0.tar",
            "webdataset",
            "1 tar",
            "annotations=\"val-0.tar\"",
        ),
        ("nested/x", "webdataset", "1 tar", &one),
        ("split", "folder", "(1 of 2 that", ""),
        ("flat", "folder", "(1 of 1 that", split),
        ("said", "folder", "(1 of 1 that", split),
        ("flat.zip", "folder", "(1 of 1 that", split),
    ] {
        let found = looked(&folder, name);
        let [(found, what, set)] = &found[..] else {
            panic!("{name}: {found:?}")
        };
        assert_eq!(*found, layout, "{name}");
        assert!(what.contains(words), "{name}: {what}");
        assert_eq!(set, settings, "{name}");
    }
    for name in ["photos", "broken", "boxes", "bare", "empty", "nowhere"] {
        assert!(looked(&folder, name).is_empty(), "{name}");
    }
}
