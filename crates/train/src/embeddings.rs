//! Pretrained word vectors, such as GloVe's.

use attend_artifact::vocabulary::Vocabulary;
use attend_program::{At, Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Reads the vectors of a vocabulary's words, with the words' ids, from a text file whose
/// lines are a word and `width` numbers.
///
/// # Errors
/// [`Error::Input`] naming a line that is not like that, or if the file has none of the
/// words.
pub fn read(path: &Path, words: &Vocabulary, width: usize) -> Result<Vec<(i64, Vec<f32>)>> {
    let mut found = Vec::new();
    let mut line = Vec::new();
    let mut file = BufReader::new(File::open(path).at(path)?);
    for number in 1.. {
        line.clear();
        if file.read_until(b'\n', &mut line).at(path)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let wrong = |why: String| {
            Error::input(format!(
                "{}, line {number}: {why}; expected a word and {width} numbers (decoder.embedding)",
                path.display()
            ))
        };
        // From the end: some of GloVe's words have spaces in them.
        let mut fields = text.rsplitn(width + 1, ' ');
        let mut vector: Vec<&str> = fields.by_ref().take(width).collect();
        vector.reverse();
        let Some(word) = fields.next().filter(|word| !word.is_empty()) else {
            return Err(wrong(format!("{} fields", vector.len())));
        };
        let id = words.id(word);
        if id == words.unk() {
            // Only lines that are used are checked; but the first one shows another width.
            if number == 1
                && word
                    .split(' ')
                    .nth(1)
                    .is_some_and(|w| w.parse::<f32>().is_ok())
            {
                return Err(wrong("more numbers".into()));
            }
            continue;
        }
        let vector: Vec<f32> = (vector.iter())
            .map(|field| field.parse().ok().filter(|number: &f32| number.is_finite()))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong("a field that is not a number".into()))?;
        found.push((id, vector));
    }
    if found.is_empty() {
        return Err(Error::input(format!(
            "{}: has none of the vocabulary's words",
            path.display()
        )));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, width: usize) -> Result<Vec<(i64, Vec<f32>)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.txt");
        std::fs::write(&path, text).unwrap();
        let words = Vocabulary::new([("a".to_owned(), 2), ("dog".to_owned(), 1)], 1, 50);
        read(&path, &words, width)
    }

    #[test]
    fn known_words_have_their_vectors() {
        let text = "the 1 2\na 0.5 -1e-1\nat name 3 4\ndog 1 0\n";
        let expected = vec![(1, vec![0.5, -0.1]), (2, vec![1.0, 0.0])];
        assert_eq!(read_text(text, 2).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |text: &str, width| read_text(text, width).unwrap_err().to_string();
        assert!(error("a 1 2\n", 3).contains("line 1: 3 fields"));
        assert!(error("the 1 2 3\na 1 2 3\n", 2).contains("line 1: more numbers"));
        assert!(error("a 1 2\ndog 1 x\n", 2).contains("line 2: a field that is not a number"));
        assert!(error("a 1 nan\n", 2).contains("not a number"));
        assert!(error("cat 1 2\n", 2).contains("none of the vocabulary's words"));
    }
}
