//! The model that describes photographs.

use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Artifact, Error, Result, model, staging};
use attend_image::Photograph;
use attend_model::{Captioner, Cells, SearchOptions, beam_search};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// A trained captioner with its words.
pub struct Model {
    captioner: Captioner,
    vocabulary: Vocabulary,
    beam: usize,
    max_length: usize,
}

/// What the model says of one photograph.
pub struct Description {
    /// The caption's words, in order.
    pub words: Vec<String>,
    /// Log-probability of the caption.
    pub log_prob: f64,
    /// Whether the model ended it, rather than the limit of words.
    pub finished: bool,
    /// Per word, its attention over the grid's cells, row by row.
    pub alphas: Vec<Vec<f32>>,
    /// Height and width of the grid, in cells.
    pub grid: [usize; 2],
}

impl Model {
    /// Loads checkpoint `name` of the model at `path`, see [`folder`].
    ///
    /// # Errors
    /// [`Error::Refused`] where there is no whole model, or a file of it is damaged.
    pub fn load(path: &Path, name: &str, device: Device) -> Result<Model> {
        let folder = folder(path, name)?;
        model::check(&folder, &model::DESCRIBING)?;
        let captioner = Captioner::load(&folder, device).map_err(Error::refused)?;
        let words = folder.join("vocab.json");
        let vocabulary = Vocabulary::read(&words)?;
        if vocabulary.len() as i64 != captioner.card.decoder.vocabulary {
            return Err(Error::refused(format!(
                "{}: {} words, the decoder knows {}; train again",
                words.display(),
                vocabulary.len(),
                captioner.card.decoder.vocabulary
            )));
        }
        Ok(Model {
            captioner,
            vocabulary,
            beam: 1,
            max_length: 50,
        })
    }

    /// Searches with this beam size, for captions of at most `max_length` words.
    pub fn search(self, beam: usize, max_length: usize) -> Model {
        Model {
            beam,
            max_length,
            ..self
        }
    }

    /// A photograph as the encoder wants it: uint8 [3, H, W], resized as ingest
    /// does.
    pub fn prepare(&self, photograph: &Photograph) -> Vec<u8> {
        let [height, width] = self.captioner.card.image_size.map(|n| n as u32);
        let pixels = attend_image::resize(photograph, height, width);
        attend_image::to_planar(&pixels, height, width)
    }

    /// Describes prepared photographs, all at once.
    ///
    /// # Errors
    /// [`Error::Internal`] where the search gives nothing.
    pub fn describe(&self, prepared: &[Vec<u8>]) -> Result<Vec<Description>> {
        let [height, width] = self.captioner.card.image_size;
        let shape = [prepared.len() as i64, 3, height, width];
        let images = Tensor::from_data_size(&prepared.concat(), &shape, Kind::Uint8);
        let device = self.captioner.decoder_vars.device();
        let Cells { cells, grid } = self.captioner.encode(&images.to_device(device));
        let projected = self.captioner.decoder.project(&cells, grid);
        let found = beam_search(self.captioner.decoder.as_ref(), &projected, &self.options());
        let described = found.into_iter().map(|hypotheses| {
            let best = hypotheses
                .into_iter()
                .next()
                .ok_or_else(|| Error::internal("the search gave no caption"))?;
            let word = |id: &i64| self.vocabulary.word(*id).unwrap_or_default().to_owned();
            Ok(Description {
                words: best.tokens.iter().map(word).collect(),
                log_prob: best.log_prob,
                finished: best.finished,
                alphas: best.alphas,
                grid: projected.grid.map(|n| n as usize),
            })
        });
        described.collect()
    }

    fn options(&self) -> SearchOptions {
        let words = &self.vocabulary;
        SearchOptions {
            beam: self.beam,
            max_length: self.max_length,
            start: words.start(),
            end: words.end(),
            pad: words.pad(),
            unk: Some(words.unk()),
        }
    }
}

/// The checkpoint folder that is meant: `path` itself, or `checkpoints/NAME` of
/// the model artifact at `path`, or, while a training is still running, that of
/// the folder in which the artifact grows.
fn folder(path: &Path, name: &str) -> Result<PathBuf> {
    let is_checkpoint = |folder: &PathBuf| folder.join("model.json").exists();
    let own = path.to_owned();
    if is_checkpoint(&own) {
        return Ok(own);
    }
    let finished = path.join("checkpoints").join(name);
    if is_checkpoint(&finished) {
        if path.join("manifest.json").exists() {
            Artifact::open_kind(path, "model")?;
        }
        return Ok(finished);
    }
    let growing = staging::folder_of(path).join("checkpoints").join(name);
    if is_checkpoint(&growing) {
        tracing::info!("the training is not finished: using {}", growing.display());
        return Ok(growing);
    }
    let at = path.display();
    Err(Error::refused(if path.exists() {
        format!(
            "{at} is neither a model with a checkpoint {name:?} nor a checkpoint folder (it has no model.json); name the folder of a model artifact"
        )
    } else {
        format!("{at} does not exist; name the folder of a model artifact, or train a model first")
    }))
}
