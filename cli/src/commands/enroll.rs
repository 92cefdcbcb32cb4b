//! `hoist enroll …`: claims, and the text that sets a device up. Its secret is in it, so that it is
//! printed once and kept nowhere.

use std::time::SystemTime;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hoist_net::tls::{Pem, ders};
use hoist_orchestrator_core::api::command::{EnrollCreate, EnrollRevoke, Verb};
use hoist_orchestrator_core::reply::EnrollCreateResult;
use hoist_protocol::code::Code;
use hoist_protocol::codec::encode;
use hoist_protocol::enroll::{ClaimSecret, EnrollText, TEXT_PREFIX};
use hoist_server::client_file::ClientFile;
use hoist_server::failure::{Failure, of_tls};
use serde_json::{Map, Value};

use crate::args::Enroll;
use crate::context::Context;
use crate::exit;
use crate::output::{self, Format, Shape, Show, column, secret_output};

const CLAIMS: Shape = Shape {
    name: "claim",
    columns: &[
        column("CLAIM", "/claim", Show::Plain),
        column("GROUP", "/group", Show::Plain),
        column("IDS", "/ids", Show::Plain),
        column("USES", "/uses", Show::Plain),
        column("USED", "/used", Show::Plain),
        column("EXPIRES", "/expiresAt", Show::Ago),
        column("STATE", "", Show::Made(state)),
    ],
};

/// The word for a claim by which devices can still come, or not any more.
fn state(item: &Value) -> String {
    let number = |name: &str| item[name].as_u64().unwrap_or_default();
    let expires = item["expiresAt"].as_str().unwrap_or_default();
    let is_over = humantime::parse_rfc3339(expires).is_ok_and(|at| at <= SystemTime::now());
    // Whom an operator approves is not counted against it.
    let needs_approval = item["approval"] == true;
    match (is_over, number("used") >= number("uses"), needs_approval) {
        (true, ..) => "expired",
        (false, true, false) => "used up",
        (false, false, false) => "open",
        (false, _, true) => "approval",
    }
    .to_owned()
}

const WAITING: Shape = Shape {
    name: "device",
    columns: &[
        column("DEVICE", "/device", Show::Plain),
        column("FINGERPRINT", "/fingerprint", Show::Plain),
        column("GROUP", "/group", Show::Plain),
        column("REGISTERED", "/registered", Show::Plain),
        column("SINCE", "/since", Show::Ago),
    ],
};

/// Runs one of the enroll commands.
pub(crate) async fn run(context: &Context, command: Enroll) -> Result<u8, Failure> {
    match command {
        Enroll::Create {
            uses,
            expires,
            group,
            ids,
            approve,
            dry_run,
        } => {
            let body = EnrollCreate {
                group,
                uses: Some(uses),
                expires_secs: Some(expires.as_secs()),
                ids,
                approval: approve,
                dry_run,
            };
            create(context, &body).await
        }
        Enroll::List => {
            context
                .print_list(Verb::EnrollList, Map::new(), None, &CLAIMS)
                .await
        }
        Enroll::Waiting => {
            context
                .print_list(Verb::EnrollWaiting, Map::new(), None, &WAITING)
                .await
        }
        Enroll::Revoke { claim, dry_run } => {
            let sentence = match dry_run {
                false => format!("claim {claim} revoked"),
                true => format!("claim {claim} would be revoked; nothing was changed"),
            };
            let body = EnrollRevoke { claim, dry_run };
            let revoked = context.command(Verb::EnrollRevoke, &body).await?;
            context.print_change(&CLAIMS, &revoked, &sentence)
        }
    }
}

async fn create(context: &Context, body: &EnrollCreate) -> Result<u8, Failure> {
    if body.dry_run {
        let planned = context.command(Verb::EnrollCreate, body).await?;
        let sentence = "a claim would be made; nothing was changed";
        return context.print_change(&CLAIMS, &planned, sentence);
    }
    secret_output::check()?;
    let file = context.client_file()?;
    // Before anything is made: without TLS nobody can come by it.
    let ca = pinned(&file)?;
    let created = context.command(Verb::EnrollCreate, body).await?;
    let result: EnrollCreateResult = serde_json::from_value(created.clone())
        .map_err(|error| Failure::because(Code::Reply, "the answer to enroll-create", &error))?;
    let text = text(&file, ca, &result)?;
    let shown = match context.format() {
        Format::Table | Format::Wide => format!("{text}\n"),
        format => {
            let mut item = created;
            item["text"] = Value::String(text);
            output::one(format, &CLAIMS, &item)
        }
    };
    let claim = &result.claim;
    let after = format!("`hoist enroll revoke {claim}`, and make another one");
    secret_output::print(&shown, &after)?;
    Ok(exit::OK)
}

/// The CA that devices are to believe, as the client file pins it.
fn pinned(file: &ClientFile) -> Result<Vec<Vec<u8>>, Failure> {
    let Some(ca) = &file.ca else {
        let what = "this server does not speak TLS, by which devices show their certificates";
        return Err(Failure::new(Code::EnrollPlain, what).help(Code::EnrollPlain.hint()));
    };
    let pem = Pem {
        name: "`ca` of client.toml",
        text: ca.as_bytes(),
    };
    ders(pem).map_err(|error| of_tls(&error))
}

/// The text that sets a device up.
fn text(file: &ClientFile, ca: Vec<Vec<u8>>, made: &EnrollCreateResult) -> Result<String, Failure> {
    let unusable = || Failure::new(Code::Reply, "the answer to enroll-create is malformed");
    let bytes = |hex: &str| -> Result<[u8; 32], Failure> {
        let bytes = HEXLOWER.decode(hex.as_bytes()).ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(unusable)
    };
    let text = EnrollText {
        namespace: file.namespace.clone(),
        mqtt: file.device_mqtt().to_owned(),
        artifacts: format!("{}/artifacts", file.http.trim_end_matches('/')),
        ca,
        root_sha256: bytes(&made.root_sha256)?,
        root_number: made.root_number,
        claim: made.claim.parse().map_err(|_| unusable())?,
        secret: ClaimSecret(bytes(&made.secret)?),
    };
    Ok(format!(
        "{TEXT_PREFIX}{}",
        BASE64URL_NOPAD.encode(&encode(&text))
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_that_is_good_for_nothing_any_more_is_marked() {
        let claim = |used: u32, year: u32, approval: bool| {
            let expires = format!("{year}-01-01T00:00:00Z");
            state(&json!({"uses": 3, "used": used, "expiresAt": expires, "approval": approval}))
        };
        assert_eq!(claim(2, 2999, false), "open");
        assert_eq!(claim(3, 2999, false), "used up");
        assert_eq!(claim(2, 2001, false), "expired");
        assert_eq!(claim(3, 2999, true), "approval");
        assert_eq!(claim(0, 2001, true), "expired");
    }
}
