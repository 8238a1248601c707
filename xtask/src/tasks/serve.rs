//! `cargo xtask serve`: describes photographs over HTTP with a run's model.

use crate::tasks::caption::pass_on;
use crate::workspace::Workspace;
use attend_program::Result;
use std::ffi::OsString;

/// Command line of `cargo xtask serve`: that of `attend-serve`, and the choice of a run.
#[derive(clap::Args)]
#[command(override_usage = "cargo xtask serve [--run NAME | --model DIR] [OPTIONS]")]
pub struct Args {
    /// --run NAME or --config FILE: use the model of this run [default: the only run that
    /// has one]; --model DIR: use this model or checkpoint, or a run's; --artifacts DIR: folder of the runs;
    /// --listen ADDRESS:PORT; and every other option of attend-serve
    #[arg(
        value_name = "OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<OsString>,
}

/// Finds the model and starts `attend-serve` with it.
pub fn run(workspace: &Workspace, args: Args) -> Result<()> {
    pass_on(workspace, "attend-serve", args.arguments)
}
