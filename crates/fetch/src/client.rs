//! One HTTP request for a file or the rest of it.

use crate::list::Entry;
use crate::part::Part;
use attend_program::{Error, Progress, progress};
use std::io::Read;
use std::time::Duration;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// The longest time that a server may ask us to wait.
const LONGEST: Duration = Duration::from_secs(120);

/// Asks servers. Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`, …),
/// certificates those of the system.
pub struct Client {
    agent: Agent,
}

/// Why a request has not brought all of the file.
pub enum Failure {
    /// Another one may: why it failed, and how long the server wants us to wait.
    Again(String, Option<Duration>),
    /// The server does not have it.
    Absent(String),
    /// It is of no use to ask again.
    End(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::End(error)
    }
}

/// Where the bytes of a response belong.
enum Place {
    /// The beginning of the file.
    Start,
    /// Behind what has arrived.
    Behind,
    /// All of it has arrived already.
    Nowhere,
}

impl Client {
    /// A client that gives a server `patience` to say the next word.
    pub fn new(patience: Duration) -> Client {
        // Fails only if there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .user_agent(concat!("attend-fetch/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .tls_config(tls.build());
        Client {
            agent: config.build().new_agent(),
        }
    }

    /// Asks for the part that has not arrived yet, and adds it.
    ///
    /// # Errors
    /// Why not all has arrived; what has is kept.
    pub fn get(&self, url: &str, entry: &Entry, part: &mut Part) -> Result<(), Failure> {
        // Without a name of the file's state, and without a digest, a rest could be that of
        // another file.
        let sure = part.validator().is_some() || entry.sha256.is_some();
        let from = if sure { part.bytes() } else { 0 };
        let mut request = self.agent.get(url);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
            if let Some(validator) = part.validator() {
                request = request.header("If-Range", validator);
            }
        }
        let response = request.call().map_err(|e| unanswered(url, &e))?;
        let (place, total) = understand(url, &response, part, from)?;
        if let (Some(total), Some(bytes)) = (total, entry.bytes)
            && total != bytes
        {
            return Err(Failure::End(Error::internal(format!(
                "{url}: the file there has {total} bytes instead of {bytes}, so it is another one; --mirror takes another server"
            ))));
        }
        match place {
            Place::Nowhere => return Ok(()),
            Place::Start => part.restart(validator(response.headers()))?,
            Place::Behind => (),
        }
        let expected = total.or(entry.bytes).or(entry.about);
        let progress = progress(entry.name(), "bytes", expected.unwrap_or(0));
        progress.skip(part.bytes());
        let copied = copy(response.into_body(), part, entry, &progress);
        progress.finish();
        copied?;
        match total {
            Some(total) if part.bytes() < total => Err(Failure::Again(
                format!(
                    "the connection ended after {} of {total} bytes",
                    part.bytes()
                ),
                None,
            )),
            _ => Ok(()),
        }
    }
}

/// Where the response's bytes belong, and how many the whole file has, if the server says so.
fn understand(
    url: &str,
    response: &Response<Body>,
    part: &mut Part,
    from: u64,
) -> Result<(Place, Option<u64>), Failure> {
    let headers = response.headers();
    let is_page = text(headers, "content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let (begin, total) = range(headers);
    let again = |why: &str| Err(Failure::Again(why.to_owned(), None));
    match response.status().as_u16() {
        200 | 206 if is_page => Err(Failure::End(Error::internal(format!(
            "{url}: a web page came instead of the file; is there a proxy that asks for a login?"
        )))),
        200 => Ok((Place::Start, response.body().content_length())),
        206 if begin != Some(from) => {
            part.restart(None)?;
            again("the server sent another part than the one asked for")
        }
        206 => {
            let (now, before) = (validator(headers), part.validator());
            if from > 0
                && now
                    .as_deref()
                    .zip(before)
                    .is_some_and(|(now, before)| now != before)
            {
                part.restart(None)?;
                return again("the file on the server has changed");
            }
            Ok((Place::Behind, total))
        }
        416 if total == Some(from) => Ok((Place::Nowhere, total)),
        416 if from > 0 => {
            part.restart(None)?;
            again("the server's file is shorter than what has arrived")
        }
        status @ (408 | 425 | 429 | 500..) => {
            let wait = text(headers, "retry-after").and_then(|wait| wait.trim().parse().ok());
            let wait = wait.map(|seconds| Duration::from_secs(seconds).min(LONGEST));
            Err(Failure::Again(format!("the server answers {status}"), wait))
        }
        404 | 410 => Err(Failure::Absent(format!("{url}: there is no such file"))),
        status => Err(Failure::End(Error::internal(format!(
            "{url}: the server answers {status}; --mirror takes another server"
        )))),
    }
}

/// Adds the bytes of a response.
fn copy(body: Body, part: &mut Part, entry: &Entry, progress: &Progress) -> Result<(), Failure> {
    let mut reader = body.into_with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 1 << 17];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(e) => return Err(Failure::Again(format!("the connection broke: {e}"), None)),
        };
        part.write(&buffer[..read])?;
        progress.inc(read as u64);
        if entry.bytes.is_some_and(|bytes| part.bytes() > bytes) {
            let url = &entry.url;
            return Err(Failure::End(Error::internal(format!(
                "{url}: more bytes came than the file has; --mirror takes another server"
            ))));
        }
    }
}

/// What the server calls the file's state: a strong ETag, or its date.
fn validator(headers: &HeaderMap) -> Option<String> {
    let etag = text(headers, "etag").filter(|etag| !etag.starts_with("W/"));
    etag.or_else(|| text(headers, "last-modified"))
        .map(str::to_owned)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// First byte and size of the file, by `Content-Range: bytes 5-9/10` or `bytes */10`.
fn range(headers: &HeaderMap) -> (Option<u64>, Option<u64>) {
    let range = text(headers, "content-range").and_then(|range| range.strip_prefix("bytes "));
    let Some((part, total)) = range.and_then(|range| range.split_once('/')) else {
        return (None, None);
    };
    let begin = part.split('-').next().and_then(|begin| begin.parse().ok());
    (begin, total.parse().ok())
}

fn unanswered(url: &str, error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Protocol(_) => Failure::Again(error.to_string(), None),
        other => Failure::End(Error::internal(format!("{url}: {other}"))),
    }
}
