//! The windows of a rollout: their JSON, and what is refused of it.

use hoist_protocol::spec::{WEEK_MINUTES, WINDOWS_MAX, Window};
use serde::{Deserialize, Serialize};

use crate::model::error::{Code, Rejection};
use crate::model::window::{self as model, LocalWindow, parse_days, parse_from};
use crate::rules::rollout::window::{in_utc, nearest_zone, zone};

/// When devices may begin to install, each week, in the local time of a place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Windows {
    /// The IANA name of the time zone, such as `Europe/Berlin`.
    pub time_zone: String,
    /// The windows; those that touch are one, and at most 7 may be left then.
    pub open: Vec<OpenWindow>,
    /// Fetches before a window opens, so that only installing waits for it; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub download_ahead: bool,
    /// Seconds after the end of a window in which later artifacts of a release that was begun in
    /// it may still begin; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_overrun_secs: Option<u32>,
}

/// A weekly window.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenWindow {
    /// The days on which it opens: `mon-fri`, `sat,sun`, or `daily`.
    pub days: String,
    /// The time at which it opens: `02:00`.
    pub from: String,
    /// Minutes for which it is open: 1 to 10080, a week.
    pub minutes: u32,
}

/// The windows of a command, in local time and as devices are told them now.
pub(super) fn windows(
    wish: &Windows,
    now_ms: u64,
) -> Result<(model::Windows, Vec<Window>), Rejection> {
    let Some(zone) = zone(&wish.time_zone) else {
        let why = format!("no time zone is called {}", wish.time_zone.escape_debug());
        let refusal = Rejection::new(Code::TimeZone, why).field("rollout.windows.timeZone");
        return Err(match nearest_zone(&wish.time_zone) {
            Some(near) => refusal.hint(format!("did you mean {near}?")),
            None => refusal,
        });
    };
    let open = wish.open.iter().enumerate();
    let open = open.map(|(index, window)| local(index, window));
    let windows = model::Windows {
        time_zone: zone.iana_name().unwrap_or(&wish.time_zone).to_owned(),
        open: open.collect::<Result<_, _>>()?,
    };
    let refused = |why: String| Rejection::new(Code::Window, why).field("rollout.windows.open");
    let minutes = in_utc(&windows, &zone, now_ms);
    match minutes.len() {
        0 => Err(refused("name at least one window".to_owned())),
        count if count > WINDOWS_MAX => Err(refused(format!(
            "these are {count} windows a week, and devices are told {WINDOWS_MAX} at most"
        ))),
        _ => Ok((windows, minutes)),
    }
}

fn local(index: usize, window: &OpenWindow) -> Result<LocalWindow, Rejection> {
    let refused = |why: String, name: &str| {
        let field = format!("rollout.windows.open[{index}].{name}");
        Rejection::new(Code::Window, why).field(&field)
    };
    let days = parse_days(&window.days).ok_or_else(|| {
        let why = format!("{} are no days", window.days.escape_debug());
        refused(why, "days")
    })?;
    let from_minute = parse_from(&window.from).ok_or_else(|| {
        let why = format!("{} is no time of the day", window.from.escape_debug());
        refused(why, "from")
    })?;
    let minutes = u16::try_from(window.minutes).ok();
    let minutes = minutes.filter(|minutes| (1..=WEEK_MINUTES).contains(minutes));
    let minutes = minutes.ok_or_else(|| {
        let why = format!(
            "a window is open for 1 minute to {WEEK_MINUTES}, a week, and not for {}",
            window.minutes
        );
        refused(why, "minutes")
    })?;
    Ok(LocalWindow {
        days,
        from_minute,
        minutes,
    })
}
