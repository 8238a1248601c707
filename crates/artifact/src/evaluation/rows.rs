//! One row per image and beam size: the caption and its scores.

use crate::record::record;

/// A caption of one image: a row of `per_image.parquet`.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageScore {
    /// The image.
    pub image_id: i64,
    /// Beam size of the search.
    pub beam: u32,
    /// The caption.
    pub caption: String,
    /// Its log-probability under the model, including `<end>` if finished.
    pub log_prob: f64,
    /// BLEU-4 of this caption alone. This and the other scores are NaN if they were not
    /// asked for, or if the image has no human captions.
    pub bleu4: f64,
    /// METEOR of this caption alone.
    pub meteor: f64,
    /// ROUGE-L.
    pub rouge_l: f64,
    /// CIDEr-D, with document frequencies over the scored images.
    pub cider: f64,
    /// Whether the model ended it with `<end>`, before the limit of words.
    pub finished: bool,
    /// Number of its words that name an object of the image.
    pub named: u32,
    /// Attention inside the boxes of these objects, summed over the words.
    pub inside: f64,
    /// The boxes' share of the image's area, summed over the words.
    pub chance: f64,
}

impl ImageScore {
    /// Sets the score with this key; ignores scores that are only for the corpus.
    pub fn set(&mut self, key: &str, value: f64) {
        match key {
            "bleu4" => self.bleu4 = value,
            "meteor" => self.meteor = value,
            "rouge_l" => self.rouge_l = value,
            "cider" => self.cider = value,
            _ => {}
        }
    }
}

record!(ImageScore {
    image_id: Int64Array as Int64,
    beam: UInt32Array as UInt32,
    caption: StringArray as Utf8,
    log_prob: Float64Array as Float64,
    bleu4: Float64Array as Float64,
    meteor: Float64Array as Float64,
    rouge_l: Float64Array as Float64,
    cider: Float64Array as Float64,
    finished: BooleanArray as Boolean,
    named: UInt32Array as UInt32,
    inside: Float64Array as Float64,
    chance: Float64Array as Float64,
});

/// The columns that every `per_image.parquet` has, whoever wrote it.
pub(crate) struct PerImage {
    pub(crate) image_id: i64,
    pub(crate) beam: u32,
    pub(crate) caption: String,
}

record!(PerImage {
    image_id: Int64Array as Int64,
    beam: UInt32Array as UInt32,
    caption: StringArray as Utf8,
});

impl From<PerImage> for ImageScore {
    /// A caption of which nothing more is known.
    fn from(row: PerImage) -> ImageScore {
        ImageScore {
            image_id: row.image_id,
            beam: row.beam,
            caption: row.caption,
            log_prob: f64::NAN,
            bleu4: f64::NAN,
            meteor: f64::NAN,
            rouge_l: f64::NAN,
            cider: f64::NAN,
            finished: true,
            named: 0,
            inside: 0.0,
            chance: 0.0,
        }
    }
}
