//! The parameters of a search, and the search itself: from a decoder's input to words.

use crate::consensus::{Consensus, by_agreement};
use crate::pieces::{Word, joined};
use attend_artifact::vocabulary::Vocabulary;
use attend_model::{Decoder, Hypothesis, Images, LengthNorm, Sampling, SearchOptions};
use attend_program::{Error, Result};
use serde::{Deserialize, Serialize};

/// `[search]`: the search for captions. Programs without a config take the same keys as
/// options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default)]
pub struct Search {
    /// Beam sizes; each is a search of its own, 1 a greedy one.
    #[arg(skip = vec![3])]
    pub beams: Vec<u32>,
    /// How captions of different lengths are compared: by their log-probability (`none`, as
    /// in the tutorial), its mean over the words (`average`), or in between (`gnmt`).
    #[arg(long, value_name = "NORM", default_value = "none", value_parser = keyword::<LengthNorm>)]
    pub length_norm: LengthNorm,
    /// Minimum number of words in a caption.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub min_length: usize,
    /// Maximum number of words in a caption.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub max_length: usize,
    /// No sequence of this many words occurs twice in a caption; 0: any may.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub no_repeat_ngram: usize,
    /// Words that captions don't contain.
    #[arg(long, value_name = "WORD")]
    pub forbid: Vec<String>,
    /// Whether captions don't contain `<unk>`, which stands for words outside the vocabulary.
    #[arg(long = "allow-unk", action = clap::ArgAction::SetFalse, help = "Let captions contain <unk>, which stands for words outside the vocabulary")]
    pub forbid_unk: bool,
    /// Words with which every caption begins.
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    pub prefix: String,
    /// Number of captions of each image, best first: one, and its alternatives.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub n_best: usize,
    /// Divides the beam into this many groups, whose captions differ (diverse beam search).
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub groups: usize,
    /// How much a word's log-probability loses for each hypothesis of an earlier group that
    /// has just taken it.
    #[arg(long, value_name = "LOSS", default_value_t = 0.5)]
    pub diversity: f64,
    /// Draws this many captions of each image instead of a beam search; 0: beam search.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub samples: usize,
    /// Samples' temperature: below 1 more probable words, above 1 more surprising ones.
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    pub temperature: f64,
    /// Samples' words are among this many most probable ones; 0: any.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub top_k: usize,
    /// Samples' words are among the most probable ones that together have this probability.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub top_p: f64,
    /// Seed of the samples: the same picture, options and seed give the same captions.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Takes, of the samples or the beam's hypotheses, the caption that agrees most with the
    /// others, by `cider-d` or `bleu4`; `none`: the best one.
    #[arg(long, value_name = "SCORE", default_value = "none", value_parser = keyword::<Consensus>)]
    pub consensus: Consensus,
}

impl Default for Search {
    fn default() -> Self {
        Search {
            beams: vec![1, 3, 5],
            length_norm: LengthNorm::None,
            min_length: 0,
            max_length: 50,
            no_repeat_ngram: 0,
            forbid: Vec::new(),
            forbid_unk: true,
            prefix: String::new(),
            n_best: 1,
            groups: 1,
            diversity: 0.5,
            samples: 0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 1,
            consensus: Consensus::None,
        }
    }
}

/// A caption of one image, with its attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The caption's words, in order.
    pub words: Vec<String>,
    /// The log-probability of each word.
    pub word_log_probs: Vec<f64>,
    /// Log-probability of the caption, including `<end>` if it is finished.
    pub log_prob: f64,
    /// By which the captions of an image are ranked: the log-probability, normalised by the
    /// length, or the agreement with the others.
    pub score: f64,
    /// Whether the model ended it with `<end>`, before the limit of words.
    pub finished: bool,
    /// For each word, its attention over the grid's cells, row by row.
    pub alphas: Vec<Vec<f32>>,
    /// Height and width of the grid, in cells.
    pub grid: [usize; 2],
}

impl Description {
    /// The caption as text.
    pub fn caption(&self) -> String {
        self.words.join(" ")
    }
}

impl Search {
    /// Refuses invalid values.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the key.
    pub fn check(&self) -> Result<()> {
        let rules = [
            (
                self.beams.is_empty() || self.beams.contains(&0),
                "beams",
                "give one or more sizes, each at least 1",
            ),
            (
                self.max_length == 0,
                "max_length",
                "a caption needs at least 1 word",
            ),
            (
                self.min_length > self.max_length,
                "min_length",
                "must not be above max_length",
            ),
            (self.n_best == 0, "n_best", "must be at least 1"),
            (self.groups == 0, "groups", "must be at least 1"),
            (
                self.groups > 1 && self.samples > 0,
                "groups",
                "samples are drawn without a beam; set either groups or samples",
            ),
            (
                !(0.0..f64::INFINITY).contains(&self.diversity),
                "diversity",
                "must be a number, at least 0",
            ),
            (
                !(self.temperature > 0.0 && self.temperature.is_finite()),
                "temperature",
                "must be a number above 0",
            ),
            (
                !(self.top_p > 0.0 && self.top_p <= 1.0),
                "top_p",
                "must be above 0 and at most 1",
            ),
        ];
        match rules.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, key, why)) => Err(Error::usage(format!("search.{key}: {why}"))),
            None => Ok(()),
        }
    }

    /// The beam sizes in ascending order, without duplicates.
    pub fn sizes(&self) -> Vec<u32> {
        let mut beams = self.beams.clone();
        beams.sort_unstable();
        beams.dedup();
        beams
    }

    /// The captions of each image with one beam size, best first: at least one, at most
    /// `n_best`, no two with the same words. `models` are one or more decoders of the same
    /// `vocabulary`, each with its input for the same images. The probability of a word is the
    /// mean of the models' probabilities.
    ///
    /// # Errors
    /// [`Error::Usage`] if a word of the options is not in the vocabulary.
    ///
    /// # Panics
    /// If `models` is empty, or the ids of a decoder are not those of the vocabulary.
    pub fn describe(
        &self,
        models: &[(&dyn Decoder, &Images)],
        vocabulary: &Vocabulary,
        beam: usize,
    ) -> Result<Vec<Vec<Description>>> {
        let options = self.options(vocabulary, beam)?;
        let grid = models[0].1.grid.map(|n| n as usize);
        let of_image = |hypotheses: Vec<Hypothesis>| {
            let found = hypotheses.into_iter();
            let found = found.map(|hypothesis| description(hypothesis, vocabulary, grid));
            let mut best: Vec<Description> = Vec::new();
            for description in by_agreement(self.consensus, found.collect()) {
                let is_new = best.iter().all(|other| other.words != description.words);
                if best.len() < self.n_best && is_new {
                    best.push(description);
                }
            }
            best
        };
        let found = attend_model::search(models, &options);
        Ok(found.into_iter().map(of_image).collect())
    }

    /// The options in the vocabulary's ids.
    ///
    /// # Errors
    /// [`Error::Usage`] if a word is not in the vocabulary, or the prefix leaves no room.
    pub fn options(&self, vocabulary: &Vocabulary, beam: usize) -> Result<SearchOptions> {
        let ids = |key: &str, text: &str| {
            let encoded = vocabulary.encode(text);
            let ids = &encoded[1..encoded.len() - 1];
            match ids.contains(&vocabulary.unk()) {
                true => Err(Error::usage(format!(
                    "search.{key}: the model's vocabulary lacks a word of {text:?}"
                ))),
                false => Ok(ids.to_vec()),
            }
        };
        let prefix = ids("prefix", &self.prefix)?;
        if prefix.len() >= self.max_length && !prefix.is_empty() {
            return Err(Error::usage(format!(
                "search.prefix: it has {} words, and search.max_length leaves none after them",
                prefix.len()
            )));
        }
        let mut never = Vec::new();
        for word in &self.forbid {
            match ids("forbid", word)?[..] {
                [id] => never.push(id),
                _ => {
                    return Err(Error::usage(format!(
                        "search.forbid: {word:?} is not one word"
                    )));
                }
            }
        }
        if let Some(id) = prefix.iter().find(|id| never.contains(*id)) {
            let word = word(vocabulary, *id);
            return Err(Error::usage(format!(
                "search.forbid: {word:?} is a word of search.prefix"
            )));
        }
        never.extend(self.forbid_unk.then(|| vocabulary.unk()));
        let sampling = (self.samples > 0).then_some(Sampling {
            count: self.samples,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            seed: self.seed,
        });
        // Of these, all are compared, or some are the same.
        let all = self.consensus != Consensus::None || self.groups > 1 || self.samples > 0;
        let specials = [vocabulary.start(), vocabulary.end(), vocabulary.pad()];
        Ok(SearchOptions {
            groups: self.groups,
            diversity: self.diversity,
            sampling,
            keep: if all { usize::MAX } else { self.n_best },
            length_norm: self.length_norm,
            min_length: self.min_length,
            max_length: self.max_length,
            prefix,
            no_repeat_ngram: self.no_repeat_ngram,
            never,
            ..SearchOptions::new(beam, specials)
        })
    }
}

fn description(hypothesis: Hypothesis, vocabulary: &Vocabulary, grid: [usize; 2]) -> Description {
    let tokens = hypothesis.tokens.iter().zip(hypothesis.token_log_probs);
    let tokens = tokens.zip(hypothesis.alphas);
    let words = joined(tokens.map(|((id, log_prob), alpha)| Word {
        text: word(vocabulary, *id),
        log_prob,
        alpha,
    }));
    let mut description = Description {
        words: Vec::new(),
        word_log_probs: Vec::new(),
        log_prob: hypothesis.log_prob,
        score: hypothesis.score,
        finished: hypothesis.finished,
        alphas: Vec::new(),
        grid,
    };
    for word in words {
        description.words.push(word.text);
        description.word_log_probs.push(word.log_prob);
        description.alphas.push(word.alpha);
    }
    description
}

#[expect(
    clippy::expect_used,
    reason = "the decoder has as many ids as the vocabulary"
)]
fn word(vocabulary: &Vocabulary, id: i64) -> String {
    let word = vocabulary.word(id).expect("a word of this id");
    word.to_owned()
}

/// A value of an option that is a word in the config, too.
fn keyword<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, String> {
    let value = serde_json::Value::from(text);
    serde_json::from_value(value).map_err(|e| e.to_string())
}
