//! Limits on which both ends of a connection have to agree.

/// Longest MQTT packet that a device, or a user, sends or takes, in bytes: the longest message of
/// the wire with its topic, and room.
pub const CLIENT_PACKET_BYTES_MAX: usize = 20_000;

/// Longest MQTT packet of the orchestrator, which takes commands of people, and tells their
/// answers, in bytes.
pub const SERVICE_PACKET_BYTES_MAX: usize = 1 << 20;

/// Longest JSON of a command, and of what a page of an answer may hold, in bytes.
pub const JSON_BYTES_MAX: usize = 16 * 1024;

/// Time for which a group's spec with entries is valid (W2), in seconds: 7 days.
pub const SPEC_VALID_S: u32 = 7 * 24 * 60 * 60;
