//! `attend-caption`: captions any photographs, and draws the model's attention.
//!
//! - [`input`], [`inputs`], [`archive`]: which images; [`read`], [`ahead`]: reads and decodes them beside
//!   the model.
//! - [`mod@line`]: the output for an image; [`picture`]: its figure; [`sidecar`], [`xmp`],
//!   [`iptc`]: its caption beside it and in it.

mod ahead;
mod archive;
mod input;
mod inputs;
mod iptc;
mod line;
mod picture;
mod read;
mod sidecar;
mod xmp;

use ahead::{Ahead, Read, Reading};
use attend_artifact::model::Checkpoint;
use attend_describe::{Captioner, Description, EncoderCommand, Search};
use attend_figure::{Figure, Theme};
use attend_image::{DecodeOptions, Photograph};
use attend_program::{Error, Result, output, progress};
use clap::Parser;
use inputs::Inputs;
use line::Form;
use picture::Pictures;
use sidecar::Sidecars;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Describes photographs.
///
/// Prints a line per image, in the order given: its path, a tab, the caption. Tabs,
/// line breaks and other control characters in them are written \t, \n, \u{1b}; in
/// the path a backslash is \\ and a byte that is not UTF-8 \xff. --json gives exact
/// values; if a path is not UTF-8, path_bytes (attention_bytes) lists its bytes.
///
/// Names an image that can't be described on standard error with the reason (with
/// --json and --csv also as "error"), and goes on. Of a folder or an archive, takes the files
/// with image extensions, except hidden ones (.name). Reads regular files only.
///
/// With -, standard input is an image, or a list: each path is answered as it comes, so
/// that another program can ask and wait for the answer.
///
/// Figures go to DIR/NAME.png or, if that is another image's figure or any other file,
/// to DIR/NAME-NUMBER.png. Only an earlier figure of the same image is replaced.
///
/// Exit codes: 0 all described, 1 internal error, 2 wrong command line, 3 some
/// images could not be read (the others are described), 4 no usable model,
/// 130 interrupted (printed lines are complete; the same command starts over).
#[derive(Parser)]
#[command(name = "attend-caption", version)]
struct Args {
    /// Folder of a model artifact, or of a checkpoint
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Checkpoint of the model artifact
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    checkpoint: String,
    /// Print one JSON object per image
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// With --json: each word's attention over the grid's cells, row by row
    #[arg(long, requires = "json")]
    alphas: bool,
    /// Print a table: path, caption, log-probability, whether it ended, error
    #[arg(long)]
    csv: bool,
    /// Draw a figure per image into this folder: the model's attention, word by word
    #[arg(long, value_name = "DIR")]
    attention: Option<PathBuf>,
    /// Figures show one word after the other (animated PNG)
    #[arg(long, requires = "attention")]
    animate: bool,
    /// Background of the figures
    #[arg(long, default_value = "light", value_enum)]
    theme: Paper,
    /// Write each caption beside its photograph, too: dog.txt for dog.jpg with .txt
    #[arg(long, value_name = "ENDING")]
    sidecar: Option<String>,
    /// Write each caption into its photograph's metadata, too, as the description that photo
    /// managers show (XMP; JPEG, PNG, extended WebP). The pixels stay as they are, byte for
    /// byte
    #[arg(long)]
    write_xmp: bool,
    /// With --sidecar and --write-xmp: replace other texts and descriptions
    #[arg(long)]
    replace: bool,
    /// Also take the images in subfolders of a folder
    #[arg(long)]
    recursive: bool,
    /// Rotate photographs by their EXIF orientation
    #[arg(long)]
    exif_orientation: bool,
    /// Refuse images with more pixels than this
    #[arg(long, value_name = "N", default_value_t = DecodeOptions::default().max_pixels, value_parser = clap::value_parser!(u64).range(1..))]
    max_pixels: u64,
    /// Images per batch
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    batch: usize,
    /// Device to run on: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Number of threads [default: all cores]
    #[arg(long, value_parser = at_least_one)]
    jobs: Option<usize>,
    /// Program of the model's encoder, if that is another program's network: the words as
    /// in a shell. It is started once and gets the photographs' pixels
    #[arg(
        long,
        value_name = "COMMAND",
        default_value = "",
        hide_default_value = true
    )]
    encoder_command: String,
    /// Image files, folders of images, patterns ('*.jpg'), archives (.zip, .tar), or - for an
    /// image or a list of paths on standard input
    #[arg(required = true, value_name = "IMAGE|FOLDER|-")]
    images: Vec<PathBuf>,
    /// Beam size of the search; 1 is greedy
    #[arg(long, default_value_t = 3, value_parser = at_least_one, help_heading = "Search")]
    beam: usize,
    #[command(flatten, next_help_heading = "Search")]
    search: Search,
}

/// Background of the figures.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Paper {
    Light,
    Dark,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("must be a number, at least 1".into()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    attend_program::program(|| caption(&args))
}

fn caption(args: &Args) -> Result<()> {
    attend_model::set_threads(args.jobs.unwrap_or_else(attend_model::threads));
    args.search.check()?;
    if let Some(ending) = &args.sidecar {
        sidecar::check(ending)?;
    }
    let captioner = load(args)?;
    args.search.options(&captioner.vocabulary, args.beam)?;
    let pictures = args.attention.as_deref().map(Pictures::into).transpose()?;
    let options = DecodeOptions {
        exif_orientation: args.exif_orientation,
        max_pixels: args.max_pixels,
        ..DecodeOptions::default()
    };
    let inputs = Inputs::expand(&args.images, args.recursive, read::most_bytes(&options));
    let eager = inputs.wait();
    // On a terminal, a bar would get mixed up with the captions.
    let count = inputs.count().filter(|_| !std::io::stdout().is_terminal());
    let bar = count.map(|count| progress("caption", "images", count as u64));
    let reading = Reading {
        options,
        size: captioner.card.image_size.map(|n| n as u32),
        keep: pictures.is_some(),
        threads: attend_model::threads(),
        most: 2 * args.batch,
    };
    let mut ahead = Ahead::begin(inputs, &reading);
    let mut run = Captioning {
        args,
        form: match (args.json, args.csv) {
            (true, _) => Form::Json {
                alphas: args.alphas,
            },
            (_, true) => Form::Csv,
            _ => Form::Lines,
        },
        captioner,
        pictures,
        sidecars: Sidecars {
            ending: args.sidecar.clone(),
            metadata: args.write_xmp,
            replace: args.replace,
        },
        seen: 0,
        failed: 0,
    };
    if let Some(header) = run.form.header() {
        output::print(header)?;
    }
    loop {
        let batch = ahead.batch(args.batch, eager);
        let count = batch.as_ref().map_or(0, Vec::len);
        let read_on = batch.and_then(|batch| run.batch(batch));
        if matches!(read_on, Err(Error::Interrupted)) {
            tracing::warn!(
                "{} images are described; the same command starts over",
                run.seen - run.failed
            );
        }
        if !read_on? {
            return Ok(());
        }
        if count == 0 {
            break;
        }
        if let Some(bar) = &bar {
            bar.inc(count as u64);
        }
    }
    if let Some(bar) = &bar {
        bar.finish();
    }
    run.captioner.end()?;
    match run.failed {
        0 => Ok(()),
        n => Err(Error::input(format!(
            "{n} of {} images failed (named above); the others are described",
            run.seen
        ))),
    }
}

/// Loads the checkpoint that the arguments name.
fn load(args: &Args) -> Result<Captioner> {
    let device = attend_model::device(&args.device).map_err(Error::usage)?;
    let (path, name) = (&args.model, &args.checkpoint);
    let checkpoint = Checkpoint::find(path, name)?.ok_or_else(|| {
        let at = path.display();
        Error::refused(if path.exists() {
            format!(
                "{at} is neither a model with a checkpoint {name:?} nor a checkpoint folder (it has no model.json); name the folder of a model artifact"
            )
        } else {
            format!("{at} does not exist; name the folder of a model artifact, or train a model first")
        })
    })?;
    let (encoder, given) = (&checkpoint.card.encoder, &args.encoder_command);
    let command = EncoderCommand::of(encoder, given, "--encoder-command=")?;
    Captioner::load(&checkpoint, device, command.as_ref())
}

struct Captioning<'a> {
    args: &'a Args,
    form: Form,
    captioner: Captioner,
    pictures: Option<Pictures>,
    sidecars: Sidecars,
    seen: usize,
    failed: usize,
}

impl Captioning<'_> {
    /// Describes some images, and writes what is wanted of each. Returns false if standard
    /// output was closed.
    fn batch(&mut self, batch: Vec<Read>) -> Result<bool> {
        let (mut prepared, mut places) = (Vec::new(), Vec::new());
        // The images that came before are described first.
        let mut end = Ok(true);
        for read in batch {
            match read {
                Read::Failed(error) => end = Err(error),
                Read::Unread(path, reason) => places.push((path, Err(reason))),
                Read::Image(path, pixels, photograph) => {
                    prepared.push(pixels);
                    places.push((path, Ok(photograph)));
                }
            }
        }
        let mut described = match prepared.is_empty() {
            true => Vec::new(),
            false => {
                let Args { search, beam, .. } = self.args;
                self.captioner.describe(&prepared, search, *beam)?
            }
        }
        .into_iter();
        for (path, read) in places {
            self.seen += 1;
            let read_on = match read {
                Err(reason) => self.fail(&path, &reason)?,
                Ok(photograph) => match described.next() {
                    Some(found) => self.put(&path, photograph.as_ref(), &found)?,
                    None => return Err(Error::internal("an image without a caption")),
                },
            };
            if !read_on {
                return Ok(false);
            }
        }
        end
    }

    /// Writes what is wanted of an image and its captions, best first.
    fn put(
        &mut self,
        path: &Path,
        photograph: Option<&Photograph>,
        found: &[Description],
    ) -> Result<bool> {
        let figure = match (&self.pictures, photograph) {
            (Some(to), Some(photograph)) => Some(self.draw(to, path, photograph, &found[0])?),
            _ => None,
        };
        let read_on = self.form.print(path, found, figure.as_deref())?;
        if let Err(reason) = self.sidecars.write(path, &found[0].caption()) {
            self.failed += 1;
            tracing::error!("{}: {reason}", line::exact(path));
        }
        Ok(read_on)
    }

    fn draw(
        &self,
        to: &Pictures,
        path: &Path,
        photograph: &Photograph,
        description: &Description,
    ) -> Result<PathBuf> {
        let name = line::exact(Path::new(path.file_name().unwrap_or_default()));
        let figure = Figure {
            photograph,
            title: &format!(
                "{name}    beam {}    log-probability {:.2}",
                self.args.beam, description.log_prob
            ),
            words: &description.words,
            alphas: &description.alphas,
            grid: description.grid,
            theme: match self.args.theme {
                Paper::Light => Theme::Light,
                Paper::Dark => Theme::Dark,
            },
        };
        let frames = match self.args.animate {
            true => figure.frames()?,
            false => vec![figure.draw()?],
        };
        to.write(path, &description.caption(), &frames)
    }

    fn fail(&mut self, path: &Path, reason: &str) -> Result<bool> {
        self.failed += 1;
        tracing::error!("{}: {reason}", line::exact(path));
        self.form.print_error(path, reason)
    }
}
