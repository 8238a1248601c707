//! Captions for images, at several beam sizes at once.

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::grounding::Tally;
use crate::rows::ImageScore;
use crate::source::Source;
use attend_artifact::dataset::{Dataset, ImageRecord, ObjectRecord};
use attend_artifact::{Error, Record, Result, Staging, check_interrupt, model, progress};
use attend_model::{Captioner, Hypothesis, Images, SearchOptions, ensemble_search};
use std::collections::HashMap;
use std::path::PathBuf;

/// Batches between two points from which an interrupted run goes on.
const PART: usize = 16;

/// All that captions are made of.
pub struct Describer<'a> {
    config: &'a Config,
    checkpoint: &'a Checkpoint,
    /// The model, and those that describe together with it.
    captioners: Vec<Captioner>,
    source: Source,
    dataset: &'a Dataset,
    objects: HashMap<i64, Vec<&'a ObjectRecord>>,
}

impl<'a> Describer<'a> {
    /// Loads the weights of the checkpoints in `folders`, the first of which is
    /// `checkpoint`'s.
    ///
    /// # Errors
    /// [`Error::Refused`] where they are damaged or don't fit the checkpoint's `model.json`.
    pub fn load(
        config: &'a Config,
        checkpoint: &'a Checkpoint,
        folders: &[PathBuf],
        source: Source,
        dataset: &'a Dataset,
    ) -> Result<Describer<'a>> {
        let device = attend_model::device(&config.evaluate.device).map_err(Error::usage)?;
        let captioners = (folders.iter())
            .map(|folder| {
                model::check(folder, &model::DESCRIBING)?;
                Captioner::load(folder, device).map_err(Error::refused)
            })
            .collect::<Result<_>>()?;
        let mut objects: HashMap<i64, Vec<&ObjectRecord>> = HashMap::new();
        for object in dataset.objects() {
            objects.entry(object.image_id).or_default().push(object);
        }
        Ok(Describer {
            config,
            checkpoint,
            captioners,
            source,
            dataset,
            objects,
        })
    }

    /// Describes every image at every beam size: (beam size, rows in the order
    /// of the images), by beam size. What an interrupted run has done is kept
    /// in the staging folder, and not done again.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and those of the disk.
    pub fn all(
        &self,
        images: &[&ImageRecord],
        staging: &Staging,
    ) -> Result<Vec<(u32, Vec<ImageScore>)>> {
        let batch = self.config.evaluate.batch;
        let bar = progress("evaluate", "images", images.len() as u64);
        let mut rows = Vec::new();
        for (index, part) in images.chunks(PART * batch).enumerate() {
            let path = staging.scratch(&format!("part-{index:05}.parquet"))?;
            if path.exists() {
                bar.skip(part.len() as u64);
            } else {
                let mut described = Vec::new();
                for images in part.chunks(batch) {
                    check_interrupt()?;
                    described.extend(self.batch(images)?);
                    bar.inc(images.len() as u64);
                }
                ImageScore::write_whole(&path, &described)?;
            }
            rows.extend(ImageScore::read(&path)?);
        }
        bar.finish();
        let of_beam = |beam: u32| rows.iter().filter(move |row| row.beam == beam).cloned();
        let beams = self.config.beams().into_iter();
        Ok(beams.map(|beam| (beam, of_beam(beam).collect())).collect())
    }

    /// The images are encoded once, and searched once per beam size.
    fn batch(&self, images: &[&ImageRecord]) -> Result<Vec<ImageScore>> {
        let projected: Vec<Images> = (self.captioners.iter())
            .map(|captioner| self.source.project(captioner, self.dataset, images))
            .collect::<Result<_>>()?;
        let decoders = self
            .captioners
            .iter()
            .map(|captioner| captioner.decoder.as_ref());
        let models: Vec<_> = decoders.zip(&projected).collect();
        let mut rows = Vec::new();
        for beam in self.config.beams() {
            let found = ensemble_search(&models, &self.options(beam));
            for (image, hypotheses) in images.iter().zip(found) {
                let best = hypotheses.into_iter().next().ok_or_else(|| {
                    Error::internal(format!("no caption for image {}", image.image_id))
                })?;
                rows.push(self.row(image.image_id, beam, &best, projected[0].grid));
            }
        }
        Ok(rows)
    }

    fn options(&self, beam: u32) -> SearchOptions {
        let words = &self.checkpoint.vocabulary;
        let search = &self.config.search;
        SearchOptions {
            beam: beam as usize,
            max_length: search.max_length,
            start: words.start(),
            end: words.end(),
            pad: words.pad(),
            unk: search.forbid_unk.then(|| words.unk()),
        }
    }

    fn row(&self, image_id: i64, beam: u32, best: &Hypothesis, grid: [i64; 2]) -> ImageScore {
        let vocabulary = &self.checkpoint.vocabulary;
        let words: Vec<&str> = best
            .tokens
            .iter()
            .map(|id| vocabulary.word(*id).unwrap_or_default())
            .collect();
        let objects = self.objects.get(&image_id).map_or(&[][..], Vec::as_slice);
        let tally = Tally::of_caption(&words, &best.alphas, grid.map(|n| n as usize), objects);
        ImageScore {
            image_id,
            beam,
            caption: words.join(" "),
            log_prob: best.log_prob,
            bleu4: f64::NAN,
            meteor: f64::NAN,
            rouge_l: f64::NAN,
            cider: f64::NAN,
            finished: best.finished,
            named: tally.words as u32,
            inside: tally.inside,
            chance: tally.chance,
        }
    }
}
