//! Reads an image file into pixels, or returns the reason why it can't.

use attend_image::{DecodeError, DecodeOptions, Photograph};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Maximum size of a file in bytes, as in ingest. If more pixels are allowed, so are files
/// of four bytes per pixel.
const MAX_BYTES: u64 = 256 << 20;

/// Reads and decodes the image at `path`.
///
/// # Errors
/// The reason for the user, without the path.
pub fn photograph(path: &Path, options: &DecodeOptions) -> Result<Photograph, String> {
    decode(&bytes(path, most_bytes(options))?, options)
}

/// Maximum size of an image file in bytes.
pub fn most_bytes(options: &DecodeOptions) -> u64 {
    MAX_BYTES.max(options.max_pixels.saturating_mul(4))
}

/// Decodes the bytes of an image.
///
/// # Errors
/// The reason for the user.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, String> {
    attend_image::decode(bytes, options).map_err(|e| match e {
        DecodeError::TooLarge { .. } => {
            format!("{}: {e}; --max-pixels allows more", e.code())
        }
        e => format!("{}: {e}", e.code()),
    })
}

fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let meta = path.metadata().map_err(|e| reason(path, &e))?;
    if !meta.is_file() {
        // A pipe may never get a writer, and a device may never end.
        return Err("a pipe or device, not a file; save the image in a file first".into());
    }
    if meta.len() > limit {
        return Err(format!(
            "too-large: {} bytes, more than {limit}; make it smaller or raise --max-pixels",
            meta.len()
        ));
    }
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    let file = File::open(path).map_err(|e| reason(path, &e))?;
    // The file may be growing.
    let read = file.take(limit).read_to_end(&mut bytes);
    read.map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// The reason, for the user, why a path can't be opened.
pub fn reason(path: &Path, error: &std::io::Error) -> String {
    match path.read_link() {
        Ok(target) if error.kind() == ErrorKind::NotFound => {
            format!("a link to {}, which does not exist", target.display())
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_not_read() {
        let error = |path: &str| photograph(Path::new(path), &DecodeOptions::default());
        assert!(error("/dev/zero").unwrap_err().contains("not a file"));
    }

    #[test]
    fn a_file_without_end_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("huge.jpg");
        // a sparse file of 50 GB
        File::create(&path).unwrap().set_len(50 << 30).unwrap();
        let error = photograph(&path, &DecodeOptions::default()).unwrap_err();
        assert!(error.starts_with("too-large: 53687091200 bytes"), "{error}");
    }

    #[test]
    fn the_way_to_more_pixels_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.png");
        image::RgbImage::new(30, 20).save(&path).unwrap();
        let read = |max_pixels| {
            let options = DecodeOptions {
                max_pixels,
                ..DecodeOptions::default()
            };
            photograph(&path, &options)
        };
        let error = read(599).unwrap_err();
        assert!(error.contains("30 x 20 pixels") && error.contains("--max-pixels"));
        assert_eq!(read(600).unwrap().width, 30);
    }

    #[test]
    fn a_broken_link_is_named_as_one() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.jpg");
        std::os::unix::fs::symlink("gone.jpg", &path).unwrap();
        let error = photograph(&path, &DecodeOptions::default()).unwrap_err();
        assert_eq!(error, "a link to gone.jpg, which does not exist");
    }
}
