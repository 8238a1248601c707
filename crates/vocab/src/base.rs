//! The vocabulary that `vocab.base` names, whose ids are kept.

use attend_artifact::model::Checkpoint;
use attend_artifact::vocabulary::{Tokenizer, Vocabulary};
use attend_artifact::{Artifact, Input};
use attend_program::{Error, Result};
use std::path::Path;

/// Reads the vocabulary at `base`: a `vocab.json`, a vocabulary artifact, a model (its best
/// checkpoint) or a checkpoint's folder; also as an input for the manifest. Its captions must
/// have been split by `tokenizer`. `None` if `base` is empty.
///
/// # Errors
/// [`Error::Input`] if there is nothing of the kind, [`Error::Refused`] if it is damaged, and
/// [`Error::Usage`] if it has another tokenizer.
pub(crate) fn read(base: &str, tokenizer: Tokenizer) -> Result<Option<(Vocabulary, Input)>> {
    if base.is_empty() {
        return Ok(None);
    }
    let path = Path::new(base);
    let (file, vocabulary) = if let Some(checkpoint) = Checkpoint::find(path, "best")? {
        (checkpoint.words(), checkpoint.vocabulary()?)
    } else if path.is_dir() {
        let artifact = Artifact::open_kind(path, "vocabulary")?;
        (artifact.file("vocab.json")?, Vocabulary::open(&artifact)?)
    } else if path.is_file() {
        (path.to_owned(), Vocabulary::read(path)?)
    } else {
        return Err(Error::input(format!(
            "vocab.base = {base:?}: neither a model nor a vocabulary; make it first"
        )));
    };
    if vocabulary.tokenizer != tokenizer {
        let name = |tokenizer| serde_json::to_string(&tokenizer).map_err(Error::internal);
        return Err(Error::usage(format!(
            "vocab.tokenizer = {}, but the words of vocab.base = {base:?} are split by {1}; set vocab.tokenizer = {1}",
            name(tokenizer)?,
            name(vocabulary.tokenizer)?
        )));
    }
    let input = Input::of_file("vocab.base", &file, "vocabulary")?;
    Ok(Some((vocabulary, input)))
}
