//! The course of a deployment over time: how many devices had started, and how many had ended.

use hoist_orchestrator::live::Sample;
use maud::{Markup, html};
use serde_json::Value;

use super::words::grouped;
use crate::fields::Fields;

/// The drawing's own units.
const WIDE: u64 = 600;
const HIGH: u64 = 120;

/// A moment of the course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    at_ms: u64,
    members: u64,
    started: u64,
    ended: u64,
}

fn moment(sample: &Sample) -> Option<Moment> {
    let view: Value = serde_json::from_slice(&sample.view).ok()?;
    let counts = &view["counts"];
    let ended = counts.number("successful") + counts.number("failed");
    Some(Moment {
        at_ms: sample.at_ms,
        members: counts.number("members"),
        started: ended + counts.number("inProgress"),
        ended,
    })
}

/// The curves; nothing before there is something to draw.
pub(crate) fn course(samples: &[Sample]) -> Markup {
    let moments: Vec<Moment> = samples.iter().filter_map(moment).collect();
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
        return html! {};
    };
    let span_ms = last.at_ms - first.at_ms;
    if span_ms == 0 {
        return html! {};
    }
    let most = moments
        .iter()
        .map(|moment| moment.members)
        .max()
        .unwrap_or(1)
        .max(1);
    let place = |moment: &Moment, count: u64| {
        let x = (moment.at_ms - first.at_ms) * WIDE / span_ms;
        format!("{x},{}", HIGH - count * HIGH / most)
    };
    let line = |of: fn(&Moment) -> u64| -> String {
        let points: Vec<String> = moments
            .iter()
            .map(|moment| place(moment, of(moment)))
            .collect();
        points.join(" ")
    };
    html! {
        figure.course {
            svg viewBox=(format!("0 -4 {WIDE} {}", HIGH + 8)) preserveAspectRatio="none" role="img"
                aria-label=(format!("{} started and {} ended of {}", last.started, last.ended, last.members)) {
                polyline.started points=(line(|moment| moment.started)) {}
                polyline.ended points=(line(|moment| moment.ended)) {}
            }
            figcaption {
                span.started-key { "┄ started " (grouped(last.started)) }
                span.ended-key { "─ ended " (grouped(last.ended)) }
                span.none { "of " (grouped(last.members)) " in " (duration(span_ms / 1_000)) }
            }
        }
    }
}

/// A length of time in its largest two units.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_drawn_once_time_has_passed() {
        let sample = |at_ms, ended: u64| {
            Sample {
            at_ms,
            view: format!(
                "{{\"counts\":{{\"members\":4,\"successful\":{ended},\"failed\":0,\"inProgress\":1}}}}"
            )
            .into(),
        }
        };
        assert_eq!(course(&[sample(0, 0)]).into_string(), "");
        let drawn = course(&[sample(0, 0), sample(60_000, 2)]).into_string();
        assert!(drawn.contains("3 started and 2 ended of 4"), "{drawn}");
        assert!(drawn.contains("points=\"0,120 600,60\""), "{drawn}");
        assert_eq!(duration(3_725), "1 h 2 min");
    }
}
