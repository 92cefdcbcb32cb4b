//! `GET /backup/rows`: all rows of the store at one moment, for administrators. Rows hold no
//! secret.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hoist_protocol::access::Role;
use hoist_protocol::code::Code;
use tower_http::services::ServeFile;

use super::{HttpState, authenticate, refusal};

/// A file that is removed in the end; what is served of it is open already.
struct Gone<'a>(&'a Path);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let _removed = std::fs::remove_file(self.0);
    }
}

/// Sends the rows. They are written to a file first: the store waits for no slow client.
pub(super) async fn rows(State(state): State<HttpState>, request: Request) -> Response {
    match authenticate(&state, request.headers()) {
        Err(refused) => return *refused,
        Ok((_, Role::Admin)) => {}
        Ok(_) => {
            let title = "only administrators may do this";
            return refusal(StatusCode::FORBIDDEN, Code::Role, title, "");
        }
    }
    let path = state.scratch.as_path();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let Ok(file) = options.open(path) else {
        let hint = "try again when it is over";
        return refusal(
            StatusCode::CONFLICT,
            Code::Busy,
            "another backup is made",
            hint,
        );
    };
    // Also when the client goes away meanwhile, and nobody waits for this any more.
    let _gone = Gone(path);
    let written = state.store.snapshot(BufWriter::new(file)).await;
    let served = match written {
        Ok(rows) => {
            tracing::info!(rows, "rows of the store backed up");
            ServeFile::new(path).try_call(request).await
        }
        Err(error) => Err(error),
    };
    match served {
        Ok(served) => served.map(Body::new).into_response(),
        Err(error) => {
            tracing::error!(%error, "the rows cannot be backed up");
            let title = "the rows cannot be backed up";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            refusal(status, Code::Storage, title, "see the server's log")
        }
    }
}
