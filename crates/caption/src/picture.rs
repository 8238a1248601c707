//! The files of attention figures: their names, and writing them atomically.

use attend_program::{At, Error, Result, whole};
use image::RgbImage;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

/// Keyword of the PNG text chunk that identifies a figure's image.
const SOURCE: &str = "attend:source";

/// How long an animated figure shows the photograph, and each word, in milliseconds.
const FIRST_MS: u16 = 1200;
const WORD_MS: u16 = 700;

/// The folder for figures.
pub struct Pictures {
    folder: PathBuf,
}

impl Pictures {
    /// Creates the folder if it does not exist.
    ///
    /// # Errors
    /// [`Error::Usage`] if files can't be written there.
    pub fn into(folder: &Path) -> Result<Pictures> {
        if folder.metadata().is_ok_and(|meta| !meta.is_dir()) {
            let at = folder.display();
            return Err(Error::usage(format!(
                "--attention {at}: a file; name a folder"
            )));
        }
        std::fs::create_dir_all(folder)
            .and_then(|()| tempfile::tempfile_in(folder))
            .map_err(|e| {
                let at = folder.display();
                Error::usage(format!(
                    "--attention {at}: {e}; name a folder that you may write to"
                ))
            })?;
        Ok(Pictures {
            folder: folder.to_owned(),
        })
    }

    /// Writes the figure of `image` atomically and returns its path. It is named after the
    /// image, `dog.png` for `dog.jpg`; if that name is taken by another image's figure or
    /// by any other file, `dog-` and a number made from the image's path. Replaces an
    /// earlier figure of the same image and nothing else, even if other processes write
    /// figures into the folder at the same time.
    ///
    /// # Errors
    /// [`Error::Usage`] if both names are taken by other files, [`Error::Internal`] if the
    /// file can't be written.
    pub fn write(&self, image: &Path, caption: &str, frames: &[RgbImage]) -> Result<PathBuf> {
        let absolute = std::path::absolute(image).at(image)?;
        let source = blake3::hash(absolute.as_os_str().as_encoded_bytes()).to_hex();
        let png = encode(frames, &source, caption).at(&self.folder)?;
        let stem = image.file_stem().unwrap_or_default();
        for number in ["", &format!("-{}", &source[..12])] {
            let mut name = stem.to_owned();
            name.push(number);
            name.push(".png");
            let path = self.folder.join(name);
            let put = |file: &mut File| file.write_all(&png).at(&path);
            if whole::write_new(&path, put)? {
                return Ok(path);
            }
            if source_of(&path).as_deref() == Some(source.as_str()) {
                whole::write(&path, put)?;
                return Ok(path);
            }
        }
        Err(Error::usage(format!(
            "--attention {}: both names for the figure of {} are taken by other files; name another folder",
            self.folder.display(),
            image.display()
        )))
    }
}

/// A PNG of a picture, or an animated one of several of the same size: the first, and then
/// each for a moment.
fn encode(frames: &[RgbImage], source: &str, caption: &str) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let [first, more @ ..] = frames else {
        return Ok(bytes);
    };
    let mut encoder = png::Encoder::new(&mut bytes, first.width(), first.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.add_itxt_chunk("Description".to_owned(), caption.to_owned())?;
    encoder.add_itxt_chunk(SOURCE.to_owned(), source.to_owned())?;
    if !more.is_empty() {
        encoder.set_animated(frames.len() as u32, 0)?;
        encoder.set_frame_delay(FIRST_MS, 1000)?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(first.as_raw())?;
    for frame in more {
        writer.set_frame_delay(WORD_MS, 1000)?;
        writer.write_image_data(frame.as_raw())?;
    }
    writer.finish()?;
    Ok(bytes)
}

/// The image that a figure was made from, if the file is such a figure.
fn source_of(path: &Path) -> Option<String> {
    if !path.metadata().ok()?.is_file() {
        return None; // opening a pipe would wait for its writer
    }
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

    fn figure(grey: u8) -> [RgbImage; 1] {
        [RgbImage::from_pixel(4, 3, image::Rgb([grey; 3]))]
    }

    #[test]
    fn words_are_frames_of_an_animation() {
        let root = tempfile::tempdir().unwrap();
        let pictures = Pictures::into(root.path()).unwrap();
        let frames = [1, 2, 3].map(|grey| figure(grey)[0].clone());
        let path = pictures
            .write(Path::new("a.jpg"), "a dog", &frames)
            .unwrap();
        let file = BufReader::new(File::open(&path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_frames, 3);
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        for (grey, delay) in [(1, FIRST_MS), (2, WORD_MS), (3, WORD_MS)] {
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels[0], grey);
            assert_eq!(reader.info().frame_control().unwrap().delay_num, delay);
        }
        // The same image's figure in the other form takes its place.
        assert_eq!(
            pictures
                .write(Path::new("a.jpg"), "a dog", &figure(7))
                .unwrap(),
            path
        );
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
    fn images_of_one_name_side_by_side_get_figures_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        for round in 0..12 {
            let folder = root.path().join(round.to_string());
            let pictures = Pictures::into(&folder).unwrap();
            let paths: Vec<PathBuf> = std::thread::scope(|scope| {
                let draw = |n: u8| {
                    let image = format!("{n}/dog.jpg");
                    let pictures = &pictures;
                    scope.spawn(move || pictures.write(Path::new(&image), "a dog", &figure(n)))
                };
                let all: Vec<_> = (0..4).map(draw).collect();
                all.into_iter()
                    .map(|t| t.join().unwrap().unwrap())
                    .collect()
            });
            for (n, path) in paths.iter().enumerate() {
                let drawn = image::open(path).unwrap().to_rgb8();
                assert_eq!(usize::from(drawn.get_pixel(0, 0)[0]), n, "{path:?}");
            }
            assert!(paths.contains(&folder.join("dog.png")));
            assert_eq!(folder.read_dir().unwrap().count(), 4);
        }
    }

    #[test]
    fn a_folder_that_takes_no_figures_is_named_at_once() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("out");
        std::fs::write(&file, "mine").unwrap();
        for folder in [file.clone(), file.join("deeper"), "/proc/none".into()] {
            let error = Pictures::into(&folder).map(drop).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
            assert!(error.to_string().contains("--attention"), "{error}");
        }
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
        // not even at the name with a number
        std::fs::write(&path, "mine, too").unwrap();
        let image = root.path().join("dog.png");
        assert!(pictures.write(&image, "a dog", &figure(9)).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine, too");
    }
}
