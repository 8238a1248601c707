//! What must match between two artifacts.

use crate::Artifact;
use crate::dataset::Dataset;
use crate::features::Features;
use crate::findings::Findings;
use crate::manifest::{FILE, short};
use crate::vocabulary::EncodedRecord;
use attend_program::Result;
use std::collections::{BTreeSet, HashMap};

/// The artifact of a kind among `against`.
pub(super) fn of_kind<'a>(against: &'a [Artifact], kind: &str) -> Option<&'a Artifact> {
    against.iter().find(|other| other.manifest.kind == kind)
}

/// The data set among `against`, opened.
pub(super) fn dataset(against: &[Artifact]) -> Result<Option<Dataset>> {
    of_kind(against, "dataset").map(Dataset::open).transpose()
}

/// Compares the inputs in the manifest with the artifacts `against`, by kind.
pub(super) fn inputs(findings: &mut Findings, against: &[Artifact]) {
    for other in against {
        let (kind, digest) = (&other.manifest.kind, &other.manifest.digest);
        let inputs = findings.artifact.manifest.inputs.values();
        let stated: Vec<&str> = (inputs.filter(|input| input.kind == *kind))
            .map(|input| input.digest.as_str())
            .collect();
        if stated.contains(&digest.as_str()) {
            continue;
        }
        let made_from = match stated.first() {
            Some(stated) => format!("was made from the {kind} {}…, not", short(stated)),
            None => format!("\"inputs\" lists no {kind}, so it was not made"),
        };
        let why = format!(
            "{made_from} from {} ({}…)",
            other.root.display(),
            short(digest)
        );
        findings.note(FILE, why);
    }
}

/// Compares encoded captions with those of the data set: ids, images, splits and order.
pub(super) fn captions(
    findings: &mut Findings,
    encoded: &[EncodedRecord],
    against: &[Artifact],
) -> Result<()> {
    let Some(dataset) = dataset(against)? else {
        return Ok(());
    };
    let file = "encoded.parquet";
    let captions = dataset.captions().iter().enumerate();
    let known: HashMap<i64, (usize, i64, &str)> = captions
        .map(|(at, c)| (c.caption_id, (at, c.image_id, c.split.as_str())))
        .collect();
    let (mut lost, mut other, mut back) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = 0;
    for (row, caption) in encoded.iter().enumerate() {
        match known.get(&caption.caption_id) {
            None => lost.push(caption.place(row)),
            Some((at, image, split)) => {
                if (*image, *split) != (caption.image_id, &caption.split) {
                    other.push(caption.place(row));
                }
                if *at < last {
                    back.push(caption.place(row));
                }
                last = *at;
            }
        }
    }
    findings.all(file, "captions are not in the data set", lost);
    let what = "captions have another image or split in the data set";
    findings.all(file, what, other);
    findings.all(
        file,
        "captions do not come in the order of the data set",
        back,
    );
    Ok(())
}

/// Compares the images of features with those of the data set, shard by shard.
pub(super) fn features(findings: &mut Findings, features: &Features, dataset: &Dataset) {
    let images = dataset.images();
    let ids: BTreeSet<i64> = images.iter().map(|image| image.image_id).collect();
    // Of a shard that is there but can't be used, that is all there is to say.
    let read: BTreeSet<&str> = features
        .shards()
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let files = findings.artifact.manifest.files.iter();
    let listed: BTreeSet<&str> = files.map(|file| file.name.as_str()).collect();
    let is_unread = |shard: &str| listed.contains(shard) && !read.contains(shard);
    let lacks = images
        .iter()
        .filter(|image| features.row(image.image_id).is_none() && !is_unread(&image.shard));
    let lacks: Vec<String> = lacks
        .map(|image| format!("image {}", image.image_id))
        .collect();
    findings.all("shards", "images of the data set have no features", lacks);
    let mut there: HashMap<(&str, usize), i64> = HashMap::new();
    for image in images {
        there.insert((&image.shard, image.row as usize), image.image_id);
    }
    for (name, shard) in features.shards() {
        let rows = || shard.ids().iter().enumerate();
        let strange = rows().filter(|(_, id)| !ids.contains(id));
        let what = "images are not in the data set";
        findings.all(name, what, strange.map(|(_, id)| format!("image {id}")));
        let elsewhere = rows()
            .filter(|(row, id)| ids.contains(id) && there.get(&(name.as_str(), *row)) != Some(id));
        let what = "images are in another shard or row of the data set";
        findings.all(name, what, elsewhere.map(|(_, id)| format!("image {id}")));
    }
}
