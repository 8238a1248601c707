//! What splits have in common: photographs that are equal or look alike, and captions that
//! are the same word for word. A score on such a split also measures what was learnt by
//! heart.

use crate::hash::{self, Hash};
use crate::render;
use attend_artifact::Artifact;
use attend_artifact::dataset::{Dataset, ImageRecord};
use attend_artifact::vocabulary::Tokenizer;
use attend_program::text::escaped;
use attend_program::{Error, Result, check_interrupt, progress};
use polars::prelude::{DataFrame, PolarsResult, df};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::thread;

/// Number of pairs and sentences that the text shows.
const SHOWN: usize = 10;
/// Shares of a split's images that are worth a word: of photographs, and of sentences.
const WORTH: [f64; 2] = [0.005, 0.05];

/// What each split has in common with the splits before it.
pub(crate) struct Leaks {
    photographs: DataFrame,
    captions: DataFrame,
    pairs: Vec<Pair>,
    sentences: DataFrame,
    /// What it comes to, one line for each split against train.
    verdicts: Vec<String>,
}

/// A photograph and the nearest one in another split.
struct Pair {
    distance: u32,
    equal: bool,
    image: ImageRecord,
    other: ImageRecord,
}

/// The splits of a data set in their order, and the images of each.
type Splits<'a> = Vec<(&'a str, &'a [ImageRecord])>;

impl Leaks {
    /// Compares the splits of the data set in `folder`. `tokenizer` says what words are.
    pub(crate) fn new(folder: &Path, tokenizer: Tokenizer) -> Result<Leaks> {
        let dataset = Dataset::open(&Artifact::open_kind(folder, "dataset")?)?;
        let splits: Splits<'_> = (dataset.images())
            .chunk_by(|a, b| a.split == b.split)
            .map(|images| (images[0].split.as_str(), images))
            .collect();
        let pairs = pairs(&dataset, &splits)?;
        let sentences = Sentences::new(&dataset, tokenizer);
        let tables = || -> PolarsResult<Leaks> {
            let photographs = photographs(&splits, &pairs)?;
            let captions = sentences.shared(&splits)?;
            Ok(Leaks {
                verdicts: verdicts(&photographs, &captions),
                photographs,
                captions,
                sentences: sentences.most(&splits)?,
                pairs: Vec::new(),
            })
        };
        let tables = tables().map_err(Error::internal)?;
        Ok(Leaks { pairs, ..tables })
    }

    pub(crate) fn json(&self, folder: &Path) -> Value {
        let image = |image: &ImageRecord| json!({"split": image.split, "image_id": image.image_id, "file_name": image.file_name});
        let pairs = self.pairs.iter().map(|pair| {
            json!({
                "distance": pair.distance,
                "equal": pair.equal,
                "image": image(&pair.image),
                "other": image(&pair.other),
            })
        });
        json!({
            "dataset": folder.display().to_string(),
            "bits": hash::BITS,
            "near": hash::NEAR,
            "photographs": render::rows(&self.photographs),
            "captions": render::rows(&self.captions),
            "pairs": pairs.collect::<Vec<_>>(),
            "sentences": render::rows(&self.sentences),
            "verdicts": self.verdicts,
        })
    }

    pub(crate) fn text(&self, folder: &Path) -> PolarsResult<String> {
        let (bits, near) = (hash::BITS, hash::NEAR);
        let mut text = format!("data set {}\n\n", folder.display());
        if self.photographs.height() == 0 {
            return Ok(text + "it has one split only, which shares nothing with another\n");
        }
        text += &format!(
            "photographs that another split has, too (near: at most {near} of the {bits} bits of a difference hash differ)\n\n{}\n",
            render::table(&self.photographs)
        );
        if !self.pairs.is_empty() {
            text += &format!(
                "\nthe nearest pairs ({} of {})\n\n{}\n",
                self.pairs.len().min(SHOWN),
                self.pairs.len(),
                render::table(&self.shown()?)
            );
        }
        text += &format!(
            "\ncaptions that another split has, too, word for word; images with any such caption, and with such captions only\n\n{}\n",
            render::table(&self.captions)
        );
        if self.sentences.height() > 0 {
            let head = self.sentences.head(Some(SHOWN));
            text += &format!(
                "\nthe most frequent of these captions, and how often each split has them\n\n{}\n",
                render::table(&head)
            );
        }
        text += "\n";
        text += &self.verdicts.join("\n");
        Ok(text)
    }

    /// The nearest pairs, as a table.
    fn shown(&self) -> PolarsResult<DataFrame> {
        let pairs = || self.pairs.iter().take(SHOWN);
        let name = |image: &ImageRecord| escaped(&image.file_name).to_string();
        df!(
            "bits" => pairs().map(|pair| pair.distance).collect::<Vec<_>>(),
            "" => pairs().map(|pair| if pair.equal { "equal" } else { "near" }).collect::<Vec<_>>(),
            "split" => pairs().map(|pair| pair.image.split.clone()).collect::<Vec<_>>(),
            "photograph" => pairs().map(|pair| name(&pair.image)).collect::<Vec<_>>(),
            "of" => pairs().map(|pair| pair.other.split.clone()).collect::<Vec<_>>(),
            "other" => pairs().map(|pair| name(&pair.other)).collect::<Vec<_>>(),
        )
    }
}

/// Each photograph with the nearest one of each split before its own, if that is near;
/// nearest first.
fn pairs(dataset: &Dataset, splits: &Splits<'_>) -> Result<Vec<Pair>> {
    let size = dataset.image_size();
    let hashes = |images: &[ImageRecord]| -> Result<Vec<Hash>> {
        in_threads("hash", images, |image| {
            Ok(hash::of(dataset.pixels(image)?, size))
        })
    };
    let mut before: Vec<(&[ImageRecord], Vec<Hash>)> = Vec::new();
    let mut pairs = Vec::new();
    for (split, images) in splits {
        let own = hashes(images)?;
        let queries: Vec<(&ImageRecord, &Hash)> = images.iter().zip(&own).collect();
        for (others, hashes) in &before {
            let near = in_threads(&format!("compare {split}"), &queries, |(image, hash)| {
                let Some((other, distance)) = hash::nearest(hash, hashes) else {
                    return Ok(None);
                };
                let other = &others[other];
                Ok(Some(Pair {
                    distance,
                    equal: dataset.pixels(image)? == dataset.pixels(other)?,
                    image: (*image).clone(),
                    other: other.clone(),
                }))
            })?;
            pairs.extend(near.into_iter().flatten());
        }
        before.push((images, own));
    }
    pairs.sort_by_key(|pair| (pair.distance, !pair.equal));
    Ok(pairs)
}

/// Calls `work` with all `items` in threads.
fn in_threads<I: Sync, O: Send>(
    what: &str,
    items: &[I],
    work: impl Fn(&I) -> Result<O> + Sync,
) -> Result<Vec<O>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let progress = progress(what, "images", items.len() as u64);
    let one = |item: &I| {
        check_interrupt()?;
        progress.inc(1);
        work(item)
    };
    let parts: Vec<Result<Vec<O>>> = thread::scope(|scope| {
        let share = items.len().div_ceil(threads).max(1);
        let parts = items.chunks(share);
        let parts: Vec<_> = parts
            .map(|part| scope.spawn(|| part.iter().map(one).collect()))
            .collect();
        let ended = parts.into_iter().map(|part| {
            let panicked = || Err(Error::internal("a thread panicked"));
            part.join().unwrap_or_else(|_| panicked())
        });
        ended.collect()
    });
    progress.finish();
    let mut all = Vec::with_capacity(items.len());
    for part in parts {
        all.extend(part?);
    }
    Ok(all)
}

/// Each split with each one before it, by name, with the images of the former.
fn compared<'a>(
    splits: &'a Splits<'a>,
) -> impl Iterator<Item = (&'a str, &'a str, &'a [ImageRecord])> {
    splits
        .iter()
        .enumerate()
        .flat_map(|(index, (split, images))| {
            let before = splits[..index].iter();
            before.map(move |(other, _)| (*split, *other, *images))
        })
}

/// How many photographs of each split another has, too.
fn photographs(splits: &Splits<'_>, pairs: &[Pair]) -> PolarsResult<DataFrame> {
    let mut columns = Columns::default();
    for (split, other, images) in compared(splits) {
        let of = |pair: &&Pair| pair.image.split == split && pair.other.split == other;
        let equal = pairs.iter().filter(of).filter(|pair| pair.equal).count();
        let near = pairs.iter().filter(of).count() - equal;
        let rate = (equal + near) as f64 / images.len() as f64;
        columns.add(
            split,
            other,
            [images.len(), equal, near, 0, 0],
            [rate, 0.0, 0.0],
        );
    }
    let [images, equal, near, ..] = columns.counts;
    let [rate, ..] = columns.rates;
    df!(
        "split" => columns.split, "compared_with" => columns.other, "images" => images,
        "equal" => equal, "near" => near, "near_or_equal_rate" => rate,
    )
}

#[derive(Default)]
struct Columns {
    split: Vec<String>,
    other: Vec<String>,
    counts: [Vec<u64>; 5],
    rates: [Vec<f64>; 3],
}

impl Columns {
    fn add(&mut self, split: &str, other: &str, counts: [usize; 5], rates: [f64; 3]) {
        self.split.push(split.into());
        self.other.push(other.into());
        let columns = self.counts.iter_mut().zip(counts);
        columns.for_each(|(column, count)| column.push(count as u64));
        let columns = self.rates.iter_mut().zip(rates);
        columns.for_each(|(column, rate)| column.push(rate));
    }
}

/// The captions of a data set as sequences of words.
struct Sentences {
    /// The captions of each image, words joined by spaces.
    of_image: HashMap<i64, Vec<String>>,
    /// How often each split has each sentence.
    counts: BTreeMap<String, HashMap<String, u64>>,
}

impl Sentences {
    fn new(dataset: &Dataset, tokenizer: Tokenizer) -> Sentences {
        let mut sentences = Sentences {
            of_image: HashMap::new(),
            counts: BTreeMap::new(),
        };
        for caption in dataset.captions() {
            let words = tokenizer.words(&caption.caption).join(" ");
            if words.is_empty() {
                continue;
            }
            let split = sentences.counts.entry(caption.split.clone()).or_default();
            *split.entry(words.clone()).or_default() += 1;
            let of_image = sentences.of_image.entry(caption.image_id);
            of_image.or_default().push(words);
        }
        sentences
    }

    fn count(&self, split: &str, sentence: &str) -> u64 {
        let split = self.counts.get(split);
        split
            .and_then(|counts| counts.get(sentence))
            .copied()
            .unwrap_or(0)
    }

    /// How many captions of each split another has, too.
    fn shared(&self, splits: &Splits<'_>) -> PolarsResult<DataFrame> {
        let mut columns = Columns::default();
        for (split, other, images) in compared(splits) {
            let [mut captions, mut shared, mut some, mut all] = [0; 4];
            for image in images {
                let own = self.of_image.get(&image.image_id);
                let own = own.map_or(&[][..], Vec::as_slice);
                let known = own
                    .iter()
                    .filter(|sentence| self.count(other, sentence) > 0);
                let known = known.count();
                captions += own.len();
                shared += known;
                some += usize::from(known > 0);
                all += usize::from(known > 0 && known == own.len());
            }
            let rate = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
            columns.add(
                split,
                other,
                [captions, shared, images.len(), some, all],
                [
                    rate(shared, captions),
                    rate(some, images.len()),
                    rate(all, images.len()),
                ],
            );
        }
        let [captions, shared, images, some, all] = columns.counts;
        let [shared_rate, some_rate, all_rate] = columns.rates;
        df!(
            "split" => columns.split, "compared_with" => columns.other, "captions" => captions,
            "shared" => shared, "shared_rate" => shared_rate, "images" => images,
            "with_any" => some, "with_any_rate" => some_rate,
            "with_only" => all, "with_only_rate" => all_rate,
        )
    }

    /// Sentences that several splits have, with how often each has them; the most frequent
    /// first.
    fn most(&self, splits: &Splits<'_>) -> PolarsResult<DataFrame> {
        let mut sentences: HashSet<&String> = HashSet::new();
        for (split, other, _) in compared(splits) {
            let own = self.counts.get(split).into_iter().flat_map(HashMap::keys);
            sentences.extend(own.filter(|sentence| self.count(other, sentence) > 0));
        }
        let total = |sentence: &str| -> u64 {
            splits
                .iter()
                .map(|(split, _)| self.count(split, sentence))
                .sum()
        };
        let mut sentences: Vec<(u64, &String)> = (sentences.into_iter())
            .map(|sentence| (total(sentence), sentence))
            .collect();
        sentences.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        sentences.truncate(10 * SHOWN);
        let words: Vec<String> = (sentences.iter())
            .map(|(_, sentence)| escaped(sentence).to_string())
            .collect();
        let mut table = df!("caption" => words)?;
        for (split, _) in splits {
            let counts = sentences
                .iter()
                .map(|(_, sentence)| self.count(split, sentence));
            let counts: Vec<u64> = counts.collect();
            table.hstack_mut(df!(*split => counts)?.columns())?;
        }
        Ok(table)
    }
}

/// What the tables come to, for each split compared with train.
fn verdicts(photographs: &DataFrame, captions: &DataFrame) -> Vec<String> {
    let rate = |row: &Value, name: &str| row[name].as_f64().unwrap_or(0.0);
    let rows = render::rows(photographs)
        .into_iter()
        .zip(render::rows(captions));
    let rows = rows.filter(|(row, _)| row["compared_with"] == "train");
    rows.map(|(photographs, captions)| {
        let split = photographs["split"].as_str().unwrap_or_default();
        let alike = rate(&photographs, "near_or_equal_rate");
        let said = rate(&captions, "with_any_rate");
        let what = match (alike >= WORTH[0], said >= WORTH[1]) {
            (true, true) => "both photographs and captions",
            (true, false) => "photographs, not captions",
            (false, true) => "captions, not photographs",
            (false, false) => "few captions and photographs",
        };
        let percent = |rate: f64| format!("{:.1} %", 100.0 * rate);
        format!(
            "{split} shares {what} with train: {} of its images have a caption of train's, {} a photograph of train's or almost one",
            percent(said),
            percent(alike)
        )
    })
    .collect()
}
