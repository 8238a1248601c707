//! The page: what stands in it before a script runs (scores, statistics), and what its script
//! shows (the captions).
//!
//! - `html`: escaping and tables. `sections`: the scores and the comparison. `words`: the
//!   statistics. `data`: the captions, packed. `report.{html,css,js}`: the page's frame, its look
//!   and its script.
//!
//! Its Content-Security-Policy allows this script and this style, by their digests, and
//! pictures beside the file; nothing from elsewhere.

mod data;
mod html;
mod sections;
mod words;

use crate::scored::{Scored, Split};
use attend_artifact::Manifest;
use attend_artifact::dataset::Dataset;
use attend_program::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use html::{filled, text};
use sha2::{Digest, Sha256};

const FRAME: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// What the page is about.
pub struct Page<'a> {
    /// Names of the run and of the one that it is compared with.
    pub names: [&'a str; 2],
    /// The evaluation's manifest.
    pub manifest: &'a Manifest,
    /// The data set.
    pub dataset: &'a Dataset,
    /// The images and their human captions.
    pub split: &'a Split<'a>,
    /// The evaluation.
    pub scored: &'a Scored,
    /// The evaluation that it is compared with.
    pub other: Option<&'a Scored>,
}

impl Page<'_> {
    /// The page, in UTF-8.
    ///
    /// # Errors
    /// [`attend_program::Error::Internal`] if its data can't be packed.
    pub fn html(&self) -> Result<String> {
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        // Chromium takes pictures beside a file for its own, Firefox only by their scheme.
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src 'self' file:; base-uri 'none'; form-action 'none'",
            hash(SCRIPT),
            hash(STYLE)
        );
        let [name, other] = self.names.map(text);
        let title = match self.other {
            Some(_) => format!("{name} against {other}"),
            None => name,
        };
        let count = self.split.images.len();
        let summary = format!(
            "{count} images of split “{}”, {} human captions",
            text(&self.scored.evaluation.split),
            self.split.references.iter().map(Vec::len).sum::<usize>()
        );
        let evaluation = &self.scored.evaluation;
        let hint = match evaluation.words.is_empty() {
            true => "This evaluation keeps no attention; evaluate again with --force to see where the model looked.".to_owned(),
            false => format!("Point at a word, or go to it with the tab and arrow keys: the photograph is bright where the model looked. The evaluation keeps attention for beam size {}.", evaluation.primary),
        };
        let [data, attention] = self.data()?;
        Ok(filled(
            FRAME,
            &[
                ("policy", &policy),
                ("title", &title),
                ("summary", &summary),
                ("style", STYLE),
                ("sections", &self.sections()),
                ("hint", &hint),
                ("shortcuts", &self.shortcuts()),
                ("data", &data),
                ("attention", &attention),
                ("script", SCRIPT),
            ],
        ))
    }

    /// Buttons for what people look at first.
    fn shortcuts(&self) -> String {
        let mut all = vec![("Worst", "cider", "up"), ("Best", "cider", "down")];
        if self.other.is_some() {
            all.extend([
                ("Most changed", "size_cider", "down"),
                ("Most gained", "change_cider", "down"),
                ("Most lost", "change_cider", "up"),
            ]);
        }
        if self.split.scored.is_empty() {
            all.clear();
        }
        let button = |(label, sort, order): (&str, &str, &str)| {
            format!(
                "<button type=\"button\" data-sort=\"{sort}\" data-order=\"{order}\">{label}</button>\n"
            )
        };
        all.into_iter().map(button).collect()
    }
}
