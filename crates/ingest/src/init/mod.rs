//! `attend-ingest init`: looks at a data set, says what it is, and writes a config for it.
//!
//! - `ways`: the ways to read a folder or file; `tutorial`: the PyTorch tutorial's files,
//!   which `attend-hdf5` reads.
//! - `survey`: reads the annotations as the stage does, and counts; `photographs`: finds the
//!   photographs, and their usual size; `splits`: what to do about other splits than train,
//!   val and test.
//! - `nothing`: says what is there instead of a data set.
//! - `encoder`: recognises a file of weights. `config`: the config's text.

mod config;
mod encoder;
mod nothing;
mod photographs;
mod splits;
mod survey;
mod tutorial;
mod ways;

use attend_program::{At, Error, Result, output, whole};
use clap::Parser;
use encoder::Encoder;
use std::io::Write;
use std::path::{Path, PathBuf, absolute};
use survey::Survey;

/// Looks at a data set, says what it is, and writes a config for it.
#[derive(Debug, Parser)]
#[command(name = "attend-ingest init", version)]
pub struct Args {
    /// Folder or file of the data set
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Folder or archive of the photographs, if they are elsewhere
    #[arg(long, value_name = "PATH")]
    photographs: Option<PathBuf>,
    /// Which reading to take if several are possible
    #[arg(long = "as", value_name = "FORMAT")]
    format: Option<String>,
    /// File of the encoder's weights, or a TorchScript module [default: torchvision's
    /// ResNet-101, which `cargo xtask fetch` brings]
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Name of the run [default: that of the folder or file]
    #[arg(long)]
    name: Option<String>,
    /// The config to write, or a folder for NAME.toml
    #[arg(long, value_name = "FILE|DIR", default_value = "configs")]
    output: PathBuf,
    /// Replace an existing config
    #[arg(long)]
    force: bool,
}

/// Runs `attend-ingest init`. Prints what the data set is, and writes the config.
///
/// # Errors
/// [`Error::Input`] if there is no data set, [`Error::Usage`] if there are several readings,
/// which the message lists, or if the config exists.
pub fn init(args: &Args) -> Result<()> {
    let data = &args.data;
    if !data.exists() {
        let hint = crate::archive::hint_beside(data);
        let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        return Err(Error::input(format!(
            "{}: no such file or folder (--data){hint}",
            data.display()
        )));
    }
    let data = absolute(data).at(data)?;
    let name = name(args.name.as_deref(), &data)?;
    let path = match args.output.extension().is_some_and(|end| end == "toml") {
        true => args.output.clone(),
        false => args.output.join(format!("{name}.toml")),
    };
    let exists = || {
        let path = path.display();
        Error::usage(format!(
            "{path}: exists already; --force replaces it, --name takes another name"
        ))
    };
    if path.symlink_metadata().is_ok() && !args.force {
        return Err(exists());
    }
    let encoder = match &args.weights {
        Some(file) => encoder::recognise(file)?,
        None => Encoder::default(),
    };
    let survey = chosen(args, &data)?;
    output::print(format!("{}: {}", data.display(), survey.description()))?;
    let text = config::text(&name, &path, &survey, &encoder);
    let write = |file: &mut std::fs::File| file.write_all(text.as_bytes()).at(&path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).at(folder)?;
    }
    match args.force {
        true => whole::write(&path, write)?,
        false => match whole::write_new(&path, write)? {
            true => (),
            false => return Err(exists()),
        },
    }
    let first = encoder.first_step();
    output::print(format!(
        "wrote {}; next:\n{first}  {}",
        path.display(),
        config::command(&path)
    ))?;
    Ok(())
}

/// The one way to read the data set, or the one that `--as` names.
fn chosen(args: &Args, data: &Path) -> Result<Survey> {
    let mut ways = ways::find(data)?;
    if ways.is_empty() {
        return Err(nothing::explain(data));
    }
    if let Some(wanted) = &args.format {
        let labels: Vec<String> = ways.iter().map(|way| way.label.clone()).collect();
        // With the photographs' folder behind it, a label is more than a way's.
        ways.retain(|way| {
            [way.format, &way.label].contains(&wanted.as_str())
                || wanted.starts_with(&format!("{}:", way.label))
        });
        if ways.is_empty() {
            return Err(Error::usage(format!(
                "--as {wanted}: {} can be read as {}",
                data.display(),
                labels.join(", ")
            )));
        }
    }
    let mut surveys = Vec::new();
    for (index, way) in ways.iter().enumerate() {
        let is_last = index + 1 == ways.len();
        match survey::take(way, args.photographs.as_deref()) {
            Ok(all) => surveys.extend(all),
            Err(why @ Error::Input(_)) if !(is_last && surveys.is_empty()) => {
                tracing::warn!("left aside: {}, because of {why}", way.reading.what);
            }
            Err(why) => return Err(why),
        }
    }
    if let Some(wanted) = &args.format
        && surveys.iter().any(|survey| survey.label == *wanted)
    {
        surveys.retain(|survey| survey.label == *wanted);
    }
    let (mut usable, bare): (Vec<_>, Vec<_>) = surveys
        .into_iter()
        .partition(|survey| survey.missing < survey.images());
    match usable.len() {
        1 => {
            for other in bare {
                tracing::info!("left aside: {}, whose photographs are not here", other.what);
            }
            Ok(usable.remove(0))
        }
        0 => Err(without_photographs(data, &bare)),
        _ => Err(several(data, &usable)),
    }
}

fn without_photographs(data: &Path, bare: &[Survey]) -> Error {
    let what: Vec<&str> = bare.iter().map(|survey| survey.what.as_str()).collect();
    let what = what.join("; ");
    let first = bare.iter().find_map(|survey| survey.first.as_deref());
    let first = first.map_or_else(String::new, |name| format!(", such as {name},"));
    Error::input(format!(
        "{}: {what}, but the photographs{first} are not there; put them into this folder, or name their folder or archive with --photographs",
        data.display()
    ))
}

fn several(data: &Path, surveys: &[Survey]) -> Error {
    let lines = surveys.iter().map(|survey| {
        let (label, what) = (&survey.label, survey.description());
        format!("\n--as {label}: {what}")
    });
    Error::usage(format!(
        "{} can be read in {} ways; choose one:{}",
        data.display(),
        surveys.len(),
        lines.collect::<String>()
    ))
}

/// The run's name: letters, digits, `-` and `_`.
fn name(given: Option<&str>, data: &Path) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if let Some(name) = given {
        return match !name.is_empty() && name.chars().all(plain) {
            true => Ok(name.to_owned()),
            false => Err(Error::usage(format!(
                "--name {name:?}: use letters, digits, - and _"
            ))),
        };
    }
    let stem = match data.is_dir() {
        true => data.file_name(),
        false => data.file_stem(),
    };
    let stem = stem.unwrap_or_default().to_string_lossy();
    let name: String = stem
        .chars()
        .map(|c| {
            if plain(c) {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_matches('-');
    Ok(match name.is_empty() {
        true => "data".to_owned(),
        false => name.to_owned(),
    })
}
