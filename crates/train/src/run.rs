//! The training loop.

use crate::checkpoint::{self, Contents, State};
use crate::config::{Attention, HardSection, NotFinite, Train};
use crate::data::{Batch, Data};
use crate::metrics::Metrics;
use crate::network::{Network, Outcome};
use crate::order::{Group, batches, turn};
use crate::resume::kept;
use crate::reward::Critic;
use crate::schedule;
use crate::validate::{Judge, Validation, validate};
use attend_artifact::model;
use attend_artifact::vocabulary::Vocabulary;
use attend_model::{CrossEntropy, HardAttention, Reading};
use attend_program::random::{mix, unit};
use attend_program::{Error, Progress, Result, check_interrupt, progress};
use crossbeam::channel::bounded;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Number of batches that are assembled in advance.
const AHEAD: usize = 4;
/// What a step keeps of the moving mean of log-probabilities (Xu et al. 2015).
const KEPT: f64 = 0.9;
/// Number of consecutive skipped steps that ends the run.
const MOST_SKIPPED: u64 = 100;

/// A run: the network, its data, and its state.
pub struct Training<'a> {
    /// Parameters.
    pub train: &'a Train,
    /// Parameters of hard attention.
    pub hard: &'a HardSection,
    /// The data.
    pub data: &'a Data,
    /// The words of the captions.
    pub vocabulary: &'a Vocabulary,
    /// `vocab.json`, which goes into every checkpoint.
    pub vocabulary_file: &'a Path,
    /// Scores the validation captions.
    pub judge: Judge,
    /// Rewards captions, in a training by reward.
    pub critic: Option<Critic>,
    /// The model.
    pub network: Network,
    /// The folder that holds `checkpoints/` and the metrics.
    pub folder: PathBuf,
    /// The state of the run.
    pub state: State,
    /// When the last checkpoint was written.
    pub saved: Instant,
}

impl Training<'_> {
    /// Trains to the end, from the start or from where an interrupted run stopped.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after a checkpoint was written; [`Error::Internal`] if the
    /// loss or a weight is NaN or infinite.
    pub fn run(&mut self) -> Result<()> {
        let last = self.folder.join("checkpoints/last");
        if self.train.average > 0.0 {
            self.network.begin_average(self.train.average);
        }
        if let Some(state) = checkpoint::read(&last)? {
            self.network.restore(&last)?;
            self.state = state;
            tracing::info!(
                "going on after step {} of epoch {}",
                self.state.step_of_epoch,
                self.state.epoch + 1
            );
        }
        self.tidy()?;
        let mut metrics = Metrics::open(&self.folder, self.state.metrics)?;
        while self.state.epoch < self.train.epochs
            && self.state.since_best < self.train.stop_patience
        {
            self.epoch(&mut metrics)?;
        }
        if self.state.since_best >= self.train.stop_patience {
            tracing::info!("no better score for {} epochs: done", self.state.since_best);
        }
        Ok(())
    }

    fn epoch(&mut self, metrics: &mut Metrics) -> Result<()> {
        let epochs = self.train.epochs;
        let epoch = self.state.epoch;
        self.network.only_words = epoch < self.train.freeze;
        let mut plan = self.plan();
        if self.train.views {
            turn(&mut plan, self.data.views(), self.train.seed, epoch);
        }
        let name = format!("epoch {}/{epochs}", epoch + 1);
        let bar = progress(&name, "captions", self.count(&plan));
        let of_step = self.train.accumulate;
        let done = self.state.step_of_epoch as usize * of_step;
        let todo = plan.get(done..).unwrap_or_default();
        bar.skip(self.count(&plan[..done.min(plan.len())]));
        let (data, device) = (self.data, self.network.device);
        std::thread::scope(|scope| {
            let (sender, receiver) = bounded(AHEAD);
            scope.spawn(move || {
                // Ends early if the receiver is gone.
                let batch = |groups| data.batch(groups).map(|batch| batch.pinned_for(device));
                todo.iter().all(|groups| sender.send(batch(groups)).is_ok())
            });
            for groups in todo.chunks(of_step) {
                let part = (self.state.step_of_epoch as usize * of_step) as f64 / plan.len() as f64;
                let batches = receiver.iter().take(groups.len());
                self.step(batches, groups, epoch as f64 + part, metrics, &bar)?;
                bar.inc(self.count(groups));
                self.between_steps(metrics)?;
            }
            Ok::<(), Error>(())
        })?;
        bar.finish();
        let mean_loss = self.state.loss_sum / self.state.losses.max(1) as f64;
        // The moving average is what is validated and kept; the weights go on.
        self.network.exchange();
        let validation = validate(
            &self.network,
            data,
            self.vocabulary,
            &self.judge,
            self.train,
        );
        if let Err(Error::Interrupted) = validation {
            self.network.exchange();
            return self.interrupted(metrics);
        }
        self.judge(&validation?, mean_loss, metrics)?;
        self.network.exchange();
        self.save(metrics, "last", true)?;
        self.tidy()
    }

    /// The images and captions of each batch of the epoch. If captions are drawn, the groups
    /// have none.
    fn plan(&self) -> Vec<Vec<Group>> {
        let Train {
            seed,
            batch,
            captions_per_image,
            ..
        } = *self.train;
        let epoch = self.state.epoch;
        let Some(critic) = &self.critic else {
            let images = &self.data.image_of_caption;
            return batches(images, batch, captions_per_image, seed, epoch);
        };
        let images = batch / critic.samples();
        let mut plan = batches(&critic.images(), images, 1, seed, epoch);
        let groups = plan.iter_mut().flatten();
        groups.for_each(|group| group.captions.clear());
        plan
    }

    /// The number of captions of these batches.
    fn count(&self, plan: &[Vec<Group>]) -> u64 {
        let groups = plan.iter().flatten();
        let captions = groups.map(|group| match &self.critic {
            Some(critic) => critic.samples() as u64,
            None => group.captions.len() as u64,
        });
        captions.sum()
    }

    fn step(
        &mut self,
        mut batches: impl Iterator<Item = Result<Batch>>,
        groups: &[Vec<Group>],
        epochs: f64,
        metrics: &mut Metrics,
        bar: &Progress,
    ) -> Result<()> {
        let step = self.state.step;
        // Dropout and sampling depend on seed and step only.
        tch::manual_seed(mix(&[self.train.seed, 2, step]) as i64);
        let logs = step.is_multiple_of(self.train.log_steps);
        let reading = Reading {
            dropout: true,
            own_words: (self.train.sampling_rise * epochs.floor()).min(self.train.sampling),
            hard: self.train.attention == Attention::Hard
                && unit(mix(&[self.train.seed, 4, step])) < self.hard.share,
        };
        let objective = self.objective();
        let scale = 1.0 / groups.len() as f64;
        let mut mean = Outcome::default();
        for (batch, of_batch) in batches.by_ref().zip(groups) {
            let batch = batch?;
            let outcome = match &self.critic {
                None => (self.network).read(&batch, &objective, (scale, reading), logs)?,
                Some(critic) => {
                    let of: Vec<usize> = of_batch.iter().map(|group| group.image).collect();
                    let seed = mix(&[self.train.seed, 3, step, of[0] as u64]);
                    (self.network).read_by_reward(&batch, scale, (critic, &of, seed))?
                }
            };
            if !outcome.total.is_finite() {
                self.network.forget();
                batches.for_each(drop); // the rest of this step's
                return self.leave_out(outcome.total, of_batch);
            }
            mean.add(outcome, scale);
        }
        let State { epoch, decay, .. } = self.state;
        let rate = schedule::factor(self.train, step, epoch, epochs, decay);
        let (decoder_lr, encoder_lr) = (self.train.decoder_lr * rate, self.train.encoder_lr * rate);
        let Train {
            clip_norm, clip, ..
        } = *self.train;
        let taken = (self.network).step(decoder_lr, encoder_lr, clip_norm, clip);
        self.state.step += 1;
        self.state.step_of_epoch += 1;
        if !taken {
            let what = format!("the gradients of step {step} are too large for f16");
            tracing::debug!("{what}: step skipped");
            return self.count_skipped(&what, "set train.precision = \"bf16\" or \"f32\"");
        }
        if let Some((_, log_prob)) = mean.values.iter().find(|(name, _)| *name == "log_prob") {
            let before = self.state.baseline.unwrap_or(*log_prob);
            self.state.baseline = Some(KEPT * before + (1.0 - KEPT) * log_prob);
        }
        self.state.loss_sum += mean.headline();
        self.state.losses += 1;
        self.state.skipped = 0;
        if logs {
            let mut values = vec![("loss", mean.total)];
            for (name, value) in &mean.values {
                values.push((name, *value));
                values.extend((*name == "cross_entropy").then(|| ("perplexity", value.exp())));
            }
            values.push(("learning_rate", decoder_lr));
            metrics.write(step, self.state.epoch, "train", &values)?;
            bar.set_message(match &self.critic {
                Some(_) => format!("reward {:.3}", mean.value("reward")),
                None => format!(
                    "loss {:.3}  perplexity {:.1}  top-5 {:.1} %",
                    mean.total,
                    mean.value("cross_entropy").exp(),
                    100.0 * mean.value("top5")
                ),
            });
        }
        Ok(())
    }

    /// The objective of the next step, unless captions are drawn.
    fn objective(&self) -> HardAttention {
        HardAttention {
            words: CrossEntropy {
                alpha_c: self.train.alpha_c,
                smoothing: self.train.label_smoothing,
            },
            reward: self.hard.reward,
            entropy: self.hard.entropy,
            baseline: self.state.baseline,
        }
    }

    /// Skips a step whose loss is NaN or infinite, or ends the run (`train.not_finite`).
    fn leave_out(&mut self, loss: f64, groups: &[Group]) -> Result<()> {
        let step = self.state.step;
        let images: Vec<i64> = groups
            .iter()
            .map(|group| self.data.image(group.image).image_id)
            .collect();
        let what = format!("the loss of step {step} is {loss}, on images {images:?}");
        self.state.step += 1;
        self.state.step_of_epoch += 1;
        let way_out = "lower train.decoder_lr, set train.clip_norm, or look at these images";
        if self.train.not_finite == NotFinite::Skip {
            tracing::warn!("{what}: step skipped");
            return self.count_skipped(&what, way_out);
        }
        Err(diverged(
            &what,
            &format!("{way_out} (train.not_finite = \"skip\" skips such steps)"),
        ))
    }

    /// Counts a skipped step; too many in a row end the run.
    fn count_skipped(&mut self, what: &str, way_out: &str) -> Result<()> {
        self.state.skipped += 1;
        match self.state.skipped {
            MOST_SKIPPED => Err(diverged(what, way_out)),
            _ => Ok(()),
        }
    }

    fn between_steps(&mut self, metrics: &mut Metrics) -> Result<()> {
        let every = self.train.checkpoint_steps;
        if attend_program::interrupted() {
            return self.interrupted(metrics);
        }
        let minutes = self.train.checkpoint_minutes;
        let late = minutes > 0.0 && self.saved.elapsed().as_secs_f64() > 60.0 * minutes;
        if late || (every > 0 && self.state.step.is_multiple_of(every)) {
            self.save(metrics, "last", true)?;
        }
        Ok(())
    }

    fn interrupted(&mut self, metrics: &mut Metrics) -> Result<()> {
        self.save(metrics, "last", true)?;
        tracing::info!("checkpoint of step {} written", self.state.step);
        check_interrupt()
    }

    /// Compares a validation score with the best so far and ends the epoch.
    fn judge(&mut self, validation: &Validation, loss: f64, metrics: &mut Metrics) -> Result<()> {
        let (_, name) = self.judge.metric.key_and_name();
        let score = validation.score(self.judge.metric);
        let better = self.state.best.is_none_or(|best| score > best);
        let split = &self.train.validation_split;
        let (key, trained) = match &self.critic {
            Some(_) => ("train_reward", "reward"),
            None => ("train_cross_entropy", "cross entropy"),
        };
        let mut values = vec![(key, loss)];
        let unseen = validation.cross_entropy;
        values.extend(unseen.is_finite().then_some(("cross_entropy", unseen)));
        let scores = validation.scores.iter();
        values.extend(scores.map(|score| (score.key.as_str(), score.corpus)));
        metrics.write(
            self.state.step,
            self.state.epoch,
            &self.train.validation_split,
            &values,
        )?;
        let unseen = match unseen.is_finite() {
            true if self.critic.is_some() => {
                format!(", cross entropy on {split} {unseen:.4}")
            }
            true => format!(" ({unseen:.4} on {split})"),
            false => String::new(), // another program's vocabulary may encode train alone
        };
        tracing::info!(
            "epoch {}: {trained} {loss:.4}{unseen}, {name} on {split} {score:.4}{}",
            self.state.epoch + 1,
            if better { ", the best so far" } else { "" }
        );
        for (sample, caption) in validation.samples.iter().zip(&validation.captions) {
            let name = &self.data.image(sample.image).file_name;
            tracing::info!("  {name}: {caption}");
            let tag = format!("{}/{name}", self.train.validation_split);
            metrics.picture(self.state.step, &tag, &sample.draw(self.data)?)?;
        }
        self.state.epoch += 1;
        self.state.step_of_epoch = 0;
        self.state.loss_sum = 0.0;
        self.state.losses = 0;
        self.state.scores.push(score);
        self.state.since_best = if better { 0 } else { self.state.since_best + 1 };
        if schedule::decays(self.train, self.state.since_best) {
            self.state.decay *= self.train.decay;
            tracing::info!(
                "learning rates are multiplied by {:.3} from here on",
                self.state.decay
            );
        }
        if better {
            self.state.best = Some(score);
            self.save(metrics, "best", false)?;
        }
        if self.train.keep_last.max(self.train.keep_best) > 1 {
            self.save(metrics, &model::epoch_name(self.state.epoch), false)?;
        }
        Ok(())
    }

    /// Removes the checkpoints that are not to be kept.
    fn tidy(&self) -> Result<()> {
        model::tidy(&self.folder, &kept(self.train, &self.state))
    }

    fn save(&mut self, metrics: &mut Metrics, name: &str, resumable: bool) -> Result<()> {
        if !self.network.is_finite() {
            return Err(Error::internal(format!(
                "after step {} a weight is NaN or infinite; the last checkpoint is intact: lower train.decoder_lr or set train.clip_norm",
                self.state.step
            )));
        }
        self.saved = Instant::now();
        self.state.metrics = metrics.flush()?;
        let contents = Contents {
            state: &self.state,
            card: &self.network.card,
            decoder: self.network.decoder_weights(),
            encoder: self.network.encoder_weights(),
            optimizer: resumable.then(|| self.network.optimizer()),
            vocabulary: self.vocabulary_file,
        };
        contents.save(&self.folder.join("checkpoints").join(name))
    }
}

fn diverged(what: &str, way_out: &str) -> Error {
    Error::internal(format!("{what}; the last checkpoint is intact: {way_out}"))
}
