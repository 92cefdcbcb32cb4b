//! The renewal of a device's certificate, over its own connection: after a third of its life, so
//! that a device that is away for long still comes in.

use std::time::Duration;

use hoist_net::mqtt::Message;
use hoist_net::tls::{Time, Trust};
use hoist_protocol::enroll::Enrolled;
use hoist_protocol::topic::Topic;
use tokio::time::Instant;

use super::config::CertificateFiles;
use super::enroll::{answer, keep, request};
use super::runner::Agent;

/// The longest time between two looks at the calendar: the clock may have been set.
const LOOK: Duration = Duration::from_secs(24 * 3_600);
/// The pause before the same is asked for again, whatever came of it: by a clock that is ahead every
/// certificate is due at once.
const AGAIN: Duration = Duration::from_secs(3_600);

/// Seconds until a certificate is due that is valid from then until then.
fn due_in((not_before, not_after): (u64, u64), now_s: u64) -> u64 {
    let third = not_after.saturating_sub(not_before) / 3;
    not_before.saturating_add(third).saturating_sub(now_s)
}

impl Agent {
    /// Plans the next look at the certificate, if the device keeps it up to date itself: no sooner than
    /// a while after it asked last.
    pub(super) fn plan_renewal(&mut self) {
        let shown = self.shown.trust().and_then(Trust::shown);
        self.renew_at = shown
            .filter(|_| self.own_certificate().is_some())
            .map(|shown| {
                let wait = Duration::from_secs(due_in(shown, self.now_s()));
                let at = Instant::now() + wait.min(LOOK);
                self.renewal_asked.map_or(at, |asked| at.max(asked + AGAIN))
            });
    }

    /// Asks for the next certificate, once it is due. A device that is away looks again when it
    /// comes back, and until then no more often than one that waits for an answer.
    pub(super) fn renew(&mut self) {
        self.plan_renewal();
        if self.renew_at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.renew_at = Some(Instant::now() + AGAIN);
        if !self.session.is_online() {
            return;
        }
        let device = self.host.device.clone();
        let answers = self.topics.format(&Topic::EnrollAnswer(device.clone()));
        let asked = request((&device, &self.key), &self.topics, None);
        let Ok((nonce, Message { topic, payload, .. })) = asked else {
            return;
        };
        if let Some(connection) = &mut self.connection {
            connection.subscribe(&answers);
            connection.ask(&topic, payload);
            self.renewing = Some(nonce);
            self.renewal_asked = Some(Instant::now());
            tracing::info!("the certificate is due: another one is asked for");
        }
    }

    /// An answer to the device's own request.
    pub(super) fn renewed(&mut self, payload: &[u8]) {
        let answered = self.renewing.and_then(|nonce| answer(payload, nonce));
        let files = self.own_certificate().and_then(|files| files.beside());
        let (Some(answered), Some(files)) = (answered, files) else {
            return;
        };
        self.renewing = None;
        let topic = self
            .topics
            .format(&Topic::EnrollAnswer(self.host.device.clone()));
        if let Some(connection) = &mut self.connection {
            connection.unsubscribe(&topic);
        }
        let Some(server) = &self.server else { return };
        let chain = match answered {
            Enrolled::Certificate(chain) => chain,
            Enrolled::Refused(refused) => {
                let (code, why) = (refused.code, refused.detail);
                return tracing::warn!(code, why, "the certificate is not renewed");
            }
        };
        match keep(
            &files,
            &chain,
            (&server.trust, &self.host.device),
            &self.key,
        ) {
            Ok(()) => {
                tracing::info!("the certificate was renewed: the next connection shows it");
                // One that was refused, or met nobody, made room: this is another one.
                self.shown.yields = false;
                self.show_again();
                self.plan_renewal();
            }
            Err(error) => tracing::error!(%error, "the new certificate is not kept"),
        }
    }

    /// The certificate that is for the device's own key.
    fn own_certificate(&self) -> Option<CertificateFiles> {
        let files = self.server.as_ref()?.certificate.clone()?;
        files.key.is_none().then_some(files)
    }

    /// The time; where it is not known, the latest that it may be: asking too early costs little.
    fn now_s(&self) -> u64 {
        match self.time() {
            Time::Known(unix_s) => unix_s,
            Time::AtLeast(unix_s) => unix_s.max(self.clock.read().unix_ms / 1_000),
        }
    }
}

#[cfg(test)]
#[path = "renew_tests.rs"]
mod tests;
