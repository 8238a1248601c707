//! METEOR on the command line, for comparison with the Java tool.
//!
//! ```sh
//! meteor compile SITE-PACKAGES/pycocoevalcap/meteor english.meteor
//! meteor score english.meteor < captions.json > scores.json
//! ```
//!
//! `captions.json` holds `hypotheses` (one list of words per image) and
//! `references` (lists of such lists).

use attend_metrics::meteor::{Data, meteor};
use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::path::Path;

#[derive(serde::Deserialize)]
struct Captions {
    hypotheses: Vec<Vec<String>>,
    references: Vec<Vec<Vec<String>>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["compile", source, data] => Data::compile(Path::new(source), Path::new(data))?,
        ["score", data] => {
            let data = Data::open(Path::new(data))?;
            let captions: Captions = serde_json::from_reader(stdin().lock())?;
            let scores = meteor(&data, &captions.hypotheses, &captions.references);
            writeln!(stdout(), "{}", serde_json::to_string(&scores)?)?;
        }
        _ => return Err("usage: meteor compile SOURCE DATA | meteor score DATA".into()),
    }
    Ok(())
}
