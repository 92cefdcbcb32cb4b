//! What the engine puts out, in its order: messages, acknowledgments, answers, events, views and
//! work beside the loop. Secrets are added here, on the way out, and nowhere kept.

use std::collections::BTreeMap;

use hoist_orchestrator_core::api::response::Response;
use hoist_orchestrator_core::engine::delivery::{Receipt, Waiter};
use hoist_orchestrator_core::engine::event::{Output, Told};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::damage::Damage;
use hoist_orchestrator_core::model::effect::{Effect, Event};
use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::kept::Kept;
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::row::Revocation;
use hoist_orchestrator_core::reply::{DeviceSecrets, ResultBody};
use hoist_protocol::id::{ArtifactId, DeviceId};
use hoist_protocol::topic::Topic;

use super::queries::Query;
use super::replies::Answered;
use super::{Service, ServiceError, done, enrollment, refused};
use crate::artifacts;
use crate::events::cloud_event;
use crate::health::Stops;
use crate::query::Question;
use crate::rows;
use crate::specs::Spec;
use crate::transport::{Lost, Outgoing};
use crate::unix_time::unix_ms;

/// Retained messages that are kept beside the store together: a start has as many as groups, and each
/// would wait for the disk.
const TOGETHER_MAX: usize = 64;

impl Service {
    /// Does all of it, in order.
    pub(super) async fn carry_out(&mut self, outputs: Vec<Output>) -> Result<(), ServiceError> {
        let now = self.clock.now();
        for output in outputs {
            if !matches!(output, Output::Publish { .. }) {
                self.send_unsent().await;
            }
            match output {
                Output::Publish { topic, payload } => {
                    self.unsent.push((topic, payload));
                    if self.unsent.len() == TOGETHER_MAX {
                        self.send_unsent().await;
                    }
                }
                Output::Read(topic) => self.read(&topic).await,
                Output::Acknowledge(receipt) => self.acknowledge(receipt).await,
                Output::Decided(decided) => done::say(&decided.0, &decided.1),
                Output::Told(told) => self.decided_event(&told).await,
                Output::Effect(effect) => self.effect(effect, now).await?,
                Output::Respond(response, waiter) => self.respond(*response, waiter, now).await?,
                Output::Stray(topic) => {
                    tracing::warn!(%topic, "a spec of ours is retained for something not in the store");
                }
            }
        }
        Ok(())
    }

    /// Sends the retained messages that wait for each other, in their order. What is published for
    /// a group or of a release is kept beside the store as well, before anybody reads it.
    pub(super) async fn send_unsent(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        self.keep(&unsent).await;
        for (topic, payload) in unsent {
            let text = self.topics.format(&topic);
            tracing::debug!(topic = %text, bytes = payload.len(), "published");
            if self.send(Outgoing::retained(text, payload)).await.is_err() {
                self.engine.cut(&[topic]);
            }
        }
    }

    /// It is a second account: without it everything goes on.
    async fn keep(&self, unsent: &[(Topic, Vec<u8>)]) {
        let of = |(topic, payload): &(Topic, Vec<u8>)| match topic {
            Topic::GroupSpec(group) => Some((Spec::Group(group.clone()), payload.clone())),
            Topic::Release(release) => Some((Spec::Release(*release), payload.clone())),
            _ => None,
        };
        // Of two for one topic the later counts.
        let last: BTreeMap<Spec, Vec<u8>> = unsent.iter().filter_map(of).collect();
        let (gone, signed): (Vec<_>, Vec<_>) = last
            .into_iter()
            .partition(|(_, payload)| payload.is_empty());
        let mut kept = self.config.specs.keep(signed).await;
        for (spec, _) in gone {
            kept = kept.and(self.config.specs.forget(&spec).await);
        }
        if let Err(error) = kept {
            tracing::warn!(%error, "what was signed is not kept beside the store");
        }
    }

    async fn acknowledge(&mut self, receipt: Receipt) {
        if let Some(connection) = self.connection.clone()
            && receipt.connection == self.connections
        {
            // A lost connection delivers again; deciding again changes nothing.
            let _ = connection.acknowledge(receipt.packet).await;
        }
    }

    /// What is retained comes as a delivery; without a connection the next one brings it.
    async fn read(&mut self, topic: &Topic) {
        let topic = self.topics.format(topic);
        if let Some(connection) = self.connection.clone()
            && connection.read(topic).await.is_err()
        {
            self.lose_connection();
        }
    }

    async fn respond(
        &mut self,
        response: Response,
        waiter: Option<Waiter>,
        now: Now,
    ) -> Result<(), ServiceError> {
        let answer_to = waiter.and_then(|waiter| self.waiters.take(waiter));
        match response {
            Response::Reply {
                user,
                request,
                answer,
            } => {
                let views = answer.shown_in();
                let root_sha256 = &self.config.keys.root_sha256;
                let keys = &self.config.keys;
                let created = enrollment::created(&answer, &*self.directory, keys);
                let outcome = match created {
                    Some(created) => Ok(ResultBody::ClaimCreated(created)),
                    None => answer.into_body(|device, issue| DeviceSecrets {
                        token: self.directory.device_token(device, issue),
                        root_sha256: data_encoding::HEXLOWER.encode(root_sha256),
                        root_number: self.config.keys.root_number,
                    }),
                };
                let answered = Answered::new(user, request, outcome, answer_to);
                self.reply_after(views, answered, now).await?;
            }
            Response::Query {
                user,
                request,
                command,
            } => {
                let question = Question::new(user.clone(), command, now);
                // What it is, is not known yet.
                let unknown = Err(Rejection::new(Code::Internal, "it was not answered"));
                let answered = Answered::new(user, request, unknown, answer_to);
                self.ask(Query::new(question, answered), now).await;
            }
            Response::ManageUser {
                deed,
                body_hash,
                command,
            } => {
                let (user, request) = (deed.user.clone(), deed.request.clone());
                let outcome = self.manage_once(deed, body_hash, &command, now).await?;
                let answered = Answered::new(user, request, outcome, answer_to);
                self.reply(answered).await;
            }
        }
        Ok(())
    }

    async fn effect(&mut self, effect: Effect, now: Now) -> Result<(), ServiceError> {
        match effect {
            Effect::DeviceRevoked { device, until } => self.revoke(&device, until),
            Effect::Replaced { device, until } => {
                tracing::info!(%device, "a token or certificate of the device is worth nothing any more");
                self.directory.revoke(&device, until);
            }
            Effect::ClaimMade(claim) => self.directory.claim_made(&claim),
            Effect::ClaimEnded(claim) => self.directory.claim_ended(&claim),
            Effect::EnrollAnswered {
                device,
                nonce,
                outcome,
            } => self.answer_request(&device, nonce, outcome).await,
            // It comes with its place in the history.
            Effect::Event(_) => {}
            Effect::ViewChanged(view) => self.views.changed(view),
            Effect::EveryGroupChanged => {
                let changed = self.views.all_changed().await;
                self.passing(changed)?;
            }
            Effect::FindLine(seek) => self.find_line(seek),
            Effect::Sweep(deployment) => self.sweep(deployment),
            Effect::Pass(seek) => self.find_page(*seek),
            Effect::ReleaseAdded { release, artifacts } => {
                for id in artifacts {
                    self.config.artifacts.claim(id, &release);
                }
            }
            Effect::ReleaseRemoved { artifacts, .. } => self.release_removed(&artifacts).await?,
            Effect::Rejected { code, sender } => self.refused(code, &sender, now),
            Effect::OlderThanDevice {
                device,
                deployment,
                known,
            } => refused::say_older(&device, deployment, known),
            Effect::Damaged(damage) => self.damaged(&damage),
            Effect::Duplicate => tracing::trace!("known already"),
            Effect::GroupSpecChanged(_)
            | Effect::DeviceSpecChanged(_)
            | Effect::PublishRelease(_)
            | Effect::GenerationsReserved(_)
            | Effect::ReadStatus(_)
            | Effect::ReadReports(_) => {}
        }
        Ok(())
    }

    /// A stored row is damaged. It is said once of each row, and shown until the next start.
    pub(super) fn damaged(&mut self, damage: &Damage) {
        let about = format!("row {}", damage.key());
        if !self.health.is_known(&about) {
            tracing::error!(code = %Code::StoreDamaged, row = %damage.key(), "{}", damage.sentence());
        }
        let detail = damage.sentence();
        self.health
            .begin(&about, Code::StoreDamaged, &detail, Stops::Part);
    }

    /// A device was removed or revoked.
    fn revoke(&mut self, device: &DeviceId, until: Revocation) {
        tracing::info!(%device, "device turned out: nothing that it has lets it in any more");
        self.directory.revoke(device, until);
        self.refusals.forget(device);
    }

    /// A release was removed: those of its artifacts that no other one names are not used any
    /// more. Before anything else is decided, so that nobody claims them meanwhile.
    async fn release_removed(&mut self, artifacts: &[ArtifactId]) -> Result<(), ServiceError> {
        let named = artifacts::check::named(&*self.store).await;
        let Some(named) = self.passing(named)? else {
            return Ok(());
        };
        for id in artifacts {
            let by = named.iter().find(|(artifact, _)| artifact == id);
            let by = by.map(|(_, release)| release.as_str());
            self.config.artifacts.unclaim(*id, by);
        }
        Ok(())
    }

    /// An event of a decision; a device that is registered now begins with nothing refused.
    async fn decided_event(&mut self, told: &Told) {
        if let Event::DeviceAdded { device, .. } = &told.event {
            self.refusals.forget(device);
        }
        self.publish_event(&told.event, told.kept).await;
        if let Some(kept) = told.kept {
            self.config.events.tell(kept.id.number);
        }
    }

    /// Tells people what happened beside the rules, and keeps it. While nothing can be kept it is told
    /// at once, without a number, and kept later.
    pub(super) async fn event(&mut self, event: Event) -> Result<(), ServiceError> {
        if self.outage.is_none() {
            return self.decide_one(Input::Happened(Box::new(event))).await;
        }
        self.publish_event(&event, None).await;
        self.decide_one(Input::ToldBefore(Box::new(event))).await
    }

    /// The same in the middle of what follows from a decision.
    pub(super) async fn event_alone(&mut self, event: Event, now: Now) -> Result<(), ServiceError> {
        let input = Input::Happened(Box::new(event.clone()));
        let decided = rows::decided_alone(&*self.store, &input, now).await;
        let decided = self.passing(decided)?;
        let kept = decided.and_then(|decided| decided.kept.first().copied());
        self.decided_event(&Told { event, kept }).await;
        Ok(())
    }

    /// An event as a CloudEvent, for whoever listens now: the history has it for the others.
    async fn publish_event(&mut self, event: &Event, kept: Option<Kept>) {
        done::say_event(event);
        self.config.metrics.event(event);
        let kind = event.kind();
        let Ok(topic) = kind.parse().map(Topic::Event) else {
            return;
        };
        self.events += 1;
        let (id, at_ms) = match kept {
            Some(kept) => (kept.id.to_string(), kept.at_ms),
            None => (format!("{}-unkept-{}", unix_ms(), self.events), unix_ms()),
        };
        let Ok(data) = serde_json::to_value(event) else {
            return;
        };
        let body = cloud_event(self.topics.namespace(), (&id, at_ms), kind, &data);
        let topic = self.topics.format(&topic);
        let event = Outgoing::passing(topic, body.to_string().into_bytes());
        // Nobody waits for it twice: without a connection it is only in the history.
        let _ = self.send(event).await;
    }

    /// Hands a message over for sending.
    ///
    /// # Errors
    /// [`Lost`]: there is no connection, or not any more.
    pub(super) async fn send(&mut self, message: Outgoing) -> Result<(), Lost> {
        let connection = self.connection.clone().ok_or(Lost)?;
        let sent = connection.publish(message).await;
        if sent.is_err() {
            self.lose_connection();
        }
        sent
    }

    /// Nothing can be sent any more; the connection's task will say so as well.
    pub(super) fn lose_connection(&mut self) {
        self.connection = None;
        self.engine.cut(&[]);
    }
}
