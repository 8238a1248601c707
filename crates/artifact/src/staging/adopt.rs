//! Takes files over from the artifact that a run replaces.

use super::disk::{fresh, link};
use super::folder::Staging;
use super::journal::Line;
use super::notes::notes_of;
use crate::old::Old;
use attend_program::Result;

impl Staging {
    /// Forgets files that an interrupted run took over, except `keep`: they may have been
    /// damaged since.
    pub(crate) fn forget(&mut self, keep: &[String]) {
        let stays = |name: &String, line: &mut Line| !line.adopted || keep.contains(name);
        self.others.retain(stays);
        self.journal().lines.retain(stays);
    }

    /// Takes over files of the artifact that this run replaces, unchanged.
    pub(crate) fn adopt(&mut self, old: &Old, names: &[String]) -> Result<()> {
        let known = |line: &Line| {
            self.line(&line.entry.name)
                .is_some_and(|known| known.is_same(line))
        };
        let lines: Vec<Line> = (names.iter())
            .filter_map(|name| old.line(name))
            .filter(|line| !known(line))
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        let both = self.seconds.zip(old.seconds());
        self.seconds = both.map(|(own, before)| own + before);
        self.write_work()?;
        let mut adopted = Vec::with_capacity(lines.len());
        for mut line in lines {
            let name = line.entry.name.clone();
            let (from, to) = (self.destination.join(&name), self.path(&name)?);
            if from.exists() {
                link(&from, &to)?;
            }
            if line.notes.is_some() {
                let from = notes_of(&self.destination, &name);
                if link(&from, &fresh(notes_of(&self.folder, &name))?).is_err() {
                    line.notes = None;
                }
            }
            line.adopted = true;
            adopted.push(line);
        }
        self.journal().enter(adopted)
    }
}
