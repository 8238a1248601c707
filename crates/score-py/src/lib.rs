//! The scores of [`attend_metrics`] for Python: the module `attend_score._native`.
//!
//! The package in `python/attend_score` checks what it is given and has the interface of
//! `pycocoevalcap`. These functions take one entry for each image, and compute on all cores
//! without holding Python's lock.
//!
//! - `captions`: captions from Python, split into words in one of three ways.
//! - `cider`: document frequencies and rewards as classes.

mod captions;
mod cider;

use attend_metrics::meteor::Data;
use captions::{Split, Texts};
use cider::{Frequencies, Rewards};
use pyo3::exceptions::{PyFileNotFoundError, PyOSError, PyValueError};
use pyo3::prelude::*;
use std::path::PathBuf;

/// The score of all images together, and that of each image.
type Score = (f64, Vec<f64>);

/// The words of each caption, joined by blanks, as the COCO tool's tokeniser gives them if
/// the captions are the lines of one file.
#[pyfunction]
fn tokenize(py: Python<'_>, captions: Vec<String>) -> Vec<String> {
    py.detach(|| attend_metrics::tokens::ptb_joined(&captions))
}

/// The captions of all images, split into words once for several scores.
#[pyclass(frozen, module = "attend_score._native")]
struct Corpus(attend_metrics::Corpus);

#[pymethods]
impl Corpus {
    /// `split` is `ptb` (the COCO tool's tokeniser), `blanks` (single blanks, as ROUGE-L and
    /// METEOR split captions that are tokenised) or `space` (white space, as BLEU and CIDEr do).
    #[new]
    fn new(
        py: Python<'_>,
        hypotheses: Vec<String>,
        references: Vec<Texts>,
        split: &str,
    ) -> PyResult<Corpus> {
        let references = references.into_iter().map(|Texts(captions)| captions);
        let references = references.collect();
        let split = Split::named(split)?;
        captions::check(hypotheses.len(), &references)?;
        Ok(Corpus(py.detach(|| split.corpus(&hypotheses, &references))))
    }

    /// BLEU-1 to BLEU-4.
    fn bleu(&self, py: Python<'_>) -> Vec<Score> {
        py.detach(|| {
            let scores = self.0.bleu();
            let of_order = |k: usize| scores.per_image.iter().map(|image| image[k]).collect();
            (0..4).map(|k| (scores.corpus[k], of_order(k))).collect()
        })
    }

    /// ROUGE-L.
    fn rouge(&self, py: Python<'_>) -> Score {
        py.detach(|| {
            let scores = self.0.rouge();
            (scores.corpus, scores.per_image)
        })
    }

    /// CIDEr-D; with document frequencies of these images unless a table is given.
    #[pyo3(signature = (frequencies=None))]
    fn cider(&self, py: Python<'_>, frequencies: Option<&Frequencies>) -> Score {
        py.detach(|| {
            let scores = match frequencies {
                Some(table) => self.0.cider_with(&table.0),
                None => self.0.cider(),
            };
            (scores.corpus, scores.per_image)
        })
    }

    /// METEOR 1.5, with the data in a folder or where `attend` keeps it.
    #[pyo3(signature = (folder=None))]
    fn meteor(&self, py: Python<'_>, folder: Option<PathBuf>) -> PyResult<Score> {
        py.detach(|| {
            let scores = self.0.meteor(&data(folder)?, || ());
            Ok((scores.corpus, scores.per_image))
        })
    }
}

/// The folder in which METEOR's data is looked for unless another one is named.
#[pyfunction]
fn meteor_folder() -> Option<PathBuf> {
    Data::default_folder()
}

/// METEOR's data; it is compiled the first time, which takes seconds.
fn data(folder: Option<PathBuf>) -> PyResult<Data> {
    let folder = folder.or_else(Data::default_folder);
    let folder = folder.ok_or_else(|| PyValueError::new_err("no folder of METEOR's data"))?;
    let found = Data::of_folder(&folder).map_err(|e| PyOSError::new_err(e.to_string()))?;
    found.ok_or_else(|| {
        PyFileNotFoundError::new_err(format!(
            "METEOR's data is not in {}; `python -m attend_score setup-meteor` brings it",
            folder.display()
        ))
    })
}

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::captions::read_files;
    #[pymodule_export]
    use super::{Corpus, Frequencies, Rewards, meteor_folder, tokenize};
}
