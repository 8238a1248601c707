//! Reads and writes `{SPLIT}_IMAGES_{base}.hdf5`, image by image.

use attend_program::{At, Error, Result};
use rust_hdf5::{H5Dataset, H5File, StorageLayout};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const DATASET: &str = "images";
const ATTRIBUTE: &str = "captions_per_image";
/// Maximum height and width of an image in pixels, as in attend-ingest.
const MAX_SIDE: usize = 4096;

/// A file of images that is being written.
pub struct ImagesWriter {
    path: PathBuf,
    file: H5File,
    images: H5Dataset,
    size: [usize; 2],
    rows: usize,
}

impl ImagesWriter {
    /// Creates a file for `rows` images of `size` (height, width), contiguous like the
    /// tutorial's.
    ///
    /// # Errors
    /// [`Error::Internal`] of the file system.
    pub fn create(
        path: &Path,
        rows: usize,
        size: [usize; 2],
        captions_per_image: usize,
    ) -> Result<ImagesWriter> {
        let file = H5File::create(path).at(path)?;
        file.set_attr_numeric(ATTRIBUTE, &(captions_per_image as i64))
            .at(path)?;
        let shape = [rows, 3, size[0], size[1]];
        let images = file.new_dataset::<u8>().shape(shape).create(DATASET);
        Ok(ImagesWriter {
            path: path.to_owned(),
            images: images.at(path)?,
            file,
            size,
            rows: 0,
        })
    }

    /// Writes the next image, uint8 [3, H, W].
    ///
    /// # Errors
    /// [`Error::Internal`] of the file system.
    pub fn push(&mut self, pixels: &[u8]) -> Result<()> {
        let counts = [1, 3, self.size[0], self.size[1]];
        let written = (self.images).write_slice(&[self.rows, 0, 0, 0], &counts, pixels);
        self.rows += 1;
        written.at(&self.path)
    }

    /// Closes the file and syncs it to disk.
    ///
    /// # Errors
    /// [`Error::Internal`] of the file system.
    pub fn finish(self) -> Result<()> {
        drop(self.images);
        self.file.close().at(&self.path)?;
        let file = File::open(&self.path).at(&self.path)?;
        file.sync_all().at(&self.path)
    }
}

/// An open file of images. Threads may share it.
pub struct Images {
    path: PathBuf,
    images: H5Dataset,
    /// Number of images.
    pub rows: usize,
    /// Their height and width.
    pub size: [usize; 2],
    /// Length and modification time of the file, to notice changes.
    pub state: [i64; 3],
}

impl Images {
    /// Opens a file of images.
    ///
    /// # Errors
    /// [`Error::Input`] if it is not such a file.
    pub fn open(path: &Path) -> Result<Images> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::input(format!(
                "{}: {why}; expected: an HDF5 file with a dataset {DATASET:?} of uint8 [N, 3, H, W], as create_input_files.py writes it",
                path.display()
            ))
        };
        let meta = std::fs::metadata(path).map_err(|e| wrong(&e))?;
        let file = H5File::open(path).map_err(|e| wrong(&e))?;
        let images = file.dataset(DATASET).map_err(|e| wrong(&e))?;
        let [rows, 3, height, width] = *images.shape() else {
            return Err(wrong(&format!("images of shape {:?}", images.shape())));
        };
        let layout = images.storage_layout().map_err(|e| wrong(&e))?;
        let outside = images.external_files().map_err(|e| wrong(&e))?;
        if layout != StorageLayout::Contiguous || !outside.is_empty() {
            let how = "h5repack --layout=CONTI --filter=NONE OLD NEW";
            return Err(wrong(&format!("its images are not contiguous ({how})")));
        }
        if height.max(width) > MAX_SIDE {
            return Err(wrong(&format!("images of {height} x {width}")));
        }
        if images.element_size() != 1 {
            return Err(wrong(&format!(
                "numbers of {} bytes",
                images.element_size()
            )));
        }
        Ok(Images {
            path: path.to_owned(),
            images,
            rows,
            size: [height, width],
            state: [meta.len() as i64, meta.mtime(), meta.mtime_nsec()],
        })
    }

    /// The pixels of an image: uint8 [3, H, W].
    ///
    /// # Errors
    /// [`Error::Input`] if this part of the file is damaged.
    pub fn read(&self, row: usize) -> Result<Vec<u8>> {
        let counts = [1, 3, self.size[0], self.size[1]];
        let pixels = self.images.read_slice(&[row, 0, 0, 0], &counts);
        pixels.map_err(|e| {
            let path = self.path.display();
            Error::input(format!("{path}: image {row}: {e}; copy the file again"))
        })
    }
}
