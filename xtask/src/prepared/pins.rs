//! Compares artifacts with those that the run is pinned to.

use super::Prepared;
use crate::folders::name;
use crate::pipeline::Stage;
use crate::run::{LOCK, Pin, Pinned};
use crate::workspace::shown;
use attend_program::{Error, Result};
use std::path::Path;

impl Prepared {
    /// The digests that the run is pinned to.
    pub(super) fn pinned(&self) -> Result<Pinned> {
        self.plan.run.pinned()?.ok_or_else(|| {
            let folder = &self.plan.run.folder;
            Error::usage(format!(
                "--locked: {} has no {}; `cargo xtask lock {}` pins a finished run",
                shown(folder),
                LOCK,
                name(folder)
            ))
        })
    }

    /// Refuses an artifact other than the pinned one. `digest` is known once it is made.
    pub(super) fn check_pin(
        &self,
        pinned: Option<&Pinned>,
        stage: &Stage,
        place: &Path,
        digest: Option<&str>,
    ) -> Result<()> {
        let Some(pinned) = pinned else { return Ok(()) };
        let found = name(place);
        let why = match pinned.get(&stage.name) {
            None => format!("{} is not pinned", stage.name),
            Some(Pin { place, .. }) if *place != found => {
                format!(
                    "{} was made with other parameters or inputs ({place}, now {found})",
                    stage.name
                )
            }
            Some(pin) if digest.is_some_and(|digest| digest != pin.digest) => format!(
                "{} is {} now, and pinned to {}",
                stage.name,
                digest.unwrap_or_default(),
                pin.digest
            ),
            Some(_) => return Ok(()),
        };
        let lock = self.plan.run.folder.join(LOCK);
        Err(Error::refused(format!("{}: {why}", shown(&lock))))
    }
}
