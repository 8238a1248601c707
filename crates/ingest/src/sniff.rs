//! Recognises files that can't be read here by their first bytes.

/// Number of first bytes by which a file is recognised.
pub const BEGIN: u64 = 512;

/// First bytes of a file, what it is, and what to do with it.
const KINDS: [(&[u8], &str, &str); 11] = [
    (b"\x1f\x8b", "packed by gzip", "unpack it (`gunzip`)"),
    (b"BZh", "packed by bzip2", "unpack it (`bunzip2`)"),
    (b"\xfd7zXZ\0", "packed by xz", "unpack it (`unxz`)"),
    (
        b"\x28\xb5\x2f\xfd",
        "packed by zstd",
        "unpack it (`unzstd`)",
    ),
    (b"Rar!\x1a\x07", "packed by RAR", "unpack it (`unrar x`)"),
    (b"7z\xbc\xaf\x27\x1c", "packed by 7z", "unpack it (`7z x`)"),
    (b"PK\x03\x04", "a zip archive", "unpack it (`unzip`)"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself",
        "get that with `git lfs pull`",
    ),
    (
        b"<",
        "a web page or XML, not the file itself",
        "download it again",
    ),
];

/// Says what a file with these first bytes is, and what to do with it; `None` if it may be
/// text, a zip or a tar.
pub fn kind(begin: &[u8]) -> Option<String> {
    let text = begin.trim_ascii_start();
    let mut kinds = KINDS.iter();
    let (_, what, way_out) = kinds.find(|(first, ..)| text.starts_with(first))?;
    Some(format!("{what}; {way_out}"))
}
