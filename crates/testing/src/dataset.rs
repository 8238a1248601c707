//! Small `dataset` artifacts.

use attend_artifact::dataset::{CaptionRecord, ImageRecord, ObjectRecord};
use attend_artifact::shard::{Dtype, TensorShardWriter};
use attend_artifact::tables::Tables;
use attend_artifact::{Artifact, Manifest, Staging};
use std::path::Path;

/// A data set of square images, one shard for each split.
pub struct DataSet<'a> {
    /// Height and width of the images, in pixels.
    pub side: usize,
    /// Its splits.
    pub splits: &'a [Split<'a>],
    /// Pixels u8 [3, side, side] of the image of that id.
    pub pixels: &'a dyn Fn(i64) -> Vec<u8>,
    /// Captions of the image of that id.
    pub captions: &'a dyn Fn(i64) -> Vec<String>,
    /// Names of objects of the image of that id; each fills the middle half of its top
    /// half.
    pub objects: &'a [&'a str],
}

/// Images of one split: `count` of them, whose ids begin with `first`.
pub struct Split<'a> {
    /// Its name.
    pub name: &'a str,
    /// The first image's id.
    pub first: i64,
    /// How many images it has.
    pub count: i64,
}

impl DataSet<'_> {
    /// Writes the artifact into `folder`. Captions of an image have the ids `100 * image_id`
    /// and up.
    pub fn write(&self, folder: &Path) -> Artifact {
        let staging = Staging::open(folder, Manifest::draft("dataset", "test", "1")).unwrap();
        let mut tables = Tables::default();
        for split in self.splits {
            let shard = format!("shards/{}-00000.arrow", split.name);
            let path = staging.path(&shard).unwrap();
            let (shape, names) = ([3, self.side, self.side], ["C", "H", "W"]);
            let mut writer =
                TensorShardWriter::create(&path, "image", Dtype::U8, &shape, &names).unwrap();
            for (row, image_id) in (split.first..split.first + split.count).enumerate() {
                writer.push(image_id, &(self.pixels)(image_id)).unwrap();
                tables.images.push(ImageRecord {
                    image_id,
                    split: split.name.into(),
                    file_name: format!("{image_id}.png"),
                    width: self.side as u32,
                    height: self.side as u32,
                    shard: shard.clone(),
                    row: row as u32,
                });
                let captions = (self.captions)(image_id).into_iter().zip(0..);
                tables
                    .captions
                    .extend(captions.map(|(caption, n)| CaptionRecord {
                        caption_id: 100 * image_id + n,
                        image_id,
                        split: split.name.into(),
                        caption,
                    }));
                tables
                    .objects
                    .extend(self.objects.iter().map(|name| ObjectRecord {
                        image_id,
                        name: (*name).into(),
                        x: 0.25,
                        y: 0.0,
                        width: 0.5,
                        height: 0.5,
                    }));
            }
            let rows = writer.finish().unwrap().rows;
            staging.done(&shard, Some(rows)).unwrap();
        }
        tables.commit(staging, self.side as u32).unwrap();
        Artifact::open(folder).unwrap()
    }
}
