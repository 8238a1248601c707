//! Checks that a data set's tables and shards agree.

use super::faults::{Faults, twice};
use crate::dataset::{CaptionRecord, Dataset};
use crate::ledger;
use attend_program::Result;
use std::collections::{HashMap, HashSet};

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    let dataset = Dataset::open(faults.artifact)?;
    let (images, captions) = (dataset.images(), dataset.captions());
    let file = "images.parquet";
    let ids = images.iter().map(|image| image.image_id);
    faults.all(file, "image ids come twice", twice(ids));
    let elsewhere = images.iter().filter(|image| {
        let name = image.shard.strip_prefix("shards/");
        name.and_then(|name| name.rsplit_once('-'))
            .map(|(split, _)| split)
            != Some(&image.split)
    });
    let elsewhere = elsewhere.map(|image| format!("{} in {}", image.image_id, image.shard));
    faults.all(file, "images in a shard of another split", elsewhere);
    let empty = images
        .iter()
        .filter(|image| image.width == 0 || image.height == 0);
    faults.all(
        file,
        "images without pixels",
        empty.map(|image| image.image_id),
    );
    faults.count(file, "images", images.len());
    let named: HashSet<(&str, i64)> = (images.iter())
        .map(|image| (image.shard.as_str(), image.image_id))
        .collect();
    let mut shards: Vec<_> = dataset.shards().collect();
    shards.sort_by_key(|(name, _)| *name);
    for (name, shard) in shards {
        let unnamed = shard
            .ids()
            .iter()
            .filter(|id| !named.contains(&(name, **id)));
        faults.all(
            name,
            "rows are of images that images.parquet does not place here",
            unnamed,
        );
        faults.all(name, "image ids come twice", twice(shard.ids().iter()));
    }

    let splits: HashMap<i64, &str> = (images.iter())
        .map(|image| (image.image_id, image.split.as_str()))
        .collect();
    let file = "captions.parquet";
    let name = |caption: &CaptionRecord| {
        format!(
            "caption {} of image {}",
            caption.caption_id, caption.image_id
        )
    };
    let lost = captions
        .iter()
        .filter(|c| !splits.contains_key(&c.image_id));
    faults.all(
        file,
        "captions are of images that are not there",
        lost.map(name),
    );
    let other = captions.iter().filter(|caption| {
        let split = splits.get(&caption.image_id);
        split.is_some_and(|split| **split != caption.split)
    });
    faults.all(
        file,
        "captions are in another split than their images",
        other.map(name),
    );
    let blank = captions.iter().filter(|c| c.caption.trim().is_empty());
    faults.all(file, "captions are empty", blank.map(name));
    let ids = captions.iter().map(|caption| caption.caption_id);
    faults.all(file, "caption ids come twice", twice(ids));
    faults.count(file, "captions", captions.len());

    let (file, objects) = ("objects.parquet", dataset.objects());
    let lost = objects.iter().filter(|o| !splits.contains_key(&o.image_id));
    faults.all(
        file,
        "objects are in images that are not there",
        lost.map(|o| o.image_id),
    );
    let numbers = objects.iter().filter(|o| {
        let numbers = [o.x, o.y, o.width, o.height];
        !numbers.iter().all(|number| number.is_finite())
    });
    let numbers = numbers.map(|o| format!("{} in image {}", o.name, o.image_id));
    faults.all(file, "boxes are no finite numbers", numbers);
    faults.count(file, "objects", objects.len());
    // The ledger also lists images that are used although their files are damaged.
    let left_out = ledger::left_out(dataset.rejected()) as usize;
    faults.count("rejected.parquet", "rejected", left_out);
    Ok(())
}
