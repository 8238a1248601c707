//! A model's checkpoints: the files of each against its card.

use super::faults::Faults;
use crate::Result;
use crate::model::weights::check_parameters;
use crate::model::{CARD, CHECKPOINTS, Checkpoint, DESCRIBING, ENCODER, STATE};
use std::collections::BTreeSet;

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
    Ok(())
}

/// The checkpoint in a folder of the artifact.
fn checkpoint(faults: &mut Faults, folder: &str) -> Result<()> {
    let artifact = faults.artifact;
    let digest = |name: &str| {
        let entry = artifact.manifest.file(&format!("{folder}/{name}"));
        entry.map(|entry| entry.blake3.as_str())
    };
    let needed = [CARD].into_iter().chain(DESCRIBING);
    let missing: Vec<&str> = needed.filter(|name| digest(name).is_none()).collect();
    if !missing.is_empty() {
        faults.all(folder, "files are missing", missing);
        return Ok(());
    }
    if digest(STATE).is_some() {
        faults.object(&format!("{folder}/{STATE}"));
    }
    let Some(checkpoint) = faults.take(Checkpoint::open(&artifact.root.join(folder)))? else {
        return Ok(());
    };
    faults.add(checkpoint.check())?;
    faults.add(checkpoint.vocabulary().map(drop))?;
    let said = checkpoint.card.encoder_blake3.as_str();
    if !said.is_empty() && Some(said) != digest(ENCODER) {
        let why = format!("encoder_blake3 is not that of the {ENCODER} beside it");
        faults.note(&format!("{folder}/{CARD}"), why);
    }
    let card = &checkpoint.card;
    let (encoder, decoder) = (checkpoint.encoder(), checkpoint.decoder());
    faults.add(check_parameters(&encoder, &card.encoder.parameters(), true))?;
    faults.add(check_parameters(
        &decoder,
        &card.decoder.parameters(),
        false,
    ))
}
