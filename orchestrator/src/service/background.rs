//! Work over many members, done beside the loop and told to it when it has ended.

use std::sync::Arc;
use std::time::Instant;

use hoist_orchestrator_core::engine::arrival::{Arrival, Content};
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::now::{Mode, Now};
use hoist_orchestrator_core::model::search::{Found, Seek};
use hoist_orchestrator_core::model::search::{Left, Old, PassPage, PassSeek};
use hoist_orchestrator_core::reply::PlanResult;
use hoist_protocol::id::{DeploymentId, RequestId, UserId};
use tokio::task::{JoinError, JoinSet};

use super::queries::{Asked, Queries};
use super::replies::Answered;
use super::{Service, ServiceError};
use crate::artifacts;
use crate::line;
use crate::pass;
use crate::retention::{self, Looks};
use crate::rows::ReadError;
use crate::survey;

/// Plans counted at once: each reads every member of its groups.
const PLANS_MAX: usize = 4;

/// A piece of work that has ended.
pub(super) enum Background {
    /// The look at all artifacts, which could not be taken.
    Checked,
    /// A look for what was kept for long enough.
    Old(Result<Vec<Old>, ReadError>),
    /// A page of what is left of a removed deployment.
    Left(Result<Left, ReadError>),
    /// The next devices of a pass.
    Page(Result<PassPage, ReadError>),
    /// A search for a line.
    Line(Result<Box<Found>, ReadError>),
    /// The counting of a plan's members, by its number, with the answer it is part of.
    Plan(u64, Box<Answered>, Result<(), ReadError>),
    /// A query, or as much of it as can be done beside the loop.
    Query(Asked),
}

/// The work that goes on.
#[derive(Default)]
pub(super) struct Works {
    pub(super) tasks: JoinSet<Background>,
    /// Plans that are being counted.
    plans: Vec<Counting>,
    /// The number of the last one.
    last: u64,
    /// The queries of people.
    pub(super) queries: Queries,
    /// When it is looked for what was kept for long enough.
    looks: Looks,
}

/// A plan that is being counted.
struct Counting {
    number: u64,
    asked: (UserId, RequestId),
    /// As it was asked for: another one under the same id is another question.
    plans: Option<PlanResult>,
}

impl Service {
    /// Looks at all artifacts, and at what is not used, for as long as the service runs.
    pub(super) fn check_artifacts(&mut self) {
        let (store, directory) = (Arc::clone(&self.store), self.config.artifacts.clone());
        self.background.tasks.spawn(async move {
            artifacts::check::check(store, directory).await;
            Background::Checked
        });
    }

    /// Looks for what was kept for long enough, when it is time.
    pub(super) fn look_for_old(&mut self, now: Now) {
        let serves = now.mode == Mode::Serving;
        if serves && self.background.looks.begin(now, Instant::now()) {
            let store = Arc::clone(&self.store);
            self.background
                .tasks
                .spawn(async move { Background::Old(retention::find(&*store, now).await) });
        }
    }

    /// Decides on what was found, one after the other, in one commit.
    async fn found_old(&mut self, found: Result<Vec<Old>, ReadError>) -> Result<(), ServiceError> {
        let old = self.passing(found)?.unwrap_or_default();
        self.background.looks.end(old.len());
        let inputs = old.into_iter().map(Input::Old);
        let arrivals = inputs.map(|input| Arrival::of(Content::Input(input)));
        self.decide(arrivals.collect()).await
    }

    /// Finds a page of what is left of a removed deployment.
    pub(super) fn sweep(&mut self, deployment: DeploymentId) {
        let store = Arc::clone(&self.store);
        self.background
            .tasks
            .spawn(async move { Background::Left(retention::left(&*store, deployment).await) });
    }

    /// Finds the next devices that a pass has to change.
    pub(super) fn find_page(&mut self, seek: PassSeek) {
        let store = Arc::clone(&self.store);
        self.background
            .tasks
            .spawn(async move { Background::Page(pass::page(&*store, seek).await) });
    }

    /// Looks for a line; at most one for each limited deployment every ten seconds.
    pub(super) fn find_line(&mut self, seek: Seek) {
        let store = Arc::clone(&self.store);
        self.background
            .tasks
            .spawn(async move { Background::Line(line::find(store, seek).await.map(Box::new)) });
    }

    /// Answers a plan as soon as its members are counted. A repeat of one that is being
    /// counted has its answer then.
    pub(super) async fn answer_plan(&mut self, mut answered: Answered) {
        let (asked, plans) = (answered.key(), answered.plans().cloned());
        let same = |other: &Counting| other.asked == asked && other.plans == plans;
        if answered.is_by_mqtt() && self.background.plans.iter().any(same) {
            return;
        }
        if self.background.plans.len() >= PLANS_MAX {
            let why = format!("{PLANS_MAX} plans are being counted");
            let busy = Rejection::new(Code::Busy, why).hint("ask again in a moment");
            answered.refuse(busy);
            self.reply(answered).await;
            return;
        }
        self.background.last += 1;
        let number = self.background.last;
        self.background.plans.push(Counting {
            number,
            asked,
            plans,
        });
        let (store, directory) = (Arc::clone(&self.store), self.config.artifacts.clone());
        self.background.tasks.spawn(async move {
            let counted = match answered.plans() {
                Some(plans) => survey::count(&*store, &directory, plans).await,
                None => Ok(()),
            };
            Background::Plan(number, Box::new(answered), counted)
        });
    }

    /// Something has ended. A search that failed is asked for again by its timer.
    pub(super) async fn ended(
        &mut self,
        ended: Result<Background, JoinError>,
    ) -> Result<(), ServiceError> {
        self.go_on_with_queries();
        match ended {
            Ok(Background::Checked) => Ok(()),
            Ok(Background::Query(asked)) => self.asked(asked).await,
            Ok(Background::Old(found)) => self.found_old(found).await,
            Ok(Background::Left(found)) => match self.passing(found)? {
                Some(left) => self.decide_one(Input::Left(Box::new(left))).await,
                // Its timer asks again.
                None => Ok(()),
            },
            Ok(Background::Page(found)) => match self.passing(found)? {
                Some(page) => self.decide_one(Input::PassPage(Box::new(page))).await,
                // Its timer asks again.
                None => Ok(()),
            },
            Ok(Background::Line(Ok(found))) => self.decide_one(Input::LineFound(found)).await,
            Ok(Background::Line(Err(ReadError::Store(error)))) => {
                tracing::warn!(%error, "the line of a deployment was not found");
                Ok(())
            }
            Ok(Background::Plan(number, mut answered, counted)) => {
                self.background.plans.retain(|plan| plan.number != number);
                match counted {
                    Ok(()) => {}
                    Err(ReadError::Store(error)) => {
                        tracing::warn!(%error, "the members of a plan were not counted");
                        let why = "the members could not be counted";
                        answered.refuse(Rejection::new(Code::Internal, why));
                    }
                    Err(ReadError::Damaged(damage)) => {
                        self.damaged(&damage);
                        answered.refuse(Rejection::from(&damage));
                    }
                }
                self.reply(*answered).await;
                Ok(())
            }
            Ok(Background::Line(Err(ReadError::Damaged(damage)))) => {
                self.damaged(&damage);
                Ok(())
            }
            Err(error) => {
                // Whose it was is not known: nobody may be kept from asking again.
                self.background.plans.clear();
                self.background.looks.end(0);
                tracing::error!(%error, "work in the background died");
                Ok(())
            }
        }
    }
}
