//! Commands: the role is checked, a changing verb is executed once per user and request
//! id and then answered the same for seven days (bad-inputs row 30).

use hoist_protocol::access::Role;
use hoist_protocol::id::{DeviceId, GroupId, RequestId, UserId};

use crate::api::body::{Ask, Names};
use crate::api::command::{Command, Verb, VerbEffect};
use crate::api::remembered::RequestRow;
use crate::api::response::Response;
use crate::model::effect::{Effect, Sender};
use crate::model::error::{Code, Rejection};
use crate::model::key::{
    AuditHeadKey, DeviceKey, GroupCountKey, GroupKey, Key, MemberKey, RequestKey, RevokedKey,
    RowKey,
};
use crate::model::now::{Mode, Now};
use crate::model::release::{Uses, VerifiedRelease};
use crate::model::row::{Deed, TimerRow, release_text};
use crate::model::timer::{Timer, TimerKind};
use crate::model::txn::{Txn, Undecided};
use crate::reply::Answer;
use crate::rules::audit;
use crate::rules::ctx::Ctx;
use crate::rules::stop::Stop;

/// Time for which an answer is remembered, in ms.
pub(crate) const REMEMBER_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// A command with what the adapter knows about its sender and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandInput {
    /// From the topic; the broker vouches for it.
    pub user: UserId,
    /// The user's role; absent when the user is not known (any more).
    pub role: Option<Role>,
    /// The only groups the user may change; empty means all.
    pub groups: Vec<GroupId>,
    /// From the topic.
    pub request: RequestId,
    /// SHA-256 of verb and body, to tell a repeat from a reused id.
    pub body_hash: [u8; 32],
    /// Which command was asked for, for the log: it may be none.
    pub verb: String,
    /// The addresses that it may have come from, or the way in which it came.
    pub from: String,
    /// The parsed command, or why it could not be parsed.
    pub command: Result<Command, Rejection>,
    /// For `release-add`: what was verified of the manifest.
    pub release: Option<VerifiedRelease>,
    /// For `release-remove`: who needs the release.
    pub uses: Option<Uses>,
    /// For what registers devices: those of their ids that users have for names.
    pub users: Vec<String>,
}

/// Executes one command, or answers it again.
pub(crate) fn execute(ctx: &mut Ctx, input: &CommandInput) -> Result<Option<Response>, Undecided> {
    let command = match allowed(input) {
        Ok(command) => command,
        Err(rejection) => return refused(ctx, input, rejection),
    };
    if ctx.now.mode == Mode::Recovering && command.verb().effect() == VerbEffect::Changes {
        let why = "the server learns what its store has lost, and changes nothing meanwhile";
        let refusal = Rejection::new(Code::Recover, why).hint("wait until `hoist recover` is over");
        return refused(ctx, input, refusal);
    }
    let verb = command.verb();
    let (user, request) = (input.user.clone(), input.request.clone());
    let command = command.clone();
    if verb.is_managed() {
        return Ok(Some(Response::ManageUser {
            deed: deed(input, None),
            body_hash: input.body_hash,
            command,
        }));
    }
    match verb.effect() {
        VerbEffect::Reads => Ok(Some(Response::Query {
            user,
            request,
            command,
        })),
        VerbEffect::Changes => change(ctx, input, &command),
    }
}

/// Rows that a command will surely look at ([`crate::engine::decide::hint`]): what it names.
pub(crate) fn hint(input: &CommandInput) -> Vec<Key> {
    let mut keys = vec![
        RequestKey(input.user.clone(), input.request.clone()).key(),
        AuditHeadKey.key(),
    ];
    let names = input.command.as_ref().map(Command::names);
    let Names { device, group, .. } = names.unwrap_or_default();
    let Some(device) = device else { return keys };
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

/// The command, once its sender may use its verb. The role is judged before the body is: whoever
/// may not send a command learns nothing of how it is written.
fn allowed(input: &CommandInput) -> Result<&Command, Rejection> {
    let Some(role) = input.role else {
        let why = format!("{} is not a user of this server", input.user);
        return Err(Rejection::new(Code::Role, why));
    };
    match verb(input) {
        Some(verb) if role < verb.role() => Err(Rejection::new(
            Code::Role,
            format!(
                "{} needs the role {}, {} is {}",
                verb.word(),
                verb.role().word(),
                input.user,
                role.word()
            ),
        )),
        Some(verb) if verb.is_of_all_groups() && !input.groups.is_empty() => Err(Rejection::new(
            Code::Role,
            format!(
                "{} is for who may change all groups, {} may only some",
                verb.word(),
                input.user
            ),
        )),
        _ => input.command.as_ref().map_err(Rejection::clone),
    }
}

/// The verb that was asked for, if there is one of that name.
fn verb(input: &CommandInput) -> Option<Verb> {
    match &input.command {
        Ok(command) => Some(command.verb()),
        Err(_) => input.verb.parse().ok(),
    }
}

/// The command, as the audit trail tells of it: with the names that it got by its answer, if it was
/// carried out. Nothing else of its body is kept there.
fn deed(input: &CommandInput, answer: Option<&Answer>) -> Deed {
    let names = input.command.as_ref().ok().map(Command::names);
    let names = names.unwrap_or_default();
    let added = input.release.as_ref().map(|release| &release.manifest);
    let added = added.map(|manifest| release_text(&manifest.name, &manifest.version));
    let named = match answer {
        // The whole one, however much of it was typed.
        Some(Answer::DeviceApproved {
            device,
            fingerprint,
        }) => vec![format!("{device} {fingerprint}")],
        Some(Answer::ClaimCreated { claim, .. }) => vec![names.text(), claim.to_string()],
        _ => [names.text()].into_iter().chain(added).collect(),
    };
    let named: Vec<String> = named.into_iter().filter(|it| !it.is_empty()).collect();
    Deed {
        user: input.user.clone(),
        request: input.request.clone(),
        from: input.from.clone(),
        verb: verb(input).map_or_else(|| input.verb.clone(), |verb| verb.word().to_owned()),
        target: Deed::target(&named.join(" "), names.reason),
    }
}

/// A refusal that is not remembered: whoever repeats the command is judged anew.
fn refused(
    ctx: &mut Ctx,
    input: &CommandInput,
    rejection: Rejection,
) -> Result<Option<Response>, Undecided> {
    let changes = verb(input).is_some_and(|verb| verb.effect() == VerbEffect::Changes);
    let is_dry = input.command.as_ref().is_ok_and(Command::is_dry);
    if changes && !is_dry {
        audit::note_refusal(ctx, &deed(input, None), rejection.code)?;
    }
    ctx.effects.push(rejected(input, rejection.code));
    Ok(Some(reply(input, Answer::Refused(rejection))))
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

fn reply(input: &CommandInput, answer: Answer) -> Response {
    Response::Reply {
        user: input.user.clone(),
        request: input.request.clone(),
        answer,
    }
}

fn change(
    ctx: &mut Ctx,
    input: &CommandInput,
    command: &Command,
) -> Result<Option<Response>, Undecided> {
    let key = RequestKey(input.user.clone(), input.request.clone());
    match answered_before(ctx.txn, &key, input.body_hash, ctx.now)? {
        None => {}
        Some(Ok(answer)) => return Ok(Some(reply(input, answer))),
        Some(Err(reused)) => return refused(ctx, input, reused),
    }
    let done = command.execute(&mut Ask {
        ctx,
        user: &input.user,
        groups: &input.groups,
        release: input.release.as_ref(),
        uses: input.uses.as_ref(),
        users: &input.users,
    });
    let answer = match done {
        Ok(answer) => answer,
        Err(Stop::Undecided(undecided)) => return Err(undecided),
        Err(Stop::Rejected(rejection)) => {
            ctx.take_back();
            ctx.effects.push(rejected(input, rejection.code));
            Answer::Refused(rejection)
        }
    };
    if command.is_dry() {
        ctx.take_back();
        return Ok(Some(reply(input, answer)));
    }
    let deed = deed(input, Some(&answer));
    remember(ctx, &deed, (input.body_hash, &answer))?;
    Ok(Some(reply(input, answer)))
}

/// The answer that a request was given before, if it was; a refusal when its id belongs to
/// another command. `body_hash` is of the verb and the body.
///
/// # Errors
/// [`Undecided`]: load the rows and ask again.
pub fn answered_before(
    txn: &Txn,
    key: &RequestKey,
    body_hash: [u8; 32],
    now: Now,
) -> Result<Option<Result<Answer, Rejection>>, Undecided> {
    let known = txn
        .read(key)?
        .filter(|known| known.at_ms.saturating_add(REMEMBER_MS) > now.unix_ms);
    Ok(known.map(|known| {
        if known.body_hash == body_hash {
            return Ok(known.answer);
        }
        let why = format!("request {} was another command before", key.1);
        Err(Rejection::new(Code::RequestReused, why))
    }))
}

/// Keeps the answer to a request for seven days, and tells of it in the audit trail.
pub(crate) fn remember(
    ctx: &mut Ctx,
    deed: &Deed,
    (body_hash, answer): ([u8; 32], &Answer),
) -> Result<(), Undecided> {
    let result = match answer {
        Answer::Refused(rejection) => Some(rejection.code),
        _ => None,
    };
    audit::note(ctx, deed, result)?;
    let key = &RequestKey(deed.user.clone(), deed.request.clone());
    let row = RequestRow {
        body_hash,
        answer: answer.clone(),
        at_ms: ctx.now.unix_ms,
    };
    // Loaded, so that a forgotten id used again finds the generations of its old rows.
    ctx.txn.read(key)?;
    ctx.txn.put(key, &row);
    let forget = Timer {
        due_ms: ctx.now.unix_ms.saturating_add(REMEMBER_MS),
        kind: TimerKind::Forget(key.0.clone(), key.1.clone()),
    };
    ctx.txn.read(&forget)?;
    ctx.txn.put(&forget, &TimerRow {});
    Ok(())
}

/// An answer's seven days are over.
pub(crate) fn forget(
    ctx: &mut Ctx,
    timer: &Timer,
    user: &UserId,
    request: &RequestId,
) -> Result<(), Undecided> {
    ctx.txn.read(timer)?;
    let key = RequestKey(user.clone(), request.clone());
    let known = ctx.txn.read(&key)?;
    if known.is_some_and(|known| known.at_ms.saturating_add(REMEMBER_MS) <= timer.due_ms) {
        ctx.txn.delete(&key);
    }
    ctx.txn.delete(timer);
    Ok(())
}
