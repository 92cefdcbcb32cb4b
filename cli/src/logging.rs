//! Logs go to standard error, and never hold payloads or secrets.

use hoist_protocol::code::Code;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::color::Color;
use crate::failure::Failure;
use crate::settings::{Origin, Settings};

/// Starts logging at the level of the settings, or at `quiet` when nobody set one.
///
/// # Errors
/// `E_CONFIG` for a level that does not exist.
pub(crate) fn start(settings: &Settings, default: LevelFilter) -> Result<(), Failure> {
    let text = &settings.log.value;
    let level: LevelFilter = match settings.log.origin {
        Origin::Default => default,
        _ => text.parse().map_err(|_| {
            Failure::new(Code::Config, format!("log level {text:?} does not exist"))
                .help("use off, error, warn, info, debug or trace")
        })?,
    };
    // rumqttd opens an error-level span for every message; what sled says below a warning
    // is about its own pages.
    let filter = Targets::new()
        .with_default(level)
        .with_target("rumqttd", LevelFilter::OFF)
        .with_target("sled", level.min(LevelFilter::WARN));
    let color = Color::on(&std::io::stderr()) == Color::Allowed;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(color)
        .with_target(false);
    // A second start in one process keeps the first.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    Ok(())
}
