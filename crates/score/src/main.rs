//! `attend-score`: computes the scores of the COCO caption tool, without Python or Java.
//!
//! Prints the table, or with `--json` one JSON object, to standard output; logs what was
//! left out, and why, to standard error.

mod per_image;

use attend_metrics::captions::{self, Id, Pairs};
use attend_metrics::meteor::Data;
use attend_metrics::{Corpus, DocumentFrequencies, Lines, Metric, Score, Scorer};
use attend_program::table::{Align, Table};
use attend_program::{At, Error, Progress, Result, output, program, progress, whole};
use clap::Parser;
use per_image::Rows;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Scores captions as the COCO caption tool does: BLEU, METEOR, ROUGE-L, CIDEr.
///
/// Scores the images of the results. Counts and names images that have references
/// only; a result without references is an error.
///
/// Exit codes: 0 scored, 1 internal error, 2 wrong command line, 3 a file is
/// missing or wrong, 130 interrupted.
#[derive(Parser)]
#[command(name = "attend-score", version)]
struct Args {
    /// COCO's captions_*.json, Karpathy's dataset_*.json, JSON, JSON Lines, CSV, TSV,
    /// Flickr8k's token.txt, or plain text files: line n is a caption of image n
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    references: Vec<PathBuf>,
    /// COCO results, [{"image_id", "caption"}], JSON Lines, CSV, TSV, or a plain text
    /// file: line n is the caption of image n
    #[arg(long, value_name = "FILE")]
    results: PathBuf,
    /// Use only the images of this split (Karpathy's file, or a table with a split column)
    #[arg(long)]
    split: Option<String>,
    /// Comma-separated: bleu, meteor, rouge, cider [default: all]
    #[arg(long, value_delimiter = ',', value_parser = metric, value_name = "NAMES")]
    metrics: Vec<Metric>,
    /// Document frequencies for CIDEr, instead of those of the images being scored
    #[arg(long, value_name = "FILE")]
    frequencies: Option<PathBuf>,
    /// Save the document frequencies of all references, for --frequencies
    #[arg(long, value_name = "FILE")]
    save_frequencies: Option<PathBuf>,
    /// Folder of METEOR's data: meteor-1.5.jar and data/paraphrase-en.gz [default: the folder that `cargo xtask setup --meteor` makes]
    #[arg(long, value_name = "DIR")]
    meteor_data: Option<PathBuf>,
    /// Print one JSON object; scores are not multiplied by 100
    #[arg(long)]
    json: bool,
    /// Write each image's caption and scores as a Parquet table
    #[arg(long, value_name = "FILE")]
    per_image: Option<PathBuf>,
}

fn metric(name: &str) -> Result<Metric, String> {
    Ok(match name {
        "bleu" => Metric::Bleu,
        "meteor" => Metric::Meteor,
        "rouge" => Metric::Rouge,
        "cider" => Metric::Cider,
        _ => return Err("it must be bleu, meteor, rouge or cider".into()),
    })
}

fn main() -> ExitCode {
    let args = Args::parse();
    program(|| score(&args))
}

fn score(args: &Args) -> Result<()> {
    let metrics = match args.metrics.as_slice() {
        [] => Metric::ALL.to_vec(),
        metrics => metrics.to_vec(),
    };
    let scorer = Scorer {
        meteor: meteor(args, &metrics)?,
        frequencies: args.frequencies.as_deref().map(frequencies).transpose()?,
    };
    let (lines, summary, rows) = read(args)?;
    let corpus = lines.tokenise();
    let images = corpus.images() as u64;
    let bar = (scorer.meteor.as_ref()).map(|_| progress("METEOR", "images", images));
    let done = || bar.iter().for_each(|bar| bar.inc(1));
    let scores = scorer.score_watched(&metrics, &corpus, done);
    bar.iter().for_each(Progress::finish);
    if let Some(path) = &args.per_image {
        per_image::write(path, rows, &scores)?;
    }
    let printed = if args.json {
        output::print_json(format!("{:#}", summary.json(&scores)))
    } else {
        output::print(summary.table(&metrics, &scores))
    };
    printed.map(drop)
}

/// Reads the files: the captions to score, a summary, and the rows for `--per-image`.
/// Drops the files' text before anything is tokenised.
fn read(args: &Args) -> Result<(Lines, Summary, Rows)> {
    let read = |path: &PathBuf| captions::File::read(path).map_err(Error::input);
    let references: Vec<_> = args.references.iter().map(read).collect::<Result<_>>()?;
    let results = read(&args.results)?;
    let pairs = captions::results(&results).and_then(|results| {
        captions::pair(
            results,
            captions::references(&references, args.split.as_deref())?,
        )
    });
    let pairs = pairs.map_err(Error::input)?;
    if let Some(path) = &args.save_frequencies {
        let table = all_frequencies(&pairs);
        whole::write(path, |file| table.write(BufWriter::new(file)).at(path))?;
    }
    let results: Vec<&str> = pairs.results.iter().map(|(_, c)| c.as_ref()).collect();
    let lines = Lines::new(&results, &pairs.references);
    let summary = Summary::new(&pairs);
    let rows = (pairs.results.into_iter()).filter(|_| args.per_image.is_some());
    let rows = rows.map(|(id, caption)| (id.into_owned(), caption.into_owned()));
    Ok((lines, summary, rows.collect()))
}

/// Document frequencies of all references, including those of images without a result.
fn all_frequencies(pairs: &Pairs) -> DocumentFrequencies {
    let others = pairs.others.iter().map(|image| &image.captions);
    let all: Vec<&[Cow<str>]> = (pairs.references.iter().chain(others))
        .map(Vec::as_slice)
        .collect();
    DocumentFrequencies::from_corpus(Corpus::of_captions(&vec![""; all.len()], &all))
}

/// Counts of what was scored, and the images without a result.
#[derive(Serialize)]
struct Summary {
    images: usize,
    references: usize,
    empty_results: usize,
    without_result: Vec<Id<'static>>,
}

impl Summary {
    /// Counts what is scored; warns about images that are not scored or score 0.
    fn new(pairs: &Pairs) -> Summary {
        let (images, others) = (pairs.results.len(), &pairs.others);
        if let Some(first) = others.first() {
            tracing::warn!(
                "{} of {} images have no result (the first: {}); the others are scored",
                others.len(),
                others.len() + images,
                first.id
            );
        }
        let empty = pairs.results.iter().filter(|(_, c)| c.trim().is_empty());
        let empty_results = empty.count();
        if empty_results > 0 {
            tracing::warn!("{empty_results} results are empty captions; they score 0");
        }
        Summary {
            images,
            references: pairs.references.iter().map(Vec::len).sum(),
            empty_results,
            without_result: others
                .iter()
                .map(|other| other.id.clone().into_owned())
                .collect(),
        }
    }

    fn json(&self, scores: &[Score]) -> Value {
        let notes: Vec<&str> = scores.iter().filter_map(|score| score.note).collect();
        let scores: Map<String, Value> = scores
            .iter()
            .map(|score| (score.key.clone(), json!(score.corpus)))
            .collect();
        let mut all = json!(self);
        all["scores"] = scores.into();
        all["notes"] = json!(notes);
        all
    }

    fn table(&self, metrics: &[Metric], scores: &[Score]) -> String {
        let names: Vec<&str> = metrics.iter().flat_map(|m| m.names()).copied().collect();
        let keys = metrics.iter().flat_map(|m| m.keys());
        let values = keys.map(|key| match scores.iter().find(|score| score.key == *key) {
            Some(score) => format!("{:.2}", 100.0 * score.corpus),
            None => "-".into(),
        });
        let mut table = Table::new(vec![Align::Right; names.len()]).indented();
        table.row(&names);
        table.row(values);
        let notes: String = scores
            .iter()
            .filter_map(|score| score.note)
            .map(|note| format!("\n\n{note}"))
            .collect();
        format!(
            "{} images, {} references; scores times 100\n\n{table}{notes}",
            self.images, self.references
        )
    }
}

/// METEOR's data, if METEOR is among `metrics`. It may be absent if the user has neither
/// named METEOR nor its folder.
fn meteor(args: &Args, metrics: &[Metric]) -> Result<Option<Data>> {
    if !metrics.contains(&Metric::Meteor) {
        return Ok(None);
    }
    let folder = args.meteor_data.clone().or_else(Data::default_folder);
    if folder.as_deref().is_some_and(Data::must_compile) {
        tracing::info!("compiling METEOR's data, this once");
    }
    let data = folder.as_deref().map(Data::of_folder).transpose();
    if let Some(data) = data.map_err(Error::input)?.flatten() {
        return Ok(Some(data));
    }
    let place = folder.unwrap_or_default();
    let absent = format!(
        "{}: METEOR's data does not exist; `cargo xtask setup --meteor` installs it, or name its folder with --meteor-data",
        place.display()
    );
    if args.metrics.is_empty() && args.meteor_data.is_none() {
        tracing::warn!("no METEOR: {absent}");
        return Ok(None);
    }
    Err(Error::input(absent))
}

fn frequencies(path: &Path) -> Result<DocumentFrequencies> {
    let file = File::open(path).map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
    DocumentFrequencies::read(BufReader::new(file)).map_err(|e| {
        Error::input(format!(
            "{}: {e}; make it with --save-frequencies",
            path.display()
        ))
    })
}
