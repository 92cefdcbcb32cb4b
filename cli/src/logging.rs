//! Logs go to standard error, and never hold payloads or secrets. Nothing waits for whoever
//! reads them.

use std::io;

use hoist_device_client::agent::said;
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output::color::Color;
use crate::settings::{Origin, Settings, level};

/// The messages that are logged at a level: all of Hoist's own, and of the libraries below it no
/// more than warnings, since the rest is about their own packets and pages. rumqttd opens an
/// error-level span for every message.
fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("hoist", level)
        .with_target("rumqttd", LevelFilter::OFF)
}

/// Takes lines of the log, each as a whole.
struct Lines;

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        said::write(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts logging at the level of the settings, or at `quiet` when nobody set one.
///
/// # Errors
/// `E_CONFIG` for a level that does not exist.
pub(crate) fn start(settings: &Settings, default: LevelFilter) -> Result<(), Failure> {
    let level = match settings.log.origin {
        Origin::Default => default,
        _ => level(&settings.log.value).map_err(|why| Failure::new(Code::Config, why))?,
    };
    let filter = filter(level);
    let color = Color::on(&std::io::stderr()) == Color::Allowed;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Lines)
        .with_ansi(color)
        .with_target(false);
    // A second start in one process keeps the first.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_debug_log_has_only_warnings_of_others() {
        let debug = filter(LevelFilter::DEBUG);
        for own in [
            "hoist_cli::server",
            "hoist_orchestrator",
            "hoist_broker_config::front_door",
        ] {
            assert!(debug.would_enable(own, &Level::DEBUG), "{own}");
        }
        for other in ["rumqttc::state", "sled::pagecache", "hyper::proto", "axum"] {
            assert!(!debug.would_enable(other, &Level::INFO), "{other}");
            assert!(debug.would_enable(other, &Level::WARN), "{other}");
        }
        assert!(!debug.would_enable("rumqttd::router", &Level::ERROR));
        let quiet = filter(LevelFilter::ERROR);
        assert!(!quiet.would_enable("rumqttc::state", &Level::WARN));
        assert!(!quiet.would_enable("hoist_cli", &Level::WARN));
    }
}
