//! `attend-caption`: describes photographs that no data set knows, and draws
//! where the model looked.
//!
//! One line per image on standard output, `path<TAB>caption`, or one JSON
//! object. An image that can't be read is named on standard error; the others
//! go on, and the program ends with exit code 3.

mod inputs;
mod model;
mod picture;

use attend_artifact::{Error, Result, check_interrupt, progress, stage};
use attend_figure::Figure;
use attend_image::{DecodeOptions, Photograph};
use clap::Parser;
use inputs::Inputs;
use model::{Description, Model};
use picture::Pictures;
use serde_json::json;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Describes photographs.
///
/// Exit codes: 0 all described, 1 internal error, 2 wrong command line, 3 an
/// image could not be read (the others are described), 4 no usable model,
/// 130 interrupted.
#[derive(Parser)]
#[command(name = "attend-caption", version)]
struct Args {
    /// Folder of a model artifact, or of a checkpoint
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Which checkpoint of the model
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    checkpoint: String,
    /// Beam size of the search; 1 is greedy
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    beam: usize,
    /// Most words of a caption
    #[arg(long, default_value_t = 50, value_parser = at_least_one)]
    max_length: usize,
    /// Draw one figure per image into this folder: what the model looked at, word by word
    #[arg(long, value_name = "DIR")]
    attention: Option<PathBuf>,
    /// Print one JSON object per image
    #[arg(long)]
    json: bool,
    /// Take the images of the folders in a folder too
    #[arg(long)]
    recursive: bool,
    /// Turn photographs as their EXIF orientation says
    #[arg(long)]
    exif_orientation: bool,
    /// Images at a time
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    batch: usize,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads [default: all cores]
    #[arg(long, value_parser = at_least_one)]
    jobs: Option<usize>,
    /// Image files, folders of images, or - for a list of paths on standard input
    #[arg(required = true, value_name = "IMAGE|FOLDER|-")]
    images: Vec<PathBuf>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("must be a number, at least 1".into()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    stage::program(|| caption(&args))
}

fn caption(args: &Args) -> Result<()> {
    if let Some(jobs) = args.jobs {
        attend_model::set_threads(jobs);
    }
    let device = attend_model::device(&args.device).map_err(Error::usage)?;
    let model = Model::load(&args.model, &args.checkpoint, device)?;
    let model = model.search(args.beam, args.max_length);
    let pictures = args.attention.as_deref().map(Pictures::into).transpose()?;
    let inputs = Inputs::expand(&args.images, args.recursive, std::io::stdin().lock())?;
    let mut run = Run {
        args,
        model,
        pictures,
        unread: 0,
    };
    for (path, reason) in &inputs.missing {
        run.cannot_read(path, reason);
    }
    // A bar among the captions on a terminal would only be in their way.
    let bar = (!std::io::stdout().is_terminal())
        .then(|| progress("caption", "images", inputs.files.len() as u64));
    for batch in inputs.files.chunks(args.batch) {
        check_interrupt()?;
        if !run.batch(batch)? {
            return Ok(()); // nobody reads on
        }
        if let Some(bar) = &bar {
            bar.inc(batch.len() as u64);
        }
    }
    if let Some(bar) = &bar {
        bar.finish();
    }
    match run.unread {
        0 => Ok(()),
        n => Err(Error::input(format!(
            "{n} of {} images could not be read (named above); the others are described",
            inputs.files.len() + inputs.missing.len()
        ))),
    }
}

struct Run<'a> {
    args: &'a Args,
    model: Model,
    pictures: Option<Pictures>,
    unread: usize,
}

impl Run<'_> {
    /// Describes some images, prints and draws. False where standard output
    /// was closed.
    fn batch(&mut self, paths: &[PathBuf]) -> Result<bool> {
        let mut images = Vec::new();
        for path in paths {
            match read(path, self.args.exif_orientation) {
                Ok(photograph) => images.push((path, photograph)),
                Err(reason) => self.cannot_read(path, &reason),
            }
        }
        if images.is_empty() {
            return Ok(true);
        }
        let prepared: Vec<Vec<u8>> = images.iter().map(|(_, p)| self.model.prepare(p)).collect();
        let described = self.model.describe(&prepared)?;
        for ((path, photograph), description) in images.iter().zip(&described) {
            let picture = self.draw(path, photograph, description)?;
            let line = self.line(path, description, picture.as_deref());
            match writeln!(std::io::stdout(), "{line}") {
                Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(false),
                result => result.map_err(|e| Error::internal(format!("standard output: {e}")))?,
            }
        }
        Ok(true)
    }

    fn draw(
        &self,
        path: &Path,
        photograph: &Photograph,
        description: &Description,
    ) -> Result<Option<PathBuf>> {
        let Some(pictures) = &self.pictures else {
            return Ok(None);
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let figure = Figure {
            photograph,
            title: &format!(
                "{name}    beam {}    log-probability {:.2}",
                self.args.beam, description.log_prob
            ),
            words: &description.words,
            alphas: &description.alphas,
            grid: description.grid,
        };
        let caption = description.words.join(" ");
        pictures.write(path, &caption, &figure.draw()?).map(Some)
    }

    fn line(&self, path: &Path, description: &Description, picture: Option<&Path>) -> String {
        let path = path.to_string_lossy();
        let caption = description.words.join(" ");
        if !self.args.json {
            return format!("{path}\t{caption}");
        }
        let mut object = json!({
            "path": path, "caption": caption, "words": description.words,
            "log_prob": description.log_prob, "finished": description.finished,
            "grid": description.grid,
        });
        if let Some(picture) = picture {
            object["attention"] = json!(picture.to_string_lossy());
        }
        object.to_string()
    }

    fn cannot_read(&mut self, path: &Path, reason: &str) {
        self.unread += 1;
        tracing::error!("{}: {reason}", path.display());
    }
}

fn read(path: &Path, exif_orientation: bool) -> Result<Photograph, String> {
    let options = DecodeOptions {
        exif_orientation,
        ..DecodeOptions::default()
    };
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    attend_image::decode(&bytes, &options).map_err(|e| format!("{}: {e}", e.code()))
}
