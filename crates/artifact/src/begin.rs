//! What a stage finds in its output's place, and what of it this run makes again.

use crate::manifest::{Manifest, short};
use crate::old::Old;
use crate::staging::{Again, Lock, Piece, Rules, Share};
use crate::{Artifact, Input, Stage, Staging};
use attend_program::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

impl<C> Stage<C> {
    /// Begins to write the output, or says that it is up to date: `None`, the
    /// stage has nothing to do. `extra` are inputs that are no artifacts, by
    /// name.
    ///
    /// # Errors
    /// [`Error::Refused`] where something that is no artifact of this kind
    /// stands in the output's place, or something that took more than a minute to
    /// make with other parameters or inputs; [`Error::Internal`] from the disk.
    pub fn begin(&self, extra: &[(&str, Input)]) -> Result<Option<Staging>> {
        self.begin_pieces(extra, &[])
    }

    /// As [`Stage::begin`], for a stage that can go on from what was made with other
    /// parameters: a training that is to last longer. `extends` is asked with a folder,
    /// an unfinished artifact's or a finished one's ([`Staging::before`]), and the
    /// parameters that differ: whether this run would come to what is there.
    ///
    /// # Errors
    /// As [`Stage::begin`].
    pub fn begin_extending(
        &self,
        extra: &[(&str, Input)],
        extends: &dyn Fn(&Path, &[&str]) -> bool,
    ) -> Result<Option<Staging>> {
        self.begin_any(extra, &[], extends)
    }

    /// As [`Stage::begin`], for an output of `pieces`: those of an output that is
    /// there are kept where they are still good, and [`Staging::to_make`] says
    /// which ones this run has to make.
    ///
    /// # Errors
    /// As [`Stage::begin`]; [`Error::Refused`], too, where single shards are to
    /// be made again and the output was made with other parameters or inputs;
    /// [`Error::Usage`] where there is no such shard.
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
        let draft = self.draft(extra);
        // Before waiting for anybody: most often there is nothing to do.
        if matches!(self.again, Again::Stale) && self.look(&draft, pieces)?.is_none() {
            return Ok(None);
        }
        let lock = Lock::wait(&self.output, self.share)?;
        let Some((old, keep)) = self.look(&draft, pieces)? else {
            return Ok(None);
        };
        let all = matches!(self.again, Again::All);
        let rules = Rules {
            discard: self.discard || all,
            unrecorded: self.spec.unrecorded,
            extends: if all { &|_, _| false } else { extends },
        };
        let mut staging = Staging::share(draft, self.share, lock, old.as_ref(), &rules)?;
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

    /// Whether this run makes a part of the output again (`--shards`, `--repair`): then
    /// the rest stays as it is, whatever has become of what it was made from.
    pub fn is_part(&self) -> bool {
        matches!(self.again, Again::Damaged | Again::Shards(_))
    }

    /// What is there, and what of it stays; `None` where all of it does.
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
        tracing::info!(
            "{} is up to date ({})",
            self.output.display(),
            manifest.map_or("", |manifest| short(&manifest.digest))
        );
        Ok(None)
    }

    fn draft(&self, extra: &[(&str, Input)]) -> Manifest {
        let of_artifact = |artifact: &Artifact| Input {
            kind: artifact.manifest.kind.clone(),
            digest: artifact.manifest.digest.clone(),
        };
        let mut inputs: BTreeMap<String, Input> = self
            .inputs
            .iter()
            .map(|(name, artifact)| (name.clone(), of_artifact(artifact)))
            .collect();
        let extra = extra.iter();
        inputs.extend(extra.map(|(name, input)| ((*name).to_owned(), input.clone())));
        Manifest {
            config: self.recorded.clone(),
            inputs,
            ..Manifest::draft(self.spec.output, self.spec.name, self.spec.version)
        }
    }

    /// The files of the old output that stay as they are, or `None` where all of
    /// it does.
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
                    "{}: is not there yet, so that no shard of it can be made again",
                    self.output.display()
                ))),
                _ => Ok(Some(Vec::new())),
            };
        };
        if let Some(difference) = old.difference(draft, self.spec.unrecorded) {
            return match part {
                true => Err(Error::refused(format!(
                    "{}: was made with other {difference}; shards of two kinds are never mixed. Use what it was made with, or make all of it again without --shards and --repair",
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
                // Another shard that is lost stays lost, and its sources out of it.
                let mut bad = named(names, pieces)?;
                let is_piece = |name: &String| pieces.iter().any(|piece| piece.name == *name);
                bad.extend(old.short().into_iter().filter(|name| !is_piece(name)));
                bad
            }
        };
        let good = |piece: &&Piece| {
            // Single shards are made from what there is now, and compared.
            let fresh = part || old.sources(&piece.name) == Some(&piece.sources);
            fresh && !bad.contains(&piece.name)
        };
        let tables = bad.is_empty() || matches!(self.share, Share::Task { .. });
        if self.share.of(pieces).all(|piece| good(&piece)) && tables && old.manifest.is_some() {
            return Ok(None);
        }
        let mut keep: Vec<String> = match part {
            true => old.before().entries.into_keys().collect(),
            false => (self.share.of(pieces).filter(good))
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
