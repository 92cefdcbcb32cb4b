//! `hoist user …`: the token is made here and shown once; the server only ever gets its
//! hash.

use std::collections::BTreeSet;
use std::path::Path;

use hoist_device_client::agent::said;
use hoist_orchestrator_core::api::command::{UserAdd, UserRemove, Verb};
use hoist_protocol::code::Code;
use hoist_protocol::id::{UserId, sha256};
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use hoist_server::private_file::{self, PrivateFileError};
use hoist_server::token::random_token;
use serde_json::{Map, Value, json};

use crate::args::User;
use crate::commands::confirm::may_remove;
use crate::context::{Context, list};
use crate::exit;
use crate::output::{Shape, Show, column, secret_output};

const SHAPE: Shape = Shape {
    name: "user",
    columns: &[
        column("USER", "/user", Show::Plain),
        column("ROLE", "/role", Show::Plain),
        column("GROUPS", "/groups", Show::Plain),
    ],
};

/// Runs one of the user commands.
pub(crate) async fn run(context: &Context, command: User) -> Result<u8, Failure> {
    match command {
        User::Add {
            user,
            role,
            groups,
            out,
            dry_run,
        } => {
            let body = UserAdd {
                user,
                role: role.into(),
                groups,
                token_sha256: String::new(),
                dry_run,
            };
            add(context, body, out.as_deref()).await
        }
        User::List => {
            context
                .print_list(Verb::UserList, Map::new(), None, &SHAPE)
                .await
        }
        User::Remove { user, yes, dry_run } => {
            if !yes && !dry_run && !may_remove(&user)? {
                return Ok(exit::ERROR);
            }
            let sentence = match dry_run {
                false => format!("user {user} removed"),
                true => format!("user {user} would be removed; nothing was changed"),
            };
            let body = UserRemove { user, dry_run };
            let removed = remove(context, &body).await?;
            context.print_change(&SHAPE, &removed, &sentence)
        }
    }
}

/// Removes a user.
async fn remove(context: &Context, body: &UserRemove) -> Result<Value, Failure> {
    let asking = context.client_file()?.user;
    let mut client = context.client().await?;
    let answer = client.command(Verb::UserRemove, body).await;
    client.close().await;
    answered(answer, body, &asking)
}

/// The result of a removal. The sessions of a removed user end, perhaps before the answer to the
/// user's own command is there. A token that opened the door a moment ago and does so no longer is
/// then the answer.
fn answered(
    answer: Result<Value, Failure>,
    body: &UserRemove,
    asking: &UserId,
) -> Result<Value, Failure> {
    let is_own = body.user == asking.as_str() && !body.dry_run;
    match answer {
        Err(failure) if is_own && failure.is(Code::Auth) => Ok(json!({"user": body.user})),
        answer => answer,
    }
}

/// Adds a user with a new token; of a dry run nobody gets to see it.
async fn add(context: &Context, mut body: UserAdd, out: Option<&Path>) -> Result<u8, Failure> {
    let user: UserId = body
        .user
        .parse()
        .map_err(|error| Failure::because(Code::Name, format!("user {:?}", body.user), &error))?;
    match out {
        Some(path) => check(path)?,
        None if !body.dry_run => secret_output::check()?,
        None => {}
    }
    let token = random_token()?;
    body.token_sha256 = data_encoding::HEXLOWER.encode(&sha256(token.as_bytes()));
    let added = context.command(Verb::UserAdd, &body).await?;
    warn_of_missing(context, &body).await;
    if body.dry_run {
        let sentence = format!("user {user} would be added; nothing was changed");
        return context.print_change(&SHAPE, &added, &sentence);
    }
    let after = format!(
        "user {user} exists, with a token that nobody has: `hoist user remove {user} --yes`, then \
         add it again"
    );
    let file = ClientFile {
        user,
        token,
        ..context.client_file()?
    };
    match out {
        None => secret_output::print(&file.render(), &after)?,
        Some(path) => {
            private_file::write(path, file.render().as_bytes())
                .map_err(|error| unwritten(&file.user, &error))?;
            let (user, path) = (&file.user, path.display());
            let sentence = format!("user {user} added; its client.toml is {path}, for you only");
            return context.print_change(&SHAPE, &added, &sentence);
        }
    }
    Ok(exit::OK)
}

/// Says which of the user's groups do not exist: they may be made later, or be typing mistakes.
/// The user is added by then, so that nothing here may fail.
async fn warn_of_missing(context: &Context, body: &UserAdd) {
    if body.groups.is_empty() {
        return;
    }
    let Ok(mut client) = context.client().await else {
        return;
    };
    let there = list(&mut client, Verb::GroupList, Map::new(), None).await;
    client.close().await;
    let Ok(there) = there else { return };
    let exists = |group: &&String| there.iter().any(|item| item["group"] == group.as_str());
    let missing: BTreeSet<&String> = body.groups.iter().filter(|group| !exists(group)).collect();
    for group in missing {
        said::say(format_args!(
            "warning: there is no group {group} yet; `hoist group create {group}` makes it"
        ));
    }
}

/// Ok if a client.toml could be written there, before there is a token to write.
fn check(path: &Path) -> Result<(), Failure> {
    let other = "nothing was changed; name another file";
    if path.symlink_metadata().is_ok() {
        let what = format!("--out: {} is there, perhaps with a token", path.display());
        return Err(Failure::new(Code::File, what).help(other));
    }
    private_file::check(path)
        .map_err(|error| Failure::because(Code::File, "--out", &error).help(other))
}

fn unwritten(user: &UserId, error: &PrivateFileError) -> Failure {
    Failure::because(Code::File, "the user is added, but --out", error).help(format!(
        "its token is lost: `hoist user remove {user}`, and add it again with another file"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_removed_itself_and_is_not_let_in_again_has_done_it() {
        let body = |user: &str, dry_run| UserRemove {
            user: user.into(),
            dry_run,
        };
        let lena: UserId = "lena".parse().unwrap();
        let refused = |code| Err(Failure::new(code, "not connected"));
        let own = answered(refused(Code::Auth), &body("lena", false), &lena);
        assert_eq!(own, Ok(json!({"user": "lena"})));
        for (code, user, dry_run) in [
            (Code::Auth, "vera", false),
            (Code::Auth, "lena", true),
            (Code::LastAdmin, "lena", false),
        ] {
            let failed = answered(refused(code), &body(user, dry_run), &lena);
            assert!(failed.unwrap_err().is(code), "{user}");
        }
    }
}
