//! Small things that are the same on every page: states with a sign and a word, times, numbers.

use maud::{Markup, html};

/// A time in UTC; the browser writes it in the zone of its reader.
pub(crate) fn time(at: &str) -> Markup {
    let short = at
        .get(..16)
        .map_or_else(|| at.to_owned(), |at| at.replace('T', " "));
    html! { time datetime=(at) title=(at) { (short) " UTC" } }
}

/// The same of a time that may not be there.
pub(crate) fn maybe_time(at: Option<&str>) -> Markup {
    match at {
        Some(at) => time(at),
        None => html! { span.none { "never" } },
    }
}

/// A state, by a sign and a word: never by its color alone.
pub(crate) fn state(word: &str) -> Markup {
    let (kind, sign) = sign(word);
    html! { span class=(format!("state {kind}")) { span.sign aria-hidden="true" { (sign) } (spoken(word)) } }
}

/// The kind of a state, which has a color, and its sign.
fn sign(word: &str) -> (&'static str, &'static str) {
    match word {
        "successful" | "completed" | "ok" | "online" | "done" => ("good", "✓"),
        "failed" | "aborted" | "revoked" | "gate-failed" | "degraded" => ("bad", "✕"),
        "paused" | "held" | "frozen" | "waiting-approval" => ("wait", "‖"),
        "inProgress" | "active" | "open" | "soaking" | "downloading" | "downloaded"
        | "installing" | "rebooting" => ("going", "▸"),
        "retrying" => ("wait", "↻"),
        "scheduled" | "pending" => ("rest", "◷"),
        "offline" => ("rest", "○"),
        _ => ("rest", "·"),
    }
}

/// A kebab-case or camelCase word as people say it.
pub(crate) fn spoken(word: &str) -> String {
    match word {
        "inProgress" => "in progress".to_owned(),
        word => word.replace('-', " "),
    }
}

/// A sentence of the server, as one stands on a page.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    let end = match text.ends_with(['.', '!', '?', ':']) || text.is_empty() {
        true => "",
        false => ".",
    };
    format!("{}{}{end}", first.unwrap_or_default(), letters.as_str())
}

/// One thing, or a number of them.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        grouped(number),
        if number == 1 { one } else { many }
    )
}

/// A number with thin spaces between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that is read best.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1_024 {
        return format!("{count} B");
    }
    let power = (count.ilog2() / 10).clamp(1, 4);
    let tenths = count.saturating_mul(10) >> (10 * power);
    let unit = units[power as usize - 1];
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A command of the command line that does the same.
pub(crate) fn same_as(command: &str) -> Markup {
    html! {
        div.command {
            span.label { "The same as a command" }
            code { (command) }
        }
    }
}

/// An empty place, and what to do first.
pub(crate) fn nothing(says: &str, command: Option<&str>) -> Markup {
    html! {
        div.empty {
            p { (says) }
            @if let Some(command) = command { code { (command) } }
        }
    }
}

/// A line of names and values.
pub(crate) fn facts(pairs: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in pairs {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_bytes_are_read_at_a_glance() {
        assert_eq!(grouped(100_000), "100\u{2009}000");
        assert_eq!(grouped(7), "7");
        assert_eq!(
            (bytes(512), bytes(1_536)),
            ("512 B".into(), "1.5 KiB".into())
        );
        assert_eq!(bytes(5 << 20), "5.0 MiB");
        assert_eq!(count(1, "device", "devices"), "1 device");
    }

    #[test]
    fn a_state_has_a_sign_and_a_word() {
        let shown = state("inProgress").into_string();
        assert!(
            shown.contains("in progress") && shown.contains('▸'),
            "{shown}"
        );
    }
}
