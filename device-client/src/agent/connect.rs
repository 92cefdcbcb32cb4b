//! Beginning and ending sessions with the broker.

use std::time::Duration;

use hoist_net::tls::Trust;
use hoist_protocol::codec::encode;
use hoist_protocol::device::PresenceState;
use hoist_protocol::topic::Topic;
use tokio::time::Instant;

use super::config::{CertificateError, ServerConfig};
use super::mqtt::Connection;
use super::runner::Agent;
use crate::session::{Carries, Ended};

/// The longest time of a goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

impl Agent {
    pub(super) fn connect(&mut self) {
        let Some(server) = self.server.clone() else {
            return;
        };
        self.session.begin();
        self.act();
        if self.session.owed() > 0 {
            // The number is not durable: another session, with another, once it is.
            return;
        }
        let topic = self
            .topics
            .format(&Topic::Presence(self.host.device.clone()));
        let will = encode(&self.session.presence(PresenceState::Offline));
        server.trust.set_time(self.time());
        match self.showing(&server) {
            Ok(trust) => {
                let device = &self.host.device;
                let server = ServerConfig { trust, ..server };
                self.connection = Some(Connection::connect(device, &server, topic, will));
            }
            Err(error) => self.disconnected(&error.to_string()),
        }
    }

    /// Shows what is in the files by now, also while the connection lasts.
    #[cfg(feature = "tls")]
    pub(super) fn show_again(&mut self) {
        if let Some(server) = self.server.clone()
            && let Err(error) = self.showing(&server)
        {
            tracing::error!(%error, "the certificate cannot be shown");
        }
    }

    /// No certificate is shown without TLS.
    #[cfg(not(feature = "tls"))]
    pub(super) fn renew(&mut self) {
        self.renew_at = None;
    }

    /// Whom the broker is believed by, and the certificate that it is shown. The same files keep
    /// their sessions, which are resumed.
    fn showing(&mut self, server: &ServerConfig) -> Result<Trust, CertificateError> {
        let Some(files) = &server.certificate else {
            return Ok(server.trust.clone());
        };
        let texts = files.read()?;
        if let Some((shown, trust)) = &self.shown
            && *shown == texts
        {
            return Ok(trust.clone());
        }
        let whose = (&server.trust, &self.host.device);
        let trust = files.showing(&texts, whose, &self.key)?;
        self.shown = Some((texts, trust.clone()));
        Ok(trust)
    }

    /// The connection is gone: nothing of it is used again, and a new one comes later.
    pub(super) fn disconnected(&mut self, reason: &str) {
        let ended = if self.session.is_online() {
            let lived = self.connected_at.elapsed();
            Ended::After(u64::try_from(lived.as_millis()).unwrap_or(u64::MAX))
        } else {
            Ended::Unmade
        };
        self.connection = None;
        let random = self.clock.read().random;
        let wait = Duration::from_millis(self.reconnects.wait_ms(ended, random));
        tracing::warn!(reason, retry_ms = wait.as_millis(), "not connected");
        self.connect_at = Instant::now() + wait;
        self.session.disconnected(&mut self.clock);
        self.act();
    }

    pub(super) async fn say_goodbye(&mut self) {
        if self.session.is_online() {
            let presence = encode(&self.session.presence(PresenceState::Offline));
            let topic = Topic::Presence(self.host.device.clone());
            self.publish(&topic, presence, Carries::Other);
            if let Some(connection) = self.connection.take() {
                // Without an answer the will says the same.
                let _late = tokio::time::timeout(GOODBYE, connection.close()).await;
            }
        }
    }
}
