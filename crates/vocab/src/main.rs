//! `attend-vocab`: makes a vocabulary from the captions of a data set, and encodes the
//! captions as ids.
//!
//! It counts words in the train split only, so that nothing of validation or test leaks into
//! the model. The same captions and parameters give the same output, byte for byte. It reads
//! the captions twice, some thousand at a time, once to count and once to encode: memory
//! holds the words, not the captions.

mod base;
mod encode;
mod words;

use attend_artifact::dataset::{CaptionRecord, RejectedRecord};
use attend_artifact::record::Table;
use attend_artifact::vocabulary::{EncodedRecord, Tokenizer, Vocabulary};
use attend_artifact::{Input, InputSpec, Record, Stage, StageSpec, stage};
use attend_program::describe::{Checked, Parts};
use attend_program::{Error, Result, check_interrupt};
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
    unrecorded: &["vocab.base"],
    paths: &["vocab.base"],
    extends: false,
};

/// The sections of the config that this stage reads.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Config {
    vocab: VocabSection,
}

/// Section `[vocab]` of the config.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct VocabSection {
    /// Keep words that occur at least this often in the train captions; rarer ones become
    /// `<unk>`. Default 6: the tutorial keeps words seen more than 5 times.
    min_count: u64,
    /// Leave out captions of more words than this. Default 50.
    max_length: usize,
    /// How to split captions into words: `lowercase-alphanumeric` (the default), as in
    /// Karpathy's data sets, or `unicode-words`, for any language: words keep their marks,
    /// and scripts without spaces become single characters.
    tokenizer: Tokenizer,
    /// A vocabulary whose words keep their ids, for a training that begins with a model of
    /// other captions (`train.start`): a vocabulary artifact, or a model that carries one. The
    /// words that only these captions have come after its own. Empty: none.
    base: String,
}

impl Default for VocabSection {
    fn default() -> Self {
        VocabSection {
            min_count: 6,
            max_length: 50,
            tokenizer: Tokenizer::default(),
            base: String::new(),
        }
    }
}

fn main() -> ExitCode {
    stage::main(&SPEC, check, run)
}

fn check(stage: &Stage<Config>) -> Result<Checked> {
    begin(&stage.config.vocab).map(|_| Checked::default())
}

/// Checks the parameters, and reads the vocabulary that `base` names.
fn begin(section: &VocabSection) -> Result<Option<(Vocabulary, Input)>> {
    if section.min_count == 0 || section.max_length == 0 {
        return Err(Error::usage(
            "[vocab]: min_count and max_length must be at least 1",
        ));
    }
    base::read(&section.base, section.tokenizer)
}

fn run(stage: &Stage<Config>) -> Result<()> {
    let section = &stage.config.vocab;
    let (known, input) = begin(section)?.unzip();
    let known = known.map_or(Vec::new(), |base| base.words);
    let table = stage.input("dataset")?.file("captions.parquet")?;
    let inputs: Vec<_> = input.map(|input| ("base", input)).into_iter().collect();
    let Some(staging) = stage.begin(&inputs)? else {
        return Ok(());
    };
    let mut counts = words::WordCounts::default();
    for batch in CaptionRecord::batches(&table)? {
        check_interrupt()?;
        for (split, caption) in encode::texts(&batch?)? {
            counts.add(split, caption, section.tokenizer);
        }
    }
    let words = counts
        .chosen(section.min_count, &known)
        .map_err(|why| Error::input(format!("{}: {why}", table.display())))?;
    let vocabulary = Vocabulary::new(words, section.min_count, section.max_length)
        .with_tokenizer(section.tokenizer);
    vocabulary.write(&staging.path("vocab.json")?)?;
    staging.done("vocab.json", None)?;

    let mut tally = encode::Tally::default();
    let mut encoded = Table::create::<EncodedRecord>(&staging.path("encoded.parquet")?)?;
    for batch in CaptionRecord::batches(&table)? {
        check_interrupt()?;
        encoded.write(encode::encode(&batch?, &vocabulary, &mut tally)?)?;
    }
    staging.done("encoded.parquet", Some(encoded.finish()?))?;
    // Without rejected captions there is no ledger, as in artifacts of earlier versions.
    if !tally.rejected.is_empty() {
        RejectedRecord::write(&staging.path("rejected.parquet")?, &tally.rejected)?;
        staging.done("rejected.parquet", Some(tally.rejected.len() as u64))?;
    }
    tally.log(&vocabulary, known.len());
    let counts = tally.counts(&vocabulary);
    let counts: Vec<(&str, u64)> = counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    staging.commit(&counts)?;
    Ok(())
}
