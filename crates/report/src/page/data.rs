//! What the page's list of captions shows, packed: JSON in columns, and the attention as
//! bytes, both deflated and in base64. So no caption can end the element that holds it.

use super::Page;
use crate::scored::{Beam, Split};
use attend_artifact::evaluation::{ImageScore, WordsRecord};
use attend_program::text::escaped;
use attend_program::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::{Value, json};
use std::io::Write;

/// The scores of single captions that are shown.
const SCORES: [(&str, &str); 4] = [
    ("cider", "CIDEr"),
    ("meteor", "METEOR"),
    ("bleu4", "BLEU-4"),
    ("rouge_l", "ROUGE-L"),
];

/// Base64 of deflated bytes.
///
/// # Errors
/// [`Error::Internal`] if they can't be packed.
fn packed(bytes: &[u8]) -> Result<String> {
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::new(7));
    deflated.write_all(bytes).map_err(Error::internal)?;
    Ok(STANDARD.encode(deflated.finish().map_err(Error::internal)?))
}

/// A number times `scale`, rounded; null if it is none.
fn rounded(number: f64, scale: f64) -> Value {
    match number.is_finite() {
        true => json!((number * scale).round() as i64),
        false => Value::Null,
    }
}

/// The captions, escaped.
fn captions(beam: &Beam) -> Value {
    beam.rows.iter().map(|row| escaped(&row.caption)).collect()
}

/// The shown scores of each image; null for images without human captions.
fn scores(beam: &Beam, split: &Split) -> Value {
    let of_score = |(key, _): &(&str, &str)| -> Value {
        let mut column = vec![Value::Null; split.images.len()];
        if let Some(score) = beam.scores.iter().find(|score| score.key == *key) {
            for (image, value) in split.scored.iter().zip(&score.per_image) {
                column[*image] = rounded(*value, 1e4);
            }
        }
        column.into()
    };
    known(beam).iter().map(of_score).collect()
}

/// The shown scores that there are.
fn known(beam: &Beam) -> Vec<(&'static str, &'static str)> {
    let is_there = |(key, _): &(&str, &str)| beam.scores.iter().any(|score| score.key == *key);
    SCORES.into_iter().filter(is_there).collect()
}

impl Page<'_> {
    /// The packed JSON and the packed attention.
    ///
    /// # Errors
    /// [`Error::Internal`] if they can't be packed.
    pub(super) fn data(&self) -> Result<[String; 2]> {
        let (split, scored) = (self.split, self.scored);
        let primary = scored.beam(scored.evaluation.primary);
        let (words, grid) = self.words(primary);
        let counts: Vec<usize> = words
            .iter()
            .map(|row| row.map_or(0, |row| row.words.len()))
            .collect();
        let log_prob = |row: &ImageScore| rounded(row.log_prob, 100.0);
        let known_log_probs = scored
            .beams
            .iter()
            .all(|beam| beam.rows.iter().all(|row| row.log_prob.is_finite()));
        let log_probs: Vec<Vec<Value>> = match known_log_probs {
            true => (scored.beams.iter())
                .map(|beam| beam.rows.iter().map(log_prob).collect())
                .collect(),
            false => Vec::new(),
        };
        let of_words = |row: &Option<&WordsRecord>| -> Value {
            let log_probs = row.iter().flat_map(|row| &row.log_probs);
            log_probs
                .map(|log_prob| rounded((*log_prob).into(), 100.0))
                .collect()
        };
        let references = |texts: &Vec<&str>| -> Value {
            texts.iter().map(|text| escaped(text.trim())).collect()
        };
        let other = self.other.map(|other| {
            let beam = other.beam(primary.size);
            json!({
                "name": escaped(self.names[1]),
                "beam": beam.size,
                "captions": captions(beam),
                "scores": scores(beam, split),
            })
        });
        let data = json!({
            "name": escaped(self.names[0]),
            "beams": scored.beams.iter().map(|beam| beam.size).collect::<Vec<_>>(),
            "primary": scored.beams.iter().position(|beam| beam.size == primary.size),
            "metrics": known(primary),
            "ids": split.images.iter().map(|image| image.image_id.to_string()).collect::<Vec<_>>(),
            "files": split.images.iter().map(|image| escaped(&image.file_name)).collect::<Vec<_>>(),
            "sizes": split.images.iter().map(|image| [image.width, image.height]).collect::<Vec<_>>(),
            "references": split.references.iter().map(references).collect::<Vec<_>>(),
            "captions": scored.beams.iter().map(captions).collect::<Vec<_>>(),
            "scores": scored.beams.iter().map(|beam| scores(beam, split)).collect::<Vec<_>>(),
            "logProbs": log_probs,
            "words": counts,
            "grid": grid,
            "wordLogProbs": words.iter().map(of_words).collect::<Vec<_>>(),
            "other": other,
        });
        // In 16 levels, which is all that an eye sees in a soft light, and packs to less than half.
        let level = |cell: &u8| ((u16::from(*cell) * 15 + 127) / 255) as u8;
        let attention = words.iter().flatten().flat_map(|row| &row.attention);
        let attention: Vec<u8> = attention.map(level).collect();
        Ok([packed(data.to_string().as_bytes())?, packed(&attention)?])
    }

    /// The words of each caption at the primary beam size, if they are those of the caption and
    /// their attention is over the grid that all others' is; and that grid.
    fn words(&self, primary: &Beam) -> (Vec<Option<&WordsRecord>>, [u32; 2]) {
        let words = &self.scored.evaluation.words;
        let grid = |row: &WordsRecord| [row.grid_height, row.grid_width];
        let of_image = |row: &ImageScore| words.get(&row.image_id);
        let first = primary.rows.iter().find_map(of_image).map_or([0, 0], grid);
        let fits = |row: &WordsRecord, caption: &str| {
            grid(row) == first && row.words.iter().eq(caption.split(' '))
        };
        let of_caption = |row: &ImageScore| {
            let words = of_image(row);
            words.filter(|words| fits(words, &row.caption))
        };
        (primary.rows.iter().map(of_caption).collect(), first)
    }
}
