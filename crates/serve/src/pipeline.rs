//! The way of a picture: threads decode it, one thread describes it in a batch with others.
//!
//! Tensors never leave the model's thread. A batch has pictures of equal searches. It waits
//! for more only while others are being decoded, and never longer than the window.

use crate::cache::{Cache, Captions, Key};
use crate::metrics::{Metrics, Outcome};
use crate::options::Options;
use crate::problem::Problem;
use attend_describe::{Captioner, Description};
use attend_image::{DecodeError, DecodeOptions};
use attend_program::{Error, Result};
use axum::body::Bytes;
use axum::http::StatusCode;
use crossbeam::channel::{Receiver, Sender, unbounded};
use std::collections::VecDeque;
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A picture that waits for its captions.
pub struct Job {
    /// The file's bytes.
    pub bytes: Bytes,
    /// How to search.
    pub options: Arc<Options>,
    /// Where the captions go. If nobody waits for them any more, nothing is done.
    pub reply: oneshot::Sender<Result<Captions, Problem>>,
    /// Its place in the queue, and its body's share of the memory, given back at the end.
    pub held: (OwnedSemaphorePermit, Arc<OwnedSemaphorePermit>),
}

impl Job {
    /// Gives back what it held, and answers it.
    fn answer(self, answer: Result<Captions, Problem>) {
        drop(self.held);
        // Nobody may wait for it any more.
        let _ = self.reply.send(answer);
    }
}

/// A decoded picture.
struct Decoded {
    pixels: Vec<u8>,
    key: Key,
    job: Job,
}

/// What bounds the work.
#[derive(Clone)]
pub struct Limits {
    /// Threads that decode.
    pub decoders: usize,
    /// Maximum number of pictures in a batch.
    pub batch: usize,
    /// How long a batch waits for pictures that are being decoded.
    pub window: Duration,
    /// How pictures are decoded.
    pub decode: DecodeOptions,
}

/// What the threads share.
struct Shared {
    limits: Limits,
    image_size: [u32; 2],
    cache: Cache,
    metrics: Arc<Metrics>,
    /// Pictures on their way to the model.
    coming: AtomicUsize,
}

/// The threads' entrance. They end once it is dropped and all is answered.
pub struct Pipeline {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
}

impl Pipeline {
    /// Starts the threads that decode. The model's is the one that calls [`Model::run`].
    ///
    /// # Errors
    /// [`Error::Internal`] if a thread can't be started.
    pub fn start(
        image_size: [i64; 2],
        limits: Limits,
        cache: Cache,
        metrics: Arc<Metrics>,
    ) -> Result<(Pipeline, Model)> {
        let shared = Arc::new(Shared {
            limits,
            image_size: image_size.map(|side| side as u32),
            cache,
            metrics,
            coming: AtomicUsize::new(0),
        });
        let (jobs, waiting) = unbounded::<Job>();
        let (decoded, arrived) = unbounded();
        for _ in 0..shared.limits.decoders {
            let (shared, waiting, decoded) = (shared.clone(), waiting.clone(), decoded.clone());
            let decode = move || waiting.iter().for_each(|job| shared.decode(job, &decoded));
            thread("decode", decode)?;
        }
        let model = Model {
            shared: shared.clone(),
            arrived,
            waiting: VecDeque::new(),
        };
        Ok((Pipeline { shared, jobs }, model))
    }

    /// Sends a picture on its way.
    pub fn submit(&self, job: Job) {
        self.shared.coming.fetch_add(1, Ordering::SeqCst);
        // The decoders live as long as this sender.
        let _ = self.jobs.send(job);
    }
}

/// Starts a named thread.
///
/// # Errors
/// [`Error::Internal`] if the system refuses.
pub fn thread<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let thread = std::thread::Builder::new().name(name.into());
    let failed = |e| Error::internal(format!("a thread can't be started: {e}"));
    thread.spawn(body).map_err(failed)
}

impl Shared {
    /// Answers a picture from the cache, or decodes it and passes it on to the model.
    fn decode(&self, job: Job, decoded: &Sender<Decoded>) {
        let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare(&job)));
        self.coming.fetch_sub(1, Ordering::SeqCst);
        match prepared {
            Ok(Some(Ok((pixels, key)))) => {
                // The model's thread ends after this one.
                let _ = decoded.send(Decoded { pixels, key, job });
            }
            Ok(Some(Err(answer))) => job.answer(answer),
            Ok(None) => {}
            Err(_) => job.answer(Err(fault("the picture could not be decoded"))),
        }
    }

    /// The pixels of a picture, or else its answer. `None` if nobody waits for it.
    #[expect(clippy::type_complexity, reason = "pixels and key, or an answer")]
    fn prepare(&self, job: &Job) -> Option<Result<(Vec<u8>, Key), Result<Captions, Problem>>> {
        if job.reply.is_closed() {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(job.options.text.as_bytes()).update(&[0]);
        let key = hasher.update(&job.bytes).finalize();
        if let Some(captions) = self.cache.get(&key) {
            self.metrics.picture(Outcome::Cached);
            return Some(Err(Ok(captions)));
        }
        let [height, width] = self.image_size;
        let loaded = attend_image::load(&job.bytes, &self.limits.decode, height, width);
        Some(match loaded {
            Ok(loaded) => Ok((loaded.planar, key)),
            Err(error) => {
                self.metrics.picture(Outcome::Refused);
                Err(Err(unreadable(&error)))
            }
        })
    }
}

fn unreadable(error: &DecodeError) -> Problem {
    let status = match error {
        DecodeError::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        DecodeError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        DecodeError::Truncated(_) | DecodeError::Corrupt(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(
        status,
        format!("the picture is {}: {error}", error.code().replace('-', " ")),
    )
}

fn fault(what: &str) -> Problem {
    tracing::error!("internal error: {what}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what)
}

/// The model's side of the pipeline.
pub struct Model {
    shared: Arc<Shared>,
    arrived: Receiver<Decoded>,
    waiting: VecDeque<Decoded>,
}

impl Model {
    /// Describes pictures until the pipeline is dropped and all are answered.
    pub fn run(mut self, captioner: &Captioner) {
        while let Some(mut batch) = self.gather() {
            if batch.is_empty() {
                continue;
            }
            self.shared.metrics.batches.observe(batch.len() as f64);
            let described = catch_unwind(AssertUnwindSafe(|| describe(captioner, &mut batch)));
            let described = described.unwrap_or_else(|_| Err(fault("the model failed")));
            match described {
                Ok(captions) => {
                    for (decoded, captions) in batch.into_iter().zip(captions) {
                        let captions = Arc::new(captions);
                        self.shared.cache.put(decoded.key, captions.clone());
                        self.shared.metrics.picture(Outcome::Described);
                        decoded.job.answer(Ok(captions));
                    }
                }
                Err(problem) => {
                    for decoded in batch {
                        decoded.job.answer(Err(problem.clone()));
                    }
                }
            }
        }
    }

    /// The next pictures of equal searches, those first that have waited longest. `None` once
    /// there will be no more.
    fn gather(&mut self) -> Option<Vec<Decoded>> {
        if self.waiting.is_empty() {
            self.waiting.push_back(self.arrived.recv().ok()?);
        }
        let until = Instant::now() + self.shared.limits.window;
        loop {
            self.waiting.extend(self.arrived.try_iter());
            let first = self.waiting.front()?.job.options.text.clone();
            let alike = |decoded: &Decoded| decoded.job.options.text == first;
            let full = self.waiting.iter().filter(|decoded| alike(decoded)).count()
                >= self.shared.limits.batch;
            let coming = self.shared.coming.load(Ordering::SeqCst) > 0;
            if !full
                && coming
                && let Ok(decoded) = self.arrived.recv_deadline(until)
            {
                self.waiting.push_back(decoded);
                continue;
            }
            let mut batch = Vec::new();
            let mut others = VecDeque::new();
            for decoded in self.waiting.drain(..) {
                if batch.len() < self.shared.limits.batch && alike(&decoded) {
                    batch.push(decoded);
                } else {
                    others.push_back(decoded);
                }
            }
            self.waiting = others;
            batch.retain(|decoded| !decoded.job.reply.is_closed());
            return Some(batch);
        }
    }
}

/// The captions of each picture, best first.
fn describe(
    captioner: &Captioner,
    batch: &mut [Decoded],
) -> Result<Vec<Vec<Description>>, Problem> {
    let Some(options) = batch.first().map(|decoded| decoded.job.options.clone()) else {
        return Ok(Vec::new());
    };
    let pixels = batch.iter_mut().map(|decoded| take(&mut decoded.pixels));
    let pixels: Vec<Vec<u8>> = pixels.collect();
    let described = captioner.describe(&pixels, &options.search, options.beam);
    described.map_err(|error| match error {
        Error::Usage(why) => Problem::options(&why),
        Error::Interrupted => Problem::unavailable("the service is ending"),
        error => fault(&error.to_string()),
    })
}
