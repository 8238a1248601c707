//! `attend-serve`: captions photographs over HTTP, and has a page for people.
//!
//! - `routes`: the paths; `guard`: log lines, the token; `page`: the page's files.
//! - `body`: reads pictures out of a request; `options`: and how to search; `answer`, `problem`:
//!   what is answered; `openapi`: the document of all that.
//! - `pipeline`: decodes pictures and describes them in batches; `cache`: captions of pictures
//!   that came before; `metrics`: counters.
//! - `server`: connections, and their end.
//!
//! Requests are handled on one thread, which only waits; pictures are decoded on others; the
//! model runs on one of its own.

mod answer;
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

use attend_artifact::model::Checkpoint;
use attend_describe::{Captioner, EncoderCommand};
use attend_image::DecodeOptions;
use attend_program::{Error, Result, output};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use clap::Parser;
use metrics::Metrics;
use pipeline::{Pipeline, thread};
use routes::Service;
use serde_json::json;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Describes photographs over HTTP, and has a page for people.
///
/// Prints its address on standard output once it listens, and a log line per request on
/// standard error. SIGTERM, SIGINT (Ctrl-C) and SIGHUP end it: what was accepted is answered
/// first. A second signal ends it at once.
///
/// Exit codes: 0 ended by a signal, with everything answered; 1 internal error, 2 wrong command
/// line, 4 no usable model, 130 ended before everything was answered.
#[derive(Parser)]
#[command(name = "attend-serve", version)]
struct Args {
    /// Folder of a model artifact, or of a checkpoint
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Checkpoint of the model artifact
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    checkpoint: String,
    /// Address and port to listen at; port 0 is any free one. Beyond this machine only with a
    /// token, or with --open
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
    listen: String,
    /// Answer only requests with this token (`Authorization: Bearer TOKEN`). Other users of the
    /// machine can read command lines; better use --token-file or the variable ATTEND_TOKEN
    #[arg(long, conflicts_with = "token_file")]
    token: Option<String>,
    /// Read the token from this file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Answer everybody who can reach the address, without a token
    #[arg(long)]
    open: bool,
    /// Origin whose pages may ask, such as https://example.org, or * for all [default: none]
    #[arg(long, value_name = "ORIGIN")]
    cors: Option<HeaderValue>,
    /// Maximum size of a request's body in MiB
    #[arg(long, value_name = "MIB", default_value_t = 20, value_parser = range(1, 1024))]
    max_body: usize,
    /// Maximum size of all requests' bodies together in MiB; beyond it, requests get 429
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = range(1, 65536))]
    max_memory: usize,
    /// Refuse images with more pixels than this
    #[arg(long, value_name = "N", default_value_t = DecodeOptions::default().max_pixels, value_parser = clap::value_parser!(u64).range(1..))]
    max_pixels: u64,
    /// Maximum number of pictures that wait; beyond it, requests get 429
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = range(1, 65536))]
    queue: usize,
    /// Maximum number of connections
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = range(1, 65536))]
    connections: usize,
    /// Seconds in which a request's body must arrive
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = range(1, 3600))]
    body_timeout: usize,
    /// Seconds in which a picture must be described, from the time that its body has arrived
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = range(1, 3600))]
    timeout: usize,
    /// Seconds for what was accepted when a signal came
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = range(1, 3600))]
    grace: usize,
    /// Maximum number of pictures in a batch
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = range(1, 1024))]
    batch: usize,
    /// Milliseconds that a batch waits for pictures that are being decoded
    #[arg(long, value_name = "MS", default_value_t = 5, value_parser = range(0, 1000))]
    window: usize,
    /// Size in MiB of the cache of captions; 0 keeps none
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = range(0, 65536))]
    cache: usize,
    /// Device to run on: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Number of threads of the model, and of those that decode [default: all cores]
    #[arg(long, value_parser = range(1, 4096))]
    jobs: Option<usize>,
    /// Program of the model's encoder, if that is another program's network: the words as
    /// in a shell. It is started once and gets the photographs' pixels
    #[arg(
        long,
        value_name = "COMMAND",
        default_value = "",
        hide_default_value = true
    )]
    encoder_command: String,
}

fn range(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(format!("must be a number from {least} to {most}")),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    attend_program::program(|| serve(&args))
}

fn serve(args: &Args) -> Result<()> {
    let checkpoint = find(args)?;
    let token = token(args)?;
    let addresses = addresses(args, token.is_some())?;
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
    let ending = |ending| {
        service.ending.store(ending, Ordering::SeqCst);
        match model.is_finished() {
            false => Ok(()),
            true => Err(Error::Reported(0)),
        }
    };
    let served = runtime.block_on(server::serve(listener, router, &limits, ending));
    drop(runtime);
    drop(service);
    match served {
        Err(Error::Interrupted) => Err(Error::Interrupted),
        _ => model
            .join()
            .map_err(|_| Error::internal("the model's thread failed"))?,
    }
}

/// The checkpoint that the arguments name.
fn find(args: &Args) -> Result<Checkpoint> {
    let (path, name) = (&args.model, &args.checkpoint);
    Checkpoint::find(path, name)?.ok_or_else(|| {
        Error::refused(format!(
            "{} has no checkpoint {name:?}; name the folder of a model artifact, or train a model first",
            path.display()
        ))
    })
}

/// BLAKE3 of the token, if there is one.
fn token(args: &Args) -> Result<Option<blake3::Hash>> {
    let token = match &args.token_file {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            Some(read.map_err(|e| Error::usage(format!("--token-file {}: {e}", path.display())))?)
        }
        None => args
            .token
            .clone()
            .or_else(|| std::env::var("ATTEND_TOKEN").ok()),
    };
    let Some(token) = token else {
        return Ok(None);
    };
    match token.trim() {
        "" => Err(Error::usage("the token is empty")),
        token => Ok(Some(blake3::hash(token.as_bytes()))),
    }
}

/// The addresses to listen at: this machine's own, unless there is a token or --open.
fn addresses(args: &Args, with_token: bool) -> Result<Vec<SocketAddr>> {
    let listen = &args.listen;
    let wrong = |e: &dyn std::fmt::Display| Error::usage(format!("--listen {listen}: {e}"));
    let found: Vec<SocketAddr> = listen.to_socket_addrs().map_err(|e| wrong(&e))?.collect();
    let inner = found.iter().all(|address| address.ip().is_loopback());
    if inner || with_token || args.open {
        return Ok(found);
    }
    Err(wrong(
        &"others can reach this address; give a token (--token-file FILE or ATTEND_TOKEN), or --open to answer everybody",
    ))
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
