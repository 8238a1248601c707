//! Tokenises the lines of standard input like the COCO tool and prints one line of words for
//! each.

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
