//! `attend-serve`: captions photographs over HTTP, and has a page for people.
//!
//! - `args`: the command line. `routes`: the paths; `guard`: log lines, the token; `page`: the page's files.
//! - `body`: reads pictures out of a request; `options`: and how to search; `answer`, `problem`:
//!   what is answered; `openapi`: the document of all that.
//! - `pipeline`: decodes pictures and describes them in batches; `cache`: captions of pictures
//!   that came before; `metrics`: counters.
//! - `server`: connections, and their end.
//!
//! Requests are handled on one thread, which only waits; pictures are decoded on others; the
//! model runs on one of its own.

mod answer;
mod args;
mod body;
mod cache;
mod guard;
mod metrics;
mod openapi;
mod options;
mod page;
mod pipeline;
mod problem;
mod routes;
mod server;

use args::Args;
use attend_artifact::model::Checkpoint;
use attend_describe::{Captioner, EncoderCommand};
use attend_image::DecodeOptions;
use attend_program::{Error, Result, interrupted, output};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use clap::Parser;
use metrics::Metrics;
use pipeline::{Pipeline, thread};
use routes::Service;
use serde_json::json;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::cors::{AllowOrigin, CorsLayer};

fn main() -> ExitCode {
    let args = Args::parse();
    attend_program::program(|| serve(&args))
}

fn serve(args: &Args) -> Result<()> {
    let checkpoint = args.checkpoint()?;
    let token = args.token()?;
    let addresses = args.addresses(token.is_some())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Error::internal)?;
    let listener = runtime.block_on(listen(args, &addresses))?;

    let metrics = Arc::new(Metrics::new());
    let service = Arc::new(service(args, &checkpoint, metrics.clone(), token.is_some()));
    let guard = guard::Guard {
        token,
        cors: args.cors.is_some(),
        metrics: metrics.clone(),
    };
    let model = model_thread(args, checkpoint, service.clone())?;
    let router = routes::router(service.clone(), guard, args.cors.as_ref().map(cors));
    let limits = server::Limits {
        connections: args.connections,
        grace: seconds(args.grace),
    };
    // The model's thread ends early only if it failed.
    let is_over = || {
        let is_over = interrupted() || model.is_finished();
        service.ending.store(is_over, Ordering::SeqCst);
        is_over
    };
    let served = runtime.block_on(server::serve(listener, router, &limits, is_over));
    drop(runtime);
    drop(service);
    served?;
    model.join().unwrap_or_else(|panic| resume_unwind(panic))
}

async fn listen(args: &Args, addresses: &[SocketAddr]) -> Result<TcpListener> {
    let listener = TcpListener::bind(addresses).await;
    let listener = listener.map_err(|e| Error::usage(format!("--listen {}: {e}", args.listen)))?;
    let address = listener.local_addr().map_err(Error::internal)?;
    output::print(format!("http://{address}"))?;
    Ok(listener)
}

fn service(
    args: &Args,
    checkpoint: &Checkpoint,
    metrics: Arc<Metrics>,
    with_token: bool,
) -> Service {
    let card = &checkpoint.card;
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "encoder": card.encoder.to_string(),
        "image_size": card.image_size,
        "words": card.decoder.vocabulary,
        "vocabulary_blake3": card.vocabulary_blake3,
        "limits": {
            "bytes": args.max_body << 20,
            "pixels": args.max_pixels,
            "pictures": args.queue,
            "seconds": args.timeout,
        },
        "options": options::defaults(),
    });
    Service {
        pipeline: OnceLock::new(),
        ending: AtomicBool::new(false),
        queue: Arc::new(Semaphore::new(args.queue)),
        places: args.queue,
        body: body::Limits {
            bytes: args.max_body << 20,
            time: seconds(args.body_timeout),
            memory: Arc::new(Semaphore::new((args.max_memory << 20) / body::UNIT)),
        },
        time: seconds(args.timeout),
        metrics,
        about,
        with_token,
    }
}

/// Starts the thread that loads the model, opens the service's way to it, and describes until
/// that way is closed.
fn model_thread(
    args: &Args,
    checkpoint: Checkpoint,
    service: Arc<Service>,
) -> Result<JoinHandle<Result<()>>> {
    let device = attend_model::device(&args.device).map_err(Error::usage)?;
    let (encoder, given) = (&checkpoint.card.encoder, &args.encoder_command);
    let command = EncoderCommand::of(encoder, given, "--encoder-command=")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = pipeline::Limits {
        decoders: args.jobs.unwrap_or(cores),
        batch: args.batch,
        window: Duration::from_millis(args.window as u64),
        decode: DecodeOptions {
            // As people, and the page, see the picture.
            exif_orientation: true,
            max_pixels: args.max_pixels,
            ..DecodeOptions::default()
        },
    };
    let cache = cache::Cache::new(args.cache << 20);
    let jobs = args.jobs;
    thread("model", move || {
        if let Some(jobs) = jobs {
            attend_model::set_threads(jobs);
        }
        let captioner = Captioner::load(&checkpoint, device, command.as_ref())?;
        let size = captioner.card.image_size;
        let (pipeline, model) = Pipeline::start(size, limits, cache, service.metrics.clone())?;
        let _ = service.pipeline.set(pipeline);
        drop(service);
        tracing::info!("ready");
        model.run(&captioner);
        captioner.end()
    })
}

fn cors(origin: &HeaderValue) -> CorsLayer {
    let origin = match origin.as_bytes() {
        b"*" => AllowOrigin::any(),
        _ => AllowOrigin::exact(origin.clone()),
    };
    CorsLayer::new()
        .allow_origin(origin)
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
}

fn seconds(count: usize) -> Duration {
    Duration::from_secs(count as u64)
}
