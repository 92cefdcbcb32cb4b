//! `hoist user …`: the token is made here and shown once; the server only ever gets its
//! hash.

use hoist_orchestrator_core::command::{UserAdd, Verb};
use hoist_protocol::access::Role;
use hoist_protocol::id::{UserId, sha256};
use serde_json::Map;

use crate::args::User;
use crate::client_file::ClientFile;
use crate::context::{Context, print};
use crate::exit;
use crate::failure::Failure;
use crate::keys;
use crate::output::{Shape, Show, column};

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
        User::Add { user, role, groups } => add(context, &user, role.into(), groups).await,
        User::List => {
            context
                .print_list(Verb::UserList, Map::new(), None, &SHAPE)
                .await
        }
    }
}

async fn add(
    context: &Context,
    user: &str,
    role: Role,
    groups: Vec<String>,
) -> Result<u8, Failure> {
    let user: UserId = user
        .parse()
        .map_err(|error| Failure::because("E_NAME", format!("user {user:?}"), &error))?;
    let token = random_token()?;
    let body = UserAdd {
        user: user.to_string(),
        role,
        groups,
        token_sha256: data_encoding::HEXLOWER.encode(&sha256(token.as_bytes())),
    };
    context.command(Verb::UserAdd, &body).await?;
    let file = ClientFile {
        user,
        token,
        ..context.client_file()?
    };
    print(&file.render())?;
    Ok(exit::OK)
}

/// A new token: 256 random bits.
pub(crate) fn random_token() -> Result<String, Failure> {
    let seed = keys::random_seed()
        .map_err(|error| Failure::because("E_RANDOM", "cannot make a token", &error))?;
    Ok(data_encoding::BASE64URL_NOPAD.encode(&seed))
}
