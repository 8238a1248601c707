//! The floor for the speed of ingest: decodes files to RGB with libjpeg-turbo and does
//! nothing else.
//!
//! `decode THREADS < list of files` prints images per second.

use std::error::Error;
use std::io::{Read, Write, stdin, stdout};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;
use turbojpeg::{Decompressor, Image, PixelFormat};

fn main() -> Result<(), Box<dyn Error>> {
    let threads: usize = std::env::args().nth(1).unwrap_or_default().parse()?;
    let mut list = String::new();
    stdin().read_to_string(&mut list)?;
    let files: Vec<&str> = list.lines().collect();
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let work = || decode_all(&files, &next).map_err(|e| e.to_string());
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut ended = threads.into_iter().map(|thread| thread.join());
        ended.try_for_each(|end| end.unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    let rate = files.len() as f64 / begun.elapsed().as_secs_f64();
    writeln!(stdout(), "{rate}")?;
    Ok(())
}

fn decode_all(files: &[&str], next: &AtomicUsize) -> Result<(), Box<dyn Error>> {
    let mut decoder = Decompressor::new()?;
    let mut pixels = Vec::new();
    while let Some(file) = files.get(next.fetch_add(1, Relaxed)) {
        let bytes = std::fs::read(file)?;
        let header = decoder.read_header(&bytes)?;
        let pitch = 3 * header.width;
        pixels.resize(pitch * header.height, 0);
        let image = Image {
            pixels: pixels.as_mut_slice(),
            width: header.width,
            pitch,
            height: header.height,
            format: PixelFormat::RGB,
        };
        decoder.decompress(&bytes, image)?;
    }
    Ok(())
}
