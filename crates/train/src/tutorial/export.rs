//! `attend-train export --tutorial`: writes a model as a checkpoint of the tutorial.

use super::{IMAGE_SIZE, modules, wordmap};
use attend_artifact::model::{Checkpoint, DecoderArch, ModelCard};
use attend_model::{pickled, weights};
use attend_program::{At, Error, Result, whole};
use clap::Parser;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a model as the checkpoint and the word map that the scripts of the PyTorch tutorial
/// on captioning (sgrvinod's) read
///
/// The checkpoint holds whole modules: load it with weights_only=False, where the tutorial's
/// models.py is. It has new optimizers without moments, for train.py to go on with. The
/// encoder must be a ResNet; every version of PyTorch reads the file.
#[derive(Parser)]
#[command(name = "attend-train export", version)]
pub struct Args {
    /// Folder of a model artifact, or of a checkpoint
    #[arg(long, value_name = "MODEL")]
    tutorial: PathBuf,
    /// Checkpoint of the model artifact
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    checkpoint: String,
    /// The file to write, BEST_checkpoint_NAME.pth.tar
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// The word map to write [default: WORDMAP_NAME.json beside FILE]
    #[arg(long, value_name = "FILE")]
    wordmap: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// Writes both files.
///
/// # Errors
/// [`Error::Input`] if there is no model, [`Error::Refused`] if the tutorial has no such
/// model, [`Error::Usage`] if a file exists already.
pub fn export(args: &Args) -> Result<()> {
    let checkpoint = Checkpoint::find(&args.tutorial, &args.checkpoint)?;
    let checkpoint = checkpoint.ok_or_else(|| {
        Error::input(format!(
            "{}: neither a run, a model artifact nor a checkpoint folder",
            args.tutorial.display()
        ))
    })?;
    checkpoint.check()?;
    let wordmap = match &args.wordmap {
        Some(path) => path.clone(),
        None => beside(&args.output),
    };
    for path in [&args.output, &wordmap] {
        if path.exists() && !args.force {
            return Err(Error::usage(format!(
                "{}: exists already; name another file, or give --force",
                path.display()
            )));
        }
    }
    let refused = |why: String| Error::refused(format!("{}: {why}", checkpoint.folder.display()));
    let card = &checkpoint.card;
    if card.decoder.arch != DecoderArch::AttentionLstm {
        return Err(refused(format!(
            "its decoder is {}; the tutorial's is attention-lstm",
            card.decoder.arch
        )));
    }
    let grid = grid(card).map_err(refused)?;
    let (Some(resnet), Some(encoder)) = (card.encoder.resnet(), checkpoint.encoder()) else {
        return Err(refused(format!(
            "its encoder is {}; the tutorial's is a ResNet",
            card.encoder
        )));
    };
    if card.image_size != [IMAGE_SIZE; 2] {
        tracing::warn!(
            "trained on images of {} x {}; the tutorial's scripts make images of {IMAGE_SIZE} x {IMAGE_SIZE}",
            card.image_size[0],
            card.image_size[1]
        );
    }
    let words = checkpoint.vocabulary()?;
    let read = |path: &Path| weights::read(path).map_err(Error::refused);
    let decoder = modules::Weights(read(&checkpoint.decoder())?);
    let encoder = modules::Weights(read(&encoder)?);
    let value = modules::checkpoint(card, resnet, grid, &encoder, &decoder).map_err(refused)?;
    whole::write(&args.output, |file| {
        let mut out = BufWriter::new(file);
        pickled::write(&mut out, &value)
            .and_then(|()| out.flush())
            .at(&args.output)
    })?;
    whole::write_bytes(&wordmap, wordmap::json(&words)?)
}

/// Side of the grid to which the tutorial's encoder pools its cells.
fn grid(card: &ModelCard) -> Result<i64, String> {
    let grid = match card.decoder.grid {
        [0, 0] => card.encoder.grid(card.image_size),
        grid => grid,
    };
    match grid {
        [height, width] if height == width => Ok(height),
        [height, width] => Err(format!(
            "its grid is {height} x {width}; the tutorial's is square"
        )),
    }
}

/// The word map's path for this checkpoint, as the tutorial names both.
fn beside(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let name = name
        .trim_end_matches(".pth.tar")
        .trim_start_matches("BEST_");
    let name = name.trim_start_matches("checkpoint_");
    output.with_file_name(format!("WORDMAP_{name}.json"))
}
