//! The thumbnails: pictures of about as many pixels as the model saw, in the photographs' own
//! shape.

use attend_artifact::Staging;
use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_program::{At, Error, Result, check_interrupt, progress};
use std::path::Path;

/// Number of thumbnails that are entered in the journal together.
const TOGETHER: usize = 256;
/// Most pixels of a thumbnail.
const PIXELS: f64 = 256.0 * 256.0;
const QUALITY: u8 = 80;

/// Name of an image's thumbnail in the artifact.
pub fn name(image_id: i64) -> String {
    format!("thumbnails/{image_id}.jpg")
}

/// Writes the thumbnails that an interrupted run has not written.
///
/// # Errors
/// [`Error::Interrupted`], and those of the file system.
pub fn write(
    staging: &Staging,
    dataset: &Dataset,
    images: &[&ImageRecord],
    jobs: usize,
) -> Result<()> {
    let bar = progress("thumbnails", "images", images.len() as u64);
    for images in images.chunks(TOGETHER) {
        check_interrupt()?;
        let is_missing = |image: &&&ImageRecord| !staging.is_done(&name(image.image_id));
        let missing: Vec<&ImageRecord> = images.iter().filter(is_missing).copied().collect();
        bar.skip((images.len() - missing.len()) as u64);
        std::thread::scope(|scope| {
            let share = missing.len().div_ceil(jobs).max(1);
            let threads: Vec<_> = (missing.chunks(share))
                .map(|images| {
                    scope.spawn(|| {
                        images.iter().try_for_each(|image| {
                            let path = staging.path(&name(image.image_id))?;
                            bar.inc(1);
                            one(dataset, image, &path)
                        })
                    })
                })
                .collect();
            threads.into_iter().try_for_each(|thread| {
                let failed = |_| Err(Error::internal("making a thumbnail failed"));
                thread.join().unwrap_or_else(failed)
            })
        })?;
        let names: Vec<String> = missing.iter().map(|image| name(image.image_id)).collect();
        staging.done_all(&names)?;
    }
    bar.finish();
    Ok(())
}

fn one(dataset: &Dataset, image: &ImageRecord, path: &Path) -> Result<()> {
    let [height, width] = dataset.image_size().map(|side| side as u32);
    let mut picture = attend_image::of_planar(dataset.pixels(image)?, height, width);
    let [height, width] = size([height, width], [image.height, image.width]);
    picture.rgbx = attend_image::resize(&picture, height, width);
    (picture.height, picture.width) = (height, width);
    let jpeg = attend_image::jpeg(&picture, QUALITY);
    let jpeg = jpeg.map_err(|why| Error::internal(format!("{}: {why}", path.display())))?;
    std::fs::write(path, jpeg).at(path)
}

/// Height and width of a thumbnail of pixels of the size `seen`, in the shape of the
/// photograph, `full`.
fn size(seen: [u32; 2], full: [u32; 2]) -> [u32; 2] {
    let pixels = (f64::from(seen[0]) * f64::from(seen[1])).min(PIXELS);
    let [height, width] = full.map(|side| f64::from(side.max(1)));
    // A strip of a photograph is shown less narrow than it is.
    let shape = (height / width).clamp(0.25, 4.0);
    let side = |length: f64| length.round().max(1.0) as u32;
    [side((pixels * shape).sqrt()), side((pixels / shape).sqrt())]
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn thumbnails_have_the_shape_of_the_photograph_and_the_pixels_that_were_seen() {
        assert_eq!(size([256, 256], [480, 640]), [222, 296]);
        assert_eq!(size([224, 224], [224, 224]), [224, 224]);
        assert_eq!(size([448, 448], [100, 100]), [256, 256]);
        assert_eq!(size([256, 256], [1, 9000]), [128, 512]);
    }
}
