//! The plan of a deployment: what would happen, in numbers and sentences.

use maud::{Markup, html};
use serde_json::Value;

use super::course::duration;
use super::words::{count, grouped, spoken};
use crate::fields::Fields;

/// The plans of a dry run.
pub(crate) fn plans(result: &Value) -> Markup {
    html! { @for plan in result.items("plans") { (one(plan)) } }
}

fn one(plan: &Value) -> Markup {
    html! {
        div.plan {
            h3 { (plan.text("release")) " to " (plan.text("group")) }
            @if !plan["refused"].is_null() { (refused(&plan["refused"])) }
            ul.tiles {
                (tile("Would start", plan.number("eligible"), "of the group's members"))
                (tile("Online now", plan.number("online"), "begin at once"))
                (tile("When connected", plan.number("whenConnected"), "begin later"))
                (tile("Left out", plan.items("excluded").iter().map(|left| left.number("count")).sum(), "do not start"))
            }
            (sentences(plan))
            (phases(plan))
        }
    }
}

fn refused(error: &Value) -> Markup {
    html! {
        div.refusal role="alert" { p { strong { (error.text("title")) } " " code { (error.text("code")) } }
            p { (error.text("detail")) } p.hint { (error.text("hint")) } }
    }
}

fn tile(name: &str, number: u64, says: &str) -> Markup {
    html! { li { span.label { (name) } strong { (grouped(number)) } span.says { (says) } } }
}

fn sentences(plan: &Value) -> Markup {
    html! {
        ul.says {
            @if !plan["existing"].is_null() { li { "The same is there already as deployment #" (plan.text("existing")) ": nothing new." } }
            @if plan.flag("frozen") { li { "It is frozen: nobody starts before that is lifted." } }
            @for left in plan.items("excluded") { li { (count(left.number("count"), "device", "devices")) " left out: " (spoken(&left.text("why"))) } }
            @for other in plan.items("wouldRefuse") { li { (count(other.number("count"), "device", "devices")) " would refuse: " (spoken(&other.text("reason"))) } }
            @for (name, says) in [("supersedes", "It ends"), ("conflicts", "It cannot stand beside"), ("after", "Devices carry out first")] {
                @for other in plan.items(name) { li { (says) " deployment #" (other.number("deployment")) " (" (other.text("release")) ")" } }
            }
            @for bound in plan.texts("bounds") { li { (bound) } }
            @for stop in plan.texts("wouldStop") { li { (stop) } }
        }
    }
}

fn phases(plan: &Value) -> Markup {
    let phases = plan.items("phases");
    if phases.is_empty() {
        return html! {};
    }
    html! {
        div.wide tabindex="0" role="region" aria-label="Phases of the plan" { table {
            thead { tr { th scope="col" { "Phase" } th.number scope="col" { "Devices" } th scope="col" { "Passed when" }
                th.number scope="col" { "Approvals" } th scope="col" { "Not before" } } }
            tbody { @for phase in phases {
                tr {
                    th scope="row" { (phase.number("index")) " " (phase.text("name")) }
                    td.number { @if phase["devices"].is_null() { "by labels" } @else { (grouped(phase.number("devices"))) } }
                    td { (phase.text("gate")) }
                    td.number { (phase.number("approvals")) }
                    td { (duration(phase.number("earliestSecs"))) }
                }
            } }
        } }
    }
}
