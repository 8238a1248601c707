//! `attend-score`: the scores of the COCO caption tool, without Python or Java.
//!
//! Standard output holds the table, or with `--json` one JSON object; what was
//! left out, and why, goes to standard error.

mod per_image;
mod read;

use attend_artifact::{At, Error, Result, stage};
use attend_metrics::meteor::Data;
use attend_metrics::{Corpus, DocumentFrequencies, Metric, Score, Scorer};
use clap::Parser;
use read::{References, Results};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Scores captions as the COCO caption tool does: BLEU, METEOR, ROUGE-L, CIDEr.
///
/// Scored are the images of the results. Those that have references only are
/// counted and named; a result without references is an error.
///
/// Exit codes: 0 scored, 1 internal error, 2 wrong command line, 3 a file is
/// missing or wrong, 130 interrupted.
#[derive(Parser)]
#[command(name = "attend-score", version)]
struct Args {
    /// COCO's captions_*.json, Karpathy's dataset_*.json, or text files: line n is a caption of image n
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    references: Vec<PathBuf>,
    /// COCO results, [{"image_id", "caption"}], or a text file: line n is the caption of image n
    #[arg(long, value_name = "FILE")]
    results: PathBuf,
    /// Of Karpathy's file, the images of this split alone
    #[arg(long)]
    split: Option<String>,
    /// Comma-separated: bleu, meteor, rouge, cider [default: all]
    #[arg(long, value_delimiter = ',', value_parser = metric, value_name = "NAMES")]
    metrics: Vec<Metric>,
    /// Document frequencies for CIDEr, instead of those of the images being scored
    #[arg(long, value_name = "FILE")]
    frequencies: Option<PathBuf>,
    /// Save the document frequencies of the references, all of them, for --frequencies
    #[arg(long, value_name = "FILE")]
    save_frequencies: Option<PathBuf>,
    /// Folder of METEOR's data: meteor-1.5.jar and data/paraphrase-en.gz [default: where `cargo xtask setup --meteor` puts it]
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
    stage::program(|| score(&args))
}

fn score(args: &Args) -> Result<()> {
    let references = read::references(&args.references, args.split.as_deref())?;
    let results = read::results(&args.results)?;
    let metrics = match args.metrics.as_slice() {
        [] => Metric::ALL.to_vec(),
        metrics => metrics.to_vec(),
    };
    let scorer = Scorer {
        meteor: meteor(args, &metrics)?,
        frequencies: args.frequencies.as_deref().map(frequencies).transpose()?,
    };
    let images = Images::pair(results, references, args)?;
    let said: Vec<&str> = images.results.iter().map(|(_, c)| c.as_str()).collect();
    let scored: Vec<Vec<&str>> = images.scored().iter().map(captions).collect();
    let scores = scorer.score(&metrics, &Corpus::of_captions(&said, &scored));
    if let Some(path) = &args.save_frequencies {
        let all: Vec<Vec<&str>> = images.references.iter().map(captions).collect();
        let nothing = vec![""; all.len()];
        let table = DocumentFrequencies::of(Corpus::of_captions(&nothing, &all));
        whole(path, |file| table.write(BufWriter::new(file)))?;
    }
    if let Some(path) = &args.per_image {
        per_image::write(path, &images.results, &scores)?;
    }
    let mut out = std::io::stdout().lock();
    let printed = if args.json {
        writeln!(out, "{:#}", images.json(&scores))
    } else {
        images.table(&metrics, &scores, &mut out)
    };
    match printed {
        // `attend-score … | head` has seen enough.
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Error::internal(format!("standard output: {e}")))
        }
        _ => Ok(()),
    }
}

fn captions((_, captions): &(i64, Vec<String>)) -> Vec<&str> {
    captions.iter().map(String::as_str).collect()
}

/// What is scored.
struct Images {
    results: Results,
    /// Those of the results, in their order; then the images without a result.
    references: Vec<(i64, Vec<String>)>,
    empty: usize,
}

impl Images {
    fn pair(results: Results, mut references: References, args: &Args) -> Result<Images> {
        if results.is_empty() {
            return Err(Error::input(format!(
                "{}: holds no results",
                args.results.display()
            )));
        }
        let mut ordered = Vec::with_capacity(references.len());
        for (index, (id, _)) in results.iter().enumerate() {
            let captions = references.remove(id).unwrap_or_default();
            if captions.is_empty() {
                return Err(Error::input(format!(
                    "{}: [{index}] is of image {id}, which has no reference in {}",
                    args.results.display(),
                    args.references[0].display()
                )));
            }
            ordered.push((*id, captions));
        }
        references.retain(|_, captions| !captions.is_empty());
        if let Some(first) = references.keys().next() {
            tracing::warn!(
                "{} of {} images have no result (the first: {first}); the others are scored",
                references.len(),
                references.len() + results.len()
            );
        }
        let empty = results.iter().filter(|(_, c)| c.trim().is_empty()).count();
        if empty > 0 {
            tracing::warn!("{empty} results are empty captions; they score 0");
        }
        ordered.extend(references);
        Ok(Images {
            results,
            references: ordered,
            empty,
        })
    }

    fn scored(&self) -> &[(i64, Vec<String>)] {
        &self.references[..self.results.len()]
    }

    fn json(&self, scores: &[Score]) -> Value {
        let missing = self.references[self.results.len()..].iter();
        let scores: Map<String, Value> = scores
            .iter()
            .map(|score| (score.key.clone(), json!(score.corpus)))
            .collect();
        json!({
            "images": self.results.len(),
            "references": self.scored().iter().map(|(_, r)| r.len()).sum::<usize>(),
            "empty_results": self.empty,
            "without_result": missing.map(|(id, _)| id).collect::<Vec<_>>(),
            "scores": scores,
        })
    }

    fn table(
        &self,
        metrics: &[Metric],
        scores: &[Score],
        out: &mut impl Write,
    ) -> std::io::Result<()> {
        let references: usize = self.scored().iter().map(|(_, r)| r.len()).sum();
        writeln!(
            out,
            "{} images, {references} references; scores times 100\n",
            self.results.len()
        )?;
        let names: Vec<&str> = metrics.iter().flat_map(|m| m.names()).copied().collect();
        let keys = metrics.iter().flat_map(|m| m.keys());
        let values = keys.map(|key| match scores.iter().find(|score| score.key == *key) {
            Some(score) => format!("{:>9.2}", 100.0 * score.corpus),
            None => format!("{:>9}", "-"),
        });
        let head: String = names.iter().map(|name| format!("{name:>9}")).collect();
        writeln!(out, "{head}\n{}", values.collect::<String>())
    }
}

/// METEOR's data, where it is wanted. Nobody has asked for METEOR by name: then
/// it may be absent.
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
        "{}: METEOR's data is not there; `cargo xtask setup --meteor` brings it, or name its folder with --meteor-data",
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

/// Writes a file whole or not at all.
fn whole(path: &Path, write: impl FnOnce(&File) -> std::io::Result<()>) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = File::create(&new).and_then(|file| {
        write(&file)?;
        file.sync_all()
    });
    written
        .and_then(|()| std::fs::rename(&new, path))
        .at(path)
        .inspect_err(|_| {
            let _ = std::fs::remove_file(&new);
        })
}
