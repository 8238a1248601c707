//! Connections: how many, how slow, and how they end.

use attend_program::{Error, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

/// How often a signal is looked for.
const TICK: Duration = Duration::from_millis(50);

/// Time for a request's head, and for a client to read an answer. A connection without a
/// request is closed after it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Maximum size of a request's head in bytes.
const HEAD: usize = 64 << 10;

/// What bounds the connections.
pub struct Limits {
    /// Maximum number; further ones wait until the system accepts them.
    pub connections: usize,
    /// Time for the requests that were accepted before the end.
    pub grace: Duration,
}

/// Accepts connections until `is_over`, then answers what was accepted.
///
/// # Errors
/// [`Error::Interrupted`] if some requests were not answered in time.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    is_over: impl Fn() -> bool,
) -> Result<()> {
    let open = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let accept = |stream: TcpStream, place: OwnedSemaphorePermit| {
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(PATIENCE));
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // Errors are the client's: it went away, was too slow or speaks another protocol.
            let _ = connection.await;
            drop(place);
        });
    };
    while !is_over() {
        let next = async {
            let place = open.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        match timeout(TICK, next).await {
            Ok((Ok((stream, _)), Ok(place))) => accept(stream, place),
            // Too many files are open, for example.
            Ok(_) => sleep(TICK).await,
            Err(_) => {}
        }
    }
    // Connections that the system has accepted for us.
    while let (Ok(place), Ok(Ok((stream, _)))) = (
        open.clone().try_acquire_owned(),
        timeout(Duration::ZERO, listener.accept()).await,
    ) {
        accept(stream, place);
    }
    drop(listener);
    tracing::info!("ending; answering what was accepted");
    let answered = timeout(limits.grace, graceful.shutdown()).await;
    answered.map_err(|_| Error::Interrupted)
}
