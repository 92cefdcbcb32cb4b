//! Every limit of the front door with its reason.

use std::time::Duration;

use hoist_protocol::limit::{CLIENT_PACKET_BYTES_MAX, SERVICE_PACKET_BYTES_MAX};
use hoist_protocol::rate::Rate;

/// The amount that one client may send. A packet that others get counts as two, a filter with a
/// wildcard as ten and what is retained on it besides, because all retained topics are looked
/// through.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Packets.
    pub packets: Rate,
    /// Bytes of what it publishes.
    pub bytes: Rate,
    /// Packets that a CONNECT counts as: it costs that much more.
    pub connect: u32,
}

/// Settings; the defaults are for one machine and small messages.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From accept to a complete CONNECT: an idle socket must not stay. Half of it is what a
    /// user who connects too often is kept waiting for at most.
    pub handshake: Duration,
    /// Sockets that have not said yet who they are: when more come, the oldest is closed.
    pub opening: usize,
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
    /// Places above it that only users get: a fleet must not keep its operators out.
    pub operator_connections: usize,
    /// Open connections of devices that enroll, beside the others: each lasts for a moment.
    pub enrolling_connections: usize,
    /// Those of one claim among them: whoever has one must not keep all others out.
    pub claim_connections: usize,
    /// The whole of such a connection, from its CONNECT on.
    pub enrolling: Duration,
    /// Open connections of one user, who must not keep all others out.
    pub user_connections: usize,
    /// Messages of one device that are not acknowledged to it: then nothing more is read of it. A
    /// device has a handful under way, and no client library sends more than 100 unasked.
    pub unheard: usize,
    /// The pace of a device: five statuses of a small update come within a moment, and none is due
    /// more often than every ten percent of a download.
    pub device_pace: Pace,
    /// The pace of a viewer: some hundred queries a second, which is more than is answered.
    pub viewer_pace: Pace,
    /// The pace of other users: programs register fleets as fast as they are answered.
    pub operator_pace: Pace,
    /// Filters with wildcards that one user may be the first to bring in an hour: the router
    /// never forgets one, and takes 7 kB for it. All others are served without it.
    pub router_filters_per_hour: usize,
    /// Such filters in all.
    pub router_filters: usize,
    /// Messages waiting for the orchestrator above which only the newest of each topic is kept.
    pub service_newest_above: usize,
    /// New connections per second, from any address: a whole fleet may sit behind one.
    /// More wait in the listener's backlog.
    pub connects_per_second: u32,
    /// The keep-alive of a client that names 0 ("never").
    pub keep_alive: Duration,
    /// Unacknowledged deliveries to one client.
    pub window: u16,
    /// The same for the orchestrator: it acknowledges after a durable commit.
    pub service_window: u16,
    /// Unacknowledged commands to the orchestrator, besides: while its store cannot be written
    /// it acknowledges no report, and answers commands all the same. What it decides on at once.
    pub service_commands: u16,
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
            // At the most connects a second each has a second.
            opening: 1_024,
            write: Duration::from_secs(20),
            packet_bytes: CLIENT_PACKET_BYTES_MAX,
            service_packet_bytes: SERVICE_PACKET_BYTES_MAX,
            device_subscriptions: 16,
            user_subscriptions: 64,
            connections: 10_000,
            operator_connections: 64,
            enrolling_connections: 256,
            claim_connections: 64,
            // Three times the patience of an agent.
            enrolling: Duration::from_secs(60),
            user_connections: 256,
            unheard: 128,
            device_pace: Pace {
                packets: Rate {
                    per_second: 40,
                    burst: 800,
                },
                bytes: Rate {
                    per_second: 16 * 1024,
                    burst: 512 * 1024,
                },
                connect: 10,
            },
            viewer_pace: Pace {
                packets: Rate {
                    per_second: 300,
                    burst: 1_500,
                },
                bytes: Rate {
                    per_second: 128 * 1024,
                    burst: 1024 * 1024,
                },
                connect: 10,
            },
            operator_pace: Pace {
                packets: Rate {
                    per_second: 2_000,
                    burst: 8_000,
                },
                bytes: Rate {
                    per_second: 1024 * 1024,
                    burst: 4 * 1024 * 1024,
                },
                connect: 10,
            },
            // Dashboards bring a handful, once.
            router_filters_per_hour: 64,
            router_filters: 2_000,
            service_newest_above: 1_024,
            connects_per_second: 1_000,
            keep_alive: Duration::from_secs(1_200),
            window: 100,
            service_window: 1_024,
            service_commands: 512,
            queue: 10_000,
            queue_bytes: 16 << 20,
            service_queue: 100_000,
            service_queue_bytes: 128 << 20,
        }
    }
}
