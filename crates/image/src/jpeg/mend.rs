//! Repairs JPEGs that break the format's rules but have every pixel, so that libjpeg decodes
//! them without a warning.
//!
//! | what is wrong | what libjpeg does, and the repaired bytes make explicit |
//! |---|---|
//! | meaningless bytes between segments or at the end of a scan's data | skips them |
//! | an undefined JFIF version, Adobe colour transform, ICC profile or spectral selection of a sequential scan | assumes the usual one, or none |
//! | the number of a restart marker is off by three to five | takes it for the right one |
//! | no end marker, but a camera maker's data after the only scan | has all pixels by then |

use super::segments::{EOI, SOI, SOS, Segment, segments};
use crate::photograph::{DecodeError, Decoded, Photograph};

/// Maximum number of places where superfluous bytes at the end of a scan's data are removed.
const MAX_TRIMS: usize = 4;

/// Repairs `bytes` as far as possible and decodes the result. `error` is the error that
/// `decode` returns for the original bytes.
pub fn decode(
    bytes: &[u8],
    error: DecodeError,
    decode: impl Fn(&[u8]) -> Result<Photograph, DecodeError>,
) -> Result<Decoded, DecodeError> {
    let frame = segments(bytes).find(Segment::is_frame);
    let bits = frame.and_then(|frame| frame.body.first().copied());
    if let Some(bits) = bits.filter(|bits| !(2..=16).contains(bits)) {
        return Err(DecodeError::Corrupt(format!("samples of {bits} bits")));
    }
    let mut mended = Mended::new(bytes);
    let truncated = || DecodeError::Truncated("the JPEG ends before its end marker".into());
    if !mended.complete && !mended.single {
        return Err(truncated());
    }
    if mended.bytes == bytes && superfluous(&error).is_none() {
        return Err(error);
    }
    let mut first = None;
    for _ in 0..=MAX_TRIMS {
        let error = match decode(&mended.bytes) {
            // Nothing shows whether the scan's last bytes are there.
            Ok(_) if !mended.complete && !mended.trailer => return Err(truncated()),
            Ok(photograph) => return Ok((photograph, mended.damage())),
            Err(error) => error,
        };
        let Some(count) = superfluous(&error) else {
            return Err(first.unwrap_or(error));
        };
        // libjpeg says how many, but not where. They are at the end of the first piece of
        // data such that a picture ending there still has them.
        let until = |end: usize| [&mended.bytes[..end], &[0xff, EOI]].concat();
        let clean = |data: &(usize, usize)| {
            !decode(&until(data.1)).is_err_and(|error| superfluous(&error).is_some())
        };
        let which = mended.data.partition_point(clean);
        let trimmed = mended.trim(which, count);
        first.get_or_insert(error);
        if !trimmed {
            break;
        }
    }
    Err(first.unwrap_or(error))
}

/// The number of superfluous bytes that libjpeg found before a marker.
fn superfluous(error: &DecodeError) -> Option<usize> {
    let message = error.to_string();
    let (before, _) = message.split_once(" extraneous bytes before marker")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// A JPEG reduced to what determines its pixels.
struct Mended {
    bytes: Vec<u8>,
    /// Begin and end of each piece of entropy-coded data in `bytes`.
    data: Vec<(usize, usize)>,
    /// Whether the file has its end marker.
    complete: bool,
    /// Whether there is a single scan, so that the picture ends with its data.
    single: bool,
    /// Whether something follows the single scan.
    trailer: bool,
    /// Whether restart markers had wrong numbers.
    renumbered: bool,
}

impl Mended {
    fn new(bytes: &[u8]) -> Self {
        let mut mended = Mended {
            bytes: vec![0xff, SOI],
            data: Vec::new(),
            complete: false,
            single: false,
            trailer: false,
            renumbered: false,
        };
        let frame = segments(bytes).find(Segment::is_frame);
        let components = frame.and_then(|frame| frame.body.get(5).copied());
        let coding = frame.map_or(0, |frame| frame.marker);
        let (mut in_scan, mut restart) = (false, 0);
        for segment in segments(bytes) {
            mended.complete = segment.marker == EOI;
            if in_scan && segment.is_restart() {
                let off = segment.marker.wrapping_sub(restart) & 7;
                let resynchronised = matches!(off, 3..=5);
                mended.renumbered |= resynchronised;
                let number = if resynchronised {
                    restart
                } else {
                    segment.marker & 7
                };
                mended.bytes.extend([0xff, 0xd0 + number]);
                mended.scan_data(segment.data);
                restart = (restart + 1) & 7;
                continue;
            }
            mended.trailer = in_scan && mended.single;
            if mended.complete || mended.trailer {
                break;
            }
            in_scan = segment.marker == SOS;
            restart = 0;
            let mut body = segment.body.to_vec();
            match segment.marker {
                0xe0 if body.starts_with(b"JFIF\0") && body.len() > 6 => body[5] = 1,
                0xee if body.starts_with(b"Adobe") && body.len() > 11 && body[11] != 0 => {
                    body[11] = if components == Some(4) { 2 } else { 1 };
                }
                // Other applications' data, comments, markers without a segment.
                0xe0..=0xef | 0xfe | 0xdc | 0x01 | 0xd0..=0xd7 => continue,
                SOS if matches!(coding, 0xc0 | 0xc1 | 0xc9) => {
                    let count = body.first().map_or(0, |&count| usize::from(count));
                    if let Some(spectrum) = body.get_mut(1 + 2 * count..4 + 2 * count) {
                        spectrum.copy_from_slice(&[0, 63, 0]);
                    }
                    // With arithmetic coding libjpeg does not report missing data.
                    mended.single = coding != 0xc9 && body.first().copied() == components;
                }
                _ => {}
            }
            mended.bytes.extend([0xff, segment.marker]);
            if segment.marker != SOI {
                let length = body.len() as u16 + 2;
                mended.bytes.extend(length.to_be_bytes());
                mended.bytes.extend(body);
            }
            if in_scan {
                mended.scan_data(segment.data);
            }
        }
        mended.bytes.extend([0xff, EOI]);
        if let Some(last) = mended.data.len().checked_sub(1)
            && !mended.complete
        {
            mended.trim(last, 0);
        }
        mended
    }

    fn scan_data(&mut self, data: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.extend(data);
        self.data.push((begin, self.bytes.len()));
    }

    /// Removes the last `count` bytes of a piece of data, and zeros before them: zeros could
    /// be codes, but also the filling of a broken download. Valid data end in one-bits.
    fn trim(&mut self, which: usize, count: usize) -> bool {
        let Some(&(begin, end)) = self.data.get(which) else {
            return false;
        };
        let Some(mut kept) = end.checked_sub(count).filter(|&kept| kept >= begin) else {
            return false;
        };
        while let [.., before, 0] = self.bytes[begin..kept]
            && before != 0xff
        {
            kept -= 1;
        }
        let count = end - kept;
        self.trailer |= count > 0 && which + 1 == self.data.len();
        self.bytes.drain(kept..end);
        self.data[which].1 = kept;
        for (begin, end) in &mut self.data[which + 1..] {
            *begin -= count;
            *end -= count;
        }
        true
    }

    /// What was wrong, apart from superfluous bytes and odd headers.
    fn damage(&self) -> Option<String> {
        let faults: Vec<&str> = [
            (!self.complete, "no end marker"),
            (self.renumbered, "wrong restart markers"),
        ]
        .into_iter()
        .filter_map(|(found, name)| found.then_some(name))
        .collect();
        (!faults.is_empty()).then(|| faults.join(", "))
    }
}
