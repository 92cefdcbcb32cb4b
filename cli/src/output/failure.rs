//! The last words of a command that failed: the only place that formats a [`Failure`].

use std::io::{self, IsTerminal};

use hoist_device_client::agent::said;
use hoist_orchestrator_core::reply::{API_VERSION, ErrorBody};
use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use serde_json::json;

use crate::output::Format;
use crate::output::text::wrapped;

/// Writes a failure to standard error: as text, or where results are JSON as one line of it.
pub(crate) fn print(failure: &Failure, format: Format) {
    let text = match format {
        Format::Json | Format::Ndjson => json(failure),
        _ if io::stderr().is_terminal() => for_terminal(&failure.to_string()),
        Format::Table | Format::Wide | Format::Name => failure.to_string(),
    };
    said::say(text);
}

/// The same fields as in the reply to a refused command.
fn json(failure: &Failure) -> String {
    let known = Code::parse(&failure.code);
    let hint = known.map_or("", Code::hint);
    let error = ErrorBody {
        code: failure.code.clone(),
        title: known.map_or_else(|| failure.what.clone(), |code| code.title().to_owned()),
        detail: failure.what.clone(),
        hint: failure.help.clone().unwrap_or_else(|| hint.to_owned()),
        field: failure.field.clone(),
    };
    json!({"apiVersion": API_VERSION, "ok": false, "error": error}).to_string()
}

/// A text in lines that fit a terminal; whoever reads it in a program wants it whole.
fn for_terminal(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let said = line.trim_start();
        wrapped(&line[..line.len() - said.len()], said)
    });
    lines.collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_terminal_every_line_fits_and_nothing_is_lost() {
        let what = format!(
            "many lines are wrong\n  line 2: {}",
            "too many words ".repeat(12)
        );
        let failure = Failure::new(Code::Csv, what).help("mend it, ".repeat(20));
        let said = for_terminal(&failure.to_string());
        assert!(
            said.lines().all(|line| line.chars().count() <= 80),
            "{said}"
        );
        assert!(said.contains("\n  line 2: too many"), "{said}");
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&said), words(&failure.to_string()));
    }

    #[test]
    fn programs_get_the_fields_of_a_reply() {
        let mut failure = Failure::new(Code::Group, "there is no group eu").help("create it");
        failure.field = Some("group".to_owned());
        assert_eq!(
            json(&failure),
            r#"{"apiVersion":"hoist/v1","error":{"code":"E_GROUP","detail":"there is no group eu","field":"group","hint":"create it","title":"group not found"},"ok":false}"#
        );
        let newer = Failure::answered("E_OF_A_NEWER_SERVER", "because");
        assert!(json(&newer).contains(r#""title":"because""#));
    }
}
