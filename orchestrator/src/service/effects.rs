//! What follows a durable decision: replies, events, views, and word to reconcile; then
//! the acknowledgment. Secrets are added here, on the way out, and nowhere kept.

use hoist_orchestrator_core::api::response::{Decision, Response};
use hoist_orchestrator_core::model::effect::{Effect, Event};
use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::key::RequestKey;
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::time::format_time;
use hoist_orchestrator_core::reply::DeviceSecrets;
use hoist_protocol::id::{ArtifactId, DeviceId, ReleaseId};
use hoist_protocol::topic::Topic;
use tokio::sync::oneshot;

use super::queries::Query;
use super::replies::Answered;
use super::{Service, ServiceError, done, refused};
use crate::arrival::{Arrival, Content, Headless};
use crate::artifacts;
use crate::batch::Decided;
use crate::query::Question;
use crate::reconcile::Subject;
use crate::transport::Outgoing;

/// What a device keeps retained; its key comes before what it has signed with it.
const REPORTS: [fn(DeviceId) -> Topic; 3] = [Topic::Info, Topic::Presence, Topic::Status];

impl Service {
    /// Carries out the effects of all arrivals, in order.
    pub(super) async fn follow_all(
        &mut self,
        arrivals: Vec<Arrival>,
        decided: Decided,
        now: Now,
    ) -> Result<(), ServiceError> {
        for (arrival, decision) in arrivals.into_iter().zip(decided) {
            self.follow(arrival, decision, now).await?;
        }
        Ok(())
    }

    /// Carries out the effects of one arrival, then acknowledges it.
    async fn follow(
        &mut self,
        mut arrival: Arrival,
        decision: Decision,
        now: Now,
    ) -> Result<(), ServiceError> {
        if let Content::Command(asked) = &arrival.content {
            done::say(asked, &decision);
        }
        self.follow_decision(decision, &mut arrival.answer_to, now)
            .await?;
        match arrival.headless.take() {
            Some(Headless::Born(device)) => self.reconciler.born(device),
            Some(Headless::Asked(device)) => self.reconciler.asked(device),
            Some(Headless::Forgot(device)) => self.reconciler.forgot(device),
            None => {}
        }
        self.finish(arrival).await;
        Ok(())
    }

    /// Clears what is to be cleared, and acknowledges.
    pub(super) async fn finish(&mut self, arrival: Arrival) {
        if let Some(topic) = arrival.clear {
            self.clearing.insert(topic.clone());
            self.publish(Outgoing::retained(topic, Vec::new())).await;
        }
        if let Some(receipt) = arrival.receipt {
            // A lost connection delivers again; deciding again changes nothing.
            let _ = receipt.connection.acknowledge(receipt.packet).await;
        }
    }

    /// Carries out what one decision asks for, in order; the sender of a command is answered last.
    pub(super) async fn follow_decision(
        &mut self,
        decision: Decision,
        answer_to: &mut Option<oneshot::Sender<Vec<u8>>>,
        now: Now,
    ) -> Result<(), ServiceError> {
        for effect in decision.effects {
            self.carry_out(effect, now).await?;
        }
        match decision.response {
            Some(response) => self.respond(response, answer_to, now).await,
            None => Ok(()),
        }
    }

    async fn respond(
        &mut self,
        response: Response,
        answer_to: &mut Option<oneshot::Sender<Vec<u8>>>,
        now: Now,
    ) -> Result<(), ServiceError> {
        match response {
            Response::Reply {
                user,
                request,
                answer,
            } => {
                let views = answer.shown_in();
                let outcome = answer.into_body(|device, issue| DeviceSecrets {
                    token: self.directory.device_token(device, issue),
                    root_sha256: data_encoding::HEXLOWER.encode(&self.config.keys.root_sha256),
                });
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
                user,
                request,
                body_hash,
                command,
            } => {
                let key = RequestKey(user.clone(), request.clone());
                let outcome = self.manage_once(&key, body_hash, &command, now).await?;
                let answered = Answered::new(user, request, outcome, answer_to);
                self.reply(answered).await;
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, effect: Effect, now: Now) -> Result<(), ServiceError> {
        match effect {
            Effect::DeviceRevoked { device, issue } => self.revoke(&device, issue).await,
            Effect::Event(event) => self.decided_event(&event, now).await,
            Effect::ViewChanged(view) => self.views.changed(view),
            Effect::GroupHeadChanged(group) => self.reconciler.changed(Subject::Group(group)),
            Effect::DeviceHeadChanged(device) => self.reconciler.changed(Subject::Device(device)),
            Effect::ReadStatus(device) => self.read([Topic::Status(device)]).await,
            Effect::ReadReports(device) => {
                self.read(REPORTS.map(|report| report(device.clone())))
                    .await;
            }
            Effect::FindLine(seek) => self.find_line(seek),
            Effect::Sweep(deployment) => self.sweep(deployment),
            Effect::GenerationsReserved(reserved) => self.reconciler.reserved(reserved),
            Effect::ReleaseAdded { release, artifacts } => {
                for id in artifacts {
                    self.config.artifacts.claim(id, &release);
                }
            }
            Effect::ReleaseRemoved { release, artifacts } => {
                self.release_removed(release, &artifacts).await?;
            }
            Effect::PublishRelease(release) => self.reconciler.changed(Subject::Release(release)),
            Effect::Rejected { code, sender } => self.refused(code, &sender, now),
            Effect::OlderThanDevice {
                device,
                deployment,
                known,
            } => refused::say_older(&device, deployment, known),
            Effect::Duplicate => tracing::trace!("known already"),
        }
        Ok(())
    }

    /// A device was removed.
    async fn revoke(&mut self, device: &DeviceId, issue: u32) {
        tracing::info!(%device, "device removed: its token is worth nothing any more");
        self.directory.revoke(device, issue);
        self.refusals.forget(device);
        self.clear_reports(device).await;
    }

    /// A release was removed: those of its artifacts that no other one names are not used any
    /// more. Before anything else is decided, so that nobody claims them meanwhile.
    async fn release_removed(
        &mut self,
        release: ReleaseId,
        artifacts: &[ArtifactId],
    ) -> Result<(), ServiceError> {
        self.reconciler.changed(Subject::Release(release));
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
    async fn decided_event(&mut self, event: &Event, now: Now) {
        if let Event::DeviceAdded { device, .. } = event {
            self.refusals.forget(device);
        }
        self.event(event, now).await;
    }

    /// Whatever a removed device has retained would be read as the word of its next life. That
    /// it says no more is the broker's part.
    async fn clear_reports(&mut self, device: &DeviceId) {
        for report in REPORTS {
            let topic = self.topics.format(&report(device.clone()));
            self.publish(Outgoing::retained(topic, Vec::new())).await;
        }
    }

    /// What is retained comes as deliveries; without a connection the next one brings it.
    async fn read(&mut self, topics: impl IntoIterator<Item = Topic>) {
        for topic in topics {
            let topic = self.topics.format(&topic);
            if let Some(connection) = &self.connection
                && connection.read(topic).await.is_err()
            {
                self.connection = None;
            }
        }
    }

    /// An event as a CloudEvent: at most once across a crash; views are the truth.
    pub(super) async fn event(&mut self, event: &Event, now: Now) {
        done::say_event(event);
        let kind = event.kind();
        let Ok(topic) = kind.parse().map(Topic::Event) else {
            return;
        };
        self.events += 1;
        let body = serde_json::json!({
            "specversion": "1.0",
            "id": format!("{}-{}", now.unix_ms, self.events),
            "source": self.topics.namespace().as_str(),
            "type": kind,
            "time": format_time(now.unix_ms),
            "datacontenttype": "application/json",
            "data": event,
        });
        let topic = self.topics.format(&topic);
        self.publish(Outgoing::passing(topic, body.to_string().into_bytes()))
            .await;
    }

    /// Publishes what nobody waits for twice: without a connection it is dropped, because
    /// the asker repeats and views are published again on the next connection.
    pub(super) async fn publish(&mut self, message: Outgoing) {
        if let Some(connection) = &self.connection
            && connection.publish(message).await.is_err()
        {
            self.connection = None;
        }
    }
}
