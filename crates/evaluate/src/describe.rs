//! Captions images at several beam sizes.

use crate::config::Config;
use crate::grounding::Tally;
use crate::source::ImageInput;
use attend_artifact::dataset::{Dataset, ImageRecord, ObjectRecord};
use attend_artifact::evaluation::{ImageScore, WORDS, WordsRecord};
use attend_artifact::model::Checkpoint;
use attend_artifact::record::Table;
use attend_artifact::{Record, Staging};
use attend_describe::{Captioner, Description, EncoderCommand};
use attend_model::Images;
use attend_program::{Error, Result, check_interrupt, progress};
use std::collections::HashMap;

/// Number of batches after which results are saved, for resuming.
const PART: usize = 16;

/// The models and parameters of an evaluation.
pub struct Describer<'a> {
    config: &'a Config,
    /// The evaluated model first, then the rest of its ensemble.
    captioners: Vec<Captioner>,
    source: ImageInput,
    dataset: &'a Dataset,
    objects: HashMap<i64, Vec<&'a ObjectRecord>>,
}

impl<'a> Describer<'a> {
    /// Loads the checkpoints of an ensemble, at least one, all of one vocabulary.
    ///
    /// # Errors
    /// [`Error::Refused`] if one is damaged or doesn't fit its `model.json`,
    /// [`Error::Input`] if the command can't be started.
    pub fn load(
        config: &'a Config,
        checkpoints: &[Checkpoint],
        source: ImageInput,
        command: Option<&EncoderCommand>,
        dataset: &'a Dataset,
    ) -> Result<Describer<'a>> {
        let device = attend_model::device(&config.evaluate.device).map_err(Error::usage)?;
        let captioners = (checkpoints.iter())
            .map(|checkpoint| match source {
                ImageInput::Features(_) => Captioner::of_features(checkpoint, device),
                ImageInput::Pixels => Captioner::load(checkpoint, device, command),
            })
            .collect::<Result<_>>()?;
        let mut objects: HashMap<i64, Vec<&ObjectRecord>> = HashMap::new();
        for object in dataset.objects() {
            objects.entry(object.image_id).or_default().push(object);
        }
        Ok(Describer {
            config,
            captioners,
            source,
            dataset,
            objects,
        })
    }

    /// Captions every image at every beam size, and writes `words.parquet`. Returns (beam size,
    /// rows in the order of the images), by beam size. Results of an interrupted run are read
    /// from the staging folder.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and those of the file system.
    pub fn all(
        &self,
        images: &[&ImageRecord],
        staging: &Staging,
    ) -> Result<Vec<(u32, Vec<ImageScore>)>> {
        let batch = self.config.evaluate.batch;
        let bar = progress("evaluate", "images", images.len() as u64);
        let mut rows = Vec::new();
        let mut words = Table::create::<WordsRecord>(&staging.path(WORDS)?)?;
        for (index, part) in images.chunks(PART * batch).enumerate() {
            let path = staging.scratch(&format!("part-{index:05}.parquet"))?;
            let path_of_words = staging.scratch(&format!("words-{index:05}.parquet"))?;
            if path.exists() && path_of_words.exists() {
                bar.skip(part.len() as u64);
            } else {
                let (mut described, mut in_words) = (Vec::new(), Vec::new());
                for images in part.chunks(batch) {
                    check_interrupt()?;
                    self.batch(images, &mut described, &mut in_words)?;
                    bar.inc(images.len() as u64);
                }
                WordsRecord::write_whole(&path_of_words, &in_words)?;
                ImageScore::write_whole(&path, &described)?;
            }
            rows.extend(ImageScore::read(&path)?);
            words.write(WordsRecord::columns(&WordsRecord::read(&path_of_words)?))?;
        }
        let count = words.finish()?;
        staging.done(WORDS, Some(count))?;
        bar.finish();
        let of_beam = |beam: u32| rows.iter().filter(move |row| row.beam == beam).cloned();
        let beams = self.config.search.sizes().into_iter();
        Ok(beams.map(|beam| (beam, of_beam(beam).collect())).collect())
    }

    /// Ends the programs of foreign encoders.
    ///
    /// # Errors
    /// Those of [`Captioner::end`].
    pub fn end(self) -> Result<()> {
        self.captioners.into_iter().try_for_each(Captioner::end)
    }

    /// Encodes the images once, and searches once per beam size. Adds the captions to `rows`,
    /// and the words of those at the primary beam size to `words`.
    fn batch(
        &self,
        images: &[&ImageRecord],
        rows: &mut Vec<ImageScore>,
        words: &mut Vec<WordsRecord>,
    ) -> Result<()> {
        let gathered = self.source.gather(self.dataset, images)?;
        let projected: Vec<Images> = (self.captioners.iter())
            .map(|captioner| self.source.project(captioner, &gathered))
            .collect::<Result<_>>()?;
        let decoders = self
            .captioners
            .iter()
            .map(|captioner| captioner.decoder.as_ref());
        let models: Vec<_> = decoders.zip(&projected).collect();
        let vocabulary = &self.captioners[0].vocabulary;
        let search = &self.config.search;
        for beam in search.sizes() {
            let described = search.describe(&models, vocabulary, beam as usize)?;
            let best = || images.iter().zip(described.iter().map(|best| &best[0]));
            rows.extend(best().map(|(image, best)| self.row(image.image_id, beam, best)));
            if beam == self.config.evaluate.primary_beam {
                words.extend(best().map(|(image, best)| in_words(image.image_id, best)));
            }
        }
        Ok(())
    }

    fn row(&self, image_id: i64, beam: u32, best: &Description) -> ImageScore {
        let objects = self.objects.get(&image_id).map_or(&[][..], Vec::as_slice);
        let tally = Tally::of_caption(&best.words, &best.alphas, best.grid, objects);
        ImageScore {
            image_id,
            beam,
            caption: best.caption(),
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

fn in_words(image_id: i64, best: &Description) -> WordsRecord {
    let [height, width] = best.grid;
    WordsRecord {
        image_id,
        words: best.words.clone(),
        log_probs: best.word_log_probs.iter().map(|p| *p as f32).collect(),
        attention: WordsRecord::scaled(&best.alphas),
        grid_height: height as u32,
        grid_width: width as u32,
    }
}
