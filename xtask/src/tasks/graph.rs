//! `cargo xtask graph PIPELINE`: the stages of a pipeline and what they read.

use super::print;
use crate::pipeline::Pipeline;
use crate::workspace::Workspace;
use attend_program::Result;
use attend_program::table::Align::Left;
use attend_program::table::Table;
use std::fmt::Write;

/// Command line of `cargo xtask graph`.
#[derive(clap::Args)]
pub struct Args {
    /// Name of a file in pipelines/, without .toml, or a path that ends in .toml
    #[arg(default_value = "captioning")]
    pipeline: String,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    /// A table
    Text,
    /// A flowchart for Markdown pages
    Mermaid,
    /// For Graphviz
    Dot,
}

/// Prints the graph.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let pipeline = Pipeline::load(workspace, &args.pipeline)?;
    match args.format {
        Form::Text => print(table(&pipeline)),
        Form::Mermaid => print(mermaid(&pipeline).trim_end()),
        Form::Dot => print(dot(&pipeline).trim_end()),
    }
}

fn table(pipeline: &Pipeline) -> Table {
    let mut table = Table::new([Left, Left, Left, Left]);
    table.row(["stage", "reads", "makes", "program"]);
    for stage in &pipeline.stages {
        let reads: Vec<&str> = stage.inputs.values().map(String::as_str).collect();
        table.row([
            stage.name.clone(),
            reads.join(", "),
            stage.output.clone(),
            stage.command.join(" "),
        ]);
    }
    table
}

/// The edges: the stage that makes an input, the input, and the stage that reads it.
fn edges(pipeline: &Pipeline) -> Vec<(&str, &str, &str)> {
    let stages = &pipeline.stages;
    let maker = |folder: &str| stages.iter().find(|stage| stage.output == folder);
    let edges = stages.iter().flat_map(|stage| {
        let inputs = stage.inputs.values();
        inputs
            .filter_map(move |folder| Some((&*maker(folder)?.name, folder.as_str(), &*stage.name)))
    });
    edges.collect()
}

fn mermaid(pipeline: &Pipeline) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for stage in &pipeline.stages {
        let _ = writeln!(text, "    {0}[\"{0}\"]", stage.name);
    }
    for (from, folder, to) in edges(pipeline) {
        let _ = writeln!(text, "    {from} -- {folder} --> {to}");
    }
    text
}

fn dot(pipeline: &Pipeline) -> String {
    let mut text = "digraph pipeline {\n    rankdir = LR;\n    node [shape = box];\n".to_owned();
    for stage in &pipeline.stages {
        let _ = writeln!(text, "    \"{}\";", stage.name);
    }
    for (from, folder, to) in edges(pipeline) {
        let _ = writeln!(text, "    \"{from}\" -> \"{to}\" [label = \"{folder}\"];");
    }
    text + "}\n"
}
