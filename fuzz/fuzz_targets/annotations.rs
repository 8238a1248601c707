//! Reads arbitrary bytes as annotation files of each format. Ingest must refuse them with
//! one message that names the file, or read them. What it reads it must sort into candidate
//! images and rows of the ledger: it loses nothing and no file name leads out of the root.
#![no_main]

use attend_artifact::Error;
use attend_ingest::config::{Files, Normalise, Section, Splits};
use attend_ingest::formats::{coco, flickr8k, karpathy, layout::Layout};
use attend_ingest::ids::Id;
use attend_ingest::name::plain;
use attend_ingest::objects;
use attend_ingest::reference::Reference;
use attend_ingest::select::{Candidate, select};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

const COCO: &str = "annotations/captions_train2014.json";
const KARPATHY: &str = "dataset.json";
const OBJECTS: &str = "instances.json";
/// In the fuzzer's input a byte 0xFF stands between two of these files.
const FLICKR8K: [&str; 4] = [
    "Flickr8k.token.txt",
    "Flickr_8k.trainImages.txt",
    "Flickr_8k.devImages.txt",
    "Flickr_8k.testImages.txt",
];

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("annotations")).expect("a folder");
    folder
});
static SECTION: LazyLock<Section> = LazyLock::new(|| Section {
    annotations: KARPATHY.into(),
    objects: Files::One(OBJECTS.into()),
    splits: Splits::Names(vec!["train".into()]),
    ..Section::default()
});

fuzz_target!(|bytes: &[u8]| {
    let Some((format, bytes)) = bytes.split_first() else {
        return;
    };
    let root = FOLDER.path();
    let write = |name: &str, bytes: &[u8]| fs::write(root.join(name), bytes).expect("a file");
    match format % 4 {
        0 => {
            write(COCO, bytes);
            sort(root, coco::LAYOUT);
        }
        1 => {
            write(KARPATHY, bytes);
            sort(root, karpathy::LAYOUT);
        }
        2 => {
            let mut files = bytes.split(|byte| *byte == 0xff);
            for name in FLICKR8K {
                write(name, files.next().unwrap_or_default());
            }
            sort(root, flickr8k::LAYOUT);
        }
        _ => {
            write(OBJECTS, bytes);
            boxes(root);
        }
    }
});

fn read<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(read) => Some(read),
        Err(Error::Input(message)) => {
            assert!(
                message.starts_with(&*FOLDER.path().to_string_lossy()),
                "{message}"
            );
            None
        }
        Err(e) => panic!("{e}"),
    }
}

fn sort(root: &Path, layout: Layout) {
    let Some(mut annotations) = read((layout.read)(root, &SECTION)) else {
        return;
    };
    for listed in &mut annotations.captions {
        listed.caption = Normalise::Nfkc.apply(std::mem::take(&mut listed.caption));
    }
    let (images, captions) = (annotations.images.len(), annotations.captions.len());
    let (candidates, rejected) = select(annotations, &SECTION.splits);
    let of = |kind: &str| rejected.iter().filter(|row| row.kind == kind).count();
    assert_eq!(images, candidates.len() + of("image"));
    let kept: usize = candidates.iter().map(|image| image.captions.len()).sum();
    assert_eq!(captions, kept + of("caption"));
    let ids: HashSet<i64> = candidates.iter().map(|image| image.image_id).collect();
    assert_eq!(ids.len(), candidates.len());
    for image in &candidates {
        assert!(
            !image.captions.is_empty() && plain(&image.file_name).is_some(),
            "{image:?}"
        );
    }
}

fn boxes(root: &Path) {
    let candidates = [0, 1, -1].map(|image_id| Candidate {
        image_id,
        source_id: Id::Number(image_id),
        split: "val".into(),
        photograph: Reference { folder: 0, name: "a.jpg".into() },
        file_name: "a.jpg".into(),
        captions: vec![(0, "a".into())],
    });
    let files = objects::files(root, &SECTION).expect("just written");
    let found = read(objects::read(&files, &candidates, &mut Vec::new()));
    for object in found.unwrap_or_default().into_iter().map(|found| found.object) {
        let edges = [
            object.x,
            object.y,
            object.x + object.width,
            object.y + object.height,
        ];
        assert!(
            edges.iter().all(|edge| (0.0..=1.0001).contains(edge)),
            "{object:?}"
        );
    }
}
