//! JPEGs that break the format's rules and still have every pixel.
//!
//! | what is wrong | what libjpeg does, and the mended bytes have |
//! |---|---|
//! | bytes without meaning between segments or at the end of a scan's data | passes over them |
//! | JFIF version, Adobe colour transform, ICC profile, spectral selection of a sequential scan that no standard knows | takes the usual one, or does without |
//! | a restart marker's number three to five off | takes it for the right one |
//! | no end marker, but a maker's data behind the only scan | has all pixels by then |

use super::segments::{EOI, SOI, SOS, Segment, segments};
use crate::{DecodeError, Decoded, Photograph};

/// Places with superfluous bytes at the end of a scan's data.
const MAX_TRIMS: usize = 4;

/// Decodes what remains of `bytes` once all is mended that can be, or says what
/// is wrong with it. `error` is what `decode` says of `bytes` themselves.
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
    let mut mended = Mended::of(bytes);
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
            // Whether the scan's last bytes are there can't be told.
            Ok(_) if !mended.complete && !mended.trailer => return Err(truncated()),
            Ok(photograph) => return Ok((photograph, mended.damage())),
            Err(error) => error,
        };
        let Some(count) = superfluous(&error) else {
            return Err(first.unwrap_or(error));
        };
        // libjpeg says how many, not where: at the end of the first data with which
        // the picture could end and it still found them.
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

/// How many bytes too many libjpeg found before a marker.
fn superfluous(error: &DecodeError) -> Option<usize> {
    let message = error.to_string();
    let (before, _) = message.split_once(" extraneous bytes before marker")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// A JPEG of what shapes the pixels alone.
struct Mended {
    bytes: Vec<u8>,
    /// Begin and end of each piece of entropy-coded data in it.
    data: Vec<(usize, usize)>,
    /// The file had its end marker.
    complete: bool,
    /// It has a single scan: the picture ends with the scan's data.
    single: bool,
    /// Something was behind that.
    trailer: bool,
    /// Restart markers had other numbers.
    renumbered: bool,
}

impl Mended {
    fn of(bytes: &[u8]) -> Self {
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
                // Other applications' data, comments, what stands alone.
                0xe0..=0xef | 0xfe | 0xdc | 0x01 | 0xd0..=0xd7 => continue,
                SOS if matches!(coding, 0xc0 | 0xc1 | 0xc9) => {
                    let count = body.first().map_or(0, |&count| usize::from(count));
                    if let Some(spectrum) = body.get_mut(1 + 2 * count..4 + 2 * count) {
                        spectrum.copy_from_slice(&[0, 63, 0]);
                    }
                    // Of arithmetic coding libjpeg does not say that data are missing.
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

    /// Takes the last bytes of a piece of data away, and zeros before them: those are
    /// codes, too, and what a broken download is filled up with. Data end in ones.
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

    /// What was wrong beyond superfluous bytes and odd headers.
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
