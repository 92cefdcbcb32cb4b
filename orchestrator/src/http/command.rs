//! `POST /api/v1/<verb>`: the command table by HTTP. The key for repeats is the header
//! `Idempotency-Key`.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hoist_protocol::code::Code;
use hoist_protocol::limit::JSON_BYTES_MAX;
use http_body_util::{BodyExt, Limited};

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

/// Carries a command out.
pub(super) async fn post(
    State(state): State<HttpState>,
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
    let body = Limited::new(request.into_body(), JSON_BYTES_MAX).collect();
    let body = match tokio::time::timeout(state.limits.body, body).await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        Ok(Err(_)) => {
            let title = "the command is too large or broke off";
            return refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::Size,
                title,
                "at most 16 KiB",
            );
        }
        Err(_) => return too_slow("the command did not come in time"),
    };
    let answer = state.commands.command(user, key, verb, body);
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
