//! Encodes captions as ids, and counts those kept and left out.

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow_select::filter::filter;
use attend_artifact::dataset::RejectedRecord;
use attend_artifact::ledger::Reason;
use attend_artifact::record::column;
use attend_artifact::vocabulary::Vocabulary;
use attend_program::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sums over the captions of one split.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(crate) struct SplitTally {
    /// Kept captions.
    pub(crate) captions: u64,
    /// Words of the kept captions.
    pub(crate) tokens: u64,
    /// Those of these words that are not in the vocabulary.
    pub(crate) oov: u64,
    /// Captions left out because they have too many words.
    pub(crate) too_long: u64,
    /// Captions left out because they have no words.
    pub(crate) wordless: u64,
}

/// Sums by split, and the captions that were left out.
#[derive(Default)]
pub(crate) struct Tally {
    splits: BTreeMap<String, SplitTally>,
    /// The captions left out, with the reason `too-long` or `wordless`.
    pub(crate) rejected: Vec<RejectedRecord>,
}

/// Encodes captions of any split: turns the columns of
/// [`CaptionRecord`](attend_artifact::dataset::CaptionRecord) into those of
/// [`EncodedRecord`](attend_artifact::vocabulary::EncodedRecord). Leaves out captions of more
/// than the vocabulary's `max_length` words, and captions without a word (" . "), from which
/// there is nothing to learn. Enters both in `tally`.
pub(crate) fn encode(
    captions: &RecordBatch,
    vocabulary: &Vocabulary,
    tally: &mut Tally,
) -> Result<Vec<ArrayRef>> {
    let mut tokens = ListBuilder::new(Int32Builder::new());
    let mut kept = Vec::with_capacity(captions.num_rows());
    for (row, (split, caption)) in texts(captions)?.enumerate() {
        let ids = vocabulary.encode(caption);
        let words = ids.len() - 2; // <start> and <end>
        let oov = ids.iter().filter(|id| **id == vocabulary.unk()).count();
        let keep = tally.count(split, words, oov, vocabulary.max_length);
        match keep {
            true => tokens.append_value(ids.iter().map(|id| Some(*id as i32))),
            false => tally.reject(captions, row, words, vocabulary.max_length)?,
        }
        kept.push(keep);
    }
    let kept = BooleanArray::from(kept);
    let columns = captions.columns().iter().take(3); // caption_id, image_id, split
    let mut columns: Vec<ArrayRef> = columns
        .map(|column| filter(column, &kept))
        .collect::<Result<_, _>>()
        .map_err(Error::internal)?;
    columns.push(Arc::new(tokens.finish()));
    Ok(columns)
}

/// The split and text of each caption.
pub(crate) fn texts(captions: &RecordBatch) -> Result<impl Iterator<Item = (&str, &str)>> {
    let column = |at| column::<StringArray>(captions, at);
    let (Some(splits), Some(texts)) = (column(2), column(3)) else {
        return Err(Error::internal("captions have other columns"));
    };
    Ok((0..captions.num_rows()).map(|row| (splits.value(row), texts.value(row))))
}

impl Tally {
    /// Counts a caption; returns whether it is kept.
    fn count(&mut self, split: &str, words: usize, oov: usize, max_length: usize) -> bool {
        let split = self.splits.entry(split.to_owned()).or_default();
        match words {
            0 => split.wordless += 1,
            _ if words > max_length => split.too_long += 1,
            _ => {
                split.captions += 1;
                split.tokens += words as u64;
                split.oov += oov as u64;
                return true;
            }
        }
        false
    }

    /// Enters a left-out caption in the ledger.
    fn reject(
        &mut self,
        captions: &RecordBatch,
        row: usize,
        words: usize,
        max_length: usize,
    ) -> Result<()> {
        let id = |at| column::<Int64Array>(captions, at).map(|ids| ids.value(row));
        let (Some(id), Some(image_id)) = (id(0), id(1)) else {
            return Err(Error::internal("captions have other columns"));
        };
        let (reason, detail) = match words {
            0 => (Reason::Wordless, "no word in it".to_owned()),
            _ => (
                Reason::TooLong,
                format!("{words} words, more than vocab.max_length = {max_length}"),
            ),
        };
        self.rejected
            .push(RejectedRecord::caption(id, image_id, "", reason, detail));
        Ok(())
    }

    /// The counts for the manifest: `words`, `captions`, `dropped` (the sum of
    /// `dropped_too_long` and `dropped_wordless`), and for each split `captions_SPLIT`,
    /// `tokens_SPLIT` and `oov_SPLIT` (tokens out of vocabulary).
    pub(crate) fn counts(&self, vocabulary: &Vocabulary) -> Vec<(String, u64)> {
        let sum = |field: fn(&SplitTally) -> u64| self.splits.values().map(field).sum();
        let mut counts: Vec<(String, u64)> = vec![
            ("words".into(), vocabulary.words.len() as u64),
            ("captions".into(), sum(|t| t.captions)),
            ("dropped".into(), sum(|t| t.too_long + t.wordless)),
            ("dropped_too_long".into(), sum(|t| t.too_long)),
            ("dropped_wordless".into(), sum(|t| t.wordless)),
        ];
        for (split, t) in &self.splits {
            counts.push((format!("captions_{split}"), t.captions));
            counts.push((format!("tokens_{split}"), t.tokens));
            counts.push((format!("oov_{split}"), t.oov));
        }
        counts
    }

    /// Logs the same counts. The first `known` words are those of `vocab.base`.
    pub(crate) fn log(&self, vocabulary: &Vocabulary, known: usize) {
        let base = match known {
            0 => String::new(),
            _ => format!("{known} words of vocab.base, and "),
        };
        tracing::info!(
            "vocabulary: {base}{} words that occur in train at least {} times",
            vocabulary.words.len() - known,
            vocabulary.min_count
        );
        for (split, t) in &self.splits {
            let oov = 100.0 * t.oov as f64 / t.tokens.max(1) as f64;
            let mut line = format!(
                "{split}: {} captions, {} tokens, {oov:.2} % of them out of vocabulary",
                t.captions, t.tokens
            );
            if t.too_long > 0 {
                let max_length = vocabulary.max_length;
                line += &format!("; {} of more than {max_length} words left out", t.too_long);
            }
            if t.wordless > 0 {
                line += &format!("; {} without a word left out", t.wordless);
            }
            tracing::info!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attend_artifact::Record;
    use attend_artifact::dataset::CaptionRecord;
    use attend_artifact::vocabulary::EncodedRecord;

    fn batch<R: Record>(columns: Vec<ArrayRef>) -> RecordBatch {
        RecordBatch::try_new(Arc::new(R::schema()), columns).unwrap()
    }

    #[test]
    fn captions_are_encoded_or_counted_as_left_out() {
        let caption = |caption_id, split: &str, caption: &str| CaptionRecord {
            caption_id,
            image_id: 9,
            split: split.into(),
            caption: caption.into(),
        };
        let words = [("a".to_owned(), 3), ("dog".to_owned(), 2)];
        let vocabulary = Vocabulary::new(words, 2, 3); // <unk> 3, <start> 4, <end> 5
        let captions = [
            caption(1, "train", "A dog."),
            caption(2, "train", " . "),
            caption(3, "val", "a big dog"),
            caption(4, "val", "a dog a dog"),
        ];
        let captions = batch::<CaptionRecord>(CaptionRecord::columns(&captions));
        let mut tally = Tally::default();
        let encoded = encode(&captions, &vocabulary, &mut tally).unwrap();
        let encoded = EncodedRecord::rows(&batch::<EncodedRecord>(encoded)).unwrap();
        let ids: Vec<(i64, &[i32])> = encoded
            .iter()
            .map(|e| (e.caption_id, &e.tokens[..]))
            .collect();
        assert_eq!(ids, [(1, &[4, 1, 2, 5][..]), (3, &[4, 1, 3, 2, 5])]);
        assert_eq!(encoded[1].split, "val");
        let rejected = tally.rejected.iter();
        let rejected: Vec<_> = rejected.map(|r| (r.id, r.image_id, &*r.reason)).collect();
        assert_eq!(rejected, [(2, 9, "wordless"), (4, 9, "too-long")]);
        let counts: BTreeMap<String, u64> = tally.counts(&vocabulary).into_iter().collect();
        let expected = [
            ("captions", 2),
            ("captions_train", 1),
            ("captions_val", 1),
            ("dropped", 2),
            ("dropped_too_long", 1),
            ("dropped_wordless", 1),
            ("oov_train", 0),
            ("oov_val", 1),
            ("tokens_train", 2),
            ("tokens_val", 3),
            ("words", 2),
        ];
        assert_eq!(
            counts,
            expected.map(|(name, n)| (name.to_owned(), n)).into()
        );
    }
}
