//! Where the demo is watched: a picture that moves on a terminal, plain lines otherwise,
//! nothing with `--json`. Always on standard error.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use hoist_device_client::agent::said;

use super::frame::frame;
use super::lanes::{Lanes, Tally};
use crate::output::color::Color;

/// A picture more often than this is not seen, only sent.
const REDRAW_EVERY: Duration = Duration::from_millis(40);

/// Clears from the cursor to the end of the screen.
const CLEAR_BELOW: &str = "\x1b[J";
/// A line that is too long for a terminal is cut, not wrapped: the picture keeps its height.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// The audience.
pub(super) enum Stage {
    /// Nobody: the JSON at the end is enough.
    Silent,
    /// A log or a pipe.
    Lines { last: Option<Tally> },
    /// A person.
    Live(Picture),
}

/// The picture at the bottom of a terminal.
pub(super) struct Picture {
    color: Color,
    lines: Vec<String>,
    drawn_at: Option<Instant>,
}

impl Stage {
    pub(super) fn new(json: bool) -> Self {
        let stderr = io::stderr();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match json {
            true => Self::Silent,
            false if !stderr.is_terminal() || dumb => Self::Lines { last: None },
            false => Self::Live(Picture {
                color: Color::on(&stderr),
                lines: Vec::new(),
                drawn_at: None,
            }),
        }
    }

    /// Says what happens.
    pub(super) fn say(&mut self, text: &str) {
        match self {
            Self::Silent => {}
            Self::Lines { .. } => write(&format!("{text}\n")),
            Self::Live(picture) => picture.say(text),
        }
    }

    /// Shows what every device does, if something changed.
    pub(super) fn show(&mut self, lanes: &Lanes, when: When) {
        match self {
            Self::Silent => {}
            // A line for every step of every device would hide what happens.
            Self::Lines { .. } if when == When::Moved => {}
            Self::Lines { last } => {
                let tally = lanes.tally();
                if *last != Some(tally) {
                    *last = Some(tally);
                    write(&line(tally));
                }
            }
            Self::Live(picture) => picture.show(lanes, when),
        }
    }
}

/// Why the lanes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// A device said something new.
    Moved,
    /// The server published its view: a few times a second while devices move.
    Viewed,
    /// Nothing will move any more.
    Over,
}

impl Picture {
    fn say(&mut self, text: &str) {
        let drawn = self.drawn();
        write(&format!("{}{text}\n{drawn}", self.back()));
    }

    fn show(&mut self, lanes: &Lanes, when: When) {
        let now = Instant::now();
        let early = self
            .drawn_at
            .is_some_and(|at| now.duration_since(at) < REDRAW_EVERY);
        if early && when != When::Over {
            return;
        }
        let back = self.back();
        self.drawn_at = Some(now);
        self.lines = frame(lanes, self.color);
        write(&format!("{back}{}", self.drawn()));
    }

    /// Takes the picture away.
    fn back(&self) -> String {
        match self.lines.len() {
            0 => String::new(),
            height => format!("\x1b[{height}A\r{CLEAR_BELOW}"),
        }
    }

    fn drawn(&self) -> String {
        let lines = self.lines.iter().map(|line| format!("{line}\n"));
        format!("{NO_WRAP}{}{WRAP}", lines.collect::<String>())
    }
}

fn line(tally: Tally) -> String {
    format!(
        "{} successful, {} in progress, {} pending, {} failed of {}\n",
        tally.successful,
        tally.in_progress,
        tally.waiting,
        tally.failed,
        tally.all()
    )
}

/// A terminal that was closed ends no story: the signal that says so does.
fn write(text: &str) {
    said::write(text.as_bytes());
}
