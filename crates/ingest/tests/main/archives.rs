//! Photographs in zip and tar archives, and links that lead elsewhere.

use crate::reproducible::{digests, fifty, run};
use crate::{data_set, fixture, ingest, open};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// Fifty photographs below `train2014`, according to the annotations.
fn in_a_folder() -> TempDir {
    let folder = fifty();
    let root = folder.path().join("root");
    let list = root.join("dataset_coco.json");
    let text = std::fs::read_to_string(&list).unwrap();
    let text = text.replace(r#"{"filename""#, r#"{"filepath": "train2014", "filename""#);
    std::fs::create_dir(root.join("train2014")).unwrap();
    for entry in root.read_dir().unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if entry.file_type().unwrap().is_file() && name != "dataset_coco.json" {
            std::fs::rename(entry.path(), root.join("train2014").join(name)).unwrap();
        }
    }
    std::fs::write(list, text).unwrap();
    folder
}

fn members(folder: &Path) -> Vec<Member> {
    let entries = folder.read_dir().unwrap().map(Result::unwrap);
    let member = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, std::fs::read(entry.path()).unwrap())
    };
    entries.map(member).collect()
}

/// A name and its content.
pub type Member = (String, Vec<u8>);

/// A zip archive, its members stored or deflated in turn.
pub fn zip(path: &Path, prefix: &str, members: &[Member]) {
    let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
    for (place, (name, bytes)) in members.iter().enumerate() {
        let method = match place % 2 {
            0 => zip::CompressionMethod::Stored,
            _ => zip::CompressionMethod::Deflated,
        };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        archive
            .start_file(format!("{prefix}{name}"), options)
            .unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

/// A tar archive.
pub fn tar(path: &Path, prefix: &str, members: &[Member]) {
    let mut archive = tar::Builder::new(File::create(path).unwrap());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, format!("{prefix}{name}"), &bytes[..])
            .unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn folder_zip_and_tar_are_the_same_data_set() {
    let folder = in_a_folder();
    run(&folder, "folder", "2", &[]).success();
    let place = folder.path().join("root/train2014");
    let members = members(&place);
    std::fs::remove_dir_all(&place).unwrap();
    for (output, prefix) in [("inner", "train2014/"), ("top", "")] {
        let archive = place.with_extension("zip");
        zip(&archive, prefix, &members);
        run(&folder, &format!("zip-{output}"), "2", &[]).success();
        assert_eq!(
            digests(&folder, &format!("zip-{output}")),
            digests(&folder, "folder")
        );
        std::fs::remove_file(&archive).unwrap();

        let archive = place.with_extension("tar");
        tar(&archive, prefix, &members);
        run(&folder, &format!("tar-{output}"), "2", &[]).success();
        assert_eq!(
            digests(&folder, &format!("tar-{output}")),
            digests(&folder, "folder")
        );
        std::fs::remove_file(&archive).unwrap();
    }
}

#[test]
fn coco_is_read_as_it_is_downloaded() {
    let captions = |id: i64, name: &str| {
        format!(
            r#"{{"images": [{{"id": {id}, "file_name": "{name}"}}],
                "annotations": [{{"id": {id}, "image_id": {id}, "caption": "a picture"}}]}}"#
        )
    };
    let folder = data_set(&[
        (
            "annotations/captions_train2014.json",
            captions(1, "a.jpg").as_bytes(),
        ),
        (
            "annotations/captions_val2014.json",
            captions(2, "b.jpg").as_bytes(),
        ),
    ]);
    let root = folder.path().join("root");
    let missing = ingest(&folder, "out", &["dataset.format=coco"])
        .failure()
        .code(3);
    let log = String::from_utf8_lossy(&missing.get_output().stderr).into_owned();
    assert!(log.contains("train2014") && log.contains(".zip"), "{log}");
    zip(
        &root.join("train2014.zip"),
        "train2014/",
        &[("a.jpg".into(), fixture("rgb420.jpg"))],
    );
    tar(
        &root.join("val2014.tar"),
        "./val2014/",
        &[("b.jpg".into(), fixture("grey.jpg"))],
    );
    ingest(
        &folder,
        "out",
        &["dataset.format=coco", "dataset.image_size=16"],
    )
    .success();
    assert_eq!(open(&folder, "out").1.images().len(), 2);
}

#[test]
fn a_member_that_changed_is_read_again_alone() {
    let folder = in_a_folder();
    let place = folder.path().join("root/train2014");
    let mut members = members(&place);
    std::fs::remove_dir_all(&place).unwrap();
    zip(&place.with_extension("zip"), "", &members);
    run(&folder, "out", "2", &[]).success();
    let before = digests(&folder, "out").1;
    let other = members
        .iter_mut()
        .find(|(name, _)| name.starts_with("10-"))
        .unwrap();
    other.1 = fixture("rgb422.jpg");
    zip(&place.with_extension("zip"), "", &members);
    run(&folder, "out", "2", &[]).success();
    let after = digests(&folder, "out").1;
    let changed: Vec<&String> = after
        .keys()
        .filter(|name| before[*name] != after[*name])
        .collect();
    assert_eq!(changed, ["shards/train-00000.arrow"]);
}

#[test]
#[cfg(unix)]
fn links_lead_nowhere_else() {
    use std::os::unix::fs::symlink;
    let entry = |id: i64, name: &str| {
        format!(
            r#"{{"filename": "{name}", "imgid": {id}, "split": "val",
                "sentences": [{{"raw": "x", "sentid": {id}}}]}}"#
        )
    };
    let names = [
        "in.jpg",
        "out.jpg",
        "folder/x.jpg",
        "loop.jpg",
        "nowhere.jpg",
    ];
    let list: Vec<String> = (0..).zip(names).map(|(id, name)| entry(id, name)).collect();
    let list = format!(r#"{{"images": [{}]}}"#, list.join(","));
    let folder = data_set(&[
        ("dataset_coco.json", list.as_bytes()),
        ("real.jpg", &fixture("rgb420.jpg")),
        ("../elsewhere/x.jpg", &fixture("rgb420.jpg")),
    ]);
    let root = folder.path().join("root");
    symlink("real.jpg", root.join("in.jpg")).unwrap();
    symlink("../elsewhere/x.jpg", root.join("out.jpg")).unwrap();
    symlink("../elsewhere", root.join("folder")).unwrap();
    symlink("loop.jpg", root.join("loop.jpg")).unwrap();
    symlink("gone.jpg", root.join("nowhere.jpg")).unwrap();
    let set = ["dataset.image_size=16", "dataset.max_rejected_fraction=1.0"];
    ingest(&folder, "out", &set).success();
    let (artifact, dataset) = open(&folder, "out");
    assert_eq!(dataset.images().len(), 1);
    let counts = &artifact.manifest.counts;
    let reasons =
        ["outside-root", "unreadable", "missing"].map(|r| counts[&format!("rejected.{r}")]);
    assert_eq!(reasons, [2, 1, 1]);
}

/// Annotations for images `(folder, name)` and for a good one.
fn listed(images: &[(&str, &str)]) -> String {
    let image = |(id, (folder, name)): (usize, &(&str, &str))| {
        format!(
            r#"{{"filepath": "{folder}", "filename": "{name}", "imgid": {id}, "split": "val",
                "sentences": [{{"raw": "x", "sentid": {id}}}]}}"#
        )
    };
    let images: Vec<String> = [&[("", "good.jpg")], images]
        .concat()
        .iter()
        .enumerate()
        .map(image)
        .collect();
    format!(r#"{{"images": [{}]}}"#, images.join(","))
}

/// Links to archives, and archives behind links, are treated like other links.
#[test]
fn links_lead_to_no_archive_elsewhere() {
    use std::os::unix::fs::symlink;
    let names = [("out", "x.jpg"), ("l/photos", "x.jpg"), ("in", "x.jpg")];
    let folder = data_set(&[
        ("dataset_coco.json", listed(&names).as_bytes()),
        ("good.jpg", &fixture("rgb420.jpg")),
        ("kept/y", b""),
        ("../elsewhere/y", b""),
    ]);
    let root = folder.path().join("root");
    let members = [("x.jpg".into(), fixture("rgb420.jpg"))];
    zip(&root.join("../elsewhere/photos.zip"), "", &members);
    zip(&root.join("kept/photos.zip"), "", &members);
    symlink("../elsewhere/photos.zip", root.join("out.zip")).unwrap();
    symlink("../elsewhere", root.join("l")).unwrap();
    symlink("kept/photos.zip", root.join("in.zip")).unwrap();
    let set = ["dataset.image_size=16", "dataset.max_rejected_fraction=1.0"];
    ingest(&folder, "out", &set).success();
    let (artifact, dataset) = open(&folder, "out");
    assert_eq!(artifact.manifest.counts["rejected.outside-root"], 2);
    assert_eq!(dataset.images().last().unwrap().file_name, "in/x.jpg");
}

/// The folder that the config names is the image root, even if it is a link.
#[test]
fn folders_of_the_config_may_be_links_or_archives() {
    use std::os::unix::fs::symlink;
    let folder = data_set(&[
        ("dataset_coco.json", listed(&[]).as_bytes()),
        ("../elsewhere/good.jpg", &fixture("rgb420.jpg")),
    ]);
    let root = folder.path().join("root");
    let members = [("good.jpg".into(), fixture("rgb420.jpg"))];
    zip(&root.join("named.zip"), "named/", &members);
    zip(&folder.path().join("whole.zip"), "", &members);
    symlink("../elsewhere", root.join("link")).unwrap();
    symlink("../whole.zip", root.join("other.zip")).unwrap();
    let elsewhere = format!("dataset.image_dir={:?}", folder.path().join("elsewhere"));
    for (output, image_dir) in [
        ("link", "dataset.image_dir=link"),
        ("slash", "dataset.image_dir=link/"),
        ("absolute", &elsewhere),
        ("parent", "dataset.image_dir=../elsewhere"),
        ("archive", "dataset.image_dir=named.zip"),
        ("linked-archive", "dataset.image_dir=other"),
    ] {
        ingest(&folder, output, &["dataset.image_size=16", image_dir]).success();
        assert_eq!(open(&folder, output).1.images().len(), 1, "{output}");
    }
    let place = |key: &str, path: &str| format!("dataset.{key}={:?}", folder.path().join(path));
    let set = [
        "dataset.image_size=16",
        &place("annotations", "root/dataset_coco.json"),
        &place("root", "whole.zip"),
    ];
    ingest(&folder, "whole", &set).success();
}

/// Names as programs write them: with `./`, twice, in UTF-8 without the flag for it.
#[test]
fn names_in_archives() {
    let names = [
        ("p", "dot.jpg"),
        ("p", "é.jpg"),
        ("p", "twice.jpg"),
        ("./p/", "dot.jpg"),
        ("p", "root.jpg"),
        ("p", "up.jpg"),
        ("p", "folder"),
        ("p", "nowhere.jpg"),
    ];
    let folder = data_set(&[
        ("dataset_coco.json", listed(&names).as_bytes()),
        ("good.jpg", &fixture("rgb420.jpg")),
    ]);
    let long = format!("p/{}/twice.jpg", "long/".repeat(50));
    let members = [
        ("./p/dot.jpg", fixture("grey.jpg")),
        ("p/é.jpg", fixture("grey.jpg")),
        ("p/twice.jpg", b"an earlier state".to_vec()),
        ("p/folder/x.jpg", fixture("grey.jpg")),
        (&*long, fixture("grey.jpg")),
        ("p/twice.jpg", fixture("grey.jpg")),
    ];
    let path = folder.path().join("root/p.tar");
    let mut archive = tar::Builder::new(File::create(path).unwrap());
    for (name, bytes) in &members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    for name in ["/p/root.jpg", "../p/up.jpg"] {
        let mut header = tar::Header::new_old();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(0);
        header.set_cksum();
        archive.append(&header, &b""[..]).unwrap();
    }
    archive.finish().unwrap();
    let set = ["dataset.image_size=16", "dataset.max_rejected_fraction=1.0"];
    ingest(&folder, "out", &set).success();
    let (artifact, dataset) = open(&folder, "out");
    assert_eq!(dataset.images().len(), 5, "{:?}", dataset.rejected());
    assert_eq!(artifact.manifest.counts["rejected.missing"], 4);
}
