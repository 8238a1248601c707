//! What the captions are made of: lengths, words, repetitions.

use super::Page;
use super::html::{table, text};
use crate::scored::Beam;
use crate::statistics::{LONGEST, People, Said};
use std::fmt::Write;

/// Height of a bar that stands for the most frequent length.
const HEIGHT: f64 = 120.0;

impl Page<'_> {
    /// The statistics, and the lists of words and captions.
    pub(super) fn statistics(&self) -> (String, String) {
        let people = People::new(self.split, self.dataset);
        let of = |beam: &Beam| Said::new(beam, &people);
        let primary = of(self.scored.beam(self.scored.evaluation.primary));
        let mut columns: Vec<(String, Said)> = (self.scored.beams.iter())
            .map(|beam| (format!("Beam {}", beam.size), of(beam)))
            .collect();
        if let Some(other) = self.other {
            let beam = other.beam(self.scored.evaluation.primary);
            columns.push((text(self.names[1]), of(beam)));
        }
        let names = columns.iter().map(|(name, _)| name.clone());
        let head: Vec<String> = [String::new()]
            .into_iter()
            .chain(names)
            .chain(["People".to_owned()])
            .collect();
        let row = |name: &str, of: &dyn Fn(&Said) -> String, people: String| {
            let cells = columns.iter().map(|(_, said)| of(said));
            let cells = [name.to_owned()].into_iter().chain(cells).chain([people]);
            cells.collect()
        };
        let percent = |share: f64| match 100.0 * share {
            small @ 0.0..9.95 => format!("{small:.1} %"),
            share => format!("{share:.0} %"),
        };
        let none = || "–".to_owned();
        let mut rows = vec![
            row(
                "Words per caption",
                &|said| format!("{:.1}", said.mean_length),
                format!("{:.1}", people.mean_length),
            ),
            row(
                "Vocabulary",
                &|said| said.vocabulary.to_string(),
                people.vocabulary().to_string(),
            ),
            row(
                "Distinct captions",
                &|said| percent(said.distinct),
                percent(people.distinct),
            ),
        ];
        if primary.in_train.is_some() {
            rows.push(row(
                "Found in train",
                &|said| said.in_train.map_or_else(none, percent),
                none(),
            ));
        }
        rows.push(row("Not ended", &|said| percent(said.unfinished), none()));
        let words = format!(
            "<section>\n<h2>Words</h2>\n<div class=\"halves\">\n<div>\n{}<p class=\"note\">Vocabulary: different words. Found in train: captions that people gave images of split train, word for word. Not ended: captions that reached the limit of words.</p>\n</div>\n{}</div>\n</section>\n",
            table("Captions of the model and of people", &head, &rows),
            histogram(&primary, &people),
        );
        let lists = format!(
            "<details>\n<summary>Most frequent words and captions</summary>\n<div class=\"columns\">\n{}</div>\n</details>\n",
            lists(&primary)
        );
        (words, lists)
    }
}

/// The lists of words and captions.
fn lists(said: &Said) -> String {
    let rate = |rate: &f64| format!("{rate:.1}");
    let words = said.words.iter();
    let words = words.map(|(word, [ours, theirs])| vec![text(word), rate(ours), rate(theirs)]);
    let counted = |(what, count): &(String, u64)| vec![text(what), count.to_string()];
    let repeated = said.captions.iter().filter(|(_, count)| *count > 1);
    let list = |caption: &str, head: &[&str], rows: Vec<Vec<String>>| match rows.is_empty() {
        true => String::new(),
        false => format!("<div>\n{}</div>\n", table(caption, head, &rows)),
    };
    [
        list(
            "Most frequent words, per 1,000",
            &["Word", "Model", "People"],
            words.collect(),
        ),
        list(
            "Most frequent captions",
            &["Caption", "Count"],
            repeated.map(counted).collect(),
        ),
        list(
            "What people say most of what the model never says",
            &["Word", "Count"],
            said.never.iter().map(counted).collect(),
        ),
    ]
    .concat()
}

/// The distribution of lengths as bars, captions beside references.
fn histogram(said: &Said, people: &People) -> String {
    let all = || said.lengths.iter().chain(&people.lengths);
    let most = all().copied().fold(f64::MIN_POSITIVE, f64::max);
    let used = |at: &usize| said.lengths[*at] > 0.0 || people.lengths[*at] > 0.0;
    let (first, last) = ((0..=LONGEST).find(used), (0..=LONGEST).rfind(used));
    let (Some(first), Some(last)) = (first, last) else {
        return String::new();
    };
    let (step, wide) = (28.0, 11.0);
    // Bars of few lengths don't grow.
    let width = step * (last - first + 1).max(16) as f64 + 8.0;
    let mut bars = String::new();
    for (place, length) in (first..=last).enumerate() {
        let x = 4.0 + step * place as f64;
        let shares = [
            ("ours", said.lengths[length]),
            ("theirs", people.lengths[length]),
        ];
        for (at, (class, share)) in shares.iter().enumerate() {
            let height = HEIGHT * share / most;
            let _ = write!(
                bars,
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{wide}\" height=\"{height:.1}\"/>",
                x + 2.0 + wide * at as f64,
                HEIGHT + 6.0 - height
            );
        }
        let label = match length {
            LONGEST => format!("{length}+"),
            _ if length % 2 == 0 => length.to_string(),
            _ => String::new(),
        };
        let _ = writeln!(
            bars,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            x + step / 2.0,
            HEIGHT + 23.0
        );
    }
    let line = HEIGHT + 6.0;
    format!(
        "<figure>\n<figcaption>Lengths of captions, in words: <span class=\"key ours\">the model’s, {:.1} on average</span><span class=\"key theirs\">people’s, {:.1}</span></figcaption>\n<svg viewBox=\"0 0 {width} {}\" role=\"img\" aria-label=\"Bars: the share of captions of each length, the model’s beside people’s\">\n{bars}<line x1=\"0\" x2=\"{width}\" y1=\"{line}\" y2=\"{line}\"/>\n</svg>\n</figure>\n",
        said.mean_length,
        people.mean_length,
        HEIGHT + 30.0
    )
}
