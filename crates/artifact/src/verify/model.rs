//! Checks a model's checkpoints: the files of each against its card.

use super::against::of_kind;
use crate::Artifact;
use crate::findings::Findings;
use crate::model::weights::check_parameters;
use crate::model::{
    CARD, CHECKPOINTS, Checkpoint, DESCRIBING, ENCODER, METRICS, STATE, check as check_digests,
};
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
    let needed = [CARD].into_iter().chain(DESCRIBING);
    let missing: Vec<&str> = needed.filter(|name| !listed.contains(name)).collect();
    if !missing.is_empty() {
        findings.all(folder, "files are missing", missing);
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
    for name in listed.iter().filter(|name| **name != CARD) {
        findings.add(check_digests(&root, &[name]))?;
    }
    findings.add(checkpoint.vocabulary().map(drop))?;
    let digest = |name: &str| {
        let entry = artifact.manifest.file(&format!("{prefix}{name}"));
        entry.map(|entry| entry.blake3.as_str())
    };
    let card = &checkpoint.card;
    let stated = card.encoder_blake3.as_str();
    let card_file = format!("{prefix}{CARD}");
    if !stated.is_empty() && Some(stated) != digest(ENCODER) {
        let why = format!("encoder_blake3 is not that of the {ENCODER} beside it");
        findings.note(&card_file, why);
    }
    let (encoder, decoder) = (checkpoint.encoder(), checkpoint.decoder());
    findings.add(check_parameters(&encoder, &card.encoder.parameters(), true))?;
    findings.add(check_parameters(
        &decoder,
        &card.decoder.parameters(),
        false,
    ))?;
    let other = |kind: &str, file: &str| {
        let other = of_kind(against, kind)?.manifest.file(file)?;
        Some(other.blake3.as_str())
    };
    if other("vocabulary", "vocab.json").is_some_and(|digest| digest != card.vocabulary_blake3) {
        findings.note(
            &card_file,
            "vocabulary_blake3 is that of another vocabulary",
        );
    }
    if !stated.is_empty() && other("features", ENCODER).is_some_and(|digest| digest != stated) {
        findings.note(
            &card_file,
            "encoder_blake3 is that of the encoder of other features",
        );
    }
    if let Some(dataset) = of_kind(against, "dataset") {
        let size = ["image_height", "image_width"].map(|name| dataset.count(name) as i64);
        if size != card.image_size {
            let why = format!(
                "image_size is {:?}, but the images of the data set have {size:?}",
                card.image_size
            );
            findings.note(&card_file, why);
        }
    }
    Ok(())
}
