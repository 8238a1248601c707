//! What a stage must do, and what it should.

use super::folder::{digest, state};
use super::subject::Subject;
use super::trial::{Trial, Verdict};
use super::{made, refused, stopped};
use attend_program::Result;
use std::path::PathBuf;

/// A promise of the contract, and a way to try it.
struct Check {
    /// What a stage does that keeps the promise.
    pub name: &'static str,
    /// Whether a stage without it can't be used in a pipeline.
    pub required: bool,
    run: fn(&Trial) -> Result<Verdict>,
}

const fn required(name: &'static str, run: fn(&Trial) -> Result<Verdict>) -> Check {
    let required = true;
    Check {
        name,
        required,
        run,
    }
}

const fn nice(name: &'static str, run: fn(&Trial) -> Result<Verdict>) -> Check {
    let required = false;
    Check {
        name,
        required,
        run,
    }
}

const CHECKS: [Check; 30] = [
    required("its artifact passes attend-verify", made::verifies),
    required(
        "the manifest names producer, version, kind and inputs",
        made::provenance,
    ),
    required(
        "the manifest holds the parameters that shape the artifact",
        made::config,
    ),
    required(
        "the manifest holds no path, time or host name",
        made::portable,
    ),
    required(
        "a finished run leaves nothing beside its artifact",
        made::tidy,
    ),
    required(
        "the same inputs give the same digest, at any place",
        made::same,
    ),
    required("the number of threads changes nothing", made::jobs),
    required(
        "a second run finds its artifact up to date",
        made::up_to_date,
    ),
    required("a lost file is made again", made::lost_file),
    required("another input makes the artifact again", made::other_input),
    required(
        "an unknown key of the config: exit code 2",
        refused::unknown_key,
    ),
    required(
        "a missing input: exit code 2, or 3 or 4 for a wrong path",
        refused::missing_input,
    ),
    required("a damaged input: exit code 4", refused::damaged_input),
    required("an input of another kind: exit code 4", refused::other_kind),
    required(
        "an output that can't be written: exit code 1",
        refused::unwritable,
    ),
    required(
        "a folder of other files as output: exit code 4, untouched",
        refused::foreign,
    ),
    required(
        "an artifact of another kind as output: exit code 4, untouched",
        refused::foreign_kind,
    ),
    required(
        "SIGINT: exit code 130, and the same command goes on",
        stopped::interrupted,
    ),
    required(
        "SIGTERM: exit code 130, and the same command goes on",
        stopped::terminated,
    ),
    required(
        "SIGKILL: nothing half-written, and the same command goes on",
        stopped::killed,
    ),
    required(
        "--shards makes one shard again, byte for byte",
        stopped::one_shard,
    ),
    required(
        "--repair makes damaged files again, byte for byte",
        stopped::repairs,
    ),
    required(
        "--task 1/2, 2/2 and --finalize make the same artifact",
        stopped::tasks,
    ),
    required(
        "--check refuses a wrong config beforehand, and makes nothing",
        refused::checked,
    ),
    required("its inputs stay as they are", made::inputs_untouched),
    nice(
        "--describe gives name, version and purpose",
        made::described,
    ),
    nice("a value of a wrong type: exit code 2", refused::wrong_type),
    nice(
        "--set with an unknown key: exit code 2",
        refused::unknown_set,
    ),
    nice("--force makes the same artifact again", made::force),
    nice(
        "two runs at once make one whole artifact",
        made::two_at_once,
    ),
];

/// Tries everything; `other` makes another artifact of an input's kind. `tried` hears of
/// each check as it is done.
///
/// # Errors
/// [`attend_program::Error::Internal`] if the machine fails.
pub fn all(
    subject: &Subject,
    other: &dyn Fn(&str) -> Result<PathBuf>,
    mut tried: impl FnMut(&str, bool, Verdict),
) -> Result<()> {
    let made = subject.call("artifact");
    let folders = subject.inputs.values();
    let inputs = folders.flat_map(|folder| state(folder)).collect();
    let ended = subject.run(&made)?;
    let first = ended.ok().and_then(|()| {
        let why = "it ended well, but there is no manifest.json with a digest".to_owned();
        digest(&made.output).ok_or(why)
    });
    let name = "it makes its artifact";
    let digest = match first {
        Ok(digest) => digest,
        Err(why) => {
            tried(name, true, Verdict::Failed(why));
            for check in CHECKS {
                let why = "it makes no artifact".to_owned();
                tried(check.name, check.required, Verdict::Untried(why));
            }
            return Ok(());
        }
    };
    tried(name, true, Verdict::Passed);
    let seconds = ended.seconds;
    let trial = Trial {
        subject,
        made,
        digest,
        seconds,
        inputs,
        other,
    };
    for check in CHECKS {
        let verdict = (check.run)(&trial)?;
        tried(check.name, check.required, verdict);
    }
    Ok(())
}
