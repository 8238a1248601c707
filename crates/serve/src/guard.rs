//! What holds for every request: its log line and its count, the token, headers of safety.

use crate::metrics::Metrics;
use crate::problem::Problem;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Instant;

/// Status in the log and the metrics of a client that went away without its answer.
const GONE: u16 = 499;

/// Who may ask.
pub struct Guard {
    /// BLAKE3 of the token, so that comparing takes the same time for every wrong one. `None`:
    /// anybody may ask.
    pub token: Option<blake3::Hash>,
    /// Whether pages of other origins may ask.
    pub cors: bool,
    /// Counts requests.
    pub metrics: Arc<Metrics>,
}

/// A request's line in the log, written when it is answered or its client goes away.
struct Line {
    method: Method,
    path: String,
    route: String,
    bytes: String,
    status: u16,
    started: Instant,
    metrics: Arc<Metrics>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let time = self.started.elapsed();
        self.metrics.request(&self.route, self.status, time);
        tracing::info!(
            method = %self.method,
            path = %self.path,
            status = self.status,
            bytes = %self.bytes,
            ms = time.as_millis() as u64,
            "request"
        );
    }
}

/// Logs and counts a request. Neither the query nor the body is logged.
pub async fn logged(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let length = request.headers().get(CONTENT_LENGTH);
    let mut line = Line {
        method: request.method().clone(),
        path: request.uri().path().chars().take(200).collect(),
        route: route.map_or("other", MatchedPath::as_str).to_owned(),
        bytes: length
            .and_then(|length| length.to_str().ok())
            .unwrap_or("-")
            .to_owned(),
        status: GONE,
        started: Instant::now(),
        metrics: guard.metrics.clone(),
    };
    let mut response = next.run(request).await;
    line.status = response.status().as_u16();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Passes on only requests with the token, and none that a page from elsewhere sends.
pub async fn guarded(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !guard.cors
        && headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "cross-site")
    {
        let why = "pages from elsewhere may not ask; see --cors";
        return Problem::new(StatusCode::FORBIDDEN, why).into_response();
    }
    if guard
        .token
        .is_some_and(|token| given(headers) != Some(token))
    {
        let why = "a token is needed: Authorization: Bearer TOKEN";
        let mut response = Problem::new(StatusCode::UNAUTHORIZED, why).into_response();
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        return response;
    }
    next.run(request).await
}

/// BLAKE3 of the token that a request brings.
fn given(headers: &HeaderMap) -> Option<blake3::Hash> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| blake3::hash(token.trim().as_bytes()))
}
