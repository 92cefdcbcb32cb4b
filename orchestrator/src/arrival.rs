//! What arrived, as far as it can be understood without the store: topics parsed,
//! messages decoded, commands read. Nothing here changes anything.

use bytes::Bytes;
use hoist_orchestrator_core::api::request::CommandInput;
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::evidence::Delivered;
use hoist_orchestrator_core::model::key::DeviceKey;
use hoist_orchestrator_core::model::release::{Uses, VerifiedRelease};
use hoist_orchestrator_core::model::txn::{Txn, Undecided};
use hoist_protocol::codec::{DecodeError, decode};
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::id::{DeviceId, RequestId, UserId};
use hoist_protocol::status::DeviceStatus;
use hoist_protocol::topic::Topic;
use tokio::sync::oneshot;

use crate::command;
use crate::config::Directory;
use crate::signer::evidence;
use crate::transport::{Delivery, Receipt};

/// One thing to decide, with what follows it.
pub(crate) struct Arrival {
    pub(crate) content: Content,
    /// To be acknowledged once its decision is durable.
    pub(crate) receipt: Option<Receipt>,
    /// Waits for the answer, instead of a reply topic.
    pub(crate) answer_to: Option<oneshot::Sender<Vec<u8>>>,
    /// A retained topic to clear: what lies there is refused.
    pub(crate) clear: Option<String>,
    /// A device that may need its head.
    pub(crate) headless: Option<Headless>,
}

/// A device that may need its head (W4).
pub(crate) enum Headless {
    /// It just connected.
    Born(DeviceId),
    /// It shows the head that it was told last.
    Asked(DeviceId),
    /// It shows its key: it has no head that names it.
    Forgot(DeviceId),
}

/// What is to be decided.
pub(crate) enum Content {
    /// Complete.
    Input(Input),
    /// A status; what its signature is worth depends on the key in the device's row.
    Status {
        device: DeviceId,
        topic: String,
        payload: Bytes,
        delivered: Delivered,
    },
    /// A command; the sender's rights are looked up when it is decided.
    Command(Box<Asked>),
    /// Nothing to decide, only to acknowledge.
    Nothing,
}

/// No command's name is longer; whoever asks over HTTP may write any.
const VERB_CHARS_MAX: usize = 40;

/// A command with all that its text says.
pub(crate) struct Asked {
    pub(crate) user: UserId,
    pub(crate) request: RequestId,
    /// As much of it as is worth a line of the log.
    pub(crate) verb: String,
    pub(crate) body_hash: [u8; 32],
    pub(crate) command: Result<hoist_orchestrator_core::api::command::Command, Rejection>,
    pub(crate) release: Option<VerifiedRelease>,
    pub(crate) uses: Option<Uses>,
}

impl Asked {
    /// Reads a command's body.
    pub(crate) fn new(user: UserId, request: RequestId, verb: &str, body: &[u8]) -> Self {
        Self {
            user,
            request,
            verb: verb.chars().take(VERB_CHARS_MAX).collect(),
            body_hash: command::body_hash(verb, body),
            command: command::parse(verb, body),
            release: None,
            uses: None,
        }
    }
}

impl Arrival {
    /// Something to decide that nobody waits for.
    pub(crate) fn of(content: Content) -> Self {
        Self {
            content,
            receipt: None,
            answer_to: None,
            clear: None,
            headless: None,
        }
    }

    /// A delivery on a topic that is not one of our own.
    pub(crate) fn delivered(topic: Topic, delivery: Delivery) -> Self {
        let mut arrival = Self::of(Content::Nothing);
        let empty = delivery.payload.is_empty();
        let delivered = match (delivery.again, delivery.retained) {
            (true, _) => Delivered::Again,
            (false, true) => Delivered::Kept,
            (false, false) => Delivered::Live,
        };
        arrival.content = match topic {
            // bad-inputs row 15: an empty payload is the deletion of what was retained.
            Topic::Status(device) if empty => Content::Input(Input::StatusCleared { device }),
            Topic::Status(device) => Content::Status {
                device,
                topic: delivery.topic,
                payload: delivery.payload,
                delivered,
            },
            Topic::Presence(device) if !empty => match decode::<Presence>(&delivery.payload) {
                Ok(presence) => {
                    if presence.state == PresenceState::Online {
                        arrival.headless = Some(Headless::Born(device.clone()));
                    }
                    Content::Input(Input::Presence {
                        device,
                        presence,
                        delivered,
                    })
                }
                Err(error) => refused(device, &error),
            },
            Topic::Info(device) if !empty => match decode::<DeviceInfo>(&delivery.payload) {
                // bad-inputs row 22: pinned, it would let nothing count that is signed.
                Ok(info) if info.public_key.is_some_and(|key| !key.is_sound()) => {
                    Content::Input(Input::Refused {
                        device: Some(device),
                        code: Code::Signature,
                    })
                }
                Ok(info) => {
                    if info.public_key.is_some() {
                        arrival.headless = Some(Headless::Forgot(device.clone()));
                    } else if info.stored_head.is_some() {
                        arrival.headless = Some(Headless::Asked(device.clone()));
                    }
                    let info = Box::new(info);
                    Content::Input(Input::Info { device, info })
                }
                Err(error) => refused(device, &error),
            },
            Topic::Command {
                user,
                request,
                verb,
            } => {
                let mut asked = Asked::new(user, request, verb.as_str(), &delivery.payload);
                if delivery.retained {
                    // bad-inputs row 31
                    let why = "the command was published with the retain flag";
                    asked.command = Err(Rejection::new(Code::Retained, why));
                    arrival.clear = Some(delivery.topic);
                }
                Content::Command(Box::new(asked))
            }
            _ => Content::Nothing,
        };
        arrival.receipt = delivery.receipt;
        arrival
    }

    /// The input to decide, from what the rows say about its sender.
    ///
    /// # Errors
    /// [`Undecided`] when the device's row is not loaded.
    pub(crate) fn input(
        &self,
        txn: &Txn,
        directory: &dyn Directory,
    ) -> Result<Option<Input>, Undecided> {
        Ok(Some(match &self.content {
            Content::Nothing => return Ok(None),
            Content::Input(input) => input.clone(),
            Content::Status {
                device,
                topic,
                payload,
                delivered,
            } => status(txn, (device, *delivered), topic, payload)?,
            Content::Command(asked) => {
                let rights = directory.rights_of(&asked.user);
                Input::Command(Box::new(CommandInput {
                    user: asked.user.clone(),
                    role: rights.as_ref().map(|rights| rights.role),
                    groups: rights.map(|rights| rights.groups).unwrap_or_default(),
                    request: asked.request.clone(),
                    verb: asked.verb.clone(),
                    body_hash: asked.body_hash,
                    command: asked.command.clone(),
                    release: asked.release.clone(),
                    uses: asked.uses.clone(),
                }))
            }
        }))
    }
}

fn status(
    txn: &Txn,
    (device, delivered): (&DeviceId, Delivered),
    topic: &str,
    payload: &[u8],
) -> Result<Input, Undecided> {
    let received = match DeviceStatus::receive(payload) {
        Ok(received) => received,
        Err(error) => {
            return Ok(Input::Refused {
                device: Some(device.clone()),
                code: code(&error),
            });
        }
    };
    let key = txn
        .read(&DeviceKey(device.clone()))?
        .and_then(|row| row.public_key);
    Ok(Input::Status {
        device: device.clone(),
        evidence: evidence(&received, key.as_ref(), topic),
        status: received.status,
        delivered,
    })
}

fn refused(device: DeviceId, error: &DecodeError) -> Content {
    Content::Input(Input::Refused {
        device: Some(device),
        code: code(error),
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
            let delivery = Delivery {
                topic: "hoist/i/00/d1".into(),
                payload: encode(&info).into(),
                retained: false,
                again: false,
                receipt: None,
            };
            let arrival = Arrival::delivered(Topic::Info(device.clone()), delivery);
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
