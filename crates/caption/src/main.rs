//! `attend-caption`: captions any photographs, and draws the model's attention.
//!
//! It prints a line per image on standard output, `path<TAB>caption`, or a JSON object. An
//! image that can't be read is named on standard error; the others are still captioned, and
//! the program ends with exit code 3.

mod inputs;
mod line;
mod picture;
mod read;

use attend_artifact::model::Checkpoint;
use attend_describe::{Captioner, Description, EncoderCommand, Search};
use attend_figure::Figure;
use attend_image::{DecodeOptions, Photograph};
use attend_program::{Error, Result, check_interrupt, output, progress, signal};
use clap::Parser;
use inputs::Inputs;
use picture::Pictures;
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
/// Names an image that can't be described on standard error with the reason. Of a
/// folder, takes the files with image extensions, except hidden ones (.name). Reads
/// regular files only.
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
    /// Beam size of the search; 1 is greedy
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    beam: usize,
    #[command(flatten, next_help_heading = "Search")]
    search: Search,
    /// Draw a figure per image into this folder: the model's attention, word by word
    #[arg(long, value_name = "DIR")]
    attention: Option<PathBuf>,
    /// Print one JSON object per image
    #[arg(long)]
    json: bool,
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
    attend_program::program(|| caption(&args))
}

fn caption(args: &Args) -> Result<()> {
    if let Some(jobs) = args.jobs {
        attend_model::set_threads(jobs);
    }
    args.search.check()?;
    let captioner = load(args)?;
    args.search.options(&captioner.vocabulary, args.beam)?;
    let pictures = args.attention.as_deref().map(Pictures::into).transpose()?;
    let stdin = std::io::stdin().lock();
    let inputs = signal::waiting(|| Inputs::expand(&args.images, args.recursive, stdin))??;
    let mut run = Captioning {
        args,
        options: DecodeOptions {
            exif_orientation: args.exif_orientation,
            max_pixels: args.max_pixels,
            ..DecodeOptions::default()
        },
        captioner,
        pictures,
        described: 0,
        unread: 0,
    };
    for (path, reason) in &inputs.missing {
        run.cannot_read(path, reason);
    }
    // On a terminal, a bar would get mixed up with the captions.
    let bar = (!std::io::stdout().is_terminal())
        .then(|| progress("caption", "images", inputs.files.len() as u64));
    for batch in inputs.files.chunks(args.batch) {
        let read_on = run.batch(batch);
        if matches!(read_on, Err(Error::Interrupted)) {
            tracing::warn!(
                "{} of {} images are described; the same command starts over",
                run.described,
                inputs.files.len()
            );
        }
        if !read_on? {
            return Ok(());
        }
        if let Some(bar) = &bar {
            bar.inc(batch.len() as u64);
        }
    }
    if let Some(bar) = &bar {
        bar.finish();
    }
    run.captioner.end()?;
    match run.unread {
        0 => Ok(()),
        n => Err(Error::input(format!(
            "{n} of {} images could not be read (named above); the others are described",
            inputs.files.len() + inputs.missing.len()
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
    options: DecodeOptions,
    captioner: Captioner,
    pictures: Option<Pictures>,
    described: usize,
    unread: usize,
}

impl Captioning<'_> {
    /// Describes some images, prints the captions and draws figures. Returns false if
    /// standard output was closed.
    fn batch(&mut self, paths: &[PathBuf]) -> Result<bool> {
        let (mut images, mut prepared) = (Vec::new(), Vec::new());
        for path in paths {
            check_interrupt()?;
            match read::photograph(path, &self.options) {
                Ok(photograph) => {
                    prepared.push(self.captioner.prepare(&photograph));
                    // From here on, only a figure needs the photograph at full size.
                    images.push((path, self.pictures.is_some().then_some(photograph)));
                }
                Err(reason) => self.cannot_read(path, &reason),
            }
        }
        if images.is_empty() {
            return Ok(true);
        }
        let described = (self.captioner).describe(&prepared, &self.args.search, self.args.beam)?;
        for ((path, photograph), found) in images.iter().zip(&described) {
            let description = &found[0];
            let figure = match (&self.pictures, photograph) {
                (Some(to), Some(photograph)) => {
                    Some(self.draw(to, path, photograph, description)?)
                }
                _ => None,
            };
            let read_on = match self.args.json {
                true => output::print_json(line::object(path, found, figure.as_deref())),
                false => output::print(line::line(path, description)),
            };
            if !read_on? {
                return Ok(false);
            }
            self.described += 1;
        }
        Ok(true)
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
        };
        to.write(path, &description.caption(), &figure.draw()?)
    }

    fn cannot_read(&mut self, path: &Path, reason: &str) {
        self.unread += 1;
        tracing::error!("{}: {reason}", line::exact(path));
    }
}
