//! `attend-vocab`: from the captions of a data set to a vocabulary and to the
//! captions as ids.
//!
//! Words are counted in the train split alone, so nothing of validation or test
//! leaks into the model. With the same captions and parameters the output is
//! the same byte for byte.

mod encode;
mod words;

use attend_artifact::dataset::CaptionRecord;
use attend_artifact::vocabulary::EncodedRecord;
use attend_artifact::{Error, InputSpec, Parts, Record, Result, Stage, StageSpec, stage};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;

const SPEC: StageSpec = StageSpec {
    name: "attend-vocab",
    version: env!("CARGO_PKG_VERSION"),
    about: "Counts the words of a data set's train captions and turns all captions into ids",
    inputs: &[InputSpec {
        kind: "dataset",
        required: true,
    }],
    output: "vocabulary",
    parts: Parts::Whole,
    unrecorded: &[],
};

/// What this stage reads of a config.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Config {
    vocab: VocabSection,
}

/// Section `[vocab]`.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct VocabSection {
    /// A word is kept if the train captions hold it at least this often; rarer
    /// ones become `<unk>`. Default 6: the tutorial keeps words that are seen
    /// more than 5 times.
    min_count: u64,
    /// Captions of more words than this are left out. Default 50.
    max_length: usize,
}

impl Default for VocabSection {
    fn default() -> Self {
        VocabSection {
            min_count: 6,
            max_length: 50,
        }
    }
}

fn main() -> ExitCode {
    stage::main(&SPEC, run)
}

fn run(stage: &Stage<Config>) -> Result<()> {
    let section = &stage.config.vocab;
    if section.min_count == 0 || section.max_length == 0 {
        return Err(Error::usage(
            "[vocab]: min_count and max_length must be at least 1",
        ));
    }
    let table = stage.input("dataset")?.file("captions.parquet")?;
    let Some(staging) = stage.begin(&[])? else {
        return Ok(());
    };
    let captions = CaptionRecord::read(&table)?;
    let vocabulary = words::vocabulary(&captions, section.min_count, section.max_length)
        .map_err(|why| Error::input(format!("{}: {why}", table.display())))?;
    let (encoded, tally) = encode::encode(&captions, &vocabulary)?;
    tally.log(&vocabulary);

    vocabulary.write(&staging.path("vocab.json")?)?;
    staging.done("vocab.json", None)?;
    EncodedRecord::write(&staging.path("encoded.parquet")?, &encoded)?;
    staging.done("encoded.parquet", Some(encoded.len() as u64))?;
    let counts = tally.counts(&vocabulary);
    let counts: Vec<(&str, u64)> = counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    staging.commit(&counts)?;
    Ok(())
}
