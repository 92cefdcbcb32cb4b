//! A release that is confirmed by being online: after its last `verify` the device begins a session
//! anew and waits for its own spec in it. If that does not come in time, everything of the release
//! is rolled back, without the network.

use alloc::vec::Vec;

use hoist_protocol::reason::Reason;

use super::action::Action;
use super::state::{Link, Session};
use super::{Machine, Now};
use crate::job::{Cause, Stage, Then};

/// The times that a device may begin to wait: a power cut gives it all of the time again, and
/// software that takes the device down again and again is not given it for ever.
const BEGUN_MAX: u8 = 5;

/// The text that people are told of [`Reason::Unconfirmed`].
const UNCONFIRMED: &str = "everything was verified, and the device did not come online in time";

impl Machine {
    /// Everything of the release is installed and verified, `begun` times before.
    pub(super) fn confirm(&mut self, begun: u8, now: Now, out: &mut Vec<Action>) {
        let is_online = !matches!(self.link, Link::Offline);
        let Some(active) = self.active_mut() else {
            return;
        };
        let online_ms = u64::from(active.terms.online_s) * 1_000;
        if online_ms == 0 || active.session == Session::Told {
            return self.commit(out);
        }
        if begun >= BEGUN_MAX {
            return self.unconfirmed(now, out);
        }
        self.enter(Stage::Confirming { begun: begun + 1 }, out);
        if let Some(active) = self.active_mut() {
            active.wake = Some(now.unix_ms + online_ms);
        }
        // A session from before proves nothing: the next one could fail.
        if begun == 0 && is_online {
            out.push(Action::Reconnect);
        }
    }

    /// A session begins.
    pub(super) fn connected(&mut self) {
        self.link = Link::Joining;
        if let Some(active) = self.active_mut()
            && matches!(active.job.stage, Stage::Confirming { .. })
        {
            active.session = Session::Begun;
        }
    }

    /// The device's own spec came in a session.
    pub(super) fn told_in_session(&mut self, out: &mut Vec<Action>) {
        let Some(active) = self.active_mut() else {
            return;
        };
        if active.session != Session::Begun {
            return;
        }
        active.session = Session::Told;
        // Without them it is still being proven what is to be confirmed.
        if active.plans.is_some() {
            self.commit(out);
        }
    }

    /// The time to come online is over.
    pub(super) fn unconfirmed(&mut self, now: Now, out: &mut Vec<Action>) {
        let Some(artifact) = self.job().map(|job| job.artifact) else {
            return;
        };
        self.says(UNCONFIRMED);
        let cause = Cause::plain(Reason::Unconfirmed);
        self.rolled_back(artifact, cause, Then::GiveUp, now, out);
    }
}
