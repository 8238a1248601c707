//! `attend-stats`: prints statistics of a data set, and how much of it a vocabulary covers,
//! as tables or as JSON.
//!
//! It reads the Parquet files of artifacts, as any other program could; for `--leaks` also
//! their pixels. It is not a stage, and nothing depends on it.
//!
//! - `questions`: the statistics; `leaks`: what splits have in common, with a perceptual
//!   `hash`.
//! - `artifact`: reads tables; `render`: prints them.
//!
//! Exit codes: 0 success; 1 internal error; 2 wrong command line; 3 a folder or file of yours
//! is missing or wrong; 4 the data set is damaged (`--leaks` opens it as stages do).

mod artifact;
mod hash;
mod leaks;
mod questions;
mod render;

use artifact::{Artifact, Vocabulary};
use attend_artifact::vocabulary::Tokenizer;
use attend_program::{Error, Result, end, output};
use clap::Parser;
use leaks::Leaks;
use polars::prelude::{DataFrame, PolarsError};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Print counts, caption lengths, rejected images and captions, and vocabulary coverage, per split
#[derive(Parser)]
#[command(name = "attend-stats", version)]
struct Args {
    /// Folder of a dataset artifact
    #[arg(value_name = "DATASET_DIR")]
    dataset: PathBuf,
    /// Folder of a vocabulary artifact: adds how much of the captions it covers, and splits
    /// captions into words by its tokenizer
    #[arg(value_name = "VOCABULARY_DIR")]
    vocabulary: Option<PathBuf>,
    /// Show instead what splits have in common: photographs that are equal or look alike, and
    /// captions that are the same word for word
    #[arg(long)]
    leaks: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    end::with(|| run(&args), "")
}

fn run(args: &Args) -> Result<()> {
    if args.leaks {
        return leaks(args);
    }
    let report = Report::new(args)?;
    if args.json {
        output::print_json(format!("{:#}", report.json()))?;
    } else {
        output::print(report.text().trim_end())?;
    }
    Ok(())
}

fn leaks(args: &Args) -> Result<()> {
    Artifact::open(&args.dataset, "dataset")?;
    let tokenizer = match &args.vocabulary {
        Some(folder) => {
            Artifact::open(folder, "vocabulary")?
                .vocabulary()?
                .tokenizer
        }
        None => Tokenizer::default(),
    };
    let leaks = Leaks::new(&args.dataset, tokenizer)?;
    if args.json {
        output::print_json(format!("{:#}", leaks.json(&args.dataset)))?;
    } else {
        let text = leaks.text(&args.dataset).map_err(Error::internal)?;
        output::print(text.trim_end())?;
    }
    Ok(())
}

/// All statistics.
struct Report {
    dataset: PathBuf,
    splits: DataFrame,
    sizes: DataFrame,
    rejected: DataFrame,
    coverage: Option<Coverage>,
}

struct Coverage {
    folder: PathBuf,
    vocabulary: Vocabulary,
    /// Whether its words were counted in this data set.
    same_dataset: bool,
    splits: DataFrame,
}

impl Report {
    fn new(args: &Args) -> Result<Report> {
        let dataset = Artifact::open(&args.dataset, "dataset")?;
        let vocabulary = match &args.vocabulary {
            Some(folder) => {
                let artifact = Artifact::open(folder, "vocabulary")?;
                Some((folder, artifact.vocabulary()?, artifact))
            }
            None => None,
        };
        // Split captions by the vocabulary's tokenizer, if one is given.
        let tokenizer = (vocabulary.as_ref()).map_or(Tokenizer::default(), |(_, vocabulary, _)| {
            vocabulary.tokenizer
        });
        let images = dataset.table("images.parquet", &["split", "image_id", "width", "height"])?;
        let captions = dataset.table("captions.parquet", &["split", "image_id", "caption"])?;
        let rejected = dataset.table("rejected.parquet", &["kind", "reason"])?;
        let answer = || {
            let captions = questions::words(captions, tokenizer)?;
            let coverage = match vocabulary {
                Some((folder, vocabulary, artifact)) => Some(Coverage {
                    folder: folder.clone(),
                    same_dataset: artifact.made_from(&dataset),
                    splits: questions::coverage(&images, &captions, vocabulary.words())?,
                    vocabulary,
                }),
                None => None,
            };
            Ok(Report {
                dataset: args.dataset.clone(),
                splits: questions::splits(&images, &captions)?,
                sizes: questions::sizes(&images)?,
                rejected: questions::rejected(rejected)?,
                coverage,
            })
        };
        answer().map_err(|e: PolarsError| Error::internal(e))
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "dataset": self.dataset.display().to_string(),
            "splits": render::rows(&self.splits),
            "sizes": render::rows(&self.sizes),
            "rejected": render::rows(&self.rejected),
        });
        if let Some(coverage) = &self.coverage {
            json["vocabulary"] = json!({
                "folder": coverage.folder.display().to_string(),
                "words": coverage.vocabulary.words().len(),
                "min_count": coverage.vocabulary.min_count,
                "max_length": coverage.vocabulary.max_length,
                "counted_on_this_dataset": coverage.same_dataset,
                "splits": render::rows(&coverage.splits),
            });
        }
        json
    }

    fn text(&self) -> String {
        let mut text = format!("data set {}\n\n", self.dataset.display());
        text += &format!("{}\n", render::table(&self.splits));
        text += "\nphotographs, in pixels\n\n";
        text += &format!("{}\n", render::table(&self.sizes));
        text += "\nleft out by ingest\n\n";
        text += &match self.rejected.height() {
            0 => "  nothing\n".to_owned(),
            _ => format!("{}\n", render::table(&self.rejected)),
        };
        if let Some(coverage) = &self.coverage {
            text += &format!(
                "\nvocabulary {}: {} words seen at least {} times{}\n\n",
                coverage.folder.display(),
                coverage.vocabulary.words().len(),
                coverage.vocabulary.min_count,
                match coverage.same_dataset {
                    true => "",
                    false => " (counted on another data set)",
                }
            );
            text += &format!("{}\n", render::table(&coverage.splits));
        }
        text
    }
}
