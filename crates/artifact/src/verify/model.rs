//! Checks a model's checkpoints: the files of each against its card.

use super::against::of_kind;
use crate::Artifact;
use crate::findings::Findings;
use crate::model::weights::check_parameters;
use crate::model::{CARD, CHECKPOINTS, Checkpoint, DECODER, EncoderConfig, METRICS, STATE, WORDS};
use attend_program::{At, Result};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::BufRead;

pub(super) fn check(findings: &mut Findings, against: &[Artifact]) -> Result<()> {
    let files = findings.artifact.manifest.files.iter();
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
        checkpoint(findings, &format!("{CHECKPOINTS}/{name}"), against)?;
    }
    metrics(findings)
}

/// Checks the lines of the training's log, if there is one.
fn metrics(findings: &mut Findings) -> Result<()> {
    if findings.artifact.manifest.file(METRICS).is_none() {
        return Ok(());
    }
    let Some(path) = findings.file(METRICS)? else {
        return Ok(());
    };
    let text = std::fs::read(&path).at(&path)?;
    let is_object = |line: &[u8]| serde_json::from_slice::<Map<String, Value>>(line).is_ok();
    let lines = BufRead::split(&text[..], b'\n').map_while(std::io::Result::ok);
    let numbered = (1u64..).zip(lines);
    let strange = numbered.filter(|(_, line)| !is_object(line));
    let numbers = strange.map(|(number, _)| number);
    findings.all(METRICS, "lines are no JSON objects", numbers);
    Ok(())
}

/// Checks the checkpoint in a folder of the artifact.
fn checkpoint(findings: &mut Findings, folder: &str, against: &[Artifact]) -> Result<()> {
    let artifact = findings.artifact;
    let prefix = format!("{folder}/");
    let files = artifact.manifest.files.iter();
    let listed: Vec<&str> = files
        .filter_map(|file| file.name.strip_prefix(&prefix))
        .collect();
    let missing = |names: &[&'static str]| -> Vec<&str> {
        let missing = names.iter().filter(|name| !listed.contains(name));
        missing.copied().collect()
    };
    let lacks = missing(&[CARD, WORDS, DECODER]);
    if !lacks.is_empty() {
        findings.all(folder, "files are missing", lacks);
        return Ok(());
    }
    let mut readable = true;
    for name in &listed {
        readable &= findings.file(&format!("{prefix}{name}"))?.is_some();
    }
    if !readable {
        return Ok(());
    }
    if listed.contains(&STATE) {
        findings.object(&format!("{prefix}{STATE}"))?;
    }
    let root = artifact.root.join(folder);
    let Some(checkpoint) = findings.take(Checkpoint::open(&root))? else {
        return Ok(());
    };
    let lacks = missing(&checkpoint.card.files());
    if !lacks.is_empty() {
        findings.all(folder, "files are missing", lacks);
        return Ok(());
    }
    for name in &listed {
        let digest = findings.digest(&format!("{prefix}{name}")).to_owned();
        findings.add(checkpoint.compare(name, &digest))?;
    }
    findings.add(checkpoint.vocabulary().map(drop))?;
    weights(findings, &prefix, &checkpoint)?;
    origin(findings, &prefix, &checkpoint, against)
}

/// Compares the weights with the card.
fn weights(findings: &mut Findings, prefix: &str, checkpoint: &Checkpoint) -> Result<()> {
    let card = &checkpoint.card;
    let stated = card.encoder_blake3.as_str();
    if let Some(file) = card.encoder.file()
        && !stated.is_empty()
        && (findings.artifact.manifest.file(&format!("{prefix}{file}")))
            .is_some_and(|entry| entry.blake3 != stated)
    {
        let why = format!("encoder_blake3 is not that of the {file} beside it");
        findings.note(&format!("{prefix}{CARD}"), why);
    }
    if let (EncoderConfig::ResNet(resnet), Some(encoder)) = (&card.encoder, checkpoint.encoder()) {
        findings.add(check_parameters(&encoder, &resnet.parameters(), true))?;
    }
    let decoder = checkpoint.decoder();
    let parameters = card.decoder.parameters();
    findings.add(check_parameters(&decoder, &parameters, false))
}

/// Compares the card with the artifacts that the model was made from.
fn origin(
    findings: &mut Findings,
    prefix: &str,
    checkpoint: &Checkpoint,
    against: &[Artifact],
) -> Result<()> {
    let (card, file) = (&checkpoint.card, format!("{prefix}{CARD}"));
    let vocabulary = of_kind(against, "vocabulary");
    let words = vocabulary.and_then(|vocabulary| vocabulary.manifest.file(WORDS));
    if words.is_some_and(|words| words.blake3 != card.vocabulary_blake3) {
        findings.note(&file, "vocabulary_blake3 is that of another vocabulary");
    }
    if let Some(features) = of_kind(against, "features") {
        let encoder = EncoderConfig::read(&features.file("encoder.json")?)?;
        if !card.has_seen(&encoder, &encoder.weights_blake3(features)?) {
            findings.note(&file, "trained on features of another encoder");
        }
    }
    if let Some(dataset) = of_kind(against, "dataset") {
        let size = ["image_height", "image_width"].map(|name| dataset.count(name) as i64);
        if size != card.image_size {
            let why = format!(
                "image_size is {:?}, but the images of the data set have {size:?}",
                card.image_size
            );
            findings.note(&file, why);
        }
    }
    Ok(())
}
