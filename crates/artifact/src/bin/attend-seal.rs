//! `attend-seal PATH --kind K --producer NAME --input KIND=PATH…`: writes the manifest of an
//! artifact whose files a program wrote without one.

use attend_artifact::manifest::short;
use attend_artifact::seal::seal;
use attend_artifact::staging::apart;
use attend_artifact::verify::KINDS;
use attend_artifact::{Artifact, Input, Manifest};
use attend_program::{Error, Result, config, output, program, text};
use clap::Parser;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write the manifest of an artifact: reads its files, and refuses what attend-verify would
#[derive(Parser)]
#[command(name = "attend-seal", version)]
struct Args {
    /// Folder of the files
    path: PathBuf,
    /// Kind of the artifact: dataset, vocabulary, features, model, evaluation or another word
    #[arg(long)]
    kind: String,
    /// Name of the program that wrote the files
    #[arg(long, value_name = "NAME")]
    producer: String,
    /// Its version
    #[arg(long, value_name = "VERSION", default_value = "")]
    producer_version: String,
    /// The parameters that shaped the files (TOML); all of it goes into the manifest
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What they were made from: an artifact of that kind, or a loose file
    #[arg(long, value_name = "KIND=PATH")]
    input: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    program(|| {
        let mut draft = Manifest::draft(&args.kind, &args.producer, &args.producer_version);
        if args.kind.is_empty() || args.producer.is_empty() {
            return Err(Error::usage("--kind and --producer must say something"));
        }
        if let Some(near) = config::slip(&args.kind, KINDS) {
            let kind = &args.kind;
            tracing::warn!(
                "--kind {kind} is a kind of your own, about which nothing is checked; did you mean {near}?"
            );
        }
        if let Some(path) = &args.config {
            draft.config = parameters(path)?;
        }
        let mut artifacts = Vec::new();
        for item in &args.input {
            let Some((kind, path)) = item.split_once('=') else {
                return Err(Error::usage(format!("--input {item}: expected KIND=PATH")));
            };
            let input = match Path::new(path).is_dir() {
                true => {
                    let artifact = Artifact::open_kind(path.as_ref(), kind)?;
                    let input = artifact.input();
                    artifacts.push(artifact);
                    input
                }
                false => Input::of_file(&format!("--input {kind}"), path.as_ref(), kind)?,
            };
            if draft.inputs.insert(kind.to_owned(), input).is_some() {
                return Err(Error::usage(format!("--input {kind} comes twice")));
            }
        }
        apart(&args.path, artifacts.iter().map(|input| &*input.root))?;
        let verdict = seal(&args.path, draft, &artifacts)?;
        let messages = verdict.findings.iter().map(|f| f.message(&args.path));
        let mut messages: Vec<String> = messages.collect();
        if let Some(last) = messages.pop() {
            messages
                .iter()
                .for_each(|message| tracing::error!("{message}"));
            return Err(Error::refused(last));
        }
        let [kind, digest] = verdict.identity();
        let path = args.path.display().to_string();
        output::print(format_args!(
            "{}: {kind} {}",
            text::escaped(&path),
            short(digest)
        ))?;
        Ok(())
    })
}

/// The parameters in a TOML file, as JSON.
fn parameters(path: &Path) -> Result<Value> {
    let (_, table) = config::read(path)?;
    let table = json(toml::Value::Table(table))
        .map_err(|why| Error::usage(format!("{}: {why}; write it as a text", path.display())))?;
    Ok(table)
}

fn json(value: toml::Value) -> Result<Value, String> {
    use toml::Value::{Array, Boolean, Datetime, Float, Integer, String, Table};
    Ok(match value {
        String(text) => text.into(),
        Integer(number) => number.into(),
        Float(number) if number.is_finite() => number.into(),
        Float(number) => return Err(format!("{number} is no number of JSON")),
        Boolean(flag) => flag.into(),
        Datetime(time) => return Err(format!("{time} is no value of JSON")),
        Array(list) => list
            .into_iter()
            .map(json)
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        Table(table) => {
            let pairs = table.into_iter();
            let pairs = pairs.map(|(key, value)| Ok((key, json(value)?)));
            Value::Object(pairs.collect::<Result<Map<_, _>, std::string::String>>()?)
        }
    })
}
