//! Decoding, whatever the format.

use crate::photograph::{DecodeError, DecodeOptions, Decoded, Photograph};
use crate::{jpeg, other};

/// Decodes JPEG, PNG, WebP, BMP, GIF and TIFF, recognised by their content, to 8-bit RGB
/// like Pillow's `convert("RGB")`:
///
/// - grey is repeated, a palette looked up, alpha dropped;
/// - CMYK and YCCK (inverted in JPEGs, as Adobe writes them) are converted by a product,
///   without a colour profile;
/// - an animation gives its first frame;
/// - 16-bit channels keep their upper byte (Pillow does so for colour, but clips grey at
///   255, which loses the picture);
/// - a TIFF's floats and 32-bit numbers must lie between 0 and 255.
///
/// Pixels and errors are a function of `bytes` and `options`, whatever the thread decoded
/// before. A picture that breaks its format's rules is decoded only if every pixel is
/// there.
///
/// # Errors
/// [`DecodeError`]. A JPEG that ends within its pixels is truncated, as in Pillow, even if
/// libjpeg would fill the rest with grey.
pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Photograph, DecodeError> {
    decode_and_assess(bytes, options).map(|(photograph, _)| photograph)
}

pub(crate) fn decode_and_assess(
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<Decoded, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Truncated("the file is empty".into()));
    }
    let decoded = if bytes.starts_with(&[0xff, 0xd8]) {
        jpeg::decode(bytes, options)
    } else {
        other::decode(bytes, options)
    }?;
    match decoded {
        (_, Some(damage)) if options.refuse_damaged => Err(DecodeError::Corrupt(damage)),
        decoded => Ok(decoded),
    }
}
