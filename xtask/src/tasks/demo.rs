//! `cargo xtask demo`: trains a small captioner from nothing, and shows what it does.

use super::print;
use crate::child;
use crate::config::{Choice, Config};
use crate::options::Options;
use crate::pipeline::Pipeline;
use crate::prepared::{Prepared, prepare};
use crate::time::seconds;
use crate::workspace::{Workspace, shown};
use attend_program::{At, Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// Number of captions that are shown.
const SHOWN: usize = 5;

/// Command line of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Args {
    /// Override a parameter of configs/demo.toml
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Make everything again
    #[arg(long)]
    force: bool,
    /// Delete output made with other parameters even if it took more than a minute to make
    #[arg(long)]
    discard: bool,
    /// Where to make the run's folder [default: artifacts/ of the checkout]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Number of threads of each stage [default: all cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// Draws scenes, trains on some of them, captions others, and shows the results.
pub fn run(workspace: &Workspace, args: Args) -> Result<()> {
    let options = Options {
        choice: Choice {
            config: Some(workspace.root.join("configs/demo.toml")),
            run: None,
        },
        set: args.set,
        force: args.force.then(|| vec![String::new()]),
        discard: args.discard,
        artifacts: args.artifacts,
        jobs: args.jobs,
        at_once: 4,
        ..Options::default()
    };
    let path = workspace.root.join("configs/demo.toml");
    let config = Config::read(&path, &options.set)?;
    let pipeline = Pipeline::load(workspace, &config.pipeline()?)?;
    let prepared = prepare(workspace, pipeline, &config, &["attend-caption"], &options)?;
    let started = Instant::now();
    // Quiet: `report` shows the scores that the stages print.
    prepared.run_all(&options, true)?;
    let shown_images = examples(&prepared.plan.run.folder)?;
    let pictures = prepared.plan.run.folder.join("attention");
    draw(&prepared, &shown_images, &pictures)?;
    report(&prepared.plan.run.folder, &shown_images, &pictures)?;
    print(format!("\ntook {} after the build", seconds(started)))
}

/// An image that the model was not trained on, and its caption.
struct Example {
    image: PathBuf,
    caption: String,
}

/// Examples, evenly spread over the evaluated split.
fn examples(run: &Path) -> Result<Vec<Example>> {
    let files = scene_files(&run.join("scenes"))?;
    let path = run.join("evaluation/results.json");
    let results = read(&path)?;
    let results = results
        .as_array()
        .ok_or_else(|| Error::internal(format!("{}: not a list", path.display())))?;
    let example = |result: &Value| {
        let image = files.get(&result.get("image_id")?.as_i64()?)?.clone();
        Some(Example {
            image,
            caption: result.get("caption")?.as_str()?.to_owned(),
        })
    };
    Ok(results
        .iter()
        .step_by(results.len().div_ceil(SHOWN).max(1))
        .filter_map(example)
        .collect())
}

/// Image id -> file, from the scenes' own list (Karpathy's format).
fn scene_files(scenes: &Path) -> Result<BTreeMap<i64, PathBuf>> {
    let list = read(&scenes.join("dataset_scenes.json"))?;
    let file = |image: &Value| {
        let id = image
            .get("cocoid")
            .or_else(|| image.get("imgid"))?
            .as_i64()?;
        let name = image.get("filename")?.as_str()?;
        let folder = image
            .get("filepath")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let places = [
            scenes.join(folder).join(name),
            scenes.join("images").join(name),
        ];
        Some((id, places.into_iter().find(|path| path.is_file())?))
    };
    Ok(list
        .get("images")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(file)
        .collect())
}

fn draw(prepared: &Prepared, examples: &[Example], pictures: &Path) -> Result<()> {
    if examples.is_empty() {
        return Ok(());
    }
    let mut command = prepared.programs.command(&["attend-caption".to_owned()])?;
    command
        .arg("--model")
        .arg(prepared.plan.run.folder.join("model"))
        .arg("--attention")
        .arg(pictures);
    child::run_ok(
        command
            .args(examples.iter().map(|example| &example.image))
            .stdout(Stdio::null()),
    )
}

fn report(run: &Path, examples: &[Example], pictures: &Path) -> Result<()> {
    let scores = read(&run.join("evaluation/scores.json"))?;
    print(format!(
        "\nBLEU-4 on {} scenes never seen",
        scores.get("images").unwrap_or(&Value::Null)
    ))?;
    for (beam, bleu) in scores
        .get("beams")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if let Some(bleu4) = bleu.get("bleu4").and_then(Value::as_f64) {
            print(format!("  beam {beam:<4}{:.2} %", 100.0 * bleu4))?;
        }
    }
    print("\ncaptions of some of them")?;
    for example in examples {
        print(format!("  {}  {}", shown(&example.image), example.caption))?;
    }
    print("\nwhere it looked, word by word")?;
    for example in examples {
        let stem = example.image.file_stem().unwrap_or_default();
        print(format!(
            "  {}",
            shown(&pictures.join(stem).with_extension("png"))
        ))?;
    }
    let share = |key: &str| scores.get("grounding")?.get(key)?.as_f64();
    match (share("inside"), share("chance"), share("ratio")) {
        (Some(inside), Some(chance), Some(ratio)) => print(format!(
            "\nattention inside the named object's box: {:.1} %, chance {:.1} %, {ratio:.1} times chance",
            100.0 * inside,
            100.0 * chance
        )),
        _ => print("\nattention inside the named object's box: no object was named"),
    }
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).at(path)?;
    serde_json::from_slice(&text).at(path)
}
