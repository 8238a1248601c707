//! `attend-scenes`: draws the demo's data set in the layout of COCO: pictures, captions with
//! splits in Karpathy's format, and boxes in COCO's.

mod annotations;
mod draw;
mod random;
mod scene;

use crate::random::Random;
use crate::scene::{Entry, Scene};
use attend_artifact::{Stage, StageSpec, stage};
use attend_program::describe::Parts;
use attend_program::{At, Error, Result, check_interrupt, progress};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;

const SPEC: StageSpec = StageSpec {
    name: "attend-scenes",
    version: env!("CARGO_PKG_VERSION"),
    about: "Draws scenes of coloured shapes, with captions and boxes",
    inputs: &[],
    output: "scenes",
    parts: Parts::Whole,
    unrecorded: &[],
    paths: &[],
    extends: false,
};

/// The section of the config that this stage reads.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Config {
    scenes: Scenes,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Scenes {
    /// Seed: every byte of the output is a function of it and the other parameters.
    seed: u64,
    /// Scenes in the train split.
    train: usize,
    /// Scenes in the val split.
    val: usize,
    /// Scenes in the test split.
    test: usize,
    /// Side of a picture in pixels.
    image_size: usize,
}

impl Default for Scenes {
    fn default() -> Self {
        Scenes {
            seed: 1,
            train: 3000,
            val: 200,
            test: 400,
            image_size: 64,
        }
    }
}

fn main() -> ExitCode {
    stage::main(&SPEC, stage::nothing, scenes)
}

fn scenes(stage: &Stage<Config>) -> Result<()> {
    let config = &stage.config.scenes;
    if !(16..=4096).contains(&config.image_size) {
        return Err(Error::usage(format!(
            "scenes.image_size = {} must be between 16 and 4096",
            config.image_size
        )));
    }
    let Some(staging) = stage.begin(&[])? else {
        return Ok(());
    };
    let entries = entries(config)?;
    let bar = progress("scenes", "pictures", entries.len() as u64);
    let mut names = Vec::new();
    for entry in &entries {
        check_interrupt()?;
        let name = format!("images/{}", entry.file_name());
        if !staging.is_done(&name) {
            let pixels = draw::draw(
                &entry.scene,
                config.image_size,
                &mut Random::new(&[config.seed, 1, entry.id]),
            );
            write_png(&staging.path(&name)?, &pixels, config.image_size)?;
            names.push(name);
        }
        bar.inc(1);
        if names.len() == 1024 {
            staging.done_all(&std::mem::take(&mut names))?;
        }
    }
    bar.finish();
    staging.done_all(&names)?;
    annotations::write(&staging, &entries, config.image_size)?;
    staging.commit(&[
        ("train", config.train as u64),
        ("val", config.val as u64),
        ("test", config.test as u64),
    ])?;
    Ok(())
}

/// Scenes of all splits. No scene of val or test has the same content as a scene of
/// another split.
fn entries(config: &Scenes) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    let mut random = Random::new(&[config.seed, 0]);
    for (split, count) in [
        ("test", config.test),
        ("val", config.val),
        ("train", config.train),
    ] {
        let mut here = Vec::new();
        let mut tries = 0;
        while here.len() < count {
            tries += 1;
            if tries > 100 * (count + 100) {
                return Err(Error::usage(format!(
                    "scenes.{split} = {count}: too many; there are not that many scenes that differ from those of the other splits"
                )));
            }
            let scene = Scene::random(&mut random);
            if !seen.contains(&scene.content()) {
                here.push(scene);
            }
        }
        seen.extend(here.iter().map(Scene::content));
        for scene in here {
            entries.push(Entry {
                id: entries.len() as u64 + 1,
                split,
                scene,
            });
        }
    }
    Ok(entries)
}

fn write_png(path: &Path, pixels: &[u8], size: usize) -> Result<()> {
    let side = u32::try_from(size).map_err(Error::internal)?;
    image::save_buffer(path, pixels, side, side, image::ExtendedColorType::Rgb8).at(path)
}

#[cfg(test)]
mod tests;
