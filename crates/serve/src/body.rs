//! Reads the pictures out of a request's body.

use crate::options::Options;
use crate::problem::Problem;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes per permit of the memory for bodies.
pub const UNIT: usize = 1 << 10;

/// What bounds bodies.
#[derive(Clone)]
pub struct Limits {
    /// Maximum size of a body in bytes.
    pub bytes: usize,
    /// Time in which a body must arrive.
    pub time: Duration,
    /// Memory for all bodies together, in permits of [`UNIT`] bytes.
    pub memory: Arc<Semaphore>,
}

/// How a body holds its pictures.
enum Kind {
    /// One picture: the body is its file.
    Picture,
    /// Parts, as a form sends them.
    Multipart,
    Json,
}

/// What a request asks for.
pub struct Asked {
    /// The files' bytes.
    pub pictures: Vec<Bytes>,
    /// Whether the body was a single picture, not a list.
    pub single: bool,
    /// How to search.
    pub options: Options,
    /// The body's share of the memory.
    pub memory: Arc<OwnedSemaphorePermit>,
}

/// Reads a request for captions.
pub async fn read(request: Request, limits: &Limits) -> Result<Asked, Problem> {
    let (mut parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let with_query = !query.is_empty();
    let wanted = Kind::of(&parts.headers).and_then(|kind| Ok((kind, Options::of_query(query)?)));
    let (kind, options) = match wanted {
        Ok(wanted) => wanted,
        Err(problem) => {
            drain(body, limits.time);
            return Err(problem);
        }
    };
    let (bytes, memory) = collect(&parts.headers, body, limits).await?;
    let memory = Arc::new(memory);
    if bytes.is_empty() {
        return Err(Problem::bad("the body is empty; send a picture's bytes"));
    }
    let (pictures, own) = match kind {
        Kind::Picture => {
            let pictures = vec![bytes];
            return Ok(Asked {
                pictures,
                single: true,
                options,
                memory,
            });
        }
        Kind::Multipart => {
            parts.headers.remove(CONTENT_LENGTH);
            of_multipart(Request::from_parts(parts, Body::from(bytes))).await?
        }
        Kind::Json => of_json(&bytes)?,
    };
    let options = match own {
        None => options,
        Some(_) if with_query => {
            return Err(Problem::bad(
                "options are in the query and in the body; give them once",
            ));
        }
        Some(own) => Options::of_json(own)?,
    };
    if pictures.is_empty() {
        return Err(Problem::bad("no picture in the body"));
    }
    Ok(Asked {
        pictures,
        single: false,
        options,
        memory,
    })
}

impl Kind {
    fn of(headers: &HeaderMap) -> Result<Kind, Problem> {
        let Some(given) = headers.get(CONTENT_TYPE) else {
            return Ok(Kind::Picture);
        };
        let given = given.to_str().unwrap_or("?");
        let essence = given.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/octet-stream" => Ok(Kind::Picture),
            essence if essence.starts_with("image/") => Ok(Kind::Picture),
            "multipart/form-data" => Ok(Kind::Multipart),
            "application/json" => Ok(Kind::Json),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send a picture as image/… or application/octet-stream, several as multipart/form-data, or JSON (with curl: -H 'Content-Type: application/octet-stream' --data-binary @PICTURE, or -F picture=@PICTURE)",
            )),
        }
    }
}

/// The body's bytes, and their share of the memory.
async fn collect(
    headers: &HeaderMap,
    mut body: Body,
    limits: &Limits,
) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
    let announced = headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let read = async {
        if announced.is_some_and(|length| length > limits.bytes as u64) {
            return Err(too_large(limits));
        }
        let room = |units: usize| {
            let permits = limits.memory.clone().try_acquire_many_owned(units as u32);
            permits.map_err(|_| Problem::busy())
        };
        let mut held = room(0)?;
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::bad("the body ended early"))?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if bytes.len() + chunk.len() > limits.bytes {
                return Err(too_large(limits));
            }
            bytes.extend_from_slice(&chunk);
            let units = bytes.len().div_ceil(UNIT) - held.num_permits();
            held.merge(room(units)?);
        }
        Ok((Bytes::from(bytes), held))
    };
    let read = timeout(limits.time, read).await;
    let read = read.unwrap_or_else(|_| {
        Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {} s", limits.time.as_secs()),
        ))
    });
    if read.is_err() {
        drain(body, limits.time);
    }
    read
}

fn too_large(limits: &Limits) -> Problem {
    let mebibytes = limits.bytes as f64 / f64::from(1 << 20);
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {mebibytes} MiB; make the picture smaller"),
    )
}

/// Reads on and forgets, for a while: many clients look at the answer only once they have sent
/// everything.
fn drain(mut body: Body, time: Duration) {
    tokio::spawn(timeout(time, async move {
        while let Some(Ok(_)) = body.frame().await {}
    }));
}

type Found = (Vec<Bytes>, Option<Map<String, Value>>);

/// The pictures of a form, and the JSON of its part `options`.
async fn of_multipart(request: Request) -> Result<Found, Problem> {
    let wrong = |e: &dyn std::fmt::Display| Problem::bad(format!("multipart/form-data: {e}"));
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|e| wrong(&e.body_text()))?;
    let (mut pictures, mut options) = (Vec::new(), None);
    while let Some(part) = form.next_field().await.map_err(|e| wrong(&e.body_text()))? {
        let is_options = part.name() == Some("options");
        let bytes = part.bytes().await.map_err(|e| wrong(&e.body_text()))?;
        match is_options {
            false => pictures.push(bytes),
            true => match serde_json::from_slice(&bytes) {
                Ok(Value::Object(given)) => options = Some(given),
                Ok(_) => return Err(Problem::bad("options: must be a JSON object")),
                Err(e) => return Err(Problem::bad(format!("options: {e}"))),
            },
        }
    }
    Ok((pictures, options))
}

/// `{"images": ["BASE64", …], "options": {…}}`.
fn of_json(bytes: &[u8]) -> Result<Found, Problem> {
    let given = serde_json::from_slice(bytes).map_err(|e| Problem::bad(format!("JSON: {e}")))?;
    let Value::Object(mut given) = given else {
        return Err(Problem::bad("JSON: must be an object with images"));
    };
    let options = match given.remove("options") {
        None => None,
        Some(Value::Object(options)) => Some(options),
        Some(_) => return Err(Problem::bad("options: must be an object")),
    };
    let Some(Value::Array(images)) = given.remove("images") else {
        return Err(Problem::bad("images: must be a list of base64 texts"));
    };
    if let Some(key) = given.keys().next() {
        let key: String = key.chars().take(40).collect();
        return Err(Problem::bad(format!(
            "{key:?} is no key; there are images and options"
        )));
    }
    let decoded = images.iter().enumerate().map(|(i, image)| {
        let decoded = image.as_str().and_then(|text| STANDARD.decode(text).ok());
        let decoded = decoded.ok_or_else(|| Problem::bad(format!("images[{i}]: not base64")))?;
        Ok(Bytes::from(decoded))
    });
    Ok((decoded.collect::<Result<_, Problem>>()?, options))
}
