//! The answer that is due to the person who sent a command.

use hoist_protocol::id::{RequestId, UserId};

use crate::api::command::Command;
use crate::model::effect::Effects;
use crate::model::kept::Kept;
use crate::model::row::Deed;
use crate::reply::Answer;

/// The way in which a command is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// With what it came to.
    Reply {
        /// The user who asked.
        user: UserId,
        /// The id the question had.
        request: RequestId,
        /// The answer; the adapter adds secrets ([`Answer::into_body`]).
        answer: Answer,
    },
    /// From rows ([`Command::answer`]); the role has been checked.
    Query {
        /// The user who asked.
        user: UserId,
        /// The id the question had.
        request: RequestId,
        /// One of the verbs that read.
        command: Command,
    },
    /// By the adapter that keeps the users, dry runs included; the role has been checked. A
    /// change is made once for each request ([`crate::api::request::answered_before`]), and
    /// remembered by [`crate::engine::input::Input::UserManaged`].
    ManageUser {
        /// The command and its user, for the audit trail.
        deed: Deed,
        /// SHA-256 of verb and body, to tell a repeat from a reused id.
        body_hash: [u8; 32],
        /// The command.
        command: Command,
    },
}

/// The consequences of one input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Decision {
    /// The effects once the rows are durable, in order.
    pub effects: Effects,
    /// Where the events among them are kept, in their order; nothing when they are not.
    pub kept: Vec<Kept>,
    /// The response to the sender of a command, due after the effects.
    pub response: Option<Response>,
}
