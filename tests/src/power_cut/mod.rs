//! The power goes at every durable write of a device, and once more while it recovers:
//! the real machine and the real slots on a disk that keeps only what was synced.

mod disk;
pub mod program;
pub mod rig;
