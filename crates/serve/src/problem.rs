//! What went wrong with a request: a status and one clear sentence.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Seconds after which a client may try again when the service is busy.
const RETRY_SECONDS: u16 = 1;

/// An answer that is no caption.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its status.
    pub status: StatusCode,
    /// What is wrong, and the way out.
    pub error: String,
}

impl Problem {
    pub fn new(status: StatusCode, error: impl ToString) -> Problem {
        let error = error.to_string();
        Problem { status, error }
    }

    /// 400: the request is not what the API takes.
    pub fn bad(error: impl ToString) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, error)
    }

    /// 422: the options, whose keys have their section's name in `why`, are no search.
    pub fn options(why: &str) -> Problem {
        let why = why.trim_start_matches("search.");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why)
    }

    /// 503: not now.
    pub fn unavailable(error: impl ToString) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// 429: more requests than the service takes at once.
    pub fn busy() -> Problem {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many pictures are waiting; try again in a moment",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.error }));
        let mut response = (self.status, body).into_response();
        let wait = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        let headers = response.headers_mut();
        if wait.contains(&self.status) {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        response
    }
}
