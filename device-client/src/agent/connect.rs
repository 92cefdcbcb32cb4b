//! Beginning and ending sessions with the broker.

use std::path::Path;
use std::time::Duration;

use hoist_net::tls::Trust;
use hoist_protocol::codec::encode;
use hoist_protocol::device::PresenceState;
use hoist_protocol::topic::Topic;
use tokio::time::Instant;

use super::config::{CertificateError, CertificateFiles, ServerConfig};
use super::files::{Files, SystemFiles, folder_of};
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

    /// The connection is gone: nothing of it is used again, and a new one comes later.
    pub(super) fn disconnected(&mut self, reason: &str) {
        let ended = if self.session.is_online() {
            let lived = self.connected_at.elapsed();
            Ended::After(u64::try_from(lived.as_millis()).unwrap_or(u64::MAX))
        } else {
            Ended::Unmade
        };
        self.connection = None;
        self.certificate_was_shown(matches!(ended, Ended::After(_)));
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

impl Agent {
    /// Whom the broker is believed by, and the certificate that it is shown. The same files keep
    /// their sessions, which are resumed.
    fn showing(&mut self, server: &ServerConfig) -> Result<Trust, CertificateError> {
        let Some(files) = &server.certificate else {
            return Ok(server.trust.clone());
        };
        if let Some(renewed) = files.renewed().filter(|_| !self.shown.yields) {
            match self.show(&renewed, server) {
                Ok(trust) => {
                    self.shown.is_renewed = true;
                    return Ok(trust);
                }
                Err(error) => tracing::warn!(%error, "the renewed certificate cannot be shown"),
            }
        }
        self.shown.is_renewed = false;
        self.show(files, server)
    }

    fn show(
        &mut self,
        files: &CertificateFiles,
        server: &ServerConfig,
    ) -> Result<Trust, CertificateError> {
        let texts = files.read()?;
        if let Some((shown, trust)) = &self.shown.last
            && *shown == texts
        {
            return Ok(trust.clone());
        }
        let whose = (&server.trust, &self.host.device);
        let trust = files.showing(&texts, whose, &self.key)?;
        self.shown.last = Some((texts, trust.clone()));
        Ok(trust)
    }

    /// A connection was made with what was shown: a renewed one takes the place of the other.
    pub(super) fn certificate_is_good(&mut self) {
        let server = self.server.as_ref();
        let files = server.and_then(|server| server.certificate.as_ref());
        let Some((files, renewed)) = files.and_then(|files| Some((files, files.renewed()?))) else {
            return;
        };
        if !self.shown.is_renewed {
            return;
        }
        match replace(&renewed.certificate, &files.certificate) {
            Ok(()) => tracing::info!("the renewed certificate is in use"),
            Err(error) => tracing::error!(%error, "the renewed certificate is not kept"),
        }
    }

    /// A connection has ended, or was not made: then the other certificate is tried.
    pub(super) fn certificate_was_shown(&mut self, was_let_in: bool) {
        self.shown.yields = !was_let_in && self.shown.is_renewed;
    }
}

fn replace(from: &Path, to: &Path) -> std::io::Result<()> {
    SystemFiles.rename(from, to)?;
    SystemFiles.sync_dir(folder_of(to))
}
