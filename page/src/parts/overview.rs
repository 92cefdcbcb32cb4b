//! The live part of the fleet's page: how many devices there are, what is wrong, what is going on.

use axum::body::Bytes;
use hoist_orchestrator::live::LiveViews;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::topic::View;
use maud::{Markup, html};
use serde_json::Value;

use super::deployments::{is_over, row};
use super::words::{count, grouped, nothing, state, time};
use crate::fields::Fields;

/// Deployments that are over and still shown.
const ENDED_MAX: usize = 5;
/// Active deployments that are shown.
const GOING_MAX: usize = 40;
/// The newest deployments among which those that ended are looked for.
const LOOKED_AT_MAX: usize = 200;
/// Groups that are shown.
const GROUPS_MAX: usize = 120;

/// A view as JSON; null of one that is not there.
pub(crate) fn view(live: &LiveViews, view: &View) -> Value {
    let json = live.last(view);
    json.and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default()
}

/// All of it, as of now. Of many deployments and groups a page shows the first.
pub(crate) fn live(live: &LiveViews) -> Markup {
    let (fleet, health) = (view(live, &View::Fleet), view(live, &View::Health));
    let active = fleet.items("deployments").len();
    let (going, ended, names) = (going(live, &fleet), ended(live), live.groups());
    html! {
        div #part data-state=(active) {
            (strip(&health))
            (numbers(&fleet, active))
            section aria-labelledby="going" {
                h2 #going { "Active deployments" }
                (going_on(&going, &fleet))
                @if active > going.len() { p { a href="/deployments" { "All deployments" } } }
            }
            @if !ended.is_empty() {
                section aria-labelledby="ended" {
                    h2 #ended { "Ended last" }
                    ul.rows { @for deployment in &ended { (row(deployment)) } }
                }
            }
            section aria-labelledby="groups" {
                h2 #groups { "Groups" }
                (groups(&names))
                @if names.len() > GROUPS_MAX { p { "The first " (GROUPS_MAX) " are shown; the others are found by their name." } }
            }
        }
    }
}

/// Active deployments, the newest first.
fn going(live: &LiveViews, fleet: &Value) -> Vec<Value> {
    let numbers = fleet.items("deployments").iter().rev();
    let ids = numbers.filter_map(|number| u32::try_from(number.as_u64()?).ok());
    let views = ids.map(|id| view(live, &View::Deployment(DeploymentId(id))));
    views
        .filter(|view| !view.is_null())
        .take(GOING_MAX)
        .collect()
}

/// Those that ended, among the newest.
fn ended(live: &LiveViews) -> Vec<Value> {
    let all = live.deployments();
    let newest = all.iter().rev().take(LOOKED_AT_MAX);
    let views = newest.filter_map(|json| serde_json::from_slice(json).ok());
    views.filter(is_over).take(ENDED_MAX).collect()
}

/// The health of the server: what is wrong, in words.
fn strip(health: &Value) -> Markup {
    let problems = health.items("problems");
    html! {
        div.strip.good[problems.is_empty()].bad[!problems.is_empty()] {
            @if health.is_null() {
                (state("pending")) span { "The server is starting." }
            } @else if problems.is_empty() {
                (state("ok")) span { "Broker, store and disk work." }
            } @else {
                (state("degraded"))
                ul { @for problem in problems { (one(problem)) } }
            }
            @if !health["frozen"].is_null() {
                div { (state("frozen")) "Everything is frozen: nobody starts anything, since "
                    (time(&health["frozen"].text("at"))) " by " (health["frozen"].text("by")) }
            }
        }
    }
}

fn one(problem: &Value) -> Markup {
    html! {
        li { strong { (problem.text("about")) } ": " (problem.text("detail")) " "
            code { (problem.text("code")) } " since " (time(&problem.text("since"))) }
    }
}

fn numbers(fleet: &Value, active: usize) -> Markup {
    let (devices, online) = (fleet.number("devices"), fleet.number("online"));
    let tiles = [
        ("Devices", devices, "", "registered"),
        ("Online", online, "online", "connected now"),
        (
            "Offline",
            devices.saturating_sub(online),
            "offline",
            "not connected",
        ),
        ("Groups", fleet.number("groups"), "", "to deploy to"),
        ("Rolling out", active as u64, "", "deployments"),
    ];
    html! {
        ul.tiles {
            @for (name, number, kind, says) in tiles {
                li class=(kind) { span.label { (name) } strong { (grouped(number)) } span.says { (says) } }
            }
        }
    }
}

fn going_on(going: &[Value], fleet: &Value) -> Markup {
    if !going.is_empty() {
        return html! { ul.rows { @for deployment in going { (row(deployment)) } } };
    }
    if fleet.is_null() {
        return html! { p.empty { "The server is not connected to its broker yet: what there is comes with it." } };
    }
    match fleet.number("devices") {
        0 => nothing(
            "No device is registered yet. Register the first one, and start its agent with what this prints:",
            Some("hoist device add dev-01 > dev-01.toml && hoist-agent --config dev-01.toml"),
        ),
        _ => html! {
            div.empty { p { "Nothing is being rolled out. " a href="/new" { "Deploy a release" } "." } }
        },
    }
}

fn groups(all: &[Bytes]) -> Markup {
    let all = all
        .iter()
        .take(GROUPS_MAX)
        .filter_map(|json| serde_json::from_slice::<Value>(json).ok());
    html! {
        ul.cards {
            @for group in all {
                li {
                    a href=(format!("/groups/{}", group.text("group"))) { (group.text("group")) }
                    span { (grouped(group.number("online"))) " of " (count(group.number("members"), "device", "devices")) " online" }
                    @if !group["frozen"].is_null() { (state("frozen")) }
                }
            }
        }
    }
}
