//! Where the demo is watched: live bars on a terminal, plain lines otherwise, nothing
//! with `--json`. Always on standard error.

use std::io::IsTerminal;

use hoist_orchestrator_core::view::Counts;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::lanes::LEGEND;

/// Who watches.
pub(super) enum Stage {
    /// Nobody: the JSON at the end is enough.
    Silent,
    /// A log or a pipe.
    Lines { last: Option<Counts> },
    /// A person.
    Live(Live),
}

/// The bars of a terminal.
pub(super) struct Live {
    all: MultiProgress,
    lanes: ProgressBar,
    successful: ProgressBar,
    in_progress: ProgressBar,
    failed: ProgressBar,
}

impl Stage {
    pub(super) fn new(json: bool) -> Self {
        if json {
            return Self::Silent;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: None };
        }
        let all = MultiProgress::new();
        let line = |template: &str| {
            let bar = all.add(ProgressBar::new(0));
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
            }
            bar
        };
        let lanes = line("\n  {msg}\n");
        let successful = line("  successful   {bar:40} {pos:>4}/{len}");
        let in_progress = line("  in progress  {bar:40} {pos:>4}/{len}");
        let failed = line("  failed       {bar:40} {pos:>4}/{len}");
        Self::Live(Live {
            all,
            lanes,
            successful,
            in_progress,
            failed,
        })
    }

    /// Says what happens.
    pub(super) fn say(&self, text: &str) {
        match self {
            Self::Silent => {}
            Self::Lines { .. } => eprintln!("{text}"),
            Self::Live(live) => {
                let _ = live.all.println(text);
            }
        }
    }

    /// Shows what every device does.
    pub(super) fn lanes(&self, line: &str) {
        if let Self::Live(live) = self {
            live.lanes.set_message(format!("{line}\n  {LEGEND}"));
        }
    }

    /// Shows the counts of the deployment.
    pub(super) fn counts(&mut self, counts: Counts) {
        match self {
            Self::Silent => {}
            Self::Lines { last } => {
                if *last != Some(counts) {
                    *last = Some(counts);
                    eprintln!(
                        "{} successful, {} in progress, {} pending, {} failed of {}",
                        counts.successful,
                        counts.in_progress,
                        counts.pending,
                        counts.failed,
                        counts.members
                    );
                }
            }
            Self::Live(live) => {
                let show = |bar: &ProgressBar, count: u32| {
                    bar.set_length(u64::from(counts.members));
                    bar.set_position(u64::from(count));
                };
                show(&live.successful, counts.successful);
                show(&live.in_progress, counts.in_progress);
                show(&live.failed, counts.failed);
            }
        }
    }

    /// Leaves the bars as they are.
    pub(super) fn end(&self) {
        if let Self::Live(live) = self {
            for bar in [
                &live.lanes,
                &live.successful,
                &live.in_progress,
                &live.failed,
            ] {
                bar.abandon();
            }
        }
    }
}
