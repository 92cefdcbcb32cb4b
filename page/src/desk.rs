//! Questions and commands of a visitor, by the command table.

use axum::http::StatusCode;
use hoist_protocol::code::Code;
use serde_json::Value;

use crate::answer::Refused;
use crate::fields::Fields;
use crate::secret;
use crate::site::Site;
use crate::visitor::Visitor;

/// The statuses of refusals that are more than a command that cannot be carried out.
const STATUSES: [(Code, StatusCode); 6] = [
    (Code::Role, StatusCode::FORBIDDEN),
    (Code::Busy, StatusCode::SERVICE_UNAVAILABLE),
    (Code::Deployment, StatusCode::NOT_FOUND),
    (Code::Device, StatusCode::NOT_FOUND),
    (Code::Group, StatusCode::NOT_FOUND),
    (Code::Release, StatusCode::NOT_FOUND),
];

impl Site {
    /// The result of a verb for a visitor.
    ///
    /// # Errors
    /// The refusal of the command table, or of a server that stops.
    pub(crate) async fn ask(
        &self,
        visitor: &Visitor,
        verb: &str,
        body: &Value,
    ) -> Result<Value, Refused> {
        let request = secret::request_id().ok_or_else(unavailable)?;
        self.carry_out(visitor, (&request, verb), body).await
    }

    /// The same under an id, so that a repeat changes nothing.
    ///
    /// # Errors
    /// Those, and a repeat that differs.
    pub(crate) async fn carry_out(
        &self,
        visitor: &Visitor,
        (request, verb): (&str, &str),
        body: &Value,
    ) -> Result<Value, Refused> {
        let from = (visitor.user.clone(), visitor.from);
        let (request, verb) = (request.to_owned(), verb.to_owned());
        let body = body.to_string().into_bytes();
        let reply = self.config.commands.command(from, request, verb, body);
        let reply = reply.await.ok_or_else(unavailable)?;
        let mut reply: Value = serde_json::from_slice(&reply).map_err(|_| unavailable())?;
        match reply.flag("ok") {
            true => Ok(reply["result"].take()),
            false => Err(refused(&reply["error"])),
        }
    }
}

fn unavailable() -> Refused {
    Refused::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The server is stopping, not connected, or too busy",
        "Try again in a moment.",
    )
}

fn refused(error: &Value) -> Refused {
    let code = error.text("code");
    let known = STATUSES.iter().find(|(known, _)| known.as_str() == code);
    let status = known.map_or(StatusCode::UNPROCESSABLE_ENTITY, |(_, status)| *status);
    Refused::new(status, &error.text("title"), &error.text("hint"))
        .coded(&code)
        .because(&error.text("detail"))
}
