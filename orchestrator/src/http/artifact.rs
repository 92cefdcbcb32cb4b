//! `GET /artifacts/<id>` with ranges, for whoever knows the hash; `PUT` for deployers.

use axum::body::{Body, HttpBody};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hoist_protocol::access::Role;
use hoist_protocol::code::Code;
use hoist_protocol::id::{ArtifactId, UserId};
use http_body_util::BodyExt;
use tower_http::services::ServeFile;

use super::{HttpState, authenticate, refusal, too_slow};
use crate::artifacts::{ArtifactError, Seen};

/// Bytes of a refused upload that are taken and thrown away.
const DISCARDED_MAX: usize = 64 << 20;

fn parse(id: &str) -> Result<ArtifactId, Box<Response>> {
    id.parse().map_err(|_| {
        let hint = "an artifact id is 32 lower-case hex digits";
        Box::new(refusal(
            StatusCode::NOT_FOUND,
            Code::Artifact,
            "no such artifact",
            hint,
        ))
    })
}

/// Sends an artifact, or the range asked for.
pub(super) async fn get(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    mut request: Request,
) -> Response {
    let id = match parse(&id) {
        Ok(id) => id,
        Err(refused) => return *refused,
    };
    match state.artifacts.look(id).await {
        Seen::Whole => {}
        Seen::Nothing => {
            let title = "no such artifact";
            return refusal(StatusCode::NOT_FOUND, Code::Artifact, title, "");
        }
        // Whoever waits asks again.
        Seen::Unread => {
            let title = "the artifact cannot be read now";
            let hint = "see the server's log";
            return refusal(StatusCode::SERVICE_UNAVAILABLE, Code::Storage, title, hint);
        }
        // It is repaired by an upload: whoever waits gets it then.
        Seen::Damaged => {
            let title = "the artifact is damaged on the server";
            let hint = "upload it again with `hoist release create`";
            return refusal(StatusCode::SERVICE_UNAVAILABLE, Code::Artifact, title, hint);
        }
    }
    // Content never changes under its id, so the id is the entity tag.
    let etag = HeaderValue::try_from(format!("\"{id}\""));
    let headers = request.headers_mut();
    let known = headers.get(header::IF_RANGE);
    if known.is_some_and(|known| etag.as_ref().is_ok_and(|etag| etag != known)) {
        // A part of something else is of no use: all of it is sent.
        headers.remove(header::RANGE);
    }
    match ServeFile::new(state.artifacts.path(id))
        .try_call(request)
        .await
    {
        Ok(served) => {
            let mut response = served.map(Body::new);
            if let Ok(etag) = etag {
                response.headers_mut().insert(header::ETAG, etag);
            }
            response
        }
        Err(error) => {
            tracing::error!(artifact = %id, %error, "artifact cannot be read");
            let title = "the artifact cannot be read";
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                Code::Storage,
                title,
                "see the server's log",
            )
        }
    }
}

/// Takes an artifact of a deployer.
pub(super) async fn put(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let user = match authenticate(&state, request.headers()) {
        Err(refused) => return *refused,
        Ok((_, rights)) if rights.role == Role::Viewer => {
            let hint = "ask an administrator for the role deployer";
            return refusal(
                StatusCode::FORBIDDEN,
                Code::Role,
                "a viewer cannot upload",
                hint,
            );
        }
        Ok((user, _)) => user,
    };
    let id = match parse(&id) {
        Ok(id) => id,
        Err(refused) => return *refused,
    };
    if state.artifacts.contains(id) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let mut body = request.into_body();
    let taken = take(&state, (id, user.clone()), &mut body);
    match tokio::time::timeout(state.limits.upload, taken).await {
        Err(_) => too_slow("the upload took too long"),
        Ok(Ok(())) => StatusCode::CREATED.into_response(),
        Ok(Err(Failed::Sender)) => {
            let title = "the upload broke off";
            refusal(
                StatusCode::BAD_REQUEST,
                Code::Length,
                title,
                "send it again",
            )
        }
        Ok(Err(Failed::Artifact(error))) => {
            let _late = tokio::time::timeout(state.limits.part, discard(body)).await;
            let (status, code) = match &error {
                ArtifactError::Content { .. } => (StatusCode::UNPROCESSABLE_ENTITY, Code::Hash),
                ArtifactError::Length { .. } => (StatusCode::BAD_REQUEST, Code::Length),
                ArtifactError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::Size),
                ArtifactError::NoSpace { .. } | ArtifactError::Quota { .. } => {
                    (StatusCode::INSUFFICIENT_STORAGE, Code::Space)
                }
                ArtifactError::Io { .. } => (StatusCode::INSUFFICIENT_STORAGE, Code::Space),
            };
            state.artifacts.say_refused((id, &user), code, &error);
            refusal(status, code, &error.to_string(), "")
        }
    }
}

/// Takes what comes of a refused upload, for a while: a sender whose connection is closed
/// before all is sent may never read why.
async fn discard(mut body: Body) {
    let mut left = DISCARDED_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
        match left.checked_sub(bytes) {
            Some(less) => left = less,
            None => return,
        }
    }
}

enum Failed {
    Sender,
    Artifact(ArtifactError),
}

async fn take(
    state: &HttpState,
    (id, user): (ArtifactId, UserId),
    body: &mut Body,
) -> Result<(), Failed> {
    let announced = body.size_hint().exact();
    let mut incoming = state
        .artifacts
        .receive(id, user, announced)
        .await
        .map_err(Failed::Artifact)?;
    let part = state.limits.part;
    let next = async |body: &mut Body| tokio::time::timeout(part, body.frame()).await;
    while let Some(frame) = next(body).await.map_err(|_| Failed::Sender)? {
        let frame = frame.map_err(|_| Failed::Sender)?;
        if let Some(bytes) = frame.data_ref() {
            incoming.write(bytes).await.map_err(Failed::Artifact)?;
        }
    }
    incoming.finish().await.map_err(Failed::Artifact)
}
