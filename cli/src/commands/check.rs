//! `hoist check`: the health of a server and its fleet in the words of monitoring. It asks once, by
//! HTTP, and judges what the server counts.

mod judge;
mod metrics;
mod told;

use std::time::SystemTime;

use hoist_net::exchange::{Server, StatusCode};
use hoist_protocol::code::Code;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;

use crate::args::{Check, CheckFormat};
use crate::context::{Context, print};
use crate::output::Format;
use judge::{Finding, Level, judge};
use metrics::Metrics;

/// The longest text of metrics that is read: the bounded series of a large fleet take 200 KiB.
const METRICS_BYTES_MAX: usize = 4 << 20;

/// Runs the check. Its exit code is that of monitoring: 0 ok, 1 warning, 2 critical, 3 unknown.
pub(crate) async fn check(context: &Context, wish: &Check) -> Result<u8, Failure> {
    let findings = match tokio::time::timeout(wish.timeout, ask(context)).await {
        Ok(Ok(metrics)) => judge(&metrics, wish, SystemTime::now()),
        Ok(Err(Unasked::Server(failure))) => vec![lost(Level::Critical, &failure)],
        Ok(Err(Unasked::Here(failure))) => vec![lost(Level::Unknown, &failure)],
        Err(_) => {
            let what = format!("no answer within {:?}", wish.timeout);
            vec![lost(Level::Critical, &Failure::new(Code::Http, what))]
        }
    };
    let format = wish.format.unwrap_or(match context.format() {
        Format::Json | Format::Ndjson => CheckFormat::Json,
        Format::Table | Format::Wide | Format::Name => CheckFormat::Text,
    });
    print(&told::told(format, &findings))?;
    Ok(Level::of(&findings).exit())
}

/// Why nothing is known: the server does not answer as it should, or nobody could ask it.
enum Unasked {
    Server(Failure),
    Here(Failure),
}

fn lost(level: Level, failure: &Failure) -> Finding {
    Finding::new("server", level, failure.what.clone())
}

async fn ask(context: &Context) -> Result<Metrics, Unasked> {
    let file = context.client_file().map_err(Unasked::Here)?;
    let trust = file.trust().map_err(Unasked::Here)?;
    let server = Server::new(&file.http, &trust, &file.token);
    let server = server.map_err(|error| Unasked::Here(unreachable(&file, &error.to_string())))?;
    let answer = server.get("/metrics").await;
    let answer = answer.map_err(|error| Unasked::Server(unreachable(&file, &error.to_string())))?;
    match answer.status() {
        StatusCode::OK => {
            let text = answer.small(METRICS_BYTES_MAX).await;
            Ok(Metrics::read(&String::from_utf8_lossy(&text)))
        }
        StatusCode::UNAUTHORIZED => {
            let what = format!("the token of {} is worth nothing there", file.user);
            Err(Unasked::Here(Failure::new(Code::Auth, what)))
        }
        status => {
            let said = format!("it answers {status}");
            Err(Unasked::Server(unreachable(&file, &said)))
        }
    }
}

fn unreachable(file: &ClientFile, why: &str) -> Failure {
    Failure::new(Code::Http, format!("no metrics from {}: {why}", file.http))
}
