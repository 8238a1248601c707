//! The tutorial's word map: ids by word, as JSON.

use attend_artifact::vocabulary::Vocabulary;
use attend_program::{Error, Result};
use serde_json::Map;
use std::path::Path;

/// Maximum number of words in a caption by `create_input_files.py`.
const MAX_LENGTH: usize = 50;

/// The ids of the tokens that are no words.
fn specials(words: &Vocabulary) -> Vec<(String, i64)> {
    let ids = [words.unk(), words.start(), words.end(), words.pad()];
    let named = ids
        .iter()
        .filter_map(|id| Some((words.word(*id)?.to_owned(), *id)));
    named.collect()
}

/// Reads a word map. It has no counts: they are 0 then.
///
/// # Errors
/// [`Error::Input`] naming the file and the word whose id is not as the tutorial gives them.
pub(super) fn read(path: &Path) -> Result<Vocabulary> {
    let wrong = |why: String| {
        Err(Error::input(format!(
            "{}: {why}; expected: the WORDMAP_….json that create_input_files.py of the PyTorch tutorial writes",
            path.display()
        )))
    };
    let text = std::fs::read(path).map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
    let mut ids: Vec<(String, i64)> = match serde_json::from_slice::<Map<String, _>>(&text) {
        Err(e) => return wrong(e.to_string()),
        Ok(map) => match map
            .into_iter()
            .map(|(word, id)| Some((word, id.as_i64()?)))
            .collect()
        {
            Some(ids) => ids,
            None => return wrong("an id is no integer".to_owned()),
        },
    };
    ids.sort_by_key(|(_, id)| *id);
    let is_special = |word: &str| ["<pad>", "<unk>", "<start>", "<end>"].contains(&word);
    let words = ids.iter().filter(|(word, _)| !is_special(word));
    let words = Vocabulary::new(words.map(|(word, _)| (word.clone(), 0)), 0, MAX_LENGTH);
    let mut expected: Vec<_> = words
        .words
        .iter()
        .map(|word| (word.word.clone(), word.id))
        .collect();
    expected.extend(specials(&words));
    expected.sort_by_key(|(_, id)| *id);
    let first = expected
        .iter()
        .zip(&ids)
        .find(|(expected, given)| expected != given);
    match first {
        _ if words.is_empty() => wrong("no words".to_owned()),
        Some(((word, id), (_, given))) => {
            let given = ids
                .iter()
                .find(|(other, _)| other == word)
                .map_or(*given, |(_, id)| *id);
            wrong(format!("{word:?} has the id {given} instead of {id}"))
        }
        None if expected.len() != ids.len() => {
            wrong("lacks <pad>, <unk>, <start> or <end>".to_owned())
        }
        None => Ok(words),
    }
}

/// The text of a word map.
///
/// # Errors
/// [`Error::Internal`].
pub(super) fn json(words: &Vocabulary) -> Result<String> {
    let of_words = words.words.iter().map(|word| (word.word.clone(), word.id));
    let ids = of_words.chain(specials(words));
    let map: Map<_, _> = ids.map(|(word, id)| (word, id.into())).collect();
    serde_json::to_string(&map).map_err(Error::internal)
}
