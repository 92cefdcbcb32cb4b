//! Actions of people: a form asks first what its command would do, and shows that with its numbers; only the
//! form on that page does it. Both are commands of the table, with the rights of whoever sends them.

mod body;
mod meaning;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hoist_protocol::access::Role;
use maud::{Markup, html};
use serde_json::{Value, json};

use crate::answer::{Refused, own_path, page, redirect};
use crate::command_line;
use crate::fields::Fields;
use crate::form::Form;
use crate::parts::frame::{self, Page};
use crate::parts::words::same_as;
use crate::secret;
use crate::site::Site;
use crate::visitor::Visitor;

/// The manner in which a field of a form becomes one of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number that must be there.
    Number,
    /// A number, left out when empty.
    MaybeNumber,
    /// A text that must be there.
    Text,
    /// A text, left out when empty.
    MaybeText,
    /// `true` or `false`, left out when empty.
    Flag,
    /// `name=value, name=value`.
    Pairs,
    /// `name, name`.
    Names,
    /// A number of devices that a limit lets start.
    Limit,
    /// `1%, 10%, 50`: phases of a rollout.
    Phases,
}

/// Something that people do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action {
    verb: &'static str,
    /// Its words on a button.
    title: &'static str,
    role: Role,
    fields: &'static [(&'static str, Kind)],
}

const DEPLOYMENT: (&str, Kind) = ("deployment", Kind::Number);
const DEVICE: (&str, Kind) = ("device", Kind::Text);
const REASON: (&str, Kind) = ("reason", Kind::MaybeText);
const GROUP: (&str, Kind) = ("group", Kind::MaybeText);

const fn action(
    verb: &'static str,
    title: &'static str,
    role: Role,
    fields: &'static [(&'static str, Kind)],
) -> Action {
    Action {
        verb,
        title,
        role,
        fields,
    }
}

/// All there are.
const ACTIONS: [Action; 13] = [
    action("pause", "Pause", Role::Deployer, &[DEPLOYMENT, REASON]),
    action("resume", "Resume", Role::Deployer, &[DEPLOYMENT]),
    action(
        "approve",
        "Approve the next phase",
        Role::Deployer,
        &[DEPLOYMENT, ("phase", Kind::MaybeNumber)],
    ),
    action("abort", "Abort", Role::Deployer, &[DEPLOYMENT, REASON]),
    action(
        "retry",
        "Retry failed devices",
        Role::Deployer,
        &[DEPLOYMENT],
    ),
    action("freeze", "Freeze", Role::Deployer, &[GROUP]),
    action("unfreeze", "Lift the freeze", Role::Deployer, &[GROUP]),
    action(
        "device-hold",
        "Hold",
        Role::Admin,
        &[DEVICE, ("held", Kind::Flag)],
    ),
    action(
        "device-move",
        "Move",
        Role::Admin,
        &[DEVICE, ("group", Kind::Text)],
    ),
    action(
        "device-label",
        "Change labels",
        Role::Admin,
        &[DEVICE, ("set", Kind::Pairs), ("remove", Kind::Names)],
    ),
    action("device-revoke", "Revoke", Role::Admin, &[DEVICE, REASON]),
    action(
        "device-approve",
        "Approve its key",
        Role::Admin,
        &[DEVICE, ("fingerprint", Kind::Text)],
    ),
    action("deploy", "Deploy", Role::Deployer, DEPLOY),
];

/// The fields of a new deployment.
pub(crate) const DEPLOY: &[(&str, Kind)] = &[
    ("release", Kind::Text),
    ("group", Kind::Text),
    ("selector", Kind::MaybeText),
    ("policy", Kind::MaybeText),
    ("phases", Kind::Phases),
    ("limit", Kind::Limit),
    ("attempts", Kind::MaybeNumber),
    ("timeoutSecs", Kind::MaybeNumber),
];

impl Action {
    fn of(verb: &str) -> Result<Self, Refused> {
        let found = ACTIONS.into_iter().find(|action| action.verb == verb);
        found.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "There is no such action", ""))
    }
}

/// A form that begins an action, for those who may; nothing for others.
pub(crate) fn form(
    visitor: &Visitor,
    verb: &str,
    about: (&[(&str, &str)], Option<&str>),
    (back, inner): (&str, &Markup),
) -> Markup {
    let (hidden, group) = about;
    let Some(action) = ACTIONS.iter().find(|action| action.verb == verb) else {
        return html! {};
    };
    let is_all = matches!((verb, hidden), ("freeze" | "unfreeze", []));
    if !visitor.may(action.role, group) || (is_all && !visitor.has_all_groups()) {
        return html! {};
    }
    let title = match (verb, hidden) {
        ("device-hold", [.., ("held", "false")]) => "Let go",
        ("freeze", []) => "Freeze everything",
        ("unfreeze", []) => "Lift the freeze of everything",
        _ => action.title,
    };
    html! {
        form.action method="post" action=(format!("/act/{verb}")) {
            (frame::token(visitor))
            input type="hidden" name="back" value=(back);
            @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
            (inner)
            button type="submit" { (title) "…" }
        }
    }
}

/// The command of a form's fields.
///
/// # Errors
/// A field that cannot be read.
pub(crate) fn command(form: &Form, fields: &[(&str, Kind)]) -> Result<Value, Refused> {
    body::read(form, fields)
}

/// Says what a command would do.
pub(crate) async fn preview(
    State(site): State<Site>,
    visitor: Visitor,
    Path(verb): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let form = Form::read(request.into_body()).await?;
    visitor.check_form(form.get("csrf"))?;
    let action = Action::of(&verb)?;
    let body = command(&form, action.fields)?;
    let mut dry = body.clone();
    dry["dryRun"] = json!(true);
    let result = site.ask(&visitor, &verb, &dry).await?;
    let asked = Asked {
        action,
        body: &body,
        result: &result,
        back: own_path(form.get("back")),
    };
    let content = asked.page(&visitor)?;
    let shown = Page {
        title: action.title,
        here: "",
        notice: None,
    };
    Ok(page(
        StatusCode::OK,
        frame::whole(&visitor, &shown, &content),
    ))
}

/// A command that waits to be confirmed.
struct Asked<'a> {
    action: Action,
    body: &'a Value,
    result: &'a Value,
    back: &'a str,
}

impl Asked<'_> {
    fn page(&self, visitor: &Visitor) -> Result<Markup, Refused> {
        let request = secret::request_id().ok_or_else(|| {
            Refused::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The system is not ready",
                "",
            )
        })?;
        let (verb, title) = (self.action.verb, self.action.title);
        Ok(html! {
            h1 { (title) "?" }
            section.means aria-labelledby="means" {
                h2 #means { "What this means" }
                (meaning::of(verb, self.body, self.result))
            }
            (same_as(&command_line::of(verb, self.body)))
            form.confirm method="post" action=(format!("/confirm/{verb}")) {
                (frame::token(visitor))
                input type="hidden" name="request" value=(request);
                input type="hidden" name="body" value=(self.body.to_string());
                input type="hidden" name="back" value=(self.back);
                button.danger[matches!(verb, "abort" | "device-revoke")].primary type="submit" { "Yes: " (title.to_lowercase()) }
                a.button href=(self.back) { "No, go back" }
            }
        })
    }
}

/// Carries a command out that was shown before.
pub(crate) async fn confirm(
    State(site): State<Site>,
    visitor: Visitor,
    Path(verb): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let form = Form::read(request.into_body()).await?;
    visitor.check_form(form.get("csrf"))?;
    let action = Action::of(&verb)?;
    let body = serde_json::from_str::<Value>(form.get("body"));
    let Some(body) = body.ok().filter(Value::is_object) else {
        let title = "The form is damaged";
        return Err(Refused::new(StatusCode::BAD_REQUEST, title, "Begin again."));
    };
    let sent = (form.get("request"), action.verb);
    let result = site.carry_out(&visitor, sent, &body).await?;
    if let Some(cookie) = visitor.cookie() {
        let done = format!("Done: {}.", action.title.to_lowercase());
        site.sessions.tell(cookie, done);
    }
    let made = result.number("deployment");
    Ok(match verb == "deploy" && made > 0 {
        true => redirect(&format!("/deployments/{made}")),
        false => redirect(own_path(form.get("back"))).into_response(),
    })
}
