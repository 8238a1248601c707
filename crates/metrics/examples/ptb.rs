//! Tokens of the lines on standard input, as the COCO tool makes them, one line
//! each on standard output.

use attend_metrics::tokens::ptb_lines;
use std::io::{Read, Write};

fn main() -> std::io::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let lines: Vec<&str> = text
        .strip_suffix('\n')
        .unwrap_or(&text)
        .split('\n')
        .collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for words in ptb_lines(&lines) {
        writeln!(out, "{}", words.join(" "))?;
    }
    out.flush()
}
