//! The error for an unreadable file says what the file is and what to do.

use attend_image::{DecodeError, DecodeOptions, decode};

#[test]
fn no_photograph_but_what() {
    let files: [(&[u8], &str, &str); 22] = [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC", "convert"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF", "convert"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "a video", "ffmpeg"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL", "convert"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", "convert"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", "convert"),
        (b"8BPS\0\x01", "PSD", "convert"),
        (
            b"\n <?xml version='1.0'?><svg width='3'/>",
            "SVG",
            "convert",
        ),
        (b"\0\0\x02\0\0\0\0\0\0\0\0\0", "Targa", "convert"),
        (b"\0\0\x02\0\x01\0\x20\x20", "a Windows cursor", "convert"),
        (b"%PDF-1.7\n", "PDF", "convert"),
        (b"<!DOCTYPE html><title>404</title>", "a web page", "again"),
        (b"\xef\xbb\xbf<html lang=en>", "a web page", "again"),
        (
            b"<?xml version='1.0'?><Error><Code>AccessDenied",
            "XML",
            "again",
        ),
        (b"{\"error\": \"no such key\"}", "JSON", "again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a Git LFS pointer",
            "git lfs pull",
        ),
        (b"\x1f\x8b\x08\0", "gzip", "unpack"),
        (b"PK\x03\x04\x14\0", "a zip archive", "unpack"),
        (b"P6\n3 3\n255\n", "Netpbm", "convert"),
        (b"FUJIFILMCCD-RAW 0201", "raw", "convert"),
        (b"II*\0\x10\0\0\0CR\x02\0", "raw", "convert"),
        (b"Not found.\n", "text", "again"),
    ];
    for (bytes, name, way_out) in files {
        let error = decode(bytes, &DecodeOptions::default()).unwrap_err();
        assert!(matches!(error, DecodeError::Unsupported(_)), "{error:?}");
        let message = error.to_string();
        assert!(
            message.contains(name) && message.contains(way_out),
            "{name}: {message}"
        );
    }
}
