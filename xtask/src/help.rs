//! The command line as help shows it: the tasks under headings.

use clap::builder::StyledStr;
use clap::{Command, CommandFactory};
use std::fmt::Write;

/// The tasks, in the order in which a newcomer meets them. A task of none of these groups
/// stands in a last one.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "Make",
        &[
            "demo",
            "fetch",
            "init",
            "run",
            "sweep",
            "preprocess",
            "train",
            "evaluate",
            "caption",
            "serve",
        ],
    ),
    (
        "Look at runs",
        &[
            "status", "graph", "report", "worst", "compare", "diff", "stats", "verify",
        ],
    ),
    (
        "Keep, share and extend",
        &["lock", "clean", "gc", "seal", "conform", "dist", "wheel"],
    ),
    (
        "Set up and develop",
        &[
            "setup",
            "doctor",
            "completions",
            "parameters",
            "test",
            "bench",
        ],
    ),
];

/// Headings of the many options of tasks that run stages.
const OPTIONS: [(&str, &[&str]); 2] = [
    (
        "Which stages",
        &[
            "from",
            "to",
            "only",
            "force",
            "shards",
            "task",
            "finalize",
            "dry_run",
            "keep_going",
        ],
    ),
    (
        "Where",
        &[
            "artifacts",
            "jobs",
            "at_once",
            "executor",
            "emit",
            "profile",
        ],
    ),
];

/// The tasks that work in a checkout only.
pub const OF_CHECKOUT: [&str; 5] = ["dist", "doctor", "parameters", "test", "bench"];

/// How the user calls this program.
pub fn name() -> &'static str {
    let program = std::env::args_os().next().unwrap_or_default();
    match std::path::Path::new(&program).file_name() {
        Some(name) if name == "attend" => "attend",
        _ => "cargo xtask",
    }
}

/// The command line, with its tasks under headings.
pub fn command<C: CommandFactory>() -> Command {
    let mut command = C::command().name(name()).bin_name(name());
    if name() == "attend" {
        for task in OF_CHECKOUT {
            command = command.mut_subcommand(task, |task| task.hide(true));
        }
    }
    command = command.mut_subcommands(|task| {
        let runs_stages = task.get_arguments().any(|arg| arg.get_id() == "only");
        task.mut_args(|arg| match heading(arg.get_id().as_str()) {
            Some(heading) if runs_stages => arg.help_heading(heading),
            _ => arg,
        })
    });
    let groups = groups(&command);
    let template = "{about}\n\n{usage-heading} {usage}{after-help}\n";
    command
        .help_template(template)
        .after_help(groups)
        .override_usage(format!("{} TASK [OPTIONS]", name()))
}

fn heading(option: &str) -> Option<&'static str> {
    let mut headings = OPTIONS.iter();
    let found = headings.find(|(_, options)| options.contains(&option));
    found.map(|(heading, _)| *heading)
}

fn groups(command: &Command) -> StyledStr {
    let style = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let tasks: Vec<&Command> = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .collect();
    let width = tasks.iter().map(|task| task.get_name().len()).max();
    let width = width.unwrap_or(0);
    let find = |name: &str| tasks.iter().copied().find(|task| task.get_name() == name);
    let mut groups: Vec<(&str, Vec<&Command>)> = (GROUPS.iter())
        .map(|(heading, names)| {
            (
                *heading,
                names.iter().filter_map(|name| find(name)).collect(),
            )
        })
        .collect();
    groups.push(("More", others(&tasks)));
    let mut text = String::new();
    for (heading, tasks) in groups.iter().filter(|(_, tasks)| !tasks.is_empty()) {
        let _ = writeln!(text, "{style}{heading}:{style:#}");
        for task in tasks {
            let about = task.get_about().map(ToString::to_string);
            let (name, about) = (task.get_name(), about.unwrap_or_default());
            let _ = writeln!(text, "  {literal}{name:width$}{literal:#}  {about}");
        }
        text.push('\n');
    }
    let _ = write!(text, "`{} TASK --help` explains a task.", self::name());
    text.into()
}

fn others<'a>(tasks: &[&'a Command]) -> Vec<&'a Command> {
    let listed = |task: &&&Command| {
        let mut names = GROUPS.iter().flat_map(|(_, names)| names.iter());
        names.any(|name| *name == task.get_name())
    };
    tasks.iter().filter(|task| !listed(task)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;

    #[test]
    fn every_task_has_its_place_under_a_heading() {
        let command = Cli::command();
        let tasks: Vec<&Command> = command.get_subcommands().collect();
        let visible: Vec<&Command> = tasks.into_iter().filter(|c| !c.is_hide_set()).collect();
        let others: Vec<&str> = others(&visible)
            .iter()
            .map(|task| task.get_name())
            .collect();
        assert_eq!(others, [""; 0]);
    }

    #[test]
    fn help_fits_eighty_columns() {
        let mut command = command::<Cli>().term_width(80);
        let mut texts = vec![command.render_help().to_string()];
        for task in command.get_subcommands_mut() {
            texts.push(task.clone().term_width(80).render_help().to_string());
        }
        for line in texts.iter().flat_map(|text| text.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
