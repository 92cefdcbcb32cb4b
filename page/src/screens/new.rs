//! A new deployment: its plan is shown while its fields are filled in, and nothing is done before it was seen.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use hoist_protocol::access::Role;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::shown;
use crate::action::{self, DEPLOY};
use crate::answer::page;
use crate::command_line;
use crate::fields::Fields;
use crate::form::Form;
use crate::parts::frame;
use crate::parts::plan::plans;
use crate::parts::words::{nothing, same_as};
use crate::site::Site;
use crate::visitor::Visitor;

/// Names that a field offers.
struct Offered {
    releases: Vec<String>,
    groups: Vec<String>,
    policies: Vec<String>,
}

/// The page.
pub(crate) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Form::of_query(query.as_deref());
    let offered = Offered {
        releases: names(&site, &visitor, ("release-list", "release")).await,
        groups: names(&site, &visitor, ("group-list", "group")).await,
        policies: names(&site, &visitor, ("policy-list", "policy")).await,
    };
    let planned = planned(&site, &visitor, &query).await;
    let content = html! {
        h1 { "New deployment" }
        @if offered.releases.is_empty() {
            (nothing("There is no release to deploy yet. Pack one first:", Some("hoist release create examples/hello")))
        }
        div.halves {
            (fields(&visitor, &query, &offered))
            section aria-labelledby="means" {
                h2 #means { "What would happen" }
                div #plan aria-live="polite" { (planned) }
            }
        }
    };
    shown(&site, &visitor, ("New deployment", "/new"), &content)
}

/// The plan alone, while somebody types.
pub(crate) async fn plan(
    State(site): State<Site>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Form::of_query(query.as_deref());
    page(StatusCode::OK, planned(&site, &visitor, &query).await)
}

async fn names(site: &Site, visitor: &Visitor, (verb, field): (&str, &str)) -> Vec<String> {
    let list = site.ask(visitor, verb, &json!({})).await;
    let list = list.unwrap_or(Value::Null);
    list.items("items")
        .iter()
        .map(|item| item.text(field))
        .collect()
}

async fn planned(site: &Site, visitor: &Visitor, query: &Form) -> Markup {
    if query.maybe("release").is_none() || query.maybe("group").is_none() {
        return html! { p.empty { "Choose a release and a group: what would happen is shown here." } };
    }
    let body = match action::command(query, DEPLOY) {
        Ok(body) => body,
        Err(refused) => return refused.markup(),
    };
    let plan = match site.ask(visitor, "plan", &body).await {
        Ok(plan) => plans(&plan),
        Err(refused) => refused.markup(),
    };
    html! { (plan) (same_as(&command_line::of("deploy", &body))) }
}

fn fields(visitor: &Visitor, query: &Form, offered: &Offered) -> Markup {
    let may = visitor.may(Role::Deployer, None);
    html! {
        form.stacked data-plan="/new/plan" method="get" action="/new" {
            (frame::token(visitor))
            input type="hidden" name="back" value="/new";
            (choice(query, ("release", "Release", "hello@1.0.0"), &offered.releases))
            (choice(query, ("group", "Group", "eu"), &offered.groups))
            (choice(query, ("policy", "Policy", "none"), &offered.policies))
            (field(query, ("phases", "Phases", "1%, 10%, 50%, 100%"), "Shares or numbers of devices, each with those before; not with a policy."))
            (field(query, ("selector", "Only devices with labels", "site=eu,!broken"), ""))
            (field(query, ("limit", "At most so many devices", "no limit"), ""))
            (field(query, ("attempts", "Attempts of a device", "3"), ""))
            div.actions {
                button type="submit" { "Show the plan" }
                @if may { button.primary type="submit" formmethod="post" formaction="/act/deploy" { "Deploy…" } }
                @else { p.hint { "Deploying takes the role deployer." } }
            }
        }
    }
}

fn choice(query: &Form, (name, label, example): (&str, &str, &str), offered: &[String]) -> Markup {
    let list = format!("{name}-names");
    html! {
        label for=(name) { (label) }
        input id=(name) name=(name) list=(list) value=(query.get(name)) placeholder=(example) autocomplete="off" spellcheck="false";
        datalist id=(list) { @for offered in offered { option value=(offered) {} } }
    }
}

fn field(query: &Form, (name, label, example): (&str, &str, &str), help: &str) -> Markup {
    let describes = format!("{name}-help");
    html! {
        label for=(name) { (label) }
        input id=(name) name=(name) value=(query.get(name)) placeholder=(example) autocomplete="off" spellcheck="false"
            aria-describedby=[(!help.is_empty()).then_some(&describes)];
        @if !help.is_empty() { p.hint id=(describes) { (help) } }
    }
}
