//! `cargo xtask conform`: puts a stage of any language through what ours promise.

use super::{print, print_json};
use crate::child;
use crate::conform::{Subject, Verdict, all, make, programs};
use crate::describe::describe;
use crate::parameters::effective;
use crate::programs::Programs;
use crate::workspace::Workspace;
use attend_program::config::{Config, sections};
use attend_program::describe::Description;
use attend_program::table::{Align, Table};
use attend_program::{At, Error, Result, say};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Command line of `cargo xtask conform`.
#[derive(clap::Args)]
pub struct Args {
    /// The stage: a program, with its first arguments if it has any
    #[arg(long, value_name = "COMMAND")]
    stage: String,
    /// Kind of artifact that it must make [default: what it says itself]
    #[arg(long)]
    kind: Option<String>,
    /// Artifact to read [default: small drawn ones, of the kinds that it needs]; without a
    /// path, a small one of this kind is made
    #[arg(long, value_name = "KIND[=PATH]")]
    input: Vec<String>,
    /// Config file with the stage's parameters
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override a parameter of the config
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Longest time that a run may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    limit: u64,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

/// A check's name, whether it is required, and what came of it.
type Tried = (String, bool, Verdict);

/// Tries the stage; fails if it lacks something that is required.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let words = words(&args.stage)?;
    let mut tried: Vec<Tried> = Vec::new();
    let _tidy = child::hold(); // until the scratch folder is gone
    let scratch = tempfile::Builder::new().prefix("attend-conform-").tempdir();
    let scratch = scratch.map_err(Error::internal)?;
    let tool = Programs::prepare(workspace, ["attend-verify"], None)?;
    let mut note = |name: &str, required: bool, verdict: Verdict| {
        if !args.json {
            say!("{} {name}", mark(required, &verdict));
        }
        tried.push((name.to_owned(), required, verdict));
    };
    match description(&tool, &words, args) {
        Err(why) => note(DESCRIBES, true, Verdict::Failed(why)),
        Ok((words, description)) => {
            note(DESCRIBES, true, Verdict::Passed);
            let ready = prepare(workspace, args, words, description, scratch.path())?;
            let other = |kind: &str| make(&ready.tools, scratch.path(), kind, 2, &ready.given);
            all(&ready.subject, &other, note)?;
        }
    }
    report(&tried, args.json)
}

const DESCRIBES: &str = "--describe says what it reads, makes and takes";

/// The words of a command, as a shell splits them; a path to a program is made absolute.
fn words(command: &str) -> Result<Vec<String>> {
    let words = shlex::split(command).filter(|words| !words.is_empty());
    let mut words = words.ok_or_else(|| {
        Error::usage(format!(
            "--stage {command:?}: not a command: check its quotes"
        ))
    })?;
    if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
        let path = std::path::absolute(&*program).at(Path::new(program))?;
        *program = path.to_string_lossy().into_owned();
    }
    Ok(words)
}

/// What the stage says of itself, and its command with the program's path.
fn description(
    tool: &Programs,
    words: &[String],
    args: &Args,
) -> std::result::Result<(Vec<String>, Description), String> {
    let command = tool.command(words).map_err(|e| e.to_string())?;
    let program = command.get_program().to_string_lossy().into_owned();
    let words = [&[program], words.get(1..).unwrap_or_default()].concat();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    let description = describe(command).map_err(|e| e.to_string())?;
    let kind = &description.output;
    if let Some((section, _)) = (description.parameters.iter()).find(|(_, keys)| !keys.is_object())
    {
        return Err(format!(
            "parameters.{section} must be a table of keys and their defaults"
        ));
    }
    match &args.kind {
        Some(wanted) if wanted != kind => Err(format!("it makes {kind}, not {wanted}")),
        _ if kind.is_empty() => Err("output, the kind of what it makes, is empty".to_owned()),
        _ => Ok((words, description)),
    }
}

/// The stage, ready to be tried.
struct Prepared {
    subject: Subject,
    /// Our own programs, which make inputs.
    tools: Programs,
    /// The inputs that the user gave.
    given: BTreeMap<String, PathBuf>,
}

/// Makes the inputs and the config.
fn prepare(
    workspace: &Workspace,
    args: &Args,
    words: Vec<String>,
    description: Description,
    scratch: &Path,
) -> Result<Prepared> {
    let mut given = BTreeMap::new();
    let needed = description.inputs.iter().filter(|input| input.required);
    let mut kinds: Vec<String> = needed.map(|input| input.kind.clone()).collect();
    for input in &args.input {
        match input.split_once('=') {
            Some((kind, path)) => {
                let path = std::path::absolute(path).at(Path::new(path))?;
                given.insert(kind.to_owned(), path);
                kinds.push(kind.to_owned());
            }
            None => kinds.push(input.clone()),
        }
    }
    let names = kinds.iter().flat_map(|kind| programs(kind));
    let tools = Programs::prepare(workspace, names.chain(["attend-verify"]), None)?;
    let mut inputs = BTreeMap::new();
    for kind in kinds {
        let folder = make(&tools, scratch, &kind, 1, &given)?;
        inputs.insert(kind, folder);
    }
    let config = scratch.join("config.toml");
    let values = Config::read(args.config.as_deref(), &args.set)?;
    let schema = sections(&description.parameters);
    let values = values.given(&schema, |_, _| Ok(()))?;
    let text = effective(&description.parameters, &values, &BTreeMap::new()).to_string();
    std::fs::write(&config, text).at(&config)?;
    let verify = tools.command(&["attend-verify".to_owned()])?;
    let subject = Subject {
        words,
        description,
        config,
        inputs,
        verify: verify.get_program().into(),
        scratch: scratch.to_owned(),
        limit: Duration::from_secs(args.limit),
    };
    Ok(Prepared {
        subject,
        tools,
        given,
    })
}

fn mark(required: bool, verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "ok     ",
        Verdict::Untried(_) => "-      ",
        Verdict::Failed(_) if required => "FAILED ",
        Verdict::Failed(_) => "lacks  ",
    }
}

/// Prints the results; the error counts what is required and lacking.
fn report(tried: &[Tried], json: bool) -> Result<()> {
    if json {
        let row = |(name, required, verdict): &Tried| {
            let (result, why) = match verdict {
                Verdict::Passed => ("passed", None),
                Verdict::Failed(why) => ("failed", Some(why)),
                Verdict::Untried(why) => ("untried", Some(why)),
            };
            json!({"check": name, "required": required, "result": result, "why": why})
        };
        let rows: Vec<_> = tried.iter().map(row).collect();
        print_json(serde_json::to_string_pretty(&rows).map_err(Error::internal)?)?;
    } else {
        let mut table = Table::new([Align::Left; 3]);
        table.row(["", "", "check"]);
        for (name, required, verdict) in tried {
            let level = if *required {
                "required"
            } else {
                "nice to have"
            };
            table.row([mark(*required, verdict).trim_end(), level, name]);
            if let Verdict::Failed(why) | Verdict::Untried(why) = verdict {
                table.row(["", "", &format!("  {why}")]);
            }
        }
        print(table)?;
    }
    let lacks = |wanted: bool| {
        let failed = tried.iter().filter(|(_, required, verdict)| {
            *required == wanted && matches!(verdict, Verdict::Failed(_))
        });
        failed.count()
    };
    match (lacks(true), lacks(false)) {
        (0, 0) => say!("it does all that it promises"),
        (0, nice) => say!("it does what is required, and lacks {nice} that is nice to have"),
        (required, _) => {
            return Err(Error::refused(format!(
                "it lacks {required} of what is required of a stage"
            )));
        }
    }
    Ok(())
}
