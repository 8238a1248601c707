//! The paths of the service.

use crate::answer;
use crate::body::{self, Asked};
use crate::guard::{Guard, guarded, logged};
use crate::metrics::{self, Metrics};
use crate::openapi;
use crate::page;
use crate::pipeline::{Job, Pipeline};
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use tower_http::cors::CorsLayer;

/// Media type of answers that come one by one.
const LINES: &str = "application/x-ndjson";

/// What the handlers share.
pub struct Service {
    /// The way to the model, once it is loaded.
    pub pipeline: OnceLock<Pipeline>,
    /// Whether the service is ending.
    pub ending: AtomicBool,
    /// Places for pictures that wait.
    pub queue: Arc<Semaphore>,
    /// Maximum number of pictures that wait.
    pub places: usize,
    /// Limits of bodies.
    pub body: body::Limits,
    /// Time within which a picture must be described.
    pub time: Duration,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What `GET /v1/model` answers.
    pub about: Value,
    /// Whether a token is needed.
    pub with_token: bool,
}

type Shared = State<Arc<Service>>;

/// All paths. Pages of `cors` may ask from elsewhere.
pub fn router(service: Arc<Service>, guard: Guard, cors: Option<CorsLayer>) -> Router {
    let guard = Arc::new(guard);
    let mut router = Router::new()
        .route("/v1/caption", post(caption))
        .route(
            "/v1/model",
            get(async |State(service): Shared| Json(service.about.clone())),
        )
        .route("/metrics", get(metrics))
        .route_layer(from_fn_with_state(guard.clone(), guarded))
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(ready))
        .route(
            "/openapi.json",
            get(async |State(service): Shared| Json(openapi::document(service.with_token))),
        );
    for (path, media_type, content) in page::FILES {
        router = router.route(path, get(async move || page::answer(media_type, content)));
    }
    let mut router = router
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "there is nothing here; see /openapi.json",
            )
        })
        .method_not_allowed_fallback(async || {
            let why = "this path takes another method; see /openapi.json";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, why)
        })
        .layer(DefaultBodyLimit::disable())
        .with_state(service);
    if let Some(cors) = cors {
        router = router.layer(cors);
    }
    router.layer(from_fn_with_state(guard, logged))
}

async fn ready(State(service): Shared) -> Result<&'static str, Problem> {
    if service.ending.load(Ordering::SeqCst) {
        return Err(Problem::unavailable("the service is ending"));
    }
    service.pipeline().map(|_| "ready\n")
}

async fn metrics(State(service): Shared) -> impl IntoResponse {
    let waiting = service.places - service.queue.available_permits();
    service.metrics.waiting.set(waiting as i64);
    (
        [(CONTENT_TYPE, metrics::MEDIA_TYPE)],
        service.metrics.text(),
    )
}

async fn caption(State(service): Shared, request: Request) -> Result<Response, Problem> {
    let pipeline = service.pipeline()?;
    let accepted = request.headers().get(ACCEPT);
    let by_line = accepted.is_some_and(|types| types.as_bytes().starts_with(LINES.as_bytes()));
    let Asked {
        pictures,
        single,
        options,
        memory,
    } = body::read(request, &service.body).await?;
    let mut places = service.places(pictures.len())?;
    let options = Arc::new(options);
    let alphas = options.alphas;
    let until = Instant::now() + service.time;
    let mut replies = Vec::with_capacity(pictures.len());
    for bytes in pictures {
        let (reply, captions) = oneshot::channel();
        let held = (places.split(1).ok_or_else(Problem::busy)?, memory.clone());
        let options = options.clone();
        pipeline.submit(Job {
            bytes,
            options,
            reply,
            held,
        });
        replies.push(async move {
            let captions = timeout_at(until, captions).await;
            let captions =
                captions.map_err(|_| Problem::unavailable("the model is too busy; try again"))?;
            let captions =
                captions.map_err(|_| Problem::unavailable("the service is ending"))??;
            Ok::<Value, Problem>(answer::captions(&captions, alphas))
        });
    }
    if by_line {
        let lines = replies.into_iter().enumerate().map(async |(index, reply)| {
            let mut line = reply
                .await
                .unwrap_or_else(|problem| answer::problem(&problem));
            line["index"] = json!(index);
            Ok::<String, Infallible>(format!("{line}\n"))
        });
        let lines = lines.collect::<FuturesUnordered<_>>();
        return Ok(([(CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response());
    }
    let mut images = Vec::with_capacity(replies.len());
    let (mut described, mut first) = (0, None);
    for reply in replies {
        match reply.await {
            Ok(answer) if single => return Ok(Json(answer).into_response()),
            Ok(answer) => {
                described += 1;
                images.push(answer);
            }
            Err(problem) => {
                images.push(answer::problem(&problem));
                first.get_or_insert(problem);
            }
        }
    }
    match first {
        Some(problem) if described == 0 => Err(problem),
        _ => Ok(Json(json!({ "images": images })).into_response()),
    }
}

impl Service {
    fn pipeline(&self) -> Result<&Pipeline, Problem> {
        let pipeline = self.pipeline.get();
        pipeline.ok_or_else(|| Problem::unavailable("the model is being loaded"))
    }

    /// Places in the queue for so many pictures.
    fn places(&self, count: usize) -> Result<OwnedSemaphorePermit, Problem> {
        if count > self.places {
            let why = format!("{count} pictures are more than {} at once", self.places);
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let places = self.queue.clone().try_acquire_many_owned(count as u32);
        places.map_err(|_| Problem::busy())
    }
}
