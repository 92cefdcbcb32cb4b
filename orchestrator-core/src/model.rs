//! Data that everything else is about: rows and their keys, one batch of changes to them, timers,
//! clocks and the effects of a decision. No rule is decided here.

pub mod counter;
pub mod damage;
pub mod effect;
pub mod enroll;
pub mod error;
pub mod evidence;
mod explained;
pub mod instance;
pub mod kept;
pub mod key;
pub mod nearest;
pub mod now;
pub mod release;
pub mod rollout;
pub mod row;
pub mod search;
pub mod selector;
pub mod state;
pub mod time;
pub mod timer;
pub mod txn;
pub mod window;
pub mod word;

pub(crate) use explained::explained;
