//! `POST /api/v1/<verb>`: the command table by HTTP. The key for repeats is the header
//! `Idempotency-Key`.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hoist_protocol::code::Code;
use http_body_util::{BodyExt, Limited};

use super::{HttpState, authenticate, refusal, too_slow};

/// Largest command, as by MQTT.
const COMMAND_BYTES_MAX: usize = 16 * 1024;

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
    let key = request
        .headers()
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    let Some(key) = key.map(str::to_owned) else {
        let hint = "send a header Idempotency-Key with an id of your own";
        return refusal(
            StatusCode::BAD_REQUEST,
            Code::Request,
            "the request has no id",
            hint,
        );
    };
    let body = Limited::new(request.into_body(), COMMAND_BYTES_MAX).collect();
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
