//! Reading what arrives, as the adapter does.

use hoist_orchestrator::reconcile::Subject;
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::evidence::{Delivered, SignatureEvidence};
use hoist_orchestrator_core::model::key::DeviceKey;
use hoist_orchestrator_core::model::txn::{Txn, Undecided};
use hoist_protocol::codec::{Message, decode, decode_prefix, encode};
use hoist_protocol::device::{DeviceInfo, Presence, PresenceState};
use hoist_protocol::head::{DeviceHead, GroupHead};
use hoist_protocol::id::{Generation, ReleaseId};
use hoist_protocol::release::ReleaseManifest;
use hoist_protocol::status::DeviceStatus;

use super::super::broker::{Letter, Payload};
use super::super::line::{Line, device_id, group_id};
use super::{Server, Step};

impl Server {
    /// Reads a delivery as the adapter does, or `None` when it decides nothing.
    pub(super) fn arrival(
        &self,
        txn: &Txn,
        line: Line,
        letter: &Letter,
    ) -> Result<Option<Input>, Undecided> {
        let payload: &[u8] = &letter.payload;
        let delivered = match letter.retained {
            true => Delivered::Kept,
            false => Delivered::Live,
        };
        Ok(match line {
            Line::Group(_) => {
                let head = decode_prefix::<GroupHead>(payload).ok();
                let notices = head.map(|(head, _)| head.notices).unwrap_or_default();
                (!notices.is_empty()).then_some(Input::SeenHead(notices))
            }
            Line::Device(number) => {
                let head = decode_prefix::<DeviceHead>(payload).ok();
                let rounds = head.map(|(head, _)| head.rounds).unwrap_or_default();
                let device = device_id(number);
                (!rounds.is_empty()).then_some(Input::SeenRounds { device, rounds })
            }
            Line::Release(_) => None,
            Line::Status(number) if payload.is_empty() => Some(Input::StatusCleared {
                device: device_id(number),
            }),
            Line::Status(number) => {
                let Ok((status, proof)) = decode_prefix::<DeviceStatus>(payload) else {
                    return Ok(None);
                };
                let device = device_id(number);
                let evidence = match (status.outcomes.is_empty(), proof.is_empty()) {
                    (true, _) => SignatureEvidence::Valid,
                    (false, true) => SignatureEvidence::Absent,
                    (false, false) => {
                        let row = txn.read(&DeviceKey(device.clone()))?;
                        let key = row.and_then(|row| row.public_key);
                        match key.is_some_and(|key| key.0 == proof) {
                            true => SignatureEvidence::Valid,
                            false => SignatureEvidence::Invalid,
                        }
                    }
                };
                Some(Input::Status {
                    device,
                    status,
                    evidence,
                    delivered,
                })
            }
            Line::Presence(number) => decode::<Presence>(payload).ok().map(|presence| {
                let device = device_id(number);
                Input::Presence {
                    device,
                    presence,
                    delivered,
                }
            }),
            Line::Info(number) => decode::<DeviceInfo>(payload).ok().map(|info| Input::Info {
                device: device_id(number),
                info: Box::new(info),
            }),
        })
    }

    /// Tells reconcile what lies on one of its own lines.
    pub(super) fn note(&mut self, line: Line, payload: &Payload) {
        let (subject, signed) = match line {
            Line::Group(place) => (
                Subject::Group(group_id(place)),
                generation::<GroupHead>(payload, |head| head.generation),
            ),
            Line::Device(number) => (
                Subject::Device(device_id(number)),
                generation::<DeviceHead>(payload, |head| head.generation),
            ),
            Line::Release(_) => {
                let Ok(release) = decode::<ReleaseManifest>(payload) else {
                    return;
                };
                let id = ReleaseId::of(&encode(&release));
                (Subject::Release(id), None)
            }
            Line::Status(_) | Line::Presence(_) | Line::Info(_) => return,
        };
        self.difference.seen(subject, payload, signed);
    }
}

/// The step that follows an arrival beside its decision: a device may need its head (W4).
pub(super) fn headless(input: &Input) -> Option<Step> {
    match input {
        Input::Presence {
            device, presence, ..
        } if presence.state == PresenceState::Online => Some(Step::Born(device.clone())),
        Input::Info { device, info } if info.public_key.is_some() => {
            Some(Step::Forgot(device.clone()))
        }
        Input::Info { device, info } if info.stored_head.is_some() => {
            Some(Step::Asked(device.clone()))
        }
        _ => None,
    }
}

fn generation<M: Message>(payload: &[u8], of: fn(M) -> Generation) -> Option<Generation> {
    decode_prefix::<M>(payload).ok().map(|(head, _)| of(head))
}
