//! Consequences of a refusal: a line in the log, a row that people see, and an event; and the news
//! about problems of the server.

use std::time::Instant;

use hoist_orchestrator_core::engine::arrival::{Arrival, Content};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::effect::{Event, Sender};
use hoist_orchestrator_core::model::error::Code;
use hoist_orchestrator_core::model::now::Now;
use hoist_protocol::id::{DeploymentId, DeviceId};
use hoist_protocol::topic::View;

use super::{Service, ServiceError};
use crate::health::News;

impl Service {
    /// Counts a refusal, with a line in the log at first and once a minute.
    pub(super) fn refused(&mut self, code: Code, sender: &Sender, now: Now) {
        self.config.metrics.rejected(code);
        let times = self
            .refusals
            .note(code, sender, now.unix_ms, Instant::now());
        let Some(times) = times else { return };
        match sender {
            Sender::Device { device, .. } => {
                tracing::warn!(%code, %device, times, "refused a report");
            }
            Sender::User {
                user,
                request,
                verb,
            } => tracing::warn!(%code, %user, %request, verb, times, "refused a command"),
            Sender::Nobody => tracing::warn!(%code, times, "refused a message"),
        }
    }

    /// Writes what was counted of devices, and tells people.
    pub(super) async fn tell_refusals(&mut self) -> Result<(), ServiceError> {
        if self.outage.is_some() {
            return Ok(());
        }
        let due = self.refusals.due(Instant::now());
        let inputs = due.into_iter().flat_map(|due| {
            let event = due.told.map(|count| Event::DeviceRefused {
                device: due.device.clone(),
                code: due.refusal.code.as_str().to_owned(),
                count,
            });
            let counted = Input::CountRefusals {
                device: due.device,
                refusal: due.refusal,
            };
            let told = event.map(|event| Input::Happened(Box::new(event)));
            [Some(counted), told].into_iter().flatten()
        });
        let arrivals = inputs.map(|input| Arrival::of(Content::Input(input)));
        self.decide(arrivals.collect()).await
    }

    /// Tells people what began to be wrong with the server, what else is known of it by now, and
    /// what is over.
    pub(super) async fn tell_health(&mut self) -> Result<(), ServiceError> {
        if self.connection.is_none() {
            return Ok(());
        }
        if self.health.take_reworded() {
            self.views.changed(View::Health);
        }
        for News { problem, over } in self.health.take_news() {
            self.views.changed(View::Health);
            let event = Event::ServerDegraded {
                about: problem.about,
                code: problem.code.as_str().to_owned(),
                detail: problem.detail,
                over,
            };
            self.event(event).await?;
        }
        Ok(())
    }
}

/// Says that a device reports what this server never gave. It is said once of a number.
pub(super) fn say_older(device: &DeviceId, deployment: DeploymentId, known: DeploymentId) {
    let code = Code::Recover;
    tracing::error!(
        %code,
        %device,
        %deployment,
        %known,
        "the device reports a deployment that this server never gave: it lies, or the store is \
         an older copy; the number is not given again"
    );
}
