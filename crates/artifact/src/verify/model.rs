//! Checks a model's checkpoints: the files of each against its card.

use super::faults::Faults;
use crate::model::weights::check_parameters;
use crate::model::{CARD, CHECKPOINTS, Checkpoint, DECODER, EncoderConfig, METRICS, STATE, WORDS};
use attend_program::{At, Result};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::BufRead;

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    let files = faults.artifact.manifest.files.iter();
    let folder = |name: &str| -> Option<String> {
        let (folder, _) = name
            .strip_prefix(CHECKPOINTS)?
            .strip_prefix('/')?
            .split_once('/')?;
        Some(folder.to_owned())
    };
    let mut names: BTreeSet<String> = files.filter_map(|file| folder(&file.name)).collect();
    names.insert("best".into());
    for name in names {
        checkpoint(faults, &format!("{CHECKPOINTS}/{name}"))?;
    }
    metrics(faults)
}

/// Checks the lines of the training's log, if there is one.
fn metrics(faults: &mut Faults) -> Result<()> {
    if faults.artifact.manifest.file(METRICS).is_none() {
        return Ok(());
    }
    let path = faults.artifact.root.join(METRICS);
    let text = std::fs::read(&path).at(&path)?;
    let is_object = |line: &[u8]| serde_json::from_slice::<Map<String, Value>>(line).is_ok();
    let lines = BufRead::split(&text[..], b'\n').map_while(std::io::Result::ok);
    let numbered = (1u64..).zip(lines);
    let strange = numbered.filter(|(_, line)| !is_object(line));
    let numbers = strange.map(|(number, _)| number);
    faults.all(METRICS, "lines are no JSON objects", numbers);
    Ok(())
}

/// Checks the checkpoint in a folder of the artifact.
fn checkpoint(faults: &mut Faults, folder: &str) -> Result<()> {
    let artifact = faults.artifact;
    let digest = |name: &str| {
        let entry = artifact.manifest.file(&format!("{folder}/{name}"));
        entry.map(|entry| entry.blake3.as_str())
    };
    let missing = |names: &[&'static str]| -> Vec<&str> {
        let missing = names.iter().filter(|name| digest(name).is_none());
        missing.copied().collect()
    };
    let lacks = missing(&[CARD, WORDS, DECODER]);
    if !lacks.is_empty() {
        faults.all(folder, "files are missing", lacks);
        return Ok(());
    }
    if digest(STATE).is_some() {
        faults.object(&format!("{folder}/{STATE}"));
    }
    let Some(checkpoint) = faults.take(Checkpoint::open(&artifact.root.join(folder)))? else {
        return Ok(());
    };
    let card = &checkpoint.card;
    let lacks = missing(&card.files());
    if !lacks.is_empty() {
        faults.all(folder, "files are missing", lacks);
        return Ok(());
    }
    faults.add(checkpoint.check())?;
    faults.add(checkpoint.vocabulary().map(drop))?;
    let stated = card.encoder_blake3.as_str();
    if let Some(file) = card.encoder.file()
        && !stated.is_empty()
        && Some(stated) != digest(file)
    {
        let why = format!("encoder_blake3 is not that of the {file} beside it");
        faults.note(&format!("{folder}/{CARD}"), why);
    }
    if let (EncoderConfig::ResNet(resnet), Some(encoder)) = (&card.encoder, checkpoint.encoder()) {
        faults.add(check_parameters(&encoder, &resnet.parameters(), true))?;
    }
    let decoder = checkpoint.decoder();
    faults.add(check_parameters(
        &decoder,
        &card.decoder.parameters(),
        false,
    ))
}
