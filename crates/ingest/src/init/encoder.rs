//! Recognises a file of encoder weights by the names of the tensors in it.

use super::survey::text;
use attend_program::{At, Error, Result};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, absolute};

/// Number of first bytes in which names of tensors are looked for: `.safetensors` have them
/// in their header, `torch.save` in the pickle, which is first and not compressed.
const BEGIN: u64 = 8 << 20;

/// Names, blocks of each stage, and whether a block has three convolutions.
const RESNETS: [(&str, [usize; 4], bool); 5] = [
    ("resnet18", [2, 2, 2, 2], false),
    ("resnet34", [3, 4, 6, 3], false),
    ("resnet50", [3, 4, 6, 3], true),
    ("resnet101", [3, 4, 23, 3], true),
    ("resnet152", [3, 8, 36, 3], true),
];

/// The encoder of a config.
pub(super) enum Encoder {
    /// A ResNet.
    ResNet {
        /// Its name.
        arch: &'static str,
        /// The last of its stages, 1 to 4.
        last_stage: usize,
        /// Where a block's stride is.
        stride_in: &'static str,
        /// The file of weights; `None` for torchvision's, which has to be fetched.
        weights: Option<String>,
    },
    /// A TorchScript module: its file.
    TorchScript(String),
}

impl Default for Encoder {
    /// The tutorial's: torchvision's ResNet-101.
    fn default() -> Self {
        Encoder::ResNet {
            arch: "resnet101",
            last_stage: 4,
            stride_in: "conv3x3",
            weights: None,
        }
    }
}

impl Encoder {
    /// Pixels of an image for each cell, along one side.
    pub(super) fn stride(&self) -> u32 {
        match self {
            Encoder::ResNet { last_stage, .. } => 2 << last_stage,
            Encoder::TorchScript(_) => 32,
        }
    }

    /// The commands that bring the weights, if they have to be fetched.
    pub(super) fn first_step(&self) -> &'static str {
        match self {
            Encoder::ResNet { weights: None, .. } if std::env::var_os("WEIGHTS").is_none() => {
                "  cargo xtask fetch resnet101 --to weights; export WEIGHTS=$PWD/weights\n"
            }
            _ => "",
        }
    }
}

/// Recognises the encoder that a file holds.
pub(super) fn recognise(path: &Path) -> Result<Encoder> {
    if !path.is_file() {
        let path = path.display();
        return Err(Error::input(format!("{path}: no such file (--weights)")));
    }
    let file = File::open(path).at(path)?;
    let absolute = text(&absolute(path).at(path)?)?;
    let name = absolute.as_str().unwrap_or_default().to_owned();
    if is_torchscript(&file) {
        return Ok(Encoder::TorchScript(name));
    }
    let mut begin = Vec::new();
    File::open(path)
        .at(path)?
        .take(BEGIN)
        .read_to_end(&mut begin)
        .at(path)?;
    let blocks = blocks(&begin);
    let last_stage = blocks
        .iter()
        .rposition(|count| *count > 0)
        .map_or(0, |at| at + 1);
    let three = contains(&begin, b"layer1.0.conv3.weight");
    let ours = |resnet: &&(&str, [usize; 4], bool)| {
        resnet.1[..last_stage] == blocks[..last_stage] && resnet.2 == three
    };
    let found = RESNETS.iter().find(ours).filter(|_| last_stage > 0);
    let Some((arch, ..)) = found else {
        return Err(Error::input(format!(
            "{}: no weights of a ResNet (no names such as layer1.0.conv1.weight) and no TorchScript module; examples/encoders/ exports other networks as TorchScript",
            path.display()
        )));
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stride_in = match stem.contains("stride1x1") {
        true => "conv1x1",
        false => "conv3x3",
    };
    Ok(Encoder::ResNet {
        arch,
        last_stage,
        stride_in,
        weights: Some(name),
    })
}

/// Whether a file is a module that `torch.jit.save` wrote: a zip with code.
fn is_torchscript(file: &File) -> bool {
    let archive = zip::ZipArchive::new(file);
    archive.is_ok_and(|archive| {
        archive
            .file_names()
            .flatten()
            .any(|name| name.contains("/code/"))
    })
}

/// The number of blocks of each stage, by names such as `layer3.22.conv1.weight`.
fn blocks(begin: &[u8]) -> [usize; 4] {
    let mut seen: [BTreeSet<usize>; 4] = Default::default();
    for at in 0..begin.len() {
        let Some(rest) = begin[at..].strip_prefix(b"layer") else {
            continue;
        };
        let end = rest.len().min(16);
        let words = String::from_utf8_lossy(&rest[..end]).into_owned();
        let mut words = words.split('.');
        let stage = words.next().and_then(|word| word.parse::<usize>().ok());
        let block = words.next().and_then(|word| word.parse::<usize>().ok());
        if let (Some(stage @ 1..=4), Some(block), Some("conv1")) = (stage, block, words.next()) {
            seen[stage - 1].insert(block);
        }
    }
    seen.map(|blocks| blocks.len())
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}
