//! Uploads artifacts over HTTP: the only thing the command line does not do over MQTT.

use bytes::Bytes;
use hoist_protocol::id::ArtifactId;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::client_file::ClientFile;
use crate::failure::Failure;

/// Longest answer read: enough for a sentence.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// Uploads one artifact; one that is there already is no failure.
///
/// # Errors
/// `E_HTTP` when the server cannot be reached or refuses, `E_ROLE` when the token may not.
pub(crate) async fn upload(
    file: &ClientFile,
    id: ArtifactId,
    content: Bytes,
) -> Result<(), Failure> {
    let authority = file
        .http
        .strip_prefix("http://")
        .unwrap_or(&file.http)
        .trim_end_matches('/');
    let unreachable = |why: String| {
        Failure::new("E_HTTP", format!("cannot upload to {}: {why}", file.http))
            .help("is the server running? its address is `http` in client.toml")
    };
    let stream = TcpStream::connect(authority)
        .await
        .map_err(|e| unreachable(e.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("/artifacts/{id}"))
        .header(HOST, authority)
        .header(AUTHORIZATION, format!("Bearer {}", file.token))
        .body(Full::new(content))
        .map_err(|error| unreachable(error.to_string()))?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|e| unreachable(e.to_string()))?;
    let status = answer.status();
    let text = http_body_util::Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map(|body| String::from_utf8_lossy(&body.to_bytes()).trim().to_owned())
        .unwrap_or_default();
    driver.abort();
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::new(
            "E_ROLE",
            format!("user {} may not upload artifacts", file.user),
        )
        .help("ask an admin for the role deployer")),
        _ => Err(Failure::new(
            "E_HTTP",
            format!("artifact {id} was refused with {status}: {text}"),
        )),
    }
}
