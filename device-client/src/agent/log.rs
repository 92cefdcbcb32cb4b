//! The agent's log: one plain line per event on stderr, with the system's time. A whole subscriber library would
//! be an eighth of the agent's size.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::said;

/// Writes events of this program up to INFO.
pub(super) struct StderrLog;

impl Subscriber for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("hoist")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line {
            message: String::new(),
            fields: String::new(),
        };
        event.record(&mut line);
        let level = event.metadata().level();
        // A log that nobody reads must not stop an update.
        said::say(format_args!(
            "{} {level:5} {}{}",
            humantime::format_rfc3339_millis(SystemTime::now()),
            line.message,
            line.fields
        ));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    // No event of this program holds one; what would format it is 10 kB.
    fn record_f64(&mut self, _field: &Field, _value: f64) {}

    fn record_i128(&mut self, _field: &Field, _value: i128) {}

    fn record_u128(&mut self, _field: &Field, _value: u128) {}

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _always_fits = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
