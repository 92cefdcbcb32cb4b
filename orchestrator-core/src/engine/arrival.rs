//! What reached the orchestrator, read as far as that can be done before its turn: one thing to
//! decide, with what follows it. What a status's signature is worth depends on a row, and is
//! looked at when it is decided.

use bytes::Bytes;
use hoist_protocol::access::Role;
use hoist_protocol::codec::{DecodeError, decode};
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::enroll::EnrollRequest;
use hoist_protocol::id::{DeviceId, GroupId, RequestId, UserId};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::Topic;

use crate::api::command::Command;
use crate::api::json;
use crate::api::request::CommandInput;
use crate::engine::decide::hint;
use crate::engine::delivery::{Delivery, Receipt, Waiter};
use crate::engine::input::Input;
use crate::engine::seals::Seals;
use crate::model::enroll::EnrollAsk;
use crate::model::error::{Code, Rejection};
use crate::model::evidence::{Delivered, SignatureEvidence};
use crate::model::key::{DeviceKey, Key};
use crate::model::release::{Uses, VerifiedRelease};
use crate::model::txn::{Txn, Undecided};

/// One thing to decide, with what follows it.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The thing.
    pub content: Content,
    /// To be acknowledged once its decision is durable.
    pub receipt: Option<Receipt>,
    /// Waits for the answer, instead of a reply topic.
    pub answer_to: Option<Waiter>,
    /// A retained topic to clear: what lies there is refused.
    pub clear: Option<Topic>,
    /// A device that may need its spec.
    pub without_spec: Option<WithoutSpec>,
}

/// A device that may need its spec (W4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WithoutSpec {
    /// It just connected.
    Born(DeviceId),
    /// It shows the spec that it was told last.
    Asked(DeviceId),
    /// It shows its key: it has no spec that names it.
    Forgot(DeviceId),
}

/// The content of an arrival.
#[derive(Debug, Clone)]
pub enum Content {
    /// Complete.
    Input(Input),
    /// A status, with the payload that was signed.
    Status {
        /// From its topic.
        device: DeviceId,
        /// As decoded.
        status: DeviceStatus,
        /// As it came.
        payload: Bytes,
        /// The way in which it came.
        delivered: Delivered,
    },
    /// A command.
    Command(Box<Asked>),
    /// A request for a certificate, with the payload that was signed.
    Enroll(Box<Enrolling>),
    /// Nothing to decide, only to acknowledge.
    Nothing,
}

/// A request for the certificate of a device, as it came.
#[derive(Debug, Clone)]
pub struct Enrolling {
    /// From its topic.
    pub device: DeviceId,
    /// As decoded.
    pub request: EnrollRequest,
    /// As it came.
    pub payload: Bytes,
    /// True if the device has the private half of the key: not known yet.
    pub proven: bool,
    /// True if it has the secret of its claim: not known yet.
    pub claimed: bool,
    /// True if a user has the id of the device for a name: not known yet.
    pub is_user: bool,
}

/// No command's name is longer; whoever asks over HTTP may write any.
const VERB_CHARS_MAX: usize = 40;

/// A command with all that its text says, and what is known of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The user who asked.
    pub user: UserId,
    /// The user's role; none when the user is not known (any more).
    pub role: Option<Role>,
    /// The only groups the user may change; empty means all.
    pub groups: Vec<GroupId>,
    /// Its id.
    pub request: RequestId,
    /// As much of its name as is worth a line of the log.
    pub verb: String,
    /// The addresses that it may have come from, or the way in which it came.
    pub from: String,
    /// SHA-256 of verb and body, to tell a repeat from a reused id.
    pub body_hash: [u8; 32],
    /// The command, or why it is none.
    pub command: Result<Command, Rejection>,
    /// For `release-add`: what was verified of the manifest.
    pub release: Option<VerifiedRelease>,
    /// For `release-remove`: who needs the release.
    pub uses: Option<Uses>,
    /// For what registers devices: those of their ids that users have for names.
    pub users: Vec<String>,
}

impl Asked {
    /// In the place of an address, where the broker tells none.
    pub const MQTT: &'static str = "mqtt";

    /// Reads a command's body. Nothing is known of its sender yet.
    #[must_use]
    pub fn new(user: UserId, request: RequestId, verb: &str, body: &[u8]) -> Self {
        Self {
            user,
            role: None,
            groups: Vec::new(),
            request,
            verb: verb.chars().take(VERB_CHARS_MAX).collect(),
            from: Self::MQTT.to_owned(),
            body_hash: json::body_hash(verb, body),
            command: json::parse(verb, body),
            release: None,
            uses: None,
            users: Vec::new(),
        }
    }

    /// True if this is a command, and its sender is known to have the role that its verb needs.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        let verb = self.command.as_ref().map(Command::verb);
        verb.is_ok_and(|verb| self.role.is_some_and(|role| role >= verb.role()))
    }
}

impl Arrival {
    /// Something to decide that nobody waits for.
    #[must_use]
    pub fn of(content: Content) -> Self {
        Self {
            content,
            receipt: None,
            answer_to: None,
            clear: None,
            without_spec: None,
        }
    }

    /// Nothing to decide: a delivery that is only acknowledged.
    pub(crate) fn nothing(receipt: Option<Receipt>) -> Self {
        Self {
            receipt,
            ..Self::of(Content::Nothing)
        }
    }

    /// A delivery on a topic that is not one of our own.
    pub(crate) fn delivered(topic: Topic, delivery: Delivery, seals: &impl Seals) -> Self {
        let delivered = match (delivery.again, delivery.retained) {
            (true, _) => Delivered::Again,
            (false, true) => Delivered::Kept,
            (false, false) => Delivered::Live,
        };
        let empty = delivery.payload.is_empty();
        let payload = delivery.payload;
        let mut arrival = match topic {
            // bad-inputs row 15: an empty payload is the deletion of what was retained.
            Topic::Status(device) if empty => {
                Self::of(Content::Input(Input::StatusCleared { device }))
            }
            Topic::Status(device) => Self::of(match seals.status(&payload) {
                Ok(status) => Content::Status {
                    device,
                    status,
                    payload,
                    delivered,
                },
                Err(error) => refused(device, code(&error)),
            }),
            Topic::Presence(device) if !empty => Self::presence(device, &payload, delivered),
            Topic::Info(device) if !empty => Self::info(device, &payload),
            Topic::EnrollRequest(device) if !empty => Self::enroll(device, &payload),
            Topic::Command {
                user,
                request,
                verb,
            } => Self::command(user, request, &verb, &payload, delivery.retained),
            _ => Self::of(Content::Nothing),
        };
        arrival.receipt = delivery.receipt;
        arrival
    }

    fn presence(device: DeviceId, payload: &[u8], delivered: Delivered) -> Self {
        let presence = match decode::<Presence>(payload) {
            Ok(presence) => presence,
            Err(error) => return Self::of(refused(device, code(&error))),
        };
        let born = presence.state == PresenceState::Online;
        Self {
            without_spec: born.then(|| WithoutSpec::Born(device.clone())),
            ..Self::of(Content::Input(Input::Presence {
                device,
                presence,
                delivered,
            }))
        }
    }

    fn info(device: DeviceId, payload: &[u8]) -> Self {
        let info = match decode::<DeviceInfo>(payload) {
            Ok(info) => Box::new(info),
            Err(error) => return Self::of(refused(device, code(&error))),
        };
        // bad-inputs row 22: pinned, it would let nothing count that is signed.
        if info.public_key.is_some_and(|key| !key.is_sound()) {
            return Self::of(refused(device, Code::Signature));
        }
        let without_spec = match (&info.public_key, &info.stored_spec) {
            (Some(_), _) => Some(WithoutSpec::Forgot(device.clone())),
            (None, Some(_)) => Some(WithoutSpec::Asked(device.clone())),
            (None, None) => None,
        };
        Self {
            without_spec,
            ..Self::of(Content::Input(Input::Info { device, info }))
        }
    }

    fn enroll(device: DeviceId, payload: &Bytes) -> Self {
        match EnrollRequest::open(payload) {
            Ok(request) => Self::of(Content::Enroll(Box::new(Enrolling {
                device,
                request,
                payload: payload.clone(),
                proven: false,
                claimed: false,
                is_user: false,
            }))),
            Err(error) => Self::of(refused(device, error.code())),
        }
    }

    fn command(
        user: UserId,
        request: RequestId,
        verb: &RequestId,
        body: &[u8],
        retained: bool,
    ) -> Self {
        let mut asked = Asked::new(user.clone(), request.clone(), verb.as_str(), body);
        let clear = retained.then(|| Topic::Command {
            user,
            request,
            verb: verb.clone(),
        });
        if retained {
            // bad-inputs row 31
            let why = "the command was published with the retain flag";
            asked.command = Err(Rejection::new(Code::Retained, why));
        }
        Self {
            clear,
            ..Self::of(Content::Command(Box::new(asked)))
        }
    }

    /// Rows that the decision will surely look at.
    pub(crate) fn hint(&self) -> Vec<Key> {
        match &self.content {
            Content::Input(input) => hint(input),
            // The worth of its signature makes no difference to that.
            Content::Status {
                device,
                status,
                delivered,
                ..
            } => hint(&Input::Status {
                device: device.clone(),
                status: status.clone(),
                evidence: SignatureEvidence::Absent,
                delivered: *delivered,
            }),
            Content::Command(_) | Content::Enroll(_) | Content::Nothing => Vec::new(),
        }
    }

    /// The input to decide, from what the rows say about its sender.
    ///
    /// # Errors
    /// [`Undecided`] when the device's row is not loaded.
    pub fn input(&self, txn: &Txn, seals: &impl Seals) -> Result<Option<Input>, Undecided> {
        Ok(Some(match &self.content {
            Content::Nothing => return Ok(None),
            Content::Input(input) => input.clone(),
            Content::Status {
                device,
                status,
                payload,
                delivered,
            } => {
                let row = txn.read(&DeviceKey(device.clone()))?;
                let key = row.and_then(|row| row.public_key);
                Input::Status {
                    device: device.clone(),
                    status: status.clone(),
                    evidence: seals.evidence(device, payload, key.as_ref()),
                    delivered: *delivered,
                }
            }
            Content::Enroll(enrolling) => Input::Enroll(Box::new(EnrollAsk {
                device: enrolling.device.clone(),
                named: enrolling.request.device.clone(),
                key: enrolling.request.key,
                nonce: enrolling.request.nonce,
                device_type: enrolling.request.device_type.clone(),
                claim: enrolling.request.claim.clone().map(|claim| claim.claim),
                proven: enrolling.proven,
                claimed: enrolling.claimed,
                is_user: enrolling.is_user,
            })),
            Content::Command(asked) => Input::Command(Box::new(CommandInput {
                user: asked.user.clone(),
                role: asked.role,
                groups: asked.groups.clone(),
                request: asked.request.clone(),
                verb: asked.verb.clone(),
                from: asked.from.clone(),
                body_hash: asked.body_hash,
                command: asked.command.clone(),
                release: asked.release.clone(),
                uses: asked.uses.clone(),
                users: asked.users.clone(),
            })),
        }))
    }
}

fn refused(device: DeviceId, code: Code) -> Content {
    Content::Input(Input::Refused {
        device: Some(device),
        code,
    })
}

fn code(error: &DecodeError) -> Code {
    match error {
        DecodeError::Version { .. } => Code::Version,
        _ => Code::Decode,
    }
}

#[cfg(test)]
mod tests {
    use hoist_protocol::codec::encode;
    use hoist_protocol::envelope::{PrivateKey, PublicKey};

    use super::*;

    #[test]
    fn a_key_by_which_nothing_can_verify_is_refused_and_never_pinned() {
        // bad-inputs rows 22 and 72
        let device: DeviceId = "d1".parse().unwrap();
        let sound = PrivateKey::from_seed(&[1; 32]).public();
        for (key, refused) in [(PublicKey([0; 32]), true), (sound, false)] {
            let info = DeviceInfo {
                public_key: Some(key),
                ..DeviceInfo::default()
            };
            let arrival = Arrival::info(device.clone(), &encode(&info));
            let is_refused = matches!(
                arrival.content,
                Content::Input(Input::Refused {
                    code: Code::Signature,
                    ..
                })
            );
            assert_eq!(is_refused, refused, "{key:?}");
        }
    }
}
