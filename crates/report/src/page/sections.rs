//! The scores, the comparison with another run, and where the captions come from.

use super::Page;
use super::html::{table, text};
use crate::compare::{differences, name_of, verdict};
use crate::scored::Beam;
use attend_metrics::{Bootstrap, Difference, Interval};
use std::fmt::Write;

impl Page<'_> {
    /// All sections but the captions.
    pub(super) fn sections(&self) -> String {
        let (words, lists) = self.statistics();
        let overview = [self.scores(), self.comparison(), words].concat();
        format!(
            "<div class=\"overview\">\n{overview}</div>\n{lists}{}",
            self.origin()
        )
    }

    fn scores(&self) -> String {
        let beams = &self.scored.beams;
        let notes = self.notes();
        if self.split.scored.is_empty() {
            return "<section>\n<h2>Scores</h2>\n<p>No image has a human caption.</p>\n</section>\n"
                .to_owned();
        }
        let cell = |it: &Interval| {
            let [score, low, high] =
                [it.score, it.low, it.high].map(|number| format!("{:.1}", 100.0 * number));
            format!("{score}<small>{low}–{high}</small>")
        };
        let intervals: Vec<Vec<Interval>> = (beams.iter())
            .map(|beam| Bootstrap::default().intervals(&beam.tally))
            .collect();
        let row = |(at, key): (usize, &str)| {
            let cells = intervals.iter().map(|intervals| cell(&intervals[at]));
            [name_of(key).to_owned()].into_iter().chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = beams[0].tally.keys().enumerate().map(row).collect();
        let names = beams.iter().map(|beam| format!("Beam {}", beam.size));
        let head: Vec<String> = [String::new()].into_iter().chain(names).collect();
        let table = table(
            "Scores times 100, with 95 % confidence intervals",
            &head,
            &rows,
        );
        format!(
            "<section>\n<h2>Scores</h2>\n{table}<p class=\"note\">Intervals say how much a score depends on which images were evaluated (bootstrap over images, 1,000 resamples), not what another seed of the training would change.</p>\n{notes}</section>\n"
        )
    }

    /// The notes and the grounding in `scores.json`.
    fn notes(&self) -> String {
        let scores = &self.scored.evaluation.scores;
        let mut html = String::new();
        let of = |key: &str| scores["grounding"][key].as_f64();
        if let (Some(inside), Some(chance), Some(ratio), Some(words)) =
            (of("inside"), of("chance"), of("ratio"), of("words"))
        {
            let _ = writeln!(
                html,
                "<p>When a word names an object that has a box, {:.1} % of the attention falls inside the box; {:.1} % would by chance: {ratio:.2} times ({words} words).</p>",
                100.0 * inside,
                100.0 * chance
            );
        }
        for note in scores["notes"].as_array().into_iter().flatten() {
            let _ = writeln!(html, "<p>{}</p>", text(note.as_str().unwrap_or_default()));
        }
        html
    }

    fn comparison(&self) -> String {
        let Some(other) = self.other.filter(|_| !self.split.scored.is_empty()) else {
            return String::new();
        };
        let size = self.scored.evaluation.primary;
        let (a, b) = (self.scored.beam(size), other.beam(size));
        let [name, other_name] = self.names.map(text);
        let row = |found: &Difference| {
            let of = |beam: &Beam| {
                let score = beam.scores.iter().find(|score| score.key == found.key);
                score.map_or_else(String::new, |score| format!("{:.1}", 100.0 * score.corpus))
            };
            let number = |number: f64| format!("{:+.1}", 100.0 * number).replace('-', "−");
            let cells = [
                name_of(found.key).to_owned(),
                of(a),
                of(b),
                format!(
                    "{}<small>{} to {}</small>",
                    number(found.difference),
                    number(found.low),
                    number(found.high)
                ),
                format!(
                    "{:.0} %<small>{}</small>",
                    100.0 * found.better,
                    verdict(found)
                ),
            ];
            cells.to_vec()
        };
        let found = differences(self.scored, other, size);
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        let summary = match found.iter().filter(|found| found.is_clear()).count() {
            0 => {
                "The two can’t be told apart on these images: every interval includes 0.".to_owned()
            }
            clear => format!("{clear} of {} scores tell the two apart.", found.len()),
        };
        let head = ["", &name, &other_name, "Difference", "Better in"];
        let which = match a.size == b.size {
            true => format!("beam size {size}"),
            false => format!("beam sizes {} and {}", a.size, b.size),
        };
        let caption = format!("{name} and {other_name}, {which}, times 100");
        format!(
            "<section>\n<h2>Compared with {other_name}</h2>\n<p>{summary}</p>\n{}<p class=\"note\">Both are scored on the same resamples of the images, so that what is hard for both cancels out. “Better in” is the share of resamples in which {name} scores higher. Whether it is better or worse is clear if the 95 % interval excludes 0.</p>\n</section>\n",
            table(&caption, &head, &rows)
        )
    }

    /// Where the evaluation comes from: its parameters and inputs.
    fn origin(&self) -> String {
        let mut pairs = String::new();
        let mut add = |name: &str, value: &str| {
            let _ = writeln!(pairs, "<dt>{}</dt><dd>{}</dd>", text(name), text(value));
        };
        let sections = self.manifest.config.as_object();
        for (section, keys) in sections.into_iter().flatten() {
            for (key, value) in keys.as_object().into_iter().flatten() {
                add(&format!("{section}.{key}"), &value.to_string());
            }
        }
        for (name, input) in &self.manifest.inputs {
            add(name, &input.digest);
        }
        add("evaluation", &self.manifest.digest);
        format!(
            "<details>\n<summary>How the captions were made</summary>\n<p class=\"note\">Parameters of the evaluation, and digests of its inputs and its own.</p>\n<dl class=\"pairs\">\n{pairs}</dl>\n</details>\n"
        )
    }
}
