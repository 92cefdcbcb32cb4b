//! Deployments: as a row of a list, and the live part of a deployment's own page.

use hoist_orchestrator::live::LiveViews;
use hoist_protocol::id::DeploymentId;
use hoist_protocol::topic::View;
use maud::{Markup, html};
use serde_json::Value;

use super::bar::{bar, legend, segments};
use super::course::course;
use super::overview;
use super::words::{grouped, spoken, state, time};
use crate::fields::Fields;

/// True if a deployment has ended.
pub(crate) fn is_over(view: &Value) -> bool {
    matches!(view["state"].as_str(), Some("completed" | "aborted"))
}

/// A deployment in a list.
pub(crate) fn row(view: &Value) -> Markup {
    let (segments, counts) = (segments(view), &view["counts"]);
    let number = view.number("deployment");
    let ended = counts.number("successful") + counts.number("failed");
    html! {
        li.deployment {
            div.head {
                a href=(format!("/deployments/{number}")) { "#" (number) " " (view.text("release")) }
                span.to { "to " a href=(format!("/groups/{}", view.text("group"))) { (view.text("group")) } }
                (states(view))
                span.share { (grouped(ended)) " of " (grouped(counts.number("members"))) " ended" }
            }
            (bar(&segments))
            (legend(&segments))
        }
    }
}

/// The state, and what holds it up.
fn states(view: &Value) -> Markup {
    html! {
        (state(&view.text("state")))
        @if view.flag("frozen") { (state("frozen")) }
        @if view.flag("settled") { span.state.rest { span.sign aria-hidden="true" { "■" } "settled" } }
        @if let Some(reason) = view.maybe("reason") { span.why { (spoken(&reason)) } }
    }
}

/// The live part of a deployment's page.
pub(crate) fn live(live: &LiveViews, id: DeploymentId) -> Markup {
    let view = overview::view(live, &View::Deployment(id));
    if view.is_null() {
        return html! { div #part data-state="gone" { p.empty { "This deployment is not kept any more." } } };
    }
    let segments = segments(&view);
    let phase = &view["phase"];
    let paused = !view["paused"].is_null();
    html! {
        div #part data-state=(format!("{} {paused} {} {}", view.text("state"), phase.number("index"), phase.text("state"))) {
            div.card {
                div.head { (states(&view)) @if let Some(policy) = view.maybe("policy") { span.why { "policy " (policy) } } }
                (bar(&segments))
                (legend(&segments))
                (paused_by(&view["paused"]))
                (rollout(&view))
            }
            (failures(&view, id))
            (course(&live.course(id)))
            p.updated { "Changed " (time(&view.text("updatedAt"))) }
        }
    }
}

fn paused_by(paused: &Value) -> Markup {
    if paused.is_null() {
        return html! {};
    }
    html! {
        div.strip.wait {
            (state("paused"))
            span { "since " (time(&paused.text("at"))) ": " (spoken(&paused.text("reason")))
                @if let Some(by) = paused.maybe("by") { " by " strong { (by) } }
                @if let Some(text) = paused.maybe("text") { " – " (text) } }
        }
    }
}

/// The phase of a rollout, as steps, and how many may start.
fn rollout(view: &Value) -> Markup {
    let phase = &view["phase"];
    let (index, of) = (phase.number("index"), phase.number("of"));
    html! {
        @if !phase.is_null() {
            div.phases {
                ol aria-label="Phases" {
                    @for place in 1..=of {
                        li class=(if place < index { "done" } else if place == index { "now" } else { "next" })
                            aria-current=[(place == index).then_some("step")] { (place) }
                    }
                }
                p { "Phase " (index.min(of)) " of " (of)
                    @if let Some(name) = phase.maybe("name") { " (" (name) ")" } " " (state(&phase.text("state"))) }
            }
        }
        @if !view["allowed"].is_null() {
            p { strong { (grouped(view.number("allowed"))) } " devices may have started by now." }
        }
    }
}

/// Failures by their reason, each with the way to its devices.
fn failures(view: &Value, id: DeploymentId) -> Markup {
    let failures = view.items("failures");
    if failures.is_empty() {
        return html! {};
    }
    html! {
        section.failures aria-labelledby="failures" {
            h2 #failures { "Failures by reason" }
            table {
                thead { tr { th scope="col" { "Reason" } th.number scope="col" { "Devices" } th scope="col" { "" } } }
                tbody {
                    @for failure in failures {
                        tr {
                            td { (state("failed")) " " (spoken(&failure.text("reason"))) }
                            td.number { (grouped(failure.number("count"))) }
                            td { a href=(format!("/deployments/{id}?status=failed#devices")) { "show these devices" } }
                        }
                    }
                }
            }
        }
    }
}
