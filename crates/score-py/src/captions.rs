//! Captions from Python.

use attend_metrics::Corpus;
use attend_metrics::captions::{self, File};
use pyo3::Borrowed;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::borrow::Cow;
use std::path::PathBuf;

/// The references of each image.
pub type References = Vec<Vec<String>>;

/// Captions of an image, in a list as the caller gave it: one of a class of its own may say
/// that it has any length.
pub struct Texts(pub Vec<String>);

impl<'py> FromPyObject<'_, 'py> for Texts {
    type Error = PyErr;

    fn extract(list: Borrowed<'_, 'py, PyAny>) -> PyResult<Texts> {
        if !list.is_instance_of::<PyList>() && !list.is_instance_of::<PyTuple>() {
            return Err(PyTypeError::new_err("expected a list of captions"));
        }
        let texts = list.try_iter()?.map(|caption| caption?.extract());
        texts.collect::<PyResult<_>>().map(Texts)
    }
}

/// How captions are split into words.
#[derive(Clone, Copy, Debug)]
pub enum Split {
    /// By the COCO tool's tokeniser.
    Ptb,
    /// At every blank, as the tool's ROUGE-L splits captions that are tokenised: two blanks
    /// have an empty word between them.
    Blanks,
    /// At white space, as its BLEU and CIDEr split them.
    Space,
}

impl Split {
    /// The way of this name.
    ///
    /// # Errors
    /// A `ValueError` with the known names.
    pub fn named(name: &str) -> PyResult<Split> {
        match name {
            "ptb" => Ok(Split::Ptb),
            "blanks" => Ok(Split::Blanks),
            "space" => Ok(Split::Space),
            other => {
                let why = format!("split {other:?}: expected ptb, blanks or space");
                Err(PyValueError::new_err(why))
            }
        }
    }

    /// The captions as a corpus.
    pub fn corpus(self, hypotheses: &[String], references: &References) -> Corpus {
        if let Split::Ptb = self {
            return Corpus::of_captions(hypotheses, references);
        }
        let hypotheses: Vec<Vec<&str>> = self.all(hypotheses);
        let references: Vec<Vec<Vec<&str>>> = references.iter().map(|one| self.all(one)).collect();
        Corpus::of_words(&hypotheses, &references)
    }

    /// The words of captions that are tokenised.
    pub fn all(self, captions: &[String]) -> Vec<Vec<&str>> {
        captions.iter().map(|caption| self.words(caption)).collect()
    }

    /// The words of a caption that is tokenised.
    pub fn words(self, caption: &str) -> Vec<&str> {
        match self {
            Split::Blanks => caption.split(' ').collect(),
            Split::Space | Split::Ptb => {
                let words = caption.split(is_space);
                words.filter(|word| !word.is_empty()).collect()
            }
        }
    }
}

/// What Python's `str.split` takes for white space: Unicode's, and four separators more.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Refuses lists of different lengths, and images without references.
///
/// # Errors
/// A `ValueError` that names the image by its index.
pub fn check(hypotheses: usize, references: &References) -> PyResult<()> {
    if hypotheses != references.len() {
        return Err(PyValueError::new_err(format!(
            "{hypotheses} hypotheses, but references of {} images",
            references.len()
        )));
    }
    match references.iter().position(Vec::is_empty) {
        Some(image) => Err(PyValueError::new_err(format!(
            "image {image} has no reference"
        ))),
        None => Ok(()),
    }
}

/// Each result's image (as in its file), the results, and their references, from files of any
/// kind that [`attend_metrics::captions`] knows.
///
/// # Errors
/// A `ValueError` that names the file and the place in it.
#[pyfunction]
pub fn read_files(
    py: Python<'_>,
    references: Vec<PathBuf>,
    results: PathBuf,
    split: Option<String>,
) -> PyResult<(Vec<String>, Vec<String>, References)> {
    let read = || {
        let references = references.iter().map(|path| File::read(path));
        let references = references.collect::<Result<Vec<_>, _>>()?;
        let results = File::read(&results)?;
        let pairs = captions::pair(
            captions::results(&results)?,
            captions::references(&references, split.as_deref())?,
        )?;
        let owned = |captions: Vec<Cow<'_, str>>| -> Vec<String> {
            captions.into_iter().map(Cow::into_owned).collect()
        };
        let (ids, captions): (Vec<_>, Vec<_>) = pairs.results.into_iter().unzip();
        let ids = ids.iter().map(|id| id.text().into_owned()).collect();
        let references = pairs.references.into_iter().map(owned).collect();
        Ok((ids, owned(captions), references))
    };
    let read: Result<_, attend_metrics::Error> = py.detach(read);
    read.map_err(|e| PyValueError::new_err(e.to_string()))
}
