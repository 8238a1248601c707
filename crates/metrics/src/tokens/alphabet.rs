//! The classes of characters that the Penn Treebank tokeniser distinguishes, one byte
//! each. This makes its rules an automaton over bytes, and a caption in ASCII is its own
//! sequence of classes.

use regex_syntax::hir::{Hir, HirKind};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// Names of the classes beyond ASCII, for use in the rules; the class `CLASSES[i]` is the
/// byte `0x80 + i`.
pub(super) const CLASSES: [&str; 32] = [
    "lower",      // letters other than those below
    "upper",      // upper-case letters
    "mark",       // also part of a word to the tool: vowel signs, accents
    "digit",      // decimal digits
    "shy",        // soft hyphen
    "longs",      // ſ, an s if case is ignored
    "kelvin",     // K, a k if case is ignored
    "dottedi",    // İ, an i if case is ignored
    "dotlessi",   // ı, likewise
    "roman",      // Roman numerals, which are upper case but not letters
    "circled",    // Ⓐ, likewise, and symbols
    "space",      // typographic spaces
    "nbsp",       // no-break space
    "separator",  // line and paragraph separators
    "nel",        // next line, an ellipsis in Windows-1252
    "dash",       // en and em dashes
    "thousands",  // Arabic separators in numbers
    "scriptsign", // superscript and subscript + and -
    "raised",     // superscript digits
    "lowered",    // subscript digits
    "slash",      // fraction slash
    "fraction",   // ½
    "currency",   // £
    "apostrophe", // ’
    "left",       // ‘
    "hyphen",     // ‐
    "ellipsis",   // …
    "comma",      // 、
    "quote",      // “, ”, «
    "symbol",     // tokens of their own
    "nothing",    // of zero width: skipped
    "other",      // in no rule: left out
];

/// The class of a character.
pub(super) fn class(c: char) -> u8 {
    if c.is_ascii() {
        return c as u8;
    }
    // No rule needs characters beyond the basic multilingual plane.
    let known = TABLE.get(c as usize).copied();
    known.unwrap_or(0x80 + CLASSES.len() as u8 - 1)
}

/// Classes of the characters of the basic multilingual plane.
#[expect(clippy::expect_used, reason = "the names of classes are constants")]
static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut table = vec![0x80 + CLASSES.len() as u8 - 1; 1 << 16];
    let mut put = |name: &str, ranges: &[RangeInclusive<u32>]| {
        let class = CLASSES.iter().position(|n| *n == name);
        let class = class.expect("one of the classes") as u8;
        for code in ranges.iter().cloned().flatten() {
            if let Some(cell) = table.get_mut(code as usize) {
                *cell = 0x80 + class;
            }
        }
    };
    // Later lines override earlier ones.
    put("mark", &MARKS);
    put("symbol", &SYMBOLS);
    // The tool uses the letters of Unicode 6.1, a few of which are no letters today.
    put(
        "lower",
        &unicode(
            r"[[\p{L}\x{1885}\x{1886}--[\x{19B0}-\x{19C0}\x{19C8}\x{19C9}\x{1CF2}\x{1CF3}]]&&\p{age=6.1}]",
        ),
    );
    put(
        "upper",
        &unicode(r"[[\p{Lu}--[\x{13A0}-\x{13F4}]]&&\p{age=6.1}]"),
    );
    put("digit", &unicode(r"[\p{Nd}&&\p{age=6.1}]"));
    for (name, ranges) in &FEW {
        put(name, ranges);
    }
    table
});

/// Ranges of a Unicode class, given as a regular expression.
#[expect(clippy::panic, reason = "the classes are constants")]
fn unicode(class: &str) -> Vec<RangeInclusive<u32>> {
    let hir = regex_syntax::parse(class);
    match hir.as_ref().map(Hir::kind) {
        Ok(HirKind::Class(regex_syntax::hir::Class::Unicode(class))) => class
            .ranges()
            .iter()
            .map(|range| range.start() as u32..=range.end() as u32)
            .collect(),
        _ => panic!("{class} is no class of Unicode"),
    }
}

const FEW: [(&str, &[RangeInclusive<u32>]); 28] = [
    ("shy", &[0xAD..=0xAD]),
    ("longs", &[0x17F..=0x17F]),
    ("kelvin", &[0x212A..=0x212A]),
    ("dottedi", &[0x130..=0x130]),
    ("dotlessi", &[0x131..=0x131]),
    ("roman", &[0x2160..=0x216F]),
    ("circled", &[0x24B6..=0x24CF]),
    ("space", &[0x2000..=0x200A, 0x3000..=0x3000]),
    ("nbsp", &[0xA0..=0xA0]),
    ("separator", &[0x2028..=0x2029]),
    ("nel", &[0x85..=0x85]),
    ("dash", &[0x96..=0x97, 0x2013..=0x2015]),
    ("thousands", &[0x66B..=0x66C]),
    ("scriptsign", &[0x207A..=0x207B, 0x208A..=0x208B]),
    (
        "raised",
        &[0xB2..=0xB3, 0xB9..=0xB9, 0x2070..=0x2070, 0x2074..=0x2079],
    ),
    ("lowered", &[0x2080..=0x2089]),
    ("slash", &[0x2044..=0x2044]),
    ("fraction", &[0xBC..=0xBE, 0x2153..=0x215E]),
    (
        "currency",
        &[
            0x80..=0x80,
            0xA2..=0xA5,
            0x60B..=0x60B,
            0xE3F..=0xE3F,
            0x20A0..=0x20A0,
            0x20A4..=0x20A4,
            0x20AC..=0x20AC,
            0xFFE0..=0xFFE1,
            0xFFE5..=0xFFE6,
        ],
    ),
    ("apostrophe", &[0x92..=0x92, 0x2019..=0x2019]),
    ("left", &[0x91..=0x91, 0x2018..=0x2018, 0x201B..=0x201B]),
    ("hyphen", &[0x58A..=0x58A, 0x2010..=0x2011]),
    ("ellipsis", &[0x2026..=0x2026]),
    ("comma", &[0x3001..=0x3001]),
    (
        "quote",
        &[
            0x93..=0x94,
            0xAB..=0xAB,
            0xBB..=0xBB,
            0x201A..=0x201A,
            0x201C..=0x201F,
            0x2039..=0x203A,
        ],
    ),
    (
        "nothing",
        &[0x200B..=0x200B, 0x200E..=0x200F, 0xFEFF..=0xFEFF],
    ),
    ("symbol", &[0xB4..=0xB4]),
    ("other", &[0xD800..=0xDFFF]),
];

/// Marks and other characters that the tool counts as part of words. The table of classes
/// overrides the letters among them later.
const MARKS: [RangeInclusive<u32>; 43] = [
    0x2C2..=0x379,
    0x384..=0x385,
    0x3F6..=0x3F6,
    0x483..=0x487,
    0x55A..=0x55F,
    0x591..=0x5BD,
    0x5BF..=0x5BF,
    0x5C1..=0x5C2,
    0x5C4..=0x5C5,
    0x5C7..=0x5C7,
    0x615..=0x61A,
    0x64B..=0x65E,
    0x670..=0x670,
    0x6D6..=0x6FE,
    0x70F..=0x7B0,
    0x7EB..=0x7F3,
    0x900..=0x903,
    0x93C..=0x94E,
    0x951..=0x955,
    0x962..=0x963,
    0x981..=0x983,
    0x9BC..=0x9C4,
    0x9C7..=0x9C8,
    0x9CB..=0x9CD,
    0x9D7..=0x9D7,
    0x9E2..=0x9E3,
    0xA01..=0xA03,
    0xA3C..=0xA3C,
    0xA3E..=0xA4F,
    0xA81..=0xA83,
    0xABC..=0xACF,
    0xB82..=0xB82,
    0xBBE..=0xBC2,
    0xBC6..=0xBC8,
    0xBCA..=0xBCD,
    0xC01..=0xC03,
    0xC3E..=0xC56,
    0xD3E..=0xD44,
    0xD46..=0xD48,
    0xE31..=0xE3A,
    0xE47..=0xE4E,
    0xEB1..=0xEBC,
    0xEC8..=0xECD,
];

/// Symbols and punctuation that are tokens of their own.
const SYMBOLS: [RangeInclusive<u32>; 31] = [
    0xA1..=0xF7,
    0x37E..=0x37E,
    0x387..=0x387,
    0x589..=0x589,
    0x5BE..=0x5BE,
    0x5C0..=0x5C0,
    0x5C3..=0x5C3,
    0x5C6..=0x5C6,
    0x5F3..=0x5F4,
    0x600..=0x603,
    0x606..=0x60C,
    0x614..=0x614,
    0x61B..=0x61B,
    0x61E..=0x61F,
    0x66A..=0x66D,
    0x6D4..=0x6D4,
    0x700..=0x70D,
    0x7F6..=0x7F8,
    0x964..=0x965,
    0xE4F..=0xE4F,
    0x1FBD..=0x1FBD,
    0x2016..=0x2023,
    0x2030..=0x203B,
    0x203E..=0x2042,
    0x207C..=0x208E,
    0x2100..=0x214F,
    0x2190..=0x2BFF,
    0x3002..=0x3002,
    0x3012..=0x3012,
    0x30FB..=0x30FB,
    0xFF01..=0xFF65,
];
