//! The way of a query: into its user's line, beside the loop, and back with its answer.

use std::sync::Arc;

use hoist_orchestrator_core::model::effect::Sender;
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::reply::ResultBody;
use hoist_protocol::access::Role;

use super::background::Background;
use super::queries::{Asked, OPERATOR, Query, VIEWER};
use super::{Service, ServiceError};
use crate::query::Found;
use crate::release;
use crate::rows::ReadError;

impl Service {
    /// Answers a query when its turn has come.
    pub(super) async fn ask(&mut self, mut query: Query, now: Now) {
        let verb = query.question.verb();
        let rights = self.directory.rights_of(&query.user());
        let rate = match rights.as_ref().map(|rights| rights.role) {
            Some(Role::Deployer | Role::Admin) => OPERATOR,
            Some(Role::Viewer) | None => VIEWER,
        };
        let groups = rights.map(|rights| rights.groups);
        query.question.limit_to(groups.unwrap_or_default());
        let now_ms = self.background.queries.passed_ms();
        match self.background.queries.enter(query, rate, now_ms) {
            Ok(()) => self.go_on_with_queries(),
            Err((query, rejection)) => {
                let (user, request) = query.answered.key();
                let sender = Sender::User {
                    user,
                    request,
                    verb: verb.word().to_owned(),
                };
                self.refused(rejection.code, &sender, now);
                self.reply(query.answered.with(Err(rejection))).await;
            }
        }
    }

    /// Begins as many queries as there is room for.
    pub(super) fn go_on_with_queries(&mut self) {
        while let Some(query) = self.background.queries.next() {
            self.go_on_with(Box::new(query));
        }
    }

    fn go_on_with(&mut self, mut query: Box<Query>) {
        let (store, voice) = (Arc::clone(&self.store), self.voice());
        let directory = self.config.artifacts.clone();
        self.background.tasks.spawn(async move {
            let found = query.question.go_on(&*store).await;
            if let Ok(Found::Specs(group, device)) = found {
                return Background::Query(Asked::Specs(query, group, device));
            }
            let Query { answered, .. } = *query;
            Background::Query(match found {
                Ok(Found::Answer(planned @ Ok(ResultBody::Planned(_)))) => {
                    Asked::Plan(Box::new(answered.with(planned)))
                }
                Ok(Found::Answer(mut outcome)) => {
                    if let Ok(ResultBody::Release(shown)) = &mut outcome {
                        release::show_damage(&*store, &directory, shown).await;
                    }
                    // Whoever lost their connection asks again on the next one.
                    let _ = voice.reply(answered.with(outcome)).await;
                    Asked::Told
                }
                Ok(Found::Specs(..)) => Asked::Told,
                Err(error) => Asked::Failed(Box::new(answered), error),
            })
        });
    }

    /// Goes on with what came of a query beside the loop.
    pub(super) async fn asked(&mut self, asked: Asked) -> Result<(), ServiceError> {
        match asked {
            Asked::Told => {}
            Asked::Plan(answered) => self.answer_plan(*answered).await,
            Asked::Specs(mut query, group, device) => {
                query.question.specs(self.engine.specs_out(&group, &device));
                self.go_on_with(query);
            }
            Asked::Failed(answered, error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a query was not answered"
                );
                if let ReadError::Damaged(damage) = &error {
                    self.damaged(damage);
                }
                self.reply(answered.with(Err(error.rejection()))).await;
            }
        }
        Ok(())
    }
}
