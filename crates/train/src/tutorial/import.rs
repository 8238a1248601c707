//! `attend-train import --tutorial`: makes a model artifact of a checkpoint of the tutorial.

use super::{IMAGE_SIZE, PARTS, encoder, wordmap};
use attend_artifact::model::{
    self, Checkpoint, DECODER, DecoderArch, DecoderConfig, ENCODER, EncoderConfig, ModelCard,
    ResNetConfig, WORDS,
};
use attend_artifact::staging::apart;
use attend_artifact::vocabulary::Vocabulary;
use attend_artifact::{Input, Manifest, Staging, digest_file};
use attend_model::pickled::{Object, Saved};
use attend_model::weights::{self, StateDict};
use attend_model::{decoder, encoder as encoders};
use attend_program::{At, Error, Result};
use clap::Parser;
use std::path::{Path, PathBuf};
use tch::{Device, nn};

/// Makes a model artifact of a checkpoint that train.py of the PyTorch tutorial on captioning
/// (sgrvinod's) wrote
///
/// Reads the pickled modules without executing them. The encoder must be one of torchvision's
/// ResNets. Words keep their ids.
#[derive(Parser)]
#[command(name = "attend-train import", version)]
pub struct Args {
    /// The checkpoint, BEST_checkpoint_….pth.tar
    #[arg(long, value_name = "FILE")]
    tutorial: PathBuf,
    /// Its word map, WORDMAP_….json
    #[arg(long, value_name = "FILE")]
    wordmap: PathBuf,
    /// Where to put the model artifact
    #[arg(long)]
    output: PathBuf,
    /// Delete an existing model even if it took more than a minute to make
    #[arg(long)]
    discard: bool,
}

/// The parts of a checkpoint.
struct Tutorial {
    resnet: ResNetConfig,
    decoder: DecoderConfig,
    encoder_weights: StateDict,
    decoder_weights: StateDict,
    /// Finished epochs.
    epochs: u64,
}

/// Writes the model artifact, with the checkpoint as its `checkpoints/best`.
///
/// # Errors
/// [`Error::Input`] naming the file that is damaged or is no checkpoint of the tutorial, and
/// what it is.
pub fn import(args: &Args) -> Result<()> {
    let inputs = [
        ("checkpoint", "--tutorial", &args.tutorial),
        ("wordmap", "--wordmap", &args.wordmap),
    ];
    apart(&args.output, inputs.map(|(.., path)| path.as_path()))?;
    let mut draft = Manifest::draft("model", "attend-train", env!("CARGO_PKG_VERSION"));
    for (name, parameter, path) in inputs {
        let input = Input::of_file(parameter, path, name)?;
        draft.inputs.insert(name.to_owned(), input);
    }
    let words = wordmap::read(&args.wordmap)?;
    let wrong = |why: String| Error::input(format!("{}: {why}", args.tutorial.display()));
    let tutorial = Tutorial::read(&args.tutorial).map_err(wrong)?;
    if tutorial.decoder.vocabulary != words.len() as i64 {
        return Err(wrong(format!(
            "its decoder has {} words, but {} has {}; it was trained with another word map",
            tutorial.decoder.vocabulary,
            args.wordmap.display(),
            words.len()
        )));
    }
    let staging = Staging::open_with(&args.output, draft, args.discard)?;
    tutorial.write(&staging, &words)?;
    staging.commit(&[("epochs", tutorial.epochs)])?;
    Ok(())
}

impl Tutorial {
    fn read(path: &Path) -> Result<Tutorial, String> {
        let saved = weights::open(path)?;
        let root = saved.root();
        let part = |name: &str| {
            let module = root.get(name).filter(|module| !module.modules().is_empty());
            let keys: Vec<&str> = root.entries().iter().take(8).map(|(key, _)| *key).collect();
            module.map(unwrapped).ok_or_else(|| match keys.is_empty() {
                true => format!("no checkpoint of the tutorial: not a dict with a module `{name}`"),
                false => format!(
                    "no checkpoint of the tutorial: holds {}, but no module `{name}`",
                    keys.join(", ")
                ),
            })
        };
        let (encoder, decoder) = (part("encoder")?, part("decoder")?);
        let resnet = encoder::recognise(encoder)?;
        let encoder_weights = renamed(state_dict(&saved, encoder)?);
        let decoder_weights = state_dict(&saved, decoder)?;
        let config = decoder_config(decoder, &decoder_weights, grid(encoder)?)?;
        let epoch = root.get("epoch").and_then(Object::number).unwrap_or(-1.0);
        Ok(Tutorial {
            encoder_weights: checked("encoder", |vars| {
                encoders::new(&vars.root(), &resnet).load(vars, &encoder_weights)
            })?,
            decoder_weights: checked("decoder", |vars| {
                decoder::new(&vars.root(), &config);
                weights::assign(vars, &decoder_weights, &|_| false)
            })?,
            resnet,
            decoder: config,
            epochs: (epoch + 1.0) as u64,
        })
    }

    fn write(&self, staging: &Staging, words: &Vocabulary) -> Result<()> {
        let folder = staging.folder().join(model::CHECKPOINTS).join("best");
        // The card has their digests.
        let [vocabulary, encoder] = [WORDS, ENCODER].map(|name| staging.folder().join(name));
        words.write(&vocabulary)?;
        weights::write(&encoder, &self.encoder_weights).map_err(Error::internal)?;
        let card = ModelCard {
            encoder: EncoderConfig::ResNet(self.resnet.clone()),
            decoder: self.decoder.clone(),
            image_size: [IMAGE_SIZE; 2],
            vocabulary_blake3: digest_file(&vocabulary)?,
            encoder_blake3: digest_file(&encoder)?,
        };
        model::write(&folder, &card, &vocabulary, |new| {
            std::fs::rename(&encoder, new.join(ENCODER)).at(&encoder)?;
            weights::write(&new.join(DECODER), &self.decoder_weights).map_err(Error::internal)
        })?;
        std::fs::remove_file(&vocabulary).at(&vocabulary)?;
        // Refuses absurd sizes.
        Checkpoint::open(&folder).map_err(Error::input)?;
        for name in card.files().iter().chain([&model::CARD]) {
            staging.done(&format!("{}/best/{name}", model::CHECKPOINTS), None)?;
        }
        Ok(())
    }
}

/// The module that `torch.nn.DataParallel` wraps, if it does.
fn unwrapped(module: Object) -> Object {
    let wraps = module
        .class()
        .is_some_and(|class| class.ends_with("DataParallel"));
    module.module("module").filter(|_| wraps).unwrap_or(module)
}

fn state_dict(saved: &Saved, module: Object) -> Result<StateDict, String> {
    let read = module.tensors().and_then(|tensors| saved.read(tensors));
    read.map_err(|fault| fault.why)
}

/// The weights of the `Sequential` under torchvision's names.
fn renamed(encoder: StateDict) -> StateDict {
    let name = |name: &str| {
        let (part, rest) = name.strip_prefix("resnet.")?.split_once('.')?;
        Some(format!(
            "{}.{rest}",
            PARTS.get(part.parse::<usize>().ok()?)?
        ))
    };
    let tensors = encoder.into_iter();
    tensors
        .filter_map(|(old, tensor)| Some((name(&old)?, tensor)))
        .collect()
}

/// Height and width to which the encoder pools its cells; [0, 0] if it does not.
fn grid(encoder: Object) -> Result<[i64; 2], String> {
    let Some(pool) = encoder.module("adaptive_pool") else {
        return Ok([0, 0]);
    };
    let size = pool.attribute("output_size").and_then(Object::integers);
    let grid = match size.as_deref() {
        Some([side]) => [*side; 2],
        Some([height, width]) => [*height, *width],
        _ => [0; 2],
    };
    match grid.iter().all(|n| (1..=256).contains(n)) {
        true => Ok(grid),
        false => Err(format!(
            "its encoder pools to {:?} instead of a height and a width from 1 to 256",
            size.unwrap_or_default()
        )),
    }
}

/// The sizes of the decoder, by the shapes of its weights.
fn decoder_config(
    decoder: Object,
    dict: &StateDict,
    grid: [i64; 2],
) -> Result<DecoderConfig, String> {
    let size = |name: &str, axis: usize| {
        let size = dict
            .get(name)
            .and_then(|tensor| tensor.size().get(axis).copied());
        size.ok_or_else(|| format!("its decoder lacks {name}, which the tutorial's has"))
    };
    let dropout = decoder
        .module("dropout")
        .and_then(|dropout| dropout.attribute("p")?.number());
    Ok(DecoderConfig {
        arch: DecoderArch::AttentionLstm,
        vocabulary: size("embedding.weight", 0)?,
        embedding: size("embedding.weight", 1)?,
        attention: size("attention.encoder_att.weight", 0)?,
        channels: size("attention.encoder_att.weight", 1)?,
        hidden: size("decode_step.weight_hh", 1)?,
        dropout: dropout.ok_or("its decoder lacks `dropout`, which the tutorial's has")?,
        grid,
    })
}

/// All variables that `load` makes and fills.
fn checked(
    part: &str,
    load: impl FnOnce(&nn::VarStore) -> attend_model::Result<()>,
) -> Result<StateDict, String> {
    let vars = nn::VarStore::new(Device::Cpu);
    load(&vars).map_err(|e| format!("its {part}: {e}"))?;
    Ok(vars.variables().into_iter().collect())
}
