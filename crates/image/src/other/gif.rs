//! Decodes GIF: the first frame, on its canvas.

use super::generic::broken;
use crate::photograph::{DecodeError, DecodeOptions, Photograph, check_size};
use gif::{ColorOutput, DecodingError, MemoryLimit};
use std::borrow::Cow;
use std::io::ErrorKind;

/// The canvas around a smaller frame is filled as by Pillow: with the transparent colour, or
/// else the palette's first. A larger frame enlarges the canvas.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    let mut read = gif::DecodeOptions::new();
    read.set_color_output(ColorOutput::Indexed);
    read.set_memory_limit(MemoryLimit::Unlimited); // check_size limits it
    let bytes = with_palette(bytes);
    let mut decoder = read.read_info(&*bytes).map_err(refused)?;
    let canvas = (usize::from(decoder.width()), usize::from(decoder.height()));
    let Some(frame) = decoder.next_frame_info().map_err(refused)? else {
        return Err(DecodeError::Truncated(
            "the GIF ends before its first frame".into(),
        ));
    };
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (columns, rows) = (usize::from(frame.width), usize::from(frame.height));
    let around = frame.transparent.unwrap_or(0);
    let width = canvas.0.max(left + columns);
    let height = canvas.1.max(top + rows);
    check_size(width as u64, height as u64, options)?;

    let mut indices = vec![0; columns * rows];
    decoder.read_into_buffer(&mut indices).map_err(refused)?;
    let palette = decoder.palette().map_err(refused)?;
    let colour = |index: u8| match palette.as_chunks::<3>().0.get(usize::from(index)) {
        Some(&[red, green, blue]) => [red, green, blue, 255],
        None => [0, 0, 0, 255],
    };
    let mut rgbx = colour(around).repeat(width * height);
    let (pixels, _) = rgbx.as_chunks_mut::<4>();
    let rows = pixels.chunks_exact_mut(width).skip(top);
    for (row, indices) in rows.zip(indices.chunks_exact(columns.max(1))) {
        for (pixel, &index) in row[left..].iter_mut().zip(indices) {
            *pixel = colour(index);
        }
    }
    let (width, height) = (width as u32, height as u32);
    Ok(Photograph {
        width,
        height,
        full: (width, height),
        rgbx,
    })
}

/// Adds a grey palette to a GIF without a global one, as Pillow does.
fn with_palette(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.split_at_checked(13) {
        Some((header, rest)) if header[10] & 0x80 == 0 => {
            let grey: Vec<u8> = (0..=255).flat_map(|value| [value; 3]).collect();
            let mut header = header.to_vec();
            header[10] |= 0x87; // has a global palette, of 256 colours
            [header.as_slice(), &grey, rest].concat().into()
        }
        _ => bytes.into(),
    }
}

fn refused(error: DecodingError) -> DecodeError {
    let message = error.to_string();
    match error {
        DecodingError::UnexpectedEof => DecodeError::Truncated(message),
        DecodingError::Io(e) if e.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated(message)
        }
        _ => broken(message),
    }
}
