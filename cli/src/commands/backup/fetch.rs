//! The rows of a running server, over HTTP.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;

use hoist_net::exchange::{Server, StatusCode};
use hoist_orchestrator::store::snapshot::SnapshotReader;
use hoist_protocol::code::Code;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::{Failure, chain};
use serde_json::Value;

use super::unusable;

/// The longest answer that is read as an error.
const ERROR_BYTES_MAX: usize = 16 * 1024;

/// Writes the rows of the server to a file, and reads them once more: only whole ones count.
pub(super) async fn fetch(file: &ClientFile, to: &Path) -> Result<u64, Failure> {
    let unreachable = |why: String| {
        Failure::new(Code::Http, format!("no rows from {}: {why}", file.http))
            .help("a server runs in this data directory; is `http` in client.toml its address?")
    };
    let trust = file.trust()?;
    let get = async {
        Server::new(&file.http, &trust, &file.token)?
            .get("/backup/rows")
            .await
    };
    let mut answer = get.await.map_err(|error| unreachable(error.to_string()))?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => {
            let what = format!("user {} may not back up the server", file.user);
            return Err(Failure::new(Code::Role, what).help("use the client.toml of an admin"));
        }
        status => {
            // An error of ours is small.
            let body = answer.small(ERROR_BYTES_MAX).await;
            let strange = || unreachable(format!("it answers {status}"));
            return Err(refused(&body).unwrap_or_else(strange));
        }
    }
    let out = OpenOptions::new().write(true).open(to);
    let mut out = BufWriter::new(out.map_err(|error| unusable(to, &error))?);
    loop {
        let piece = answer.next().await.map_err(|error| {
            let what = format!("the rows of {} broke off: {error}", file.http);
            Failure::new(Code::Http, what).help("look at the server's log, and try again")
        })?;
        let Some(piece) = piece else { break };
        out.write_all(&piece)
            .map_err(|error| unusable(to, &error))?;
    }
    out.flush().map_err(|error| unusable(to, &error))?;
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
