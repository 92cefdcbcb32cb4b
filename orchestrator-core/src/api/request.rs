//! Commands: the role is checked, a changing verb is executed once per user and request
//! id and then answered the same for seven days (bad-inputs row 30).

use std::str::FromStr;

use hoist_protocol::id::{DeviceId, GroupId, IdError, RequestId, UserId};

use crate::api::command::{Command, VerbEffect};
use crate::engine::decide::Stop;
use crate::model::effect::{Effect, Effects, Sender};
use crate::model::error::{Code, Rejection};
use crate::model::input::{CommandInput, Mode, Now};
use crate::model::key::{
    DeviceKey, GroupCountKey, GroupKey, Key, MemberKey, MetaKey, RequestKey, RevokedKey, RowKey,
};
use crate::model::row::{RequestRow, TimerRow};
use crate::model::timer::{Timer, TimerKind};
use crate::model::txn::{Txn, Undecided};
use crate::reply::Answer;
use crate::rules::deployment::{self, retry};
use crate::rules::device::{self, identity};
use crate::rules::{group, release};

/// How long an answer is remembered, in ms.
pub(crate) const REMEMBER_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Reads an id that a person typed (bad-inputs row 71).
pub(crate) fn parse_name<I: FromStr<Err = IdError>>(
    field: &str,
    text: &str,
) -> Result<I, Rejection> {
    text.parse()
        .map_err(|error: IdError| Rejection::new(Code::Name, error.to_string()).field(field))
}

/// Executes one command, or answers it again.
pub(crate) fn execute(txn: &mut Txn, input: &CommandInput, now: Now) -> Result<Effects, Undecided> {
    let command = match allowed(input) {
        Ok(command) => command,
        Err(rejection) => return Ok(refused(input, rejection)),
    };
    if now.mode == Mode::Recovering && command.verb().effect() == VerbEffect::Changes {
        let why = "the server learns what its store has lost, and changes nothing meanwhile";
        let refusal = Rejection::new(Code::Recover, why).hint("wait until `hoist recover` is over");
        return Ok(refused(input, refusal));
    }
    let user = input.user.clone();
    let request = input.request.clone();
    let command_of = || command.clone();
    match command {
        Command::UserAdd(_) | Command::UserRemove(_) | Command::UserList(_) => {
            let command = command_of();
            Ok(vec![Effect::ManageUser {
                user,
                request,
                command,
            }])
        }
        _ if command.verb().effect() == VerbEffect::Reads => {
            let command = command_of();
            Ok(vec![Effect::Query {
                user,
                request,
                command,
            }])
        }
        _ => change(txn, input, command, now),
    }
}

/// Rows that a command will surely look at ([`crate::engine::decide::hint`]): what it names.
pub(crate) fn hint(input: &CommandInput) -> Vec<Key> {
    let mut keys = vec![
        RequestKey(input.user.clone(), input.request.clone()).key(),
        MetaKey.key(),
    ];
    let unassigned = GroupId::unassigned();
    let (device, group) = match input.command.as_ref() {
        Ok(Command::DeviceAdd(add)) => {
            let group = add.group.as_deref().unwrap_or(unassigned.as_str());
            (&add.device, Some(group))
        }
        Ok(Command::DeviceMove(to)) => (&to.device, Some(to.group.as_str())),
        Ok(Command::DeviceHold(hold)) => (&hold.device, None),
        Ok(Command::DeviceRemove(remove)) => (&remove.device, None),
        Ok(Command::DeviceApprove(approve)) => (&approve.device, None),
        _ => return keys,
    };
    let Ok(device) = device.parse::<DeviceId>() else {
        return keys;
    };
    if let Some(Ok(group)) = group.map(str::parse::<GroupId>) {
        keys.extend([
            GroupCountKey(group.clone()).key(),
            MemberKey(group.clone(), device.clone()).key(),
            GroupKey(group).key(),
        ]);
    }
    keys.push(RevokedKey(device.clone()).key());
    keys.push(DeviceKey(device).key());
    keys
}

fn allowed(input: &CommandInput) -> Result<&Command, Rejection> {
    let command = input.command.as_ref().map_err(Rejection::clone)?;
    let needed = command.verb().role();
    match input.role {
        Some(role) if role >= needed => Ok(command),
        Some(role) => Err(Rejection::new(
            Code::Role,
            format!(
                "{} needs the role {}, {} is {}",
                command.verb().word(),
                needed.word(),
                input.user,
                role.word()
            ),
        )),
        None => Err(Rejection::new(
            Code::Role,
            format!("{} is not a user of this server", input.user),
        )),
    }
}

fn refused(input: &CommandInput, rejection: Rejection) -> Effects {
    let code = rejection.code;
    vec![
        reply(input, Answer::Refused(rejection)),
        rejected(input, code),
    ]
}

fn rejected(input: &CommandInput, code: Code) -> Effect {
    Effect::Rejected {
        code,
        sender: Sender::User {
            user: input.user.clone(),
            request: input.request.clone(),
            verb: input.verb.clone(),
        },
    }
}

fn reply(input: &CommandInput, answer: Answer) -> Effect {
    Effect::Reply {
        user: input.user.clone(),
        request: input.request.clone(),
        answer,
    }
}

fn change(
    txn: &mut Txn,
    input: &CommandInput,
    command: &Command,
    now: Now,
) -> Result<Effects, Undecided> {
    let key = RequestKey(input.user.clone(), input.request.clone());
    let known = txn
        .read(&key)?
        .filter(|known| known.at_ms.saturating_add(REMEMBER_MS) > now.unix_ms);
    if let Some(known) = known {
        if known.body_hash == input.body_hash {
            return Ok(vec![reply(input, known.answer)]);
        }
        let why = format!("request {} was another command before", input.request);
        return Ok(refused(input, Rejection::new(Code::RequestReused, why)));
    }
    let (answer, mut effects) = match carry_out(txn, input, command, now) {
        Ok(done) => done,
        Err(Stop::Undecided(undecided)) => return Err(undecided),
        Err(Stop::Rejected(rejection)) => {
            txn.take_back();
            let code = rejection.code;
            let counted = vec![rejected(input, code)];
            (Answer::Refused(rejection), counted)
        }
    };
    if command.is_dry() {
        txn.take_back();
        return Ok(vec![reply(input, answer)]);
    }
    let row = RequestRow {
        body_hash: input.body_hash,
        answer: answer.clone(),
        at_ms: now.unix_ms,
    };
    txn.put(&key, &row);
    let forget = Timer {
        due_ms: now.unix_ms.saturating_add(REMEMBER_MS),
        kind: TimerKind::Forget(input.user.clone(), input.request.clone()),
    };
    // Loaded, so that a forgotten id used again finds its old timer's generation.
    txn.read(&forget)?;
    txn.put(&forget, &TimerRow {});
    effects.push(reply(input, answer));
    Ok(effects)
}

fn carry_out(
    txn: &mut Txn,
    input: &CommandInput,
    command: &Command,
    now: Now,
) -> Result<(Answer, Effects), Stop> {
    match command {
        Command::ReleaseAdd(_) => release::add(txn, input.release.as_ref(), now),
        Command::ReleaseRemove(remove) => release::remove(txn, input, remove),
        Command::Deploy(deploy) => deployment::deploy(txn, input, deploy, now),
        Command::Abort(abort) => deployment::end::abort(txn, input, abort, now),
        Command::Retry(again) => retry::retry(txn, input, again, now),
        Command::DeviceAdd(add) => device::add(txn, input, add, now),
        Command::DeviceImport(import) => device::import(txn, input, import, now),
        Command::DeviceMove(to) => device::move_to(txn, input, to, now),
        Command::DeviceHold(hold) => device::hold(txn, input, hold),
        Command::DeviceRemove(device) => device::remove(txn, input, device, now),
        Command::DeviceApprove(approve) => identity::approve(txn, input, approve, now),
        Command::GroupCreate(create) => group::create(txn, input, create, now),
        Command::GroupRemove(remove) => group::remove(txn, input, remove),
        Command::DeploymentList(_)
        | Command::DeploymentShow(_)
        | Command::DeviceList(_)
        | Command::DeviceShow(_)
        | Command::DeviceWhy(_)
        | Command::Plan(_)
        | Command::GroupList(_)
        | Command::ReleaseList(_)
        | Command::ReleaseShow(_)
        | Command::UserAdd(_)
        | Command::UserList(_)
        | Command::UserRemove(_) => {
            let why = "this command changes nothing here";
            Err(Rejection::new(Code::Internal, why).into())
        }
    }
}

/// Refuses a group that this user may not change.
pub(crate) fn may_change(input: &CommandInput, group: &GroupId) -> Result<(), Rejection> {
    if input.groups.is_empty() || input.groups.contains(group) {
        return Ok(());
    }
    let why = format!("{} may not change group {group}", input.user);
    Err(Rejection::new(Code::Role, why).field("group"))
}

/// Refuses a text that is not one line: no character of what people are shown moves a cursor.
pub(crate) fn one_line(text: &str, field: &str) -> Result<(), Rejection> {
    if !text.chars().any(char::is_control) {
        return Ok(());
    }
    let why = "a text has control characters, such as a line break or a tab";
    Err(Rejection::new(Code::Command, why).field(field))
}

/// An answer's seven days are over.
pub(crate) fn forget(
    txn: &mut Txn,
    timer: &Timer,
    user: &UserId,
    request: &RequestId,
) -> Result<Effects, Undecided> {
    txn.read(timer)?;
    let key = RequestKey(user.clone(), request.clone());
    let known = txn.read(&key)?;
    if known.is_some_and(|known| known.at_ms.saturating_add(REMEMBER_MS) <= timer.due_ms) {
        txn.delete(&key);
    }
    txn.delete(timer);
    Ok(Vec::new())
}
