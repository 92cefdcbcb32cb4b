//! One deployment: how far it is, what failed, what was decided, and what can be done about it.

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use hoist_protocol::id::DeploymentId;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::shown;
use crate::action;
use crate::answer::Refused;
use crate::fields::Fields;
use crate::form::Form;
use crate::parts::deployments;
use crate::parts::devices::{self, Of};
use crate::parts::words::{facts, grouped, maybe_time, same_as, spoken, time};
use crate::site::Site;
use crate::visitor::Visitor;

/// The page.
pub(crate) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Path(number): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let number: u32 = number.parse().map_err(|_| {
        let hint = "A deployment has a number.";
        Refused::new(StatusCode::NOT_FOUND, "There is no such deployment", hint)
    })?;
    let id = json!({"deployment": number});
    let detail = site.ask(&visitor, "deployment-show", &id).await?;
    let history = site.ask(&visitor, "deployment-history", &id).await;
    let query = Form::of_query(query.as_deref());
    let of = Of::Deployment(number.into());
    let table = devices::table(&site, &visitor, of, &query).await;
    let title = format!("Deployment {number}");
    let live = deployments::live(&site.config.live, DeploymentId(number));
    let content = html! {
        p.crumbs { a href="/deployments" { "Deployments" } }
        div.title {
            h1 { "#" (number) " " (detail.text("release")) span.to { " to " a href=(format!("/groups/{}", detail.text("group"))) { (detail.text("group")) } } }
            div #actions.actions { (actions(&visitor, number, &detail)) }
        }
        div data-live=(format!("/live/deployments/{number}")) { (live) }
        (failed(&detail))
        (about(&detail))
        @match &history { Ok(history) => (course(history)), Err(refused) => (refused.markup()), }
        (table)
        (same_as(&format!("hoist status {number}")))
    };
    Ok(shown(&site, &visitor, (&title, "/deployments"), &content))
}

/// What can be done, as far as the visitor may.
fn actions(visitor: &Visitor, number: u32, detail: &Value) -> Markup {
    let (number, group) = (number.to_string(), detail.text("group"));
    let back = format!("/deployments/{number}");
    let form = |verb: &str, inner: &Markup| {
        let about = (&[("deployment", number.as_str())][..], Some(group.as_str()));
        action::form(visitor, verb, about, (&back, inner))
    };
    let (state, none) = (detail.text("state"), html! {});
    // So that no other phase is approved by mistake.
    let phase = html! { input type="hidden" name="phase" value=(detail["phase"].number("index")); };
    let waits = state == "active" && detail["phase"].text("state") == "waiting-approval";
    html! {
        @if waits { (form("approve", &phase)) }
        @if state == "active" { (form("pause", &reason("pause"))) }
        @if state == "paused" { (form("resume", &none)) }
        @if detail["counts"].number("failed") > 0 && state == "active" { (form("retry", &none)) }
        @if matches!(state.as_str(), "active" | "paused" | "scheduled") { (form("abort", &reason("abort"))) }
    }
}

fn reason(of: &str) -> Markup {
    let id = format!("{of}-reason");
    html! {
        label.unseen for=(id) { "Reason to " (of) }
        input id=(id) name="reason" maxlength="256" placeholder="reason" autocomplete="off";
    }
}

/// The first failed devices, each with its reason.
fn failed(detail: &Value) -> Markup {
    let failed = detail.items("failedDevices");
    if failed.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="failed" {
            h2 #failed { "Failed devices" }
            ul.cards { @for device in failed {
                li { a href=(format!("/devices/{}", device.text("device"))) { (device.text("device")) }
                    span { (devices::detail(device)) } }
            } }
        }
    }
}

fn about(detail: &Value) -> Markup {
    let at = |name: &str| maybe_time(detail.maybe(name).as_deref());
    let mut pairs = vec![
        (
            "Created",
            html! { (at("createdAt")) " by " (detail.text("createdBy")) },
        ),
        (
            "Retried",
            html! { (grouped(detail.number("retried"))) " devices" },
        ),
        (
            "Rolled back",
            html! { (grouped(detail.number("rolledBack"))) " devices" },
        ),
    ];
    if let Some(start) = detail.maybe("start") {
        pairs.push(("Starts", time(&start)));
    }
    if let Some(until) = detail.maybe("until") {
        pairs.push(("Ends by itself", time(&until)));
    }
    if let Some(by) = detail.maybe("endedBy") {
        pairs.push((
            "Ended by",
            html! { (by) @if let Some(text) = detail.maybe("endedText") { ": " (text) } },
        ));
    }
    html! { section aria-label="About this deployment" { (facts(&pairs)) } }
}

/// Every decision with its numbers.
fn course(history: &Value) -> Markup {
    let items = history.items("items");
    html! {
        section aria-labelledby="course" {
            h2 #course { "What was decided" }
            ol.story {
                @for item in items {
                    li {
                        (time(&item.text("at"))) " " strong { (spoken(&item.text("kind"))) } " " (item.text("text"))
                        @if let Some(by) = item.maybe("by") { " – " (by) }
                    }
                }
            }
        }
    }
}
