//! Answers to people. One about a deployment leaves after the view that shows what it says,
//! so that whoever reads that view next reads their own write; views go out at most so often,
//! hence an answer may wait for its view's turn.

use std::sync::Arc;

use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::reply::{
    API_VERSION, ErrorBody, PlanResult, Reply, ResultBody, bounded,
};
use hoist_protocol::id::{IdError, RequestId, UserId};
use hoist_protocol::limit::JSON_BYTES_MAX;
use hoist_protocol::topic::{Topic, Topics, View};
use tokio::sync::oneshot;

use super::{Service, ServiceError};
use crate::store::Store;
use crate::suggest::suggest;
use crate::transport::{Connection, Lost, Outgoing};

/// An answer and where it goes.
pub(super) struct Answered {
    user: UserId,
    request: RequestId,
    outcome: Result<ResultBody, Rejection>,
    /// Waits for it, instead of a reply topic.
    answer_to: Option<oneshot::Sender<Vec<u8>>>,
}

impl Answered {
    /// An answer that takes whoever waits for it along.
    pub(super) fn new(
        user: UserId,
        request: RequestId,
        outcome: Result<ResultBody, Rejection>,
        answer_to: Option<oneshot::Sender<Vec<u8>>>,
    ) -> Self {
        Self {
            user,
            request,
            outcome,
            answer_to,
        }
    }

    /// The user who asked, and the id of the request.
    pub(super) fn key(&self) -> (UserId, RequestId) {
        (self.user.clone(), self.request.clone())
    }

    /// True if it goes to a reply topic.
    pub(super) fn is_by_mqtt(&self) -> bool {
        self.answer_to.is_none()
    }

    /// The plans that it answers, if it does.
    pub(super) fn plans(&mut self) -> Option<&mut PlanResult> {
        match &mut self.outcome {
            Ok(ResultBody::Planned(plans)) => Some(plans),
            _ => None,
        }
    }

    /// Says what it is, of one that was not known yet.
    pub(super) fn with(self, outcome: Result<ResultBody, Rejection>) -> Self {
        Self { outcome, ..self }
    }

    /// True if whoever waited for it has left.
    pub(super) fn is_given_up(&self) -> bool {
        self.answer_to
            .as_ref()
            .is_some_and(oneshot::Sender::is_closed)
    }

    /// Makes it a refusal.
    pub(super) fn refuse(&mut self, rejection: Rejection) {
        self.outcome = Err(rejection);
    }
}

/// An answer that waits for views.
pub(super) struct Held {
    /// Those that did not go out since.
    views: Vec<View>,
    answered: Answered,
}

impl Service {
    /// Answers as soon as these views are out.
    pub(super) async fn reply_after(
        &mut self,
        views: Vec<View>,
        answered: Answered,
        now: Now,
    ) -> Result<(), ServiceError> {
        let settled = match self.connection.clone() {
            Some(connection) => {
                let settled = self.views.settle(&views, &*connection, now).await;
                self.passing(settled)?.unwrap_or(true)
            }
            // Nobody reads a view; whoever asks by HTTP is answered all the same.
            None => true,
        };
        // Before what comes next changes them: a view that went out now shows what others wait for.
        self.release_held().await;
        if settled {
            self.reply_or_count(answered).await;
        } else {
            self.held.push(Held { views, answered });
        }
        Ok(())
    }

    /// Sends the answers whose views went out since they wait. Called whenever views may have
    /// gone out: what changes again afterwards is no reason to wait on.
    pub(super) async fn release_held(&mut self) {
        let connected = self.connection.is_some();
        for held in &mut self.held {
            held.views
                .retain(|view| connected && self.views.is_changed(view));
        }
        let waits = |held: &Held| !held.views.is_empty();
        let (waiting, free): (Vec<Held>, Vec<Held>) =
            std::mem::take(&mut self.held).into_iter().partition(waits);
        self.held = waiting;
        for held in free {
            self.reply(held.answered).await;
        }
    }

    /// Answers; a plan when its members are counted.
    pub(super) async fn reply_or_count(&mut self, mut answered: Answered) {
        match answered.plans() {
            Some(_) => self.answer_plan(answered).await,
            None => self.reply(answered).await,
        }
    }

    /// Answers at once.
    pub(super) async fn reply(&mut self, answered: Answered) {
        if self.voice().reply(answered).await.is_err() {
            self.lose_connection();
        }
    }

    /// The voice that answers beside the loop.
    pub(super) fn voice(&self) -> Voice {
        Voice {
            store: Arc::clone(&self.store),
            topics: self.topics.clone(),
            connection: self.connection.clone(),
        }
    }
}

/// The means by which an answer goes out.
pub(super) struct Voice {
    store: Arc<dyn Store>,
    topics: Topics,
    connection: Option<Arc<dyn Connection>>,
}

impl Voice {
    /// Answers, with the nearest name where one was not found.
    ///
    /// # Errors
    /// [`Lost`]: whoever asked repeats.
    pub(super) async fn reply(&self, answered: Answered) -> Result<(), Lost> {
        let Answered {
            user,
            request,
            mut outcome,
            answer_to,
        } = answered;
        if let Err(rejection) = &mut outcome
            && let Err(error) = suggest(&*self.store, rejection).await
        {
            tracing::warn!(%error, "no name can be suggested");
        }
        let payload = json(&request, outcome);
        match (answer_to, &self.connection) {
            // Whoever asked by HTTP and left can ask again under the same id.
            (Some(answer_to), _) => drop(answer_to.send(payload)),
            (None, Some(connection)) => {
                let topic = self.topics.format(&Topic::Reply { user, request });
                return connection.publish(Outgoing::passing(topic, payload)).await;
            }
            (None, None) => {}
        }
        Ok(())
    }
}

/// A reply's JSON, never larger than its readers accept.
fn json(request: &RequestId, outcome: Result<ResultBody, Rejection>) -> Vec<u8> {
    let fewer = match &outcome {
        Ok(ResultBody::Planned(_)) => "ask for fewer groups at once",
        _ => "ask for fewer items with `limit`",
    };
    let refused = match serde_json::to_vec(&Reply::new(request, outcome)) {
        Ok(payload) if payload.len() <= JSON_BYTES_MAX => return payload,
        Ok(payload) => {
            let detail = format!("the reply would have {} bytes", payload.len());
            Rejection::new(Code::Size, detail).hint(fewer)
        }
        Err(error) => Rejection::new(Code::Internal, format!("the reply is no JSON: {error}")),
    };
    serde_json::to_vec(&Reply::<ResultBody>::new(request, Err(refused.clone())))
        .unwrap_or_else(|_| refusal(request.as_str(), refused))
}

/// A refusal made of texts alone.
fn refusal(request: &str, rejection: Rejection) -> Vec<u8> {
    let body = serde_json::json!({
        "apiVersion": API_VERSION,
        "request": request,
        "ok": false,
        "error": ErrorBody::from(rejection),
    });
    body.to_string().into_bytes()
}

/// The reply of a door to what it does not let in.
pub(super) fn refused(request: &RequestId, rejection: Rejection) -> Vec<u8> {
    json(request, Err(rejection))
}

/// The reply to a request whose id is none.
pub(super) fn bad_request(request: &str, error: &IdError) -> Vec<u8> {
    let rejection = Rejection::new(Code::Name, error.to_string()).field("request");
    refusal(&bounded(request), rejection)
}
