//! Commands about users, who are kept beside the store: carried out once for each request, as
//! every other change.

use hoist_orchestrator_core::api::command::{Command, UserAdd, VerbEffect};
use hoist_orchestrator_core::api::request::answered_before;
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::effect::Event;
use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::key::{DeviceKey, RequestKey};
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::row::Deed;
use hoist_orchestrator_core::model::txn::Txn;
use hoist_orchestrator_core::reply::{Answer, ListResult, ResultBody, UserResult};
use hoist_protocol::access::OWN_PREFIX;
use hoist_protocol::id::{DeviceId, UserId};

use super::{Service, ServiceError, done};
use crate::config::UserChange;
use crate::{query, rows};

impl Service {
    /// Carries out a command about users, or answers it as it was answered before.
    pub(super) async fn manage_once(
        &mut self,
        deed: Deed,
        body_hash: [u8; 32],
        command: &Command,
        now: Now,
    ) -> Result<Result<ResultBody, Rejection>, ServiceError> {
        let key = &RequestKey(deed.user.clone(), deed.request.clone());
        if command.verb().effect() == VerbEffect::Reads {
            let outcome = self.manage(key, command).await;
            return Ok(outcome.map(|(result, _)| result));
        }
        // Looked for now: another of the same batch may have been carried out meanwhile.
        let mut txn = Txn::default();
        let before = |txn: &mut Txn| answered_before(txn, key, body_hash, now);
        let before = rows::resolve(&*self.store, &mut txn, before).await;
        let Some(before) = self.passing(before)? else {
            let why = "the store cannot be read, so that a repeat could not be told";
            return Ok(Err(Rejection::new(Code::Storage, why)));
        };
        let (outcome, event, lasts) = match before {
            Some(Ok(answer)) => return Ok(known(answer)),
            Some(Err(reused)) => (Err(reused), None, None),
            None => {
                let (outcome, event) = match self.manage(key, command).await {
                    Ok((result, event)) => (Ok(result), event),
                    Err(rejection) => (Err(rejection), None),
                };
                let lasts = lasting(&outcome);
                (outcome, event, lasts)
            }
        };
        if !command.is_dry() {
            let noted = noted(deed, body_hash, (&outcome, lasts));
            let _is_noted = self.note(noted, now).await?;
        }
        if let Some(event) = event {
            self.event_alone(event, now).await?;
        }
        Ok(outcome)
    }

    /// Notes what became of something that was done beside the store: true if it is noted. The deed is
    /// done, and durable, also when it cannot be.
    pub(super) async fn note(
        &mut self,
        noted: Option<Input>,
        now: Now,
    ) -> Result<bool, ServiceError> {
        let Some(noted) = noted else { return Ok(true) };
        let noted = rows::decide_alone(&*self.store, &noted, now).await;
        self.passing(noted).map(|noted| noted.is_some())
    }

    /// Refuses a new user the name of a device, and those of Hoist's own programs.
    async fn check_name(&self, add: &UserAdd) -> Result<(), Rejection> {
        let Ok(device) = add.user.parse::<DeviceId>() else {
            return Ok(());
        };
        if self.is_user(&add.user) {
            return Ok(());
        }
        let refused = |why: String| {
            let refusal = Rejection::new(Code::Name, why).field("user");
            Err(refusal.hint("give the user another name"))
        };
        if add.user.starts_with(OWN_PREFIX) {
            return refused(format!(
                "names that begin with {OWN_PREFIX} are those of the server's own programs"
            ));
        }
        let key = DeviceKey(device);
        let find = |txn: &mut Txn| txn.read(&key);
        let known = rows::resolve(&*self.store, &mut Txn::default(), find).await;
        let known = known.map_err(|error| {
            let why = format!("it cannot be told if a device has the name: {error}");
            Rejection::new(Code::Storage, why)
        })?;
        match known {
            None => Ok(()),
            Some(_) => refused(format!("{} is the name of a device", add.user)),
        }
    }

    /// A command about a person was asked for by somebody.
    async fn manage(
        &mut self,
        RequestKey(user, request): &RequestKey,
        command: &Command,
    ) -> Result<(ResultBody, Option<Event>), Rejection> {
        if let Command::UserAdd(add) = command {
            self.check_name(add).await?;
        }
        let managed = self.manage_user(command, user)?;
        done::say_user(user, request, command);
        Ok(managed)
    }

    /// The result of a command about users, and the event that others are told.
    fn manage_user(
        &self,
        command: &Command,
        by: &UserId,
    ) -> Result<(ResultBody, Option<Event>), Rejection> {
        let named = |user: &str| {
            let user = user.to_owned();
            ResultBody::User(UserResult { user })
        };
        match command {
            Command::UserAdd(add) => {
                let change = self.directory.add_user(add, by)?;
                let (user, role, by) = (add.user.clone(), add.role, by.clone());
                let event = match change {
                    UserChange::Added => Some(Event::UserAdded { user, role, by }),
                    UserChange::Changed => Some(Event::UserChanged { user, role, by }),
                    UserChange::Nothing => None,
                };
                Ok((named(&add.user), event.filter(|_| !add.dry_run)))
            }
            Command::UserRemove(remove) => {
                self.directory.remove_user(remove, by)?;
                let (user, by) = (remove.user.clone(), by.clone());
                let event = Event::UserRemoved { user, by };
                Ok((named(&remove.user), Some(event).filter(|_| !remove.dry_run)))
            }
            Command::UserList(page) => query::users(self.directory.list_users(), page)
                .map(|items: ListResult<_>| (ResultBody::Users(items), None)),
            _ => Err(Rejection::new(
                Code::Internal,
                "this is no command about users",
            )),
        }
    }
}

/// An answer that was kept about a user has no secrets.
fn known(answer: Answer) -> Result<ResultBody, Rejection> {
    match answer {
        Answer::Refused(rejection) => Err(rejection),
        Answer::UserManaged(result) => Ok(ResultBody::User(result)),
        _ => {
            let why = "the answer that was kept is of another command";
            Err(Rejection::new(Code::Internal, why))
        }
    }
}

/// The input by which a command and its outcome come into the store, with the answer that lasts, if
/// any does.
fn noted(
    deed: Deed,
    body_hash: [u8; 32],
    (outcome, lasts): (&Result<ResultBody, Rejection>, Option<Answer>),
) -> Option<Input> {
    let deed = Box::new(deed);
    match (lasts, outcome) {
        (Some(answer), _) => Some(Input::UserManaged {
            deed,
            body_hash,
            answer: Box::new(answer),
        }),
        (None, Err(Rejection { code, .. })) => Some(Input::UserRefused { deed, code: *code }),
        (None, Ok(_)) => None,
    }
}

/// The answer to keep. A failure of the disk or of the file of users may be over when the command
/// is sent again.
fn lasting(outcome: &Result<ResultBody, Rejection>) -> Option<Answer> {
    match outcome {
        Ok(ResultBody::User(result)) => Some(Answer::UserManaged(result.clone())),
        Ok(_) => None,
        Err(rejection) => match rejection.code {
            Code::Internal | Code::Config | Code::Space | Code::Storage => None,
            _ => Some(Answer::Refused(rejection.clone())),
        },
    }
}
