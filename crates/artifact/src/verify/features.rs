//! Checks features, and the encoder that made them.

use super::against;
use crate::Artifact;
use crate::features::Features;
use crate::findings::Findings;
use crate::model::EncoderConfig;
use crate::model::weights::check_parameters;
use attend_program::Result;

const CARD: &str = "encoder.json";

pub(super) fn check(findings: &mut Findings, against: &[Artifact]) -> Result<()> {
    let features = Features::examine(findings)?;
    let dataset = against::dataset(against)?;
    if let Some(dataset) = &dataset {
        against::features(findings, &features, dataset);
    }
    let Some(path) = findings.file(CARD)? else {
        return Ok(());
    };
    let Some(encoder) = findings.take(EncoderConfig::read(&path))? else {
        return Ok(());
    };
    let weights = match encoder.file() {
        Some(file) => findings.file(file)?,
        None => None,
    };
    if let (EncoderConfig::ResNet(resnet), Some(weights)) = (&encoder, weights) {
        findings.add(check_parameters(&weights, &resnet.parameters(), true))?;
    }
    let size = dataset.map(|dataset| dataset.image_size().map(|n| n as i64));
    match size.or(encoder.image_size()) {
        Some(size) => findings.add(features.check_encoder(&encoder, size)),
        None => {
            // The grid of a ResNet depends on the images.
            let [stated, made] = [features.channels() as i64, encoder.channels()];
            if stated != made {
                let why = format!("makes {made} channels, the manifest says {stated}");
                findings.note(CARD, why);
            }
            Ok(())
        }
    }
}
