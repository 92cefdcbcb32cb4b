//! The picture of a rollout as lines of text: what every device does, what the symbols
//! mean, and how many are where. It fits a terminal of 80 columns and 24 lines.

use hoist_protocol::status::Step;

use super::lanes::{Lane, Lanes};
use crate::output::color::Color;

/// Devices in one line: seven groups of ten, with blanks between and two before, are 78.
const PER_LINE: usize = 70;
const PER_GROUP: usize = 10;
/// Length of a bar in characters.
const BAR: usize = 40;

const LEGEND: [&str; 2] = [
    "  · waiting  ▿ downloading  ▾ downloaded  ▸ installing  ◌ rebooting",
    "  ↻ retrying  ✓ successful  ✗ failed",
];

const GREEN: u8 = 32;
const RED: u8 = 31;
const YELLOW: u8 = 33;
const CYAN: u8 = 36;

/// Draws it.
pub(super) fn frame(lanes: &Lanes, color: Color) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(devices(lanes, color));
    lines.push(String::new());
    lines.extend(LEGEND.map(str::to_owned));
    lines.push(String::new());
    let tally = lanes.tally();
    for (title, count, sgr) in [
        ("successful", tally.successful, GREEN),
        ("in progress", tally.in_progress, CYAN),
        ("failed", tally.failed, RED),
    ] {
        let bar = bar(count, tally.all());
        let bar = color.paint(sgr, &bar);
        lines.push(format!("  {title:<12} {bar} {count:>4}/{}", tally.all()));
    }
    lines
}

/// One symbol per device.
fn devices(lanes: &Lanes, color: Color) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, lane) in lanes.all().enumerate() {
        match index {
            _ if index % PER_LINE == 0 => lines.push("  ".to_owned()),
            _ if index % PER_GROUP == 0 => push(&mut lines, " "),
            _ => {}
        }
        push(&mut lines, &symbol(lane, color));
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}

fn symbol(lane: Lane, color: Color) -> String {
    let symbol = lane.symbol().to_string();
    match lane {
        Lane::Waiting => symbol,
        Lane::Doing(Step::Retrying | Step::RetryingAfter(_)) => color.paint(YELLOW, &symbol),
        Lane::Doing(_) => color.paint(CYAN, &symbol),
        Lane::Successful => color.paint(GREEN, &symbol),
        Lane::Failed => color.paint(RED, &symbol),
    }
}

/// A part of a whole; something of it shows as soon as there is something.
fn bar(count: usize, of: usize) -> String {
    let full = (count * BAR).checked_div(of).unwrap_or(0);
    let full = full.max(usize::from(count > 0));
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(count: usize) -> Lanes {
        Lanes::new((0..count).map(|number| format!("dev-{number:04}").parse().unwrap()))
    }

    #[test]
    fn every_picture_fits_80_columns_and_24_lines_with_the_cursor_below_it() {
        for count in [3, 25, 70, 71, 1_000] {
            let lines = frame(&waiting(count), Color::Refused);
            assert!(lines.len() < 24, "{count} devices: {} lines", lines.len());
            for line in &lines {
                assert!(line.chars().count() < 80, "{line:?}");
            }
            let symbols = lines[1..].iter().take_while(|line| !line.is_empty());
            let drawn: usize = symbols.map(|line| line.matches('·').count()).sum();
            assert_eq!(drawn, count);
        }
    }

    #[test]
    fn color_is_only_added() {
        let plain = frame(&waiting(25), Color::Refused).join("\n");
        let colored = frame(&waiting(25), Color::Allowed).join("\n");
        assert!(!plain.contains('\x1b') && colored.contains('\x1b'));
        let stripped = [GREEN, RED, CYAN].iter().fold(colored, |text, sgr| {
            text.replace(&format!("\x1b[{sgr}m"), "")
                .replace("\x1b[0m", "")
        });
        assert_eq!(stripped, plain);
    }

    #[test]
    fn one_of_a_thousand_is_seen_and_a_full_bar_is_full() {
        assert_eq!(bar(1, 1_000).matches('█').count(), 1);
        assert_eq!(bar(1_000, 1_000), "█".repeat(BAR));
        assert_eq!(bar(0, 25), "░".repeat(BAR));
    }
}
