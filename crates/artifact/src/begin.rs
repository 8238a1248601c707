//! Decides whether a stage's output is up to date, and which parts of it this run makes
//! again.

use crate::manifest::{Manifest, short};
use crate::old::Old;
use crate::staging::{Again, Lock, Piece, Rules, Share, has_replaced, kept};
use crate::{Input, Stage, Staging};
use attend_program::{Error, Result, loose};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

impl<C> Stage<C> {
    /// The note of this name that an unfinished run, or the one that made the output, left
    /// with [`Staging::keep_note`]. It may be of other parameters and inputs.
    pub fn note(&self, name: &str) -> Option<Vec<u8>> {
        kept(self.output(), name)
    }

    /// Begins to write the output. Returns `None` if the output is up to date, so that the
    /// stage has nothing to do. `extra` are inputs that are not artifacts, by name.
    ///
    /// # Errors
    /// [`Error::Refused`] if the output path holds something other than an artifact of this
    /// kind, or one that took more than a minute to make with other parameters or inputs;
    /// [`Error::Internal`] of the file system.
    pub fn begin(&self, extra: &[(&str, Input)]) -> Result<Option<Staging>> {
        self.begin_pieces(extra, &[])
    }

    /// Like [`Stage::begin`], for a stage that can continue from output made with other
    /// parameters, such as a longer training. `extends` gets the folder of an unfinished or
    /// finished artifact ([`Staging::before`]) and the parameters that differ, and returns
    /// whether this run would reach that state.
    ///
    /// # Errors
    /// Those of [`Stage::begin`].
    pub fn begin_extending(
        &self,
        extra: &[(&str, Input)],
        extends: &dyn Fn(&Path, &[&str]) -> bool,
    ) -> Result<Option<Staging>> {
        self.begin_any(extra, &[], extends)
    }

    /// Like [`Stage::begin`], for an output of `pieces`: valid pieces of an existing output
    /// are kept, and [`Staging::to_make`] returns those that this run has to make.
    ///
    /// # Errors
    /// Those of [`Stage::begin`]; [`Error::Refused`] also if single shards are to
    /// be made again and the output was made with other parameters or inputs;
    /// [`Error::Usage`] if there is no such shard.
    pub fn begin_pieces(
        &self,
        extra: &[(&str, Input)],
        pieces: &[Piece],
    ) -> Result<Option<Staging>> {
        self.begin_any(extra, pieces, &|_, _| false)
    }

    fn begin_any(
        &self,
        extra: &[(&str, Input)],
        pieces: &[Piece],
        extends: &dyn Fn(&Path, &[&str]) -> bool,
    ) -> Result<Option<Staging>> {
        let mut draft = self.draft(extra);
        // Before waiting for other runs: usually there is nothing to do.
        if matches!(self.again, Again::Stale)
            && !has_replaced(&self.output)
            && self.look(&draft, pieces)?.is_none()
        {
            return Ok(None);
        }
        let lock = Lock::wait(&self.output, self.share)?;
        let Some((old, keep)) = self.look(&draft, pieces)? else {
            return Ok(None);
        };
        if let Some(before) = old.as_ref().and_then(Old::made_with)
            && self.is_part()
        {
            draft.schema = before.schema;
        }
        let all = matches!(self.again, Again::All);
        let rules = Rules {
            discard: self.discard || all,
            unrecorded: self.spec.unrecorded,
            extends: if all { &|_, _| false } else { extends },
        };
        let mut staging = Staging::share(draft, self.share, lock, old.as_ref(), &rules)?;
        staging.inside = self.folders_of_inputs();
        let Some(old) = old else {
            return Ok(Some(staging));
        };
        if self.is_part() {
            staging.forget(&keep);
        }
        staging.adopt(&old, &keep)?;
        let before = self.is_part().then(|| old.before());
        Ok(Some(staging.expect(before)))
    }

    /// Whether this run makes part of the output again (`--shards`, `--repair`). Then
    /// everything else is kept, even if its sources have changed.
    pub fn is_part(&self) -> bool {
        matches!(self.again, Again::Damaged | Again::Shards(_))
    }

    /// The existing output, and the files of it to keep; `None` if it is up to date.
    fn look(
        &self,
        draft: &Manifest,
        pieces: &[Piece],
    ) -> Result<Option<(Option<Old>, Vec<String>)>> {
        let old = Old::find(&self.output, draft)?;
        if let Some(keep) = self.keep(old.as_ref(), draft, pieces)? {
            return Ok(Some((old, keep)));
        }
        let manifest = old.as_ref().and_then(|old| old.manifest.as_ref());
        if old.is_some() {
            // Files may have been touched without a change. Another user's artifact stays.
            let _ = loose::write(&self.output, &self.folders_of_inputs());
        }
        tracing::info!(
            "{} is up to date ({})",
            self.output.display(),
            manifest.map_or("", |manifest| short(&manifest.digest))
        );
        Ok(None)
    }

    fn folders_of_inputs(&self) -> Vec<PathBuf> {
        let roots = self.inputs.values().map(|input| &input.root);
        let both = roots.flat_map(|root| [std::path::absolute(root), root.canonicalize()]);
        both.flatten().collect()
    }

    fn draft(&self, extra: &[(&str, Input)]) -> Manifest {
        let mut inputs: BTreeMap<String, Input> = self
            .inputs
            .iter()
            .map(|(name, artifact)| (name.clone(), artifact.input()))
            .collect();
        let extra = extra.iter();
        inputs.extend(extra.map(|(name, input)| ((*name).to_owned(), input.clone())));
        Manifest {
            config: self.recorded.clone(),
            inputs,
            ..Manifest::draft(self.spec.output, self.spec.name, self.spec.version)
        }
    }

    /// The files of the old output to keep, or `None` if it is up to date.
    fn keep(
        &self,
        old: Option<&Old>,
        draft: &Manifest,
        pieces: &[Piece],
    ) -> Result<Option<Vec<String>>> {
        let part = self.is_part();
        let Some(old) = old else {
            return match self.again {
                Again::Shards(_) => Err(Error::refused(format!(
                    "{}: does not exist yet, so its shards can't be made again",
                    self.output.display()
                ))),
                _ => Ok(Some(Vec::new())),
            };
        };
        if let Some(difference) = old.difference(draft, self.spec.unrecorded) {
            return match part {
                true => Err(Error::refused(format!(
                    "{}: was made with other {difference}; old and new shards are never mixed. Repeat its parameters and inputs, or run without --shards and --repair to make everything again",
                    self.output.display()
                ))),
                false => Ok(Some(Vec::new())),
            };
        }
        let bad = match &self.again {
            Again::All => return Ok(Some(Vec::new())),
            Again::Stale => old.short(),
            Again::Damaged => old.damaged()?,
            Again::Shards(names) => {
                // Other lost shards stay lost, and their sources are not checked.
                let mut bad = named(names, pieces)?;
                let is_piece = |name: &String| pieces.iter().any(|piece| piece.name == *name);
                bad.extend(old.short().into_iter().filter(|name| !is_piece(name)));
                bad
            }
        };
        let good = |piece: &&Piece| {
            // Single shards are made from the current sources, and compared with the
            // manifest.
            let fresh = part || old.sources(&piece.name) == Some(&piece.sources);
            fresh && !bad.contains(&piece.name)
        };
        let tables = bad.is_empty() || matches!(self.share, Share::Task { .. });
        if self.share.select(pieces).all(|piece| good(&piece)) && tables && old.manifest.is_some() {
            return Ok(None);
        }
        let mut keep: Vec<String> = match part {
            true => old.before().entries.into_keys().collect(),
            false => (self.share.select(pieces).filter(good))
                .map(|piece| piece.name.clone())
                .collect(),
        };
        keep.retain(|name| !bad.contains(name));
        Ok(Some(keep))
    }
}

/// The files of the shards with these names.
fn named(names: &[String], pieces: &[Piece]) -> Result<Vec<String>> {
    let find = |name: &String| {
        let stem = |piece: &&Piece| {
            let file = piece.name.rsplit('/').next().unwrap_or_default();
            file.split('.').next() == Some(name) || piece.name == *name
        };
        let piece = pieces.iter().find(stem);
        piece.map(|piece| piece.name.clone()).ok_or_else(|| {
            let ends = [pieces.first(), pieces.last()];
            let ends: Vec<&str> = ends.iter().flatten().map(|p| p.name.as_str()).collect();
            Error::usage(format!(
                "--shards {name}: there is no such shard; they are {}",
                ends.join(" to ")
            ))
        })
    };
    names.iter().map(find).collect()
}
