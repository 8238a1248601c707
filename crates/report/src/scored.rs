//! An evaluation with its data set, scored again: the artifact has the scores, but not what
//! each image contributes to them, from which intervals are computed.

use attend_artifact::Input;
use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::evaluation::{Evaluation, ImageScore};
use attend_artifact::vocabulary::Tokenizer;
use attend_metrics::meteor::Data;
use attend_metrics::{Corpus, Metric, Score, Scorer, Tally};
use attend_program::{Error, Result, check_interrupt, progress};
use std::borrow::Cow;
use std::collections::HashMap;

/// The scorer, and METEOR's data as an input: a report without METEOR is out of date once the
/// data is installed.
///
/// # Errors
/// [`Error::Input`] if that data is damaged.
pub fn scorer() -> Result<(Scorer, Option<Input>)> {
    let folder = Data::default_folder().unwrap_or_default();
    let meteor = Data::of_folder(&folder).map_err(Error::input)?;
    if meteor.is_none() {
        tracing::warn!(
            "no METEOR: its data is not in {}; `cargo xtask setup --meteor` installs it",
            folder.display()
        );
    }
    let input = meteor.as_ref().map(|data| Input {
        kind: "meteor".to_owned(),
        digest: format!("{:08x}", data.checksum()),
    });
    let scorer = Scorer {
        meteor,
        frequencies: None,
    };
    Ok((scorer, input))
}

/// The images of an evaluation, and their human captions.
pub struct Split<'a> {
    /// All images.
    pub images: Vec<&'a ImageRecord>,
    /// The human captions of each image.
    pub references: Vec<Vec<&'a str>>,
    /// The images that have human captions, by their place in `images`: only these are scored.
    pub scored: Vec<usize>,
    /// How the evaluated model's vocabulary splits captions.
    pub tokenizer: Tokenizer,
}

/// The captions at one beam size.
pub struct Beam {
    /// The beam size.
    pub size: u32,
    /// The caption of each image.
    pub rows: Vec<ImageScore>,
    /// What each scored image contributes.
    pub tally: Tally,
    /// The scores; `per_image` is of the scored images.
    pub scores: Vec<Score>,
}

/// A scored evaluation.
pub struct Scored {
    /// The evaluation.
    pub evaluation: Evaluation,
    /// Its beam sizes, ascending.
    pub beams: Vec<Beam>,
}

impl<'a> Split<'a> {
    /// The split that was evaluated.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is not that data set's, [`Error::Input`] if the data set has
    /// no such split.
    pub fn of(dataset: &'a Dataset, evaluation: &Evaluation) -> Result<Split<'a>> {
        let mut captions: HashMap<i64, Vec<&str>> = HashMap::new();
        for caption in dataset.captions() {
            let of_image = captions.entry(caption.image_id).or_default();
            of_image.push(&caption.caption);
        }
        let images = dataset.split(&evaluation.split)?;
        let references: Vec<Vec<&str>> = (images.iter())
            .map(|image| captions.remove(&image.image_id).unwrap_or_default())
            .collect();
        let has_some = |image: &usize| !references[*image].is_empty();
        let mut split = Split {
            scored: (0..images.len()).filter(has_some).collect(),
            images,
            references,
            tokenizer: Tokenizer::default(),
        };
        split.tokenizer = split.fitting(evaluation)?;
        Ok(split)
    }

    /// The tokenizer with which the references give the scores that the evaluation has: it
    /// does not say which one its vocabulary has.
    fn fitting(&self, evaluation: &Evaluation) -> Result<Tokenizer> {
        let rows = self.rows(evaluation, evaluation.primary)?;
        let metrics = [Metric::Rouge, Metric::Bleu];
        let fits = |tokenizer: &Tokenizer| {
            let corpus = self.corpus(&rows, *tokenizer);
            let scores = Scorer::default().score(&metrics, &corpus);
            let of = |key: &str| scores.iter().find(|score| score.key == key);
            self.scored.iter().enumerate().all(|(at, image)| {
                let row = &rows[*image];
                let pairs = [("rouge_l", row.rouge_l), ("bleu4", row.bleu4)];
                pairs.iter().all(|(key, value)| {
                    let found = of(key).map_or(f64::NAN, |score| score.per_image[at]);
                    value.is_nan() || (found - value).abs() < 1e-6
                })
            })
        };
        let all = [Tokenizer::LowercaseAlphanumeric, Tokenizer::UnicodeWords];
        Ok(all.into_iter().find(fits).unwrap_or_else(|| {
            tracing::warn!(
                "{}: has other scores than its captions have against this data set; those of the data set are used",
                evaluation.root.display()
            );
            Tokenizer::default()
        }))
    }

    /// The captions at a beam size, in the order of the images.
    fn rows(&self, evaluation: &Evaluation, size: u32) -> Result<Vec<ImageScore>> {
        let rows = evaluation.by_beam.get(&size).into_iter().flatten();
        let by_image: HashMap<i64, &ImageScore> = rows.map(|row| (row.image_id, row)).collect();
        let of_image = |image: &&ImageRecord| {
            let row = by_image.get(&image.image_id).map(|row| (*row).clone());
            row.ok_or_else(|| {
                Error::refused(format!(
                    "{}: has no caption of image {} ({}); it is of other images than the data set's split",
                    evaluation.root.display(),
                    image.image_id,
                    image.file_name
                ))
            })
        };
        self.images.iter().map(of_image).collect()
    }

    /// The captions and references of the scored images.
    fn corpus(&self, rows: &[ImageScore], tokenizer: Tokenizer) -> Corpus {
        let hypotheses: Vec<&str> = (self.scored.iter())
            .map(|image| rows[*image].caption.as_str())
            .collect();
        let of_image = |image: &usize| -> Vec<Cow<str>> {
            let references = self.references[*image].iter();
            references.map(|text| tokenizer.for_scores(text)).collect()
        };
        let references: Vec<_> = self.scored.iter().map(of_image).collect();
        Corpus::of_captions(&hypotheses, &references)
    }
}

impl Scored {
    /// Scores an evaluation of the images of `split`.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is of other images; [`Error::Interrupted`].
    pub fn new(evaluation: Evaluation, split: &Split, scorer: &Scorer) -> Result<Scored> {
        let total = evaluation.by_beam.len() * split.scored.len();
        let bar = progress("score", "captions", total as u64);
        let mut beams = Vec::new();
        for size in evaluation.by_beam.keys() {
            check_interrupt()?;
            let rows = split.rows(&evaluation, *size)?;
            let corpus = split.corpus(&rows, split.tokenizer);
            let tally = scorer.tally(&Metric::ALL, &corpus, || bar.inc(1));
            let mut scores = tally.scores();
            if split.scored.is_empty() {
                scores.clear();
            }
            beams.push(Beam {
                size: *size,
                rows,
                tally,
                scores,
            });
        }
        bar.finish();
        Ok(Scored { evaluation, beams })
    }

    /// The captions at a beam size; if there are none, those at the primary one.
    pub fn beam(&self, size: u32) -> &Beam {
        let of = |size: u32| self.beams.iter().find(|beam| beam.size == size);
        // A primary beam size has rows.
        of(size)
            .or_else(|| of(self.evaluation.primary))
            .unwrap_or(&self.beams[0])
    }
}
