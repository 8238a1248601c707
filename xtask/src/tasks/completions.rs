//! `cargo xtask completions`: prints a script that completes command lines in a shell. The
//! script asks this program for the words, so that they include names of pipelines, configs,
//! stages, runs and parameters.

use crate::help;
use crate::pipeline::Pipeline;
use crate::workspace::Workspace;
use attend_program::{Error, Result};
use clap::{Arg, Command};
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
    complete,
};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Command line of `cargo xtask completions`.
#[derive(clap::Args)]
pub struct Args {
    /// The shell; put `source <(cargo xtask completions bash)` into ~/.bashrc, the same with
    /// zsh into ~/.zshrc after compinit, or `cargo xtask completions fish | source` into
    /// ~/.config/fish/config.fish
    shell: Shell,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Command line of the hidden task that the scripts call.
#[derive(clap::Args)]
pub struct Words {
    /// The words after `cargo xtask`, up to the cursor
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Prints the script.
pub fn script(args: &Args) -> Result<()> {
    let program = std::env::current_exe().map_err(Error::internal)?;
    let program = format!("'{}'", program.display().to_string().replace('\'', "'\\''"));
    let text = match args.shell {
        Shell::Bash => include_str!("completions/complete.bash"),
        Shell::Zsh => include_str!("completions/complete.zsh"),
        Shell::Fish => include_str!("completions/complete.fish"),
    };
    let before = match help::name() {
        "attend" => "attend",
        _ => "cargo",
    };
    super::print(
        text.replace("PROGRAM", &program)
            .replace("COMMAND", before)
            .trim_end(),
    )
}

/// Prints the words that may stand at the cursor, each with a tab and what it means.
pub fn words(workspace: &Workspace, command: Command, args: &Words) -> Result<()> {
    let mut words = vec![OsString::from("xtask")];
    words.extend(args.words.iter().cloned());
    let at = words.len() - 1;
    let mut command = known(command, &workspace.root);
    let here = std::env::current_dir().ok();
    // Where nothing fits, nothing is printed.
    for candidate in complete(&mut command, words, at, here.as_deref()).unwrap_or_default() {
        if candidate.is_hide_set() {
            continue;
        }
        let help = candidate.get_help().map(ToString::to_string);
        let help = help.unwrap_or_default().replace('\n', " ");
        let value = candidate.get_value().to_string_lossy();
        super::print(format!("{value}\t{help}"))?;
    }
    Ok(())
}

/// The command line with what is known of the values of its arguments, by their names.
fn known(command: Command, root: &Path) -> Command {
    command.mut_subcommands(|task| {
        task.mut_args(|arg| {
            let root = root.to_owned();
            let names = arg.get_value_names().unwrap_or_default();
            match names.first().map(|name| name.as_str()) {
                Some("PIPELINE") => of(arg, move || names_in(&root.join("pipelines"))),
                Some("STAGE" | "STAGES") => of(arg, move || stages(&root)),
                Some("RUN") => of(arg, move || folders(&root.join("artifacts"))),
                Some("SECTION.KEY=VALUE" | "SECTION.KEY=VALUES") => of(arg, move || keys(&root)),
                _ if arg.get_id() == "config" => {
                    let configs = move |word: &OsStr| configs(&root, word);
                    arg.add(ArgValueCompleter::new(configs))
                }
                _ => arg,
            }
        })
    })
}

fn of(arg: Arg, values: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Arg {
    arg.add(ArgValueCandidates::new(move || {
        values().into_iter().map(CompletionCandidate::new).collect()
    }))
}

/// Files; before anything is typed, the configs of the checkout.
fn configs(root: &Path, word: &OsStr) -> Vec<CompletionCandidate> {
    let folder = root.join("configs");
    if !word.is_empty() {
        return PathCompleter::any().complete(word);
    }
    let here = std::env::current_dir().is_ok_and(|here| here == root);
    let folder = if here {
        PathBuf::from("configs")
    } else {
        folder
    };
    let names = names_in(&root.join("configs")).into_iter();
    let paths = names.map(|name| folder.join(name + ".toml"));
    paths.map(CompletionCandidate::new).collect()
}

fn stages(root: &Path) -> Vec<String> {
    let workspace = Workspace {
        root: root.to_owned(),
    };
    let mut stages: Vec<String> = Vec::new();
    for name in names_in(&root.join("pipelines")) {
        let pipeline = Pipeline::load(&workspace, &name);
        stages.extend(
            pipeline
                .into_iter()
                .flat_map(|p| p.stages)
                .map(|stage| stage.name),
        );
    }
    stages.sort();
    stages.dedup();
    stages
}

/// `section.key=`, from the page of all parameters.
fn keys(root: &Path) -> Vec<String> {
    let page = std::fs::read_to_string(root.join("docs/parameters.md")).unwrap_or_default();
    let mut section = "";
    let mut keys = Vec::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("## `[") {
            section = name.trim_end_matches("]`");
        } else if let Some((key, _)) = line.strip_prefix("| `").and_then(|row| row.split_once('`'))
        {
            keys.push(format!("{section}.{key}="));
        }
    }
    keys.dedup();
    keys
}

/// Names of the TOML files in a folder, without `.toml`.
fn names_in(folder: &Path) -> Vec<String> {
    let names = entries(folder).into_iter();
    let mut names: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix(".toml")?.to_owned()))
        .collect();
    names.sort();
    names
}

fn folders(folder: &Path) -> Vec<String> {
    let mut names = entries(folder);
    names.retain(|name| !name.starts_with('.') && folder.join(name).is_dir());
    names
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}
