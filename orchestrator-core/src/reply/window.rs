//! The windows of a deployment, as people see them.

use hoist_protocol::spec::{Confirm, Policy};
use serde::{Deserialize, Serialize};

use crate::model::rollout::Rollout;
use crate::model::window::LocalWindow;

/// When devices may begin to install, each week, in the local time of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowsView {
    /// The IANA name of the time zone.
    pub time_zone: String,
    /// The windows.
    pub open: Vec<OpenView>,
    /// True if devices fetch before a window opens.
    pub download_ahead: bool,
    /// Seconds after the end of a window in which later artifacts of a release may still begin.
    pub max_overrun_secs: u32,
}

/// A weekly window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenView {
    /// The days on which it opens: `mon-fri,sun`.
    pub days: String,
    /// The time at which it opens: `02:00`.
    pub from: String,
    /// Minutes for which it is open.
    pub minutes: u16,
}

/// Seconds that a device has to come online with a release; none where it need not.
pub(crate) fn confirm_secs(policy: &Policy) -> Option<u32> {
    match policy.confirm {
        Confirm::Verify => None,
        Confirm::Online { within_s } => Some(within_s),
    }
}

impl WindowsView {
    /// Those of a deployment, if it has any.
    #[must_use]
    pub fn of(policy: &Policy, rollout: &Rollout) -> Option<Self> {
        let windows = rollout.windows.as_ref()?;
        let open = windows.open.iter().copied().map(OpenView::from);
        Some(Self {
            time_zone: windows.time_zone.clone(),
            open: open.collect(),
            download_ahead: policy.download_ahead,
            max_overrun_secs: policy.max_overrun_s,
        })
    }

    /// The same as a person types it.
    #[must_use]
    pub fn text(&self) -> String {
        let open = self.open.iter();
        let open: Vec<String> = open
            .map(|it| format!("{} {} {}m", it.days, it.from, it.minutes))
            .collect();
        let ahead = match self.download_ahead {
            true => ", fetched before",
            false => "",
        };
        format!("{} {}{ahead}", open.join(", "), self.time_zone)
    }
}

impl From<LocalWindow> for OpenView {
    fn from(window: LocalWindow) -> Self {
        Self {
            days: window.days_text(),
            from: window.from_text(),
            minutes: window.minutes,
        }
    }
}
