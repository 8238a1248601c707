//! Document frequencies, and CIDEr-D as a reward.

use crate::captions::{References, Split, check};
use attend_metrics::DocumentFrequencies;
use pyo3::exceptions::{PyIndexError, PyOSError, PyValueError};
use pyo3::prelude::*;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

/// For each n-gram, the number of images whose references contain it.
#[pyclass(frozen, module = "attend_score._native")]
pub struct Frequencies(pub DocumentFrequencies);

#[pymethods]
impl Frequencies {
    /// Counts the references of each image, which are tokenised.
    #[new]
    fn new(py: Python<'_>, references: References) -> Frequencies {
        Frequencies(py.detach(|| DocumentFrequencies::new(&words(&references))))
    }

    /// Reads a table that `write` or `attend-score --write-frequencies` has written.
    #[staticmethod]
    fn read(py: Python<'_>, path: PathBuf) -> PyResult<Frequencies> {
        let read = || DocumentFrequencies::read(BufReader::new(File::open(&path)?));
        match py.detach(read) {
            Ok(table) => Ok(Frequencies(table)),
            Err(e) if e.kind() == ErrorKind::InvalidData => {
                Err(PyValueError::new_err(format!("{}: {e}", path.display())))
            }
            Err(e) => Err(failed(&path, &e)),
        }
    }

    /// Writes the table: the number of images, then a line for each n-gram.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let write = || self.0.write(BufWriter::new(File::create(&path)?));
        py.detach(write).map_err(|e| failed(&path, &e))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> PyErr {
    PyOSError::new_err((
        error.raw_os_error().unwrap_or_default(),
        error.to_string(),
        path.display().to_string(),
    ))
}

fn words(references: &References) -> Vec<Vec<Vec<&str>>> {
    references.iter().map(|one| Split::Space.all(one)).collect()
}

/// The references of many images as vectors that are made once.
#[pyclass(frozen, module = "attend_score._native")]
pub struct Rewards(attend_metrics::Rewards);

#[pymethods]
impl Rewards {
    /// Document frequencies are counted over these references unless a table is given.
    #[new]
    #[pyo3(signature = (references, frequencies=None))]
    fn new(
        py: Python<'_>,
        references: References,
        frequencies: Option<&Frequencies>,
    ) -> PyResult<Rewards> {
        check(references.len(), &references)?;
        let table = frequencies.map(|table| &table.0);
        let new = || attend_metrics::Rewards::new(&words(&references), table);
        Ok(Rewards(py.detach(new)))
    }

    /// CIDEr-D of each caption against the references of an image, given by its index.
    fn scores(
        &self,
        py: Python<'_>,
        images: Vec<usize>,
        captions: Vec<String>,
    ) -> PyResult<Vec<f64>> {
        if images.len() != captions.len() {
            let (images, captions) = (images.len(), captions.len());
            let why = format!("{images} images, but {captions} captions");
            return Err(PyValueError::new_err(why));
        }
        if let Some(image) = images.iter().find(|image| **image >= self.0.images()) {
            return Err(PyIndexError::new_err(format!("no image {image}")));
        }
        Ok(py.detach(|| {
            let pairs = images.into_iter().zip(&captions);
            let pairs = pairs.map(|(image, caption)| (image, Split::Space.words(caption)));
            self.0.scores(&pairs.collect::<Vec<_>>())
        }))
    }
}
