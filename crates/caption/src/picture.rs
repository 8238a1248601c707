//! The files of attention figures: their names, and writing them whole.

use attend_artifact::{At, Result};
use image::RgbImage;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// Text chunk that says which image a figure was made of.
const SOURCE: &str = "attend:source";

/// The folder that figures are put in.
pub struct Pictures {
    folder: PathBuf,
}

impl Pictures {
    /// Makes the folder if there is none.
    ///
    /// # Errors
    /// [`attend_artifact::Error::Internal`] where it can't be made.
    pub fn into(folder: &Path) -> Result<Pictures> {
        std::fs::create_dir_all(folder).at(folder)?;
        Ok(Pictures {
            folder: folder.to_owned(),
        })
    }

    /// Writes the figure of `image`, whole or not at all, and says where. It is
    /// named after the image, `dog.jpg` becoming `dog.png`; where that name is
    /// taken by another image's figure, or by any other file,
    /// `dog-` and a number made from the image's path. An earlier figure of
    /// the same image is replaced.
    ///
    /// # Errors
    /// [`attend_artifact::Error::Internal`] where the file can't be written.
    pub fn write(&self, image: &Path, caption: &str, figure: &RgbImage) -> Result<PathBuf> {
        let whole = std::path::absolute(image).at(image)?;
        let source = blake3::hash(whole.as_os_str().as_encoded_bytes()).to_hex();
        let stem = image.file_stem().unwrap_or_default().to_string_lossy();
        let plain = self.folder.join(format!("{stem}.png"));
        let path = if !plain.exists() || source_of(&plain).as_deref() == Some(source.as_str()) {
            plain
        } else {
            self.folder.join(format!("{stem}-{}.png", &source[..12]))
        };
        let mut half = path.clone().into_os_string();
        half.push(".part");
        let half = PathBuf::from(half);
        encode(&half, figure, &source, caption)?;
        std::fs::rename(&half, &path).at(&path)?;
        Ok(path)
    }
}

fn encode(path: &Path, figure: &RgbImage, source: &str, caption: &str) -> Result<()> {
    let file = BufWriter::new(File::create(path).at(path)?);
    let mut encoder = png::Encoder::new(file, figure.width(), figure.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let text = |encoder: &mut png::Encoder<_>, key: &str, value: &str| {
        encoder.add_itxt_chunk(key.to_owned(), value.to_owned())
    };
    text(&mut encoder, "Description", caption).at(path)?;
    text(&mut encoder, SOURCE, source).at(path)?;
    let mut writer = encoder.write_header().at(path)?;
    writer.write_image_data(figure.as_raw()).at(path)?;
    writer.finish().at(path)
}

/// The image that a figure was made of, if the file is a figure of ours.
fn source_of(path: &Path) -> Option<String> {
    let reader = png::Decoder::new(BufReader::new(File::open(path).ok()?))
        .read_info()
        .ok()?;
    let mut chunks = reader.info().utf8_text.iter();
    chunks
        .find(|chunk| chunk.keyword == SOURCE)?
        .get_text()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(grey: u8) -> RgbImage {
        RgbImage::from_pixel(4, 3, image::Rgb([grey; 3]))
    }

    #[test]
    fn images_of_one_name_get_figures_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        let pictures = Pictures::into(&root.path().join("out")).unwrap();
        let write = |name: &str, grey| pictures.write(Path::new(name), "a dog", &figure(grey));
        let first = write("one/dog.jpg", 1).unwrap();
        let second = write("two/dog.jpg", 2).unwrap();
        assert!(first.ends_with("out/dog.png"));
        assert_ne!(first, second);
        // the same images again: the same names, in whatever order
        assert_eq!(write("two/dog.jpg", 3).unwrap(), second);
        assert_eq!(write("one/dog.jpg", 4).unwrap(), first);
        let grey = |path: &Path| image::open(path).unwrap().to_rgb8().get_pixel(3, 2)[0];
        assert_eq!((grey(&first), grey(&second)), (4, 3));
        let files = std::fs::read_dir(root.path().join("out")).unwrap().count();
        assert_eq!(files, 2, "nothing half-written is left");
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let theirs = root.path().join("dog.png");
        std::fs::write(&theirs, "mine").unwrap();
        let pictures = Pictures::into(root.path()).unwrap();
        let path = pictures
            .write(&root.path().join("dog.png"), "a dog", &figure(9))
            .unwrap();
        assert_ne!(path, theirs);
        assert_eq!(std::fs::read(&theirs).unwrap(), b"mine");
    }
}
