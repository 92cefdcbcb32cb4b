//! Every limit of the front door with its reason.

use std::time::Duration;

/// Settings; the defaults are for one machine and small messages.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From accept to a complete CONNECT: an idle socket must not stay.
    pub handshake: Duration,
    /// For a write to make progress before the client counts as gone.
    pub write: Duration,
    /// Bytes of a packet: commands are at most 16 KiB, statuses 4 KiB.
    pub packet_bytes: usize,
    /// Bytes of a packet of the orchestrator: views and blocks are larger.
    pub service_packet_bytes: usize,
    /// Subscriptions of one device: it needs five.
    pub device_subscriptions: usize,
    /// Subscriptions of one user or of the orchestrator.
    pub user_subscriptions: usize,
    /// Open connections: each costs about 33 KiB. The orchestrator comes in above it.
    pub connections: usize,
    /// New connections per second, from any address: a whole fleet may sit behind one.
    /// More wait in the listener's backlog.
    pub connects_per_second: u32,
    /// What keep-alive 0 ("never") becomes.
    pub keep_alive: Duration,
    /// Unacknowledged deliveries to one client.
    pub window: u16,
    /// The same for the orchestrator: it acknowledges after a durable commit.
    pub service_window: u16,
    /// Messages waiting for one client before it is closed as too slow.
    pub queue: usize,
    /// Bytes of their payloads: views are the largest.
    pub queue_bytes: usize,
    /// Messages waiting for the orchestrator, offline included, before its session ends.
    pub service_queue: usize,
    /// Bytes of their payloads: statuses are small, and memory must last.
    pub service_queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            write: Duration::from_secs(20),
            packet_bytes: 20_000,
            service_packet_bytes: 1 << 20,
            device_subscriptions: 16,
            user_subscriptions: 64,
            connections: 10_000,
            connects_per_second: 1_000,
            keep_alive: Duration::from_secs(1_200),
            window: 100,
            service_window: 1_024,
            queue: 10_000,
            queue_bytes: 16 << 20,
            service_queue: 100_000,
            service_queue_bytes: 128 << 20,
        }
    }
}
