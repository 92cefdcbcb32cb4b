//! Answers what people ask from the store: the core says which rows and pages it lacks,
//! this reads them. Nothing here writes.

use hoist_orchestrator_core::api::command::{Command, UserList, Verb};
use hoist_orchestrator_core::model::error::Rejection;
use hoist_orchestrator_core::model::key::Key;
use hoist_orchestrator_core::model::now::Now;
use hoist_orchestrator_core::model::txn::Undecided;
use hoist_orchestrator_core::query::explain::SpecsOut;
use hoist_orchestrator_core::query::{Cursor, Need, Reader, Scan};
use hoist_orchestrator_core::reply::{ListResult, ResultBody, UserItem};
use hoist_protocol::id::{DeviceId, GroupId, UserId};

use crate::rows::{self, ReadError};
use crate::store::Store;

/// Users in one page of `user-list`.
const USERS_MAX: usize = 100;

/// A command that reads, as far as it is answered.
pub(crate) struct Question {
    user: UserId,
    command: Command,
    now: Now,
    reader: Reader,
}

/// The result of a question so far.
pub(crate) enum Found {
    /// Its answer.
    Answer(Result<ResultBody, Rejection>),
    /// It lacks what is known to be at the broker of these specs ([`Question::specs`]).
    Specs(GroupId, DeviceId),
}

impl Question {
    /// Asked by this user; the role has been checked.
    pub(crate) fn new(user: UserId, command: Command, now: Now) -> Self {
        let reader = Reader::default();
        Self {
            user,
            command,
            now,
            reader,
        }
    }

    /// The same of somebody who is limited to these groups; to none when there are none.
    pub(crate) fn limit_to(&mut self, groups: Vec<GroupId>) {
        self.reader.limit_to(groups);
    }

    /// The verb of the question.
    pub(crate) fn verb(&self) -> Verb {
        self.command.verb()
    }

    /// Says what it lacked.
    pub(crate) fn specs(&mut self, specs: SpecsOut) {
        self.reader.specs(specs);
    }

    /// Goes on where it was, by reads of what is durable.
    ///
    /// # Errors
    /// [`ReadError`]; what is refused is an answer.
    pub(crate) async fn go_on(&mut self, store: &dyn Store) -> Result<Found, ReadError> {
        loop {
            match self.command.answer(&mut self.reader, &self.user, self.now) {
                Ok(answer) => return Ok(Found::Answer(answer)),
                Err(Need::Specs(group, device)) => return Ok(Found::Specs(group, device)),
                Err(need) => load(store, &mut self.reader, need).await?,
            }
        }
    }
}

/// Runs a query of rows alone until it lacks nothing.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn read<T>(
    store: &dyn Store,
    query: impl Fn(&Reader) -> Result<T, Need>,
) -> Result<T, ReadError> {
    let mut reader = Reader::default();
    loop {
        match query(&reader) {
            Ok(found) => return Ok(found),
            Err(need) => load(store, &mut reader, need).await?,
        }
    }
}

async fn load(store: &dyn Store, reader: &mut Reader, need: Need) -> Result<(), ReadError> {
    match need {
        Need::Rows(Undecided::Missing(keys)) => {
            rows::load(store, reader.rows_mut(), keys).await?;
        }
        Need::Rows(Undecided::Damaged(damage)) => return Err(damage.into()),
        Need::Scan(scan) => page(store, reader, scan).await?,
        // Whoever only reads rows knows nothing better than what they desire.
        Need::Specs(..) => reader.specs(SpecsOut::HELD),
    }
    Ok(())
}

async fn page(store: &dyn Store, reader: &mut Reader, scan: Scan) -> Result<(), ReadError> {
    let after = scan.after.as_ref().map(|key| key.0.clone());
    let page = store.scan(scan.prefix.bytes().0, after, scan.limit).await?;
    let rows = page.items.into_iter();
    reader.page(scan, rows.map(|(key, row)| (Key(key), row.value)).collect());
    Ok(())
}

/// One page of the users, by name.
pub(crate) fn users(
    mut users: Vec<UserItem>,
    page: &UserList,
) -> Result<ListResult<UserItem>, Rejection> {
    users.sort_by(|a, b| a.user.cmp(&b.user));
    let cursor = Cursor::of(Verb::UserList.word(), &[]);
    if let Some(after) = cursor.open(page.after.as_deref())? {
        users.retain(|user| user.user.as_str() > after);
    }
    let limit = page.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(USERS_MAX).clamp(1, USERS_MAX);
    let more = users.len() > limit;
    users.truncate(limit);
    let last = users.last().filter(|_| more);
    let next = last.map(|last| cursor.behind(&last.user));
    Ok(ListResult { items: users, next })
}
