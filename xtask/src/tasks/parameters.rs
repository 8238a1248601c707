//! `cargo xtask parameters`: writes `docs/parameters.md`, every key of every config.

use crate::describe::describe;
use crate::meanings::{Meaning, Sources};
use crate::pipeline::Pipeline;
use crate::programs::Programs;
use crate::workspace::{Workspace, shown};
use attend_program::config::sections;
use attend_program::describe::Description;
use attend_program::{At, Error, Result, whole};
use serde_json::Value as Json;

/// Command line of `cargo xtask parameters`.
#[derive(clap::Args)]
pub struct Args {
    /// Fail if the page is out of date, and write nothing
    #[arg(long)]
    check: bool,
}

const HEAD: &str = "\
<!-- `cargo xtask parameters` writes this page from the stages' --describe and their sources. -->

# Parameters

Every key that a config may have. `--set section.key=value` on the command line overrides a
config's value. `${NAME}` in a value is a variable of the environment.

*Recorded* says whether the key shapes the artifact: a recorded key stands in the artifact's
manifest, and the stage makes its output again if the value is another. A section that a
pipeline's `sections` lays over another, such as `[fine-tune]` over `[train]`, takes the same
keys as that one.

## `[run]`

| key | takes | default | read by | meaning |
|---|---|---|---|---|
| `name` | a string | the config's file name | the runner | Name of the run: its folder below `artifacts/`. |
| `pipeline` | a string | `\"captioning\"` | the runner | The pipeline, a file in `pipelines/` without `.toml`, or a path that ends in `.toml`. |
";

/// Key, what it takes, default, recorded, meaning.
type Cells = [String; 5];

/// A row of the page.
struct Row {
    cells: Cells,
    programs: Vec<String>,
}

/// The sections, in the order in which a pipeline reads them, with their keys; each key has
/// a row for each meaning that it has.
#[derive(Default)]
struct Page(Named<Named<Vec<Row>>>);

/// Things with names, in an order.
type Named<T> = Vec<(String, T)>;

/// Writes the page, or checks that it is up to date.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let sources = Sources::read(&workspace.root.join("crates"))?;
    let stages = stages(workspace)?;
    let mut page = Page::default();
    for (command, description) in &stages {
        page.add(&sources, command, description)?;
    }
    let text = page.text();
    let path = workspace.root.join("docs/parameters.md");
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return super::print(format!("{} is up to date", shown(&path)));
    }
    if args.check {
        return Err(Error::internal(format!(
            "{} is out of date; `cargo xtask parameters` writes it",
            shown(&path)
        )));
    }
    whole::write_bytes(&path, &text)?;
    super::print(format!("wrote {}", shown(&path)))
}

/// Our own stages in all pipelines, each once, with its command.
fn stages(workspace: &Workspace) -> Result<Vec<(Vec<String>, Description)>> {
    let folder = workspace.root.join("pipelines");
    let mut files: Vec<_> = folder.read_dir().at(&folder)?.flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut commands: Vec<Vec<String>> = Vec::new();
    for file in files {
        for stage in Pipeline::load(workspace, &file.path().to_string_lossy())?.stages {
            let ours = stage.command.first().is_some_and(|p| p.starts_with(OURS));
            if ours && !commands.contains(&stage.command) {
                commands.push(stage.command);
            }
        }
    }
    let names = commands.iter().filter_map(|command| command.first());
    let programs = Programs::prepare(workspace, names.map(String::as_str), None)?;
    let described = commands.into_iter().map(|command| {
        let description = describe(programs.command(&command)?)?;
        Ok((command, description))
    });
    described.collect()
}

/// How the names of our programs begin; the rest is the name of the crate.
const OURS: &str = "attend-";

impl Page {
    fn add(&mut self, sources: &Sources, command: &[String], stage: &Description) -> Result<()> {
        let program = command.join(" ");
        let crate_name = command.first().map_or("", |word| &word[OURS.len()..]);
        let known = sections(&stage.parameters);
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let mut meanings = sources.parameters(crate_name, &names)?;
        for (section, keys) in &stage.parameters {
            let mut of_section = meanings.remove(section).unwrap_or_default();
            let keys = keys.as_object().into_iter().flatten();
            for (key, default) in keys {
                let meaning = of_section.remove(key).ok_or_else(|| {
                    Error::internal(format!(
                        "{program}: {section}.{key} is in --describe, but not in crates/{crate_name}"
                    ))
                })?;
                let cells = cells(stage, section, key, default, meaning);
                self.insert(section, key, cells, &program);
            }
            if let Some((key, _)) = of_section.pop_first() {
                return Err(Error::internal(format!(
                    "{program}: {section}.{key} is in crates/{crate_name}, but not in --describe"
                )));
            }
        }
        Ok(())
    }

    fn insert(&mut self, section: &str, key: &str, cells: Cells, program: &str) {
        let keys = entry(&mut self.0, section);
        let rows = entry(keys, key);
        match rows.iter_mut().find(|row| row.cells == cells) {
            Some(row) => row.programs.push(program.to_owned()),
            None => rows.push(Row {
                cells,
                programs: vec![program.to_owned()],
            }),
        }
    }

    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (section, keys) in &self.0 {
            text += &format!("\n## `[{section}]`\n\n");
            text += "| key | takes | default | recorded | read by | meaning |\n";
            text += "|---|---|---|---|---|---|\n";
            for row in keys.iter().flat_map(|(_, rows)| rows) {
                let [key, takes, default, recorded, meaning] = &row.cells;
                let programs = format!("`{}`", row.programs.join("`, `"));
                let cells = [key, takes, default, recorded, &programs, meaning];
                let cells = cells.map(|cell| cell.replace('|', "\\|"));
                text += &format!("| {} |\n", cells.join(" | "));
            }
        }
        text
    }
}

/// The thing of this name; a new one at the end if there is none.
fn entry<'a, T: Default>(things: &'a mut Named<T>, name: &str) -> &'a mut T {
    let at = things.iter().position(|(other, _)| other == name);
    let at = at.unwrap_or(things.len());
    if at == things.len() {
        things.push((name.to_owned(), T::default()));
    }
    &mut things[at].1
}

fn cells(stage: &Description, section: &str, key: &str, default: &Json, meaning: Meaning) -> Cells {
    let name = format!("{section}.{key}");
    let unrecorded = stage.unrecorded.iter().find_map(|entry| {
        let rest = entry.strip_prefix(&name)?;
        (rest.is_empty() || rest.starts_with('=')).then_some(rest)
    });
    let recorded = match unrecorded {
        None => "yes".to_owned(),
        Some("") => "no".to_owned(),
        Some(value) => format!("unless `{}`", value.trim_start_matches('=')),
    };
    let default = match toml::Value::try_from(default) {
        Ok(value) => format!("`{value}`"),
        Err(_) => "none".to_owned(), // TOML has no null
    };
    [
        format!("`{key}`"),
        meaning.takes,
        default,
        recorded,
        meaning.text,
    ]
}
