//! Refusals as JSON, in the shape of every other door: those of the handlers, and those of the
//! libraries that read paths and files for them. What the HTTP library refuses before it has a
//! request has no body at all; there is no way to give it one.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hoist_protocol::code::Code;

/// Says of an answer that it is a text on purpose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text;

/// An error; without a hint of its own it has that of its code.
pub(super) fn refusal(status: StatusCode, code: Code, title: &str, hint: &str) -> Response {
    let hint = match hint {
        "" => code.hint(),
        own => own,
    };
    let body = serde_json::json!({
        "apiVersion": "hoist/v1", "ok": false,
        "error": {"code": code.as_str(), "title": title, "hint": hint},
    });
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

/// The refusal of a request that comes too slowly.
pub(super) fn too_slow(title: &str) -> Response {
    let hint = "send it again, faster";
    refusal(StatusCode::REQUEST_TIMEOUT, Code::Timeout, title, hint)
}

/// Gives a refusal that is no JSON its words; all else stays as it is.
pub(super) async fn as_json(answer: Response) -> Response {
    let status = answer.status();
    let refuses = status.is_client_error() || status.is_server_error();
    let json = HeaderValue::from_static("application/json");
    let is_json = answer.headers().get(header::CONTENT_TYPE) == Some(&json);
    if !refuses || is_json || answer.extensions().get::<Text>().is_some() {
        return answer;
    }
    let (code, title) = words(status);
    let mut said = refusal(status, code, title, "");
    for (name, value) in answer.headers() {
        // What is left says more, such as how long a file is of which a range was asked for.
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            said.headers_mut().insert(name, value.clone());
        }
    }
    said
}

fn words(status: StatusCode) -> (Code, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => (Code::Path, "the path cannot be read"),
        StatusCode::NOT_FOUND => (Code::Path, "there is nothing here"),
        StatusCode::METHOD_NOT_ALLOWED => (Code::Path, "this path takes another method"),
        StatusCode::PRECONDITION_FAILED => (Code::Hash, "it is not what was wanted"),
        StatusCode::RANGE_NOT_SATISFIABLE => (Code::Length, "it has no such range"),
        StatusCode::PAYLOAD_TOO_LARGE => (Code::Size, "the request is too large"),
        _ => (Code::Internal, "the request cannot be answered"),
    }
}
