//! What must agree in a data set's tables and shards.

use super::open::Shards;
use super::rows::{CaptionRecord, ImageRecord, ObjectRecord, RejectedRecord};
use super::split::{is_split_name, parse_shard_file, split_order};
use crate::findings::{Findings, twice};
use crate::ledger;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Position and split of each image.
pub(super) type Known<'a> = HashMap<i64, (usize, &'a str)>;

pub(super) fn known(images: &[ImageRecord]) -> Known<'_> {
    let images = images.iter().enumerate();
    images
        .map(|(at, image)| (image.image_id, (at, image.split.as_str())))
        .collect()
}

/// Notes what contradicts in `images.parquet` and the shards. Says nothing of the images in
/// shards that can't be read.
pub(super) fn images(
    findings: &mut Findings,
    images: &[ImageRecord],
    shards: &Shards,
    unreadable: &BTreeSet<String>,
) {
    let file = "images.parquet";
    let ids = images.iter().map(|image| image.image_id);
    findings.all(file, "image ids come twice", twice(ids));
    let strange = images.iter().filter(|image| !is_split_name(&image.split));
    let strange = strange.map(|image| format!("{} in {:?}", image.image_id, image.split));
    let what = "images are in splits whose names are not of letters, digits, - and _";
    findings.all(file, what, strange);
    let elsewhere = images.iter().filter(|image| {
        let split = parse_shard_file(&image.shard).map(|(split, _)| split);
        split != Some(&image.split)
    });
    let elsewhere = elsewhere.map(|image| format!("{} in {}", image.image_id, image.shard));
    findings.all(file, "images in a shard of another split", elsewhere);
    let misplaced = images.iter().filter(|image| {
        let ids = shards.get(&image.shard).map(|shard| shard.ids());
        let id = ids.and_then(|ids| ids.get(image.row as usize));
        id != Some(&image.image_id) && !unreadable.contains(&image.shard)
    });
    let place = |image: &ImageRecord| {
        let ImageRecord {
            image_id,
            row,
            shard,
            ..
        } = image;
        format!("image {image_id} in row {row} of {shard}")
    };
    findings.all(file, "images are not where it says", misplaced.map(place));
    let key = |image: &'_ ImageRecord| {
        let number = parse_shard_file(&image.shard).map(|(_, number)| number);
        (number, image.row)
    };
    let unordered = images.array_windows().filter(|[a, b]| {
        let [x, y] = [a, b].map(|image| split_order(&image.split));
        (x, key(a)) > (y, key(b))
    });
    let what = "images are not in order of split (train, val, test, others by name), shard and row";
    findings.all(file, what, unordered.map(|[_, image]| image.image_id));
    let empty = images
        .iter()
        .filter(|image| image.width == 0 || image.height == 0);
    findings.all(
        file,
        "images without pixels",
        empty.map(|image| image.image_id),
    );
    findings.count(file, "images", images.len());
    let named: HashSet<(&str, i64)> = (images.iter())
        .map(|image| (image.shard.as_str(), image.image_id))
        .collect();
    for (name, shard) in shards {
        let ids = || shard.ids().iter();
        let unnamed = ids().filter(|id| !named.contains(&(name, **id)));
        let what = "rows are of images that images.parquet does not place here";
        findings.all(name, what, unnamed);
        findings.all(name, "image ids come twice", twice(ids()));
    }
}

pub(super) fn captions(findings: &mut Findings, captions: &[CaptionRecord], known: &Known) {
    let file = "captions.parquet";
    let name = |caption: &CaptionRecord| {
        format!(
            "caption {} of image {}",
            caption.caption_id, caption.image_id
        )
    };
    let lost = captions.iter().filter(|c| !known.contains_key(&c.image_id));
    let what = "captions are of images that are not there";
    findings.all(file, what, lost.map(name));
    let other = captions.iter().filter(|caption| {
        let image = known.get(&caption.image_id);
        image.is_some_and(|(_, split)| **split != caption.split)
    });
    let what = "captions are in another split than their images";
    findings.all(file, what, other.map(name));
    let blank = captions.iter().filter(|c| c.caption.trim().is_empty());
    findings.all(file, "captions are empty", blank.map(name));
    let ids = captions.iter().map(|caption| caption.caption_id);
    findings.all(file, "caption ids come twice", twice(ids));
    let images = captions.iter().map(|caption| caption.image_id);
    order(findings, file, "captions", images, known);
    findings.count(file, "captions", captions.len());
}

pub(super) fn objects(findings: &mut Findings, objects: &[ObjectRecord], known: &Known) {
    let file = "objects.parquet";
    let lost = objects.iter().filter(|o| !known.contains_key(&o.image_id));
    findings.all(
        file,
        "objects are in images that are not there",
        lost.map(|object| object.image_id),
    );
    let name = |object: &ObjectRecord| format!("{} in image {}", object.name, object.image_id);
    let finite = |o: &ObjectRecord| [o.x, o.y, o.width, o.height].iter().all(|n| n.is_finite());
    let numbers = objects.iter().filter(|object| !finite(object));
    findings.all(file, "boxes are no finite numbers", numbers.map(name));
    let inside = |at: f32, length: f32| at >= 0.0 && length > 0.0 && at + length <= 1.0 + 1e-5;
    let outside = objects
        .iter()
        .filter(|o| finite(o) && !(inside(o.x, o.width) && inside(o.y, o.height)));
    let what = "boxes leave the image or have no area; they are fractions of its width and height";
    findings.all(file, what, outside.map(name));
    let images = objects.iter().map(|object| object.image_id);
    order(findings, file, "objects", images, known);
    findings.count(file, "objects", objects.len());
}

/// Notes rows that do not come in the order of their images.
fn order(
    findings: &mut Findings,
    file: &str,
    rows: &str,
    images: impl Iterator<Item = i64>,
    known: &Known,
) {
    let places = images.filter_map(|image| Some((known.get(&image)?.0, image)));
    let mut last = 0;
    let back = places.filter(|(at, _)| {
        let back = *at < last;
        last = *at;
        back
    });
    let what = format!("{rows} do not come in the order of their images");
    findings.all(file, &what, back.map(|(_, image)| format!("image {image}")));
}

pub(super) fn rejected(findings: &mut Findings, rejected: &[RejectedRecord]) {
    let file = "rejected.parquet";
    let kinds = ["image", "caption", "box"];
    let other = (rejected.iter().enumerate()).filter(|(_, row)| !kinds.contains(&&*row.kind));
    let what = "rows are of no image, caption or box";
    let name = |(row, record): (usize, &RejectedRecord)| format!("row {row}: {:?}", record.kind);
    findings.all(file, what, other.map(name));
    let bare = (rejected.iter().enumerate()).filter(|(_, row)| row.reason.is_empty());
    let bare = bare.map(|(row, _)| format!("row {row}"));
    findings.all(file, "rows have no reason", bare);
    // The ledger also lists images that are used although their files are damaged.
    let left_out = ledger::left_out(rejected) as usize;
    findings.count(file, "rejected", left_out);
    let counts = ledger::counts(rejected);
    let stated = findings.artifact.manifest.counts.keys();
    let stated = stated.filter(|name| name.starts_with("rejected.") || *name == "damaged");
    for name in stated {
        let found = counts.get(name).copied().unwrap_or_default();
        findings.count(file, name, found as usize);
    }
}
