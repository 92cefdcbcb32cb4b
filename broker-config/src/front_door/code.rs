//! Why the front door refuses or closes a connection: one closed list, a part of the table
//! of all codes. The code is what logs and counters name; MQTT 3.1.1 itself has no word for
//! most of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use hoist_protocol::access::Denied;
use hoist_protocol::code;

use crate::credentials::Refusal;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:ident, $why:literal;)*) => {
        /// Why a connection was refused or closed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        pub(crate) enum Code {
            $($(#[doc = $doc])* #[error("{}: {}", code::Code::$code, $why)] $name,)*
        }

        impl Code {
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable word for logs and counters.
            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Self::$name => code::Code::$code.as_str(),)*
                }
            }
        }
    };
}

codes! {
    /// No rule lets this client write there.
    Access = Access, "it may not write that topic";
    /// A PUBACK for nothing, or out of order.
    Ack = Ack, "it acknowledged what was not the next message sent to it";
    /// Wrong name, token or client id.
    Auth = Auth, "its name, token and client id do not belong together";
    /// A certificate that is not accepted, or of somebody else.
    Certificate = Certificate, "the certificate that it shows is not accepted, or not its own";
    /// The connection cap is reached.
    Busy = Busy, "too many connections are open";
    /// More, or more often, than one client may send.
    Flood = Flood, "it sends or connects more often than one client may; wait before connecting again";
    /// The socket closed without a DISCONNECT, or does not take bytes any more.
    Gone = Gone, "its socket closed or does not read any more";
    /// One and a half times the keep-alive passed in silence.
    KeepAlive = KeepAlive, "it was silent for longer than its keep-alive";
    /// More waits for it than it may leave waiting.
    Overflow = Overflow, "more messages wait for it than it may leave waiting";
    /// Not MQTT 3.1.1, or not at this point.
    Packet = Packet, "it sent a packet that is malformed or out of place";
    /// QoS 2.
    Qos = Qos, "QoS 2 is not spoken here; use QoS 0 or 1";
    /// The router died or is being replaced.
    Router = Router, "the broker's router is being replaced; connect again";
    /// A packet over the limit, or a bad length.
    Size = Size, "it sent a packet over the size limit or with a bad length";
    /// The token was replaced by another one of its device.
    Replaced = Auth, "its token or certificate was replaced by a newer one";
    /// The pass that the client came in with is worth nothing any more.
    Revoked = Revoked, "it was removed, or what it may do has changed";
    /// The broker stops.
    Stopped = Stopped, "the broker stops";
    /// The same client connected again.
    TakenOver = TakenOver, "the same client connected again";
    /// No complete CONNECT in time.
    Timeout = Timeout, "no complete CONNECT came in time";
    /// An enrollment that lasts for too long.
    Overdue = Timeout, "its time for enrolling is over; connect again";
    /// A topic that no topic of ours looks like.
    Topic = Topic, "that is no topic of this namespace";
    /// TLS where none is spoken, or none where it is.
    Tls = Tls, "one side speaks TLS at this port and the other does not: mqtts:// is with it, mqtt:// without";
    /// A report was lost together with the orchestrator's session.
    Unheard = Router, "what it reported may not have reached the orchestrator; connect again";
    /// Another MQTT version.
    Version = MqttVersion, "only MQTT 3.1.1 is spoken here (mosquitto clients: -V 311)";
}

impl From<&Denied> for Code {
    fn from(denied: &Denied) -> Self {
        match denied {
            Denied::Topic(_) => Self::Topic,
            Denied::Rule => Self::Access,
        }
    }
}

impl From<Refusal> for Code {
    /// Why a session is over whose client would not come in any more.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Replaced => Self::Replaced,
            Refusal::Authority => Self::Certificate,
            _ => Self::Revoked,
        }
    }
}

impl Code {
    /// True if the orchestrator's session outlives the socket that was closed for this.
    pub(crate) fn keeps_session(self) -> bool {
        !matches!(
            self,
            Self::Overflow | Self::Revoked | Self::Router | Self::Stopped | Self::TakenOver
        )
    }

    /// True if the client did something that somebody should look at.
    pub(crate) fn is_fault(self) -> bool {
        !matches!(
            self,
            Self::Gone
                | Self::KeepAlive
                | Self::Overdue
                | Self::Replaced
                | Self::Revoked
                | Self::Stopped
                | Self::TakenOver
                | Self::Timeout
        )
    }
}

/// The number of times that each code was the reason.
#[derive(Debug)]
pub(crate) struct CodeCounters(Vec<AtomicU64>);

impl Default for CodeCounters {
    fn default() -> Self {
        Self(Code::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl CodeCounters {
    pub(crate) fn add(&self, code: Code) {
        if let Some(counter) = self.0.get(code as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that happened.
    pub(crate) fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for (code, counter) in Code::ALL.iter().zip(&self.0) {
            let count = counter.load(Ordering::Relaxed);
            if count > 0 {
                *counts.entry(code.word()).or_default() += count;
            }
        }
        counts
    }
}
