//! The segmented bar of a deployment, with its legend in signs, words and numbers.

use maud::{Markup, html};
use serde_json::Value;

use super::words::{grouped, spoken};
use crate::fields::Fields;

/// A part of all devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) name: &'static str,
    pub(crate) count: u64,
}

/// The order of segments: what is done first, what is still to come last.
const SIGNS: [(&str, &str); 8] = [
    ("successful", "✓"),
    ("failed", "✕"),
    ("retrying", "↻"),
    ("rebooting", "⟳"),
    ("installing", "▸"),
    ("downloaded", "▪"),
    ("downloading", "↓"),
    ("pending", "◷"),
];

/// The segments of a deployment's view; all of them add up to its members.
pub(crate) fn segments(view: &Value) -> Vec<Segment> {
    let (counts, steps) = (&view["counts"], &view["steps"]);
    let of = |(name, _): (&'static str, &str)| {
        let from = match name {
            "successful" | "failed" | "pending" => counts,
            _ => steps,
        };
        Segment {
            name,
            count: from.number(name),
        }
    };
    SIGNS.into_iter().map(of).collect()
}

/// The bar alone.
pub(crate) fn bar(segments: &[Segment]) -> Markup {
    let all: u64 = segments.iter().map(|segment| segment.count).sum();
    let placed = segments.iter().scan(0, |end, segment| {
        let from = *end;
        *end += segment.count;
        Some((from, segment))
    });
    html! {
        svg.bar role="img" aria-label=(said(segments)) preserveAspectRatio="none" {
            @if all == 0 { rect.none width="100%" height="100%" {} }
            @for (from, segment) in placed.filter(|(_, segment)| segment.count > 0) {
                rect class=(segment.name) height="100%"
                    x=(percent(from, all)) width=(percent(segment.count, all)) {}
            }
        }
    }
}

fn percent(part: u64, all: u64) -> String {
    let thousandths = part.saturating_mul(100_000) / all.max(1);
    format!("{}.{:03}%", thousandths / 1_000, thousandths % 1_000)
}

/// The bar in words, for those who hear it.
fn said(segments: &[Segment]) -> String {
    let there = segments.iter().filter(|segment| segment.count > 0);
    let words: Vec<String> = there
        .map(|segment| format!("{} {}", segment.count, spoken(segment.name)))
        .collect();
    match words.is_empty() {
        true => "no devices".to_owned(),
        false => words.join(", "),
    }
}

/// The legend of a bar: every state that has devices, and those that always matter.
pub(crate) fn legend(segments: &[Segment]) -> Markup {
    let always = ["successful", "failed", "pending"];
    let shown = segments
        .iter()
        .filter(|segment| segment.count > 0 || always.contains(&segment.name));
    html! {
        ul.legend {
            @for segment in shown {
                li {
                    span class=(format!("swatch {}", segment.name)) aria-hidden="true" { (sign(segment.name)) }
                    strong { (grouped(segment.count)) } " " (spoken(segment.name))
                }
            }
        }
    }
}

fn sign(name: &str) -> &'static str {
    let found = SIGNS.iter().find(|(known, _)| *known == name);
    found.map_or("·", |(_, sign)| sign)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bar_says_its_numbers_and_fills_its_width() {
        let view = json!({
            "counts": {"members": 4, "pending": 1, "inProgress": 1, "successful": 1, "failed": 1},
            "steps": {"downloading": 0, "downloaded": 0, "installing": 1, "rebooting": 0, "retrying": 0},
        });
        let shown = bar(&segments(&view)).into_string();
        assert!(
            shown.contains("1 successful, 1 failed, 1 installing, 1 pending"),
            "{shown}"
        );
        assert_eq!(shown.matches("width=\"25.000%\"").count(), 4, "{shown}");
        assert!(shown.contains("x=\"75.000%\""), "{shown}");
    }

    #[test]
    fn a_deployment_without_devices_has_a_bar_too() {
        let shown = bar(&segments(&json!({}))).into_string();
        assert!(shown.contains("no devices"), "{shown}");
    }
}
