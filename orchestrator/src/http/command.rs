//! `POST /api/v1/<verb>`: the command table by HTTP. The key for repeats is the header
//! `Idempotency-Key`.

use std::time::Duration;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hoist_protocol::code::Code;
use hoist_protocol::limit::JSON_BYTES_MAX;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::listener::Peer;
use super::{HttpState, authenticate, refusal, single, too_slow};

/// The header with the id of a request.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The id that the caller gave the request, as it was sent: the loop reads it.
fn request_id(headers: &HeaderMap) -> Result<String, Box<Response>> {
    let refused = |code, title, hint| {
        let refused = refusal(StatusCode::BAD_REQUEST, code, title, hint);
        Err(Box::new(refused))
    };
    let Some(key) = single(headers, &KEY, Code::Request)? else {
        let hint = "send a header Idempotency-Key with an id of your own";
        return refused(Code::Request, "the request has no id", hint);
    };
    match key.to_str() {
        Ok(key) => Ok(key.to_owned()),
        Err(_) => {
            let title = "the id in Idempotency-Key has a character that is not allowed";
            refused(Code::Name, title, "")
        }
    }
}

/// The body of a command. One that says that it is too large is not waited for.
async fn body(request: Request, patience: Duration) -> Result<Vec<u8>, Box<Response>> {
    let too_large = || {
        let (status, hint) = (StatusCode::PAYLOAD_TOO_LARGE, "at most 16 KiB");
        refusal(status, Code::Size, "the command is too large", hint)
    };
    let body = request.into_body();
    if body.size_hint().lower() > JSON_BYTES_MAX as u64 {
        return Err(Box::new(too_large()));
    }
    let whole = Limited::new(body, JSON_BYTES_MAX).collect();
    match tokio::time::timeout(patience, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Box::new(too_large())),
        Ok(Err(_)) => {
            let title = "the command broke off, or is not as long as was said";
            let status = StatusCode::BAD_REQUEST;
            Err(Box::new(refusal(
                status,
                Code::Length,
                title,
                "send it again",
            )))
        }
        Err(_) => Err(Box::new(too_slow("the command did not come in time"))),
    }
}

/// Carries a command out.
pub(super) async fn post(
    State(state): State<HttpState>,
    Extension(Peer(from)): Extension<Peer>,
    Path(verb): Path<String>,
    request: Request,
) -> Response {
    let user = match authenticate(&state, request.headers()) {
        Ok((user, _)) => user,
        Err(refused) => return *refused,
    };
    let key = match request_id(request.headers()) {
        Ok(key) => key,
        Err(refused) => return *refused,
    };
    let body = match body(request, state.limits.body).await {
        Ok(body) => body,
        Err(refused) => return *refused,
    };
    let answer = state.commands.command((user, from), key, verb, body);
    match tokio::time::timeout(state.limits.answer, answer).await {
        Ok(Some(reply)) => (
            [(header::CONTENT_TYPE, "application/json")],
            Body::from(reply),
        )
            .into_response(),
        Ok(None) | Err(_) => {
            let title = "the server is stopping, not connected, or too busy";
            refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                title,
                "send it again under the same id",
            )
        }
    }
}
