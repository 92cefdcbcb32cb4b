//! The rows of a running server, over HTTP.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;

use bytes::Bytes;
use hoist_orchestrator::store::snapshot::SnapshotReader;
use hoist_protocol::code::Code;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::{Failure, chain};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::unusable;

/// The longest answer that is read as an error.
const ERROR_BYTES_MAX: usize = 16 * 1024;

/// Writes the rows of the server to a file, and reads them once more: only whole ones count.
pub(super) async fn fetch(file: &ClientFile, to: &Path) -> Result<u64, Failure> {
    let authority = file.http.strip_prefix("http://").unwrap_or(&file.http);
    let authority = authority.trim_end_matches('/');
    let unreachable = |why: String| {
        Failure::new(Code::Http, format!("no rows from {}: {why}", file.http))
            .help("a server runs in this data directory; is `http` in client.toml its address?")
    };
    let failed = |error: hyper::Error| unreachable(chain(&error));
    let stream = TcpStream::connect(authority)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(failed)?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/backup/rows")
        .header(HOST, authority)
        .header(AUTHORIZATION, format!("Bearer {}", file.token))
        .body(Empty::<Bytes>::new())
        .map_err(|error| unreachable(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(failed)?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => {
            let what = format!("user {} may not back up the server", file.user);
            return Err(Failure::new(Code::Role, what).help("use the client.toml of an admin"));
        }
        status => {
            // An error of ours is small.
            let body = Limited::new(answer.into_body(), ERROR_BYTES_MAX).collect();
            let body = body
                .await
                .map_or_else(|_| Bytes::new(), |body| body.to_bytes());
            let strange = || unreachable(format!("it answers {status}"));
            return Err(refused(&body).unwrap_or_else(strange));
        }
    }
    let out = OpenOptions::new().write(true).open(to);
    let mut out = BufWriter::new(out.map_err(|error| unusable(to, &error))?);
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let what = format!("the rows of {} broke off: {}", file.http, chain(&error));
            Failure::new(Code::Http, what).help("look at the server's log, and try again")
        });
        if let Ok(piece) = frame?.into_data() {
            out.write_all(&piece)
                .map_err(|error| unusable(to, &error))?;
        }
    }
    out.flush().map_err(|error| unusable(to, &error))?;
    driver.abort();
    count(to).map_err(unreachable)
}

/// The server's own words about a failure. A server that gives them is there, so its address is
/// right.
fn refused(body: &[u8]) -> Option<Failure> {
    let reply: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| reply["error"][name].as_str();
    let what = text("detail").or_else(|| text("title"))?;
    let failure = Failure::answered(text("code")?, format!("the server gives no rows: {what}"));
    let hint = text("hint").filter(|hint| !hint.is_empty());
    Some(match hint {
        Some(hint) => failure.help(hint),
        None => failure,
    })
}

/// The number of rows, if they are whole.
fn count(path: &Path) -> Result<u64, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let read = || {
        let mut reader = SnapshotReader::new(std::io::BufReader::new(file))?;
        let mut rows = 0;
        while reader.next_row()?.is_some() {
            rows += 1;
        }
        Ok(rows)
    };
    read().map_err(|error: hoist_orchestrator::store::snapshot::SnapshotError| chain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_what_is_wrong_is_no_wrong_address() {
        let body =
            br#"{"ok":false,"error":{"code":"E_SPACE","title":"no space","hint":"free some"}}"#;
        let failure = refused(body).unwrap();
        assert_eq!(failure.code, "E_SPACE");
        assert!(failure.what.ends_with("no space"), "{failure}");
        assert_eq!(failure.help.as_deref(), Some("free some"));
        assert_eq!(refused(b"<html>Bad Gateway</html>"), None);
    }
}
