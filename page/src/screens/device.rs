//! One device: where it is, what it runs, why it does what it does.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::shown;
use crate::action;
use crate::answer::Refused;
use crate::fields::Fields;
use crate::parts::devices::detail;
use crate::parts::words::{facts, maybe_time, same_as, sentence, spoken, state, time};
use crate::site::Site;
use crate::visitor::Visitor;

/// The steps of an attempt, in their order.
const STEPS: [&str; 4] = ["downloading", "downloaded", "installing", "rebooting"];

/// The page.
pub(crate) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let named = json!({"device": id});
    let device = site.ask(&visitor, "device-show", &named).await?;
    let why = site.ask(&visitor, "device-why", &named).await;
    let id = device.text("device");
    let content = html! {
        div.title {
            h1 { (id) " " (state(&device.text("presence")))
                @if device.flag("held") { " " (state("held")) }
                @if !device["revoked"].is_null() { " " (state("revoked")) } }
            div.actions { (actions(&visitor, &device)) }
        }
        (alarms(&device))
        (facts(&about(&device)))
        (now(&device))
        (output(&device))
        @match &why { Ok(why) => (reasons(why)), Err(refused) => (refused.markup()), }
        (edit(&visitor, &device))
        (same_as(&format!("hoist device why {id} --rules")))
    };
    Ok(shown(&site, &visitor, (&id, "/fleet"), &content))
}

fn form(
    visitor: &Visitor,
    device: &Value,
    verb: &str,
    more: &[(&str, &str)],
    inner: &Markup,
) -> Markup {
    let (id, group) = (device.text("device"), device.text("group"));
    let mut hidden = vec![("device", id.as_str())];
    hidden.extend_from_slice(more);
    let back = format!("/devices/{id}");
    action::form(visitor, verb, (&hidden, Some(&group)), (&back, inner))
}

fn actions(visitor: &Visitor, device: &Value) -> Markup {
    let none = html! {};
    let offered = device.maybe("offeredFingerprint");
    html! {
        @if let Some(fingerprint) = &offered { (form(visitor, device, "device-approve", &[("fingerprint", fingerprint)], &none)) }
        @if device.flag("held") { (form(visitor, device, "device-hold", &[("held", "false")], &none)) }
        @else { (form(visitor, device, "device-hold", &[("held", "true")], &none)) }
        @if device["revoked"].is_null() { (form(visitor, device, "device-revoke", &[], &reason())) }
    }
}

fn reason() -> Markup {
    html! {
        label.unseen for="revoke-reason" { "Reason to revoke" }
        input #revoke-reason name="reason" maxlength="256" placeholder="reason" autocomplete="off";
    }
}

/// Everything about a device that somebody should look at.
fn alarms(device: &Value) -> Markup {
    let (identity, refused, revoked) =
        (&device["identity"], &device["refused"], &device["revoked"]);
    html! {
        @if !identity.is_null() {
            div.strip.bad { (state("degraded")) span { (sentence(&identity.text("says"))) " " (sentence(&identity.text("next"))) " " code { (identity.text("code")) } } }
        }
        @if !refused.is_null() {
            div.strip.wait { span { "Its reports were refused " (refused.text("count")) " times, last " (time(&refused.text("at"))) " " code { (refused.text("code")) } } }
        }
        @if !revoked.is_null() {
            div.strip.bad { (state("revoked")) span { (time(&revoked.text("at"))) " by " (revoked.text("by")) " " (revoked.text("reason")) } }
        }
        @if let Some(trouble) = device.maybe("trouble") {
            div.strip.wait { span { "It says of itself: " strong { (spoken(&trouble)) } } }
        }
    }
}

fn about(device: &Value) -> Vec<(&'static str, Markup)> {
    let group = device.text("group");
    let none = || html! { span.none { "none" } };
    let text = |name: &str| {
        device
            .maybe(name)
            .map_or_else(none, |text| html! { (text) })
    };
    vec![
        (
            "Group",
            html! { a href=(format!("/groups/{group}")) { (group) } @if let Some(placed) = device.maybe("placed") { span.minor { " " (placed) } } },
        ),
        ("Type", text("type")),
        ("Labels", pairs(&device.pairs("labels"), "=")),
        ("Installed", pairs(&device.pairs("installed"), " ")),
        ("Last seen", maybe_time(device.maybe("lastSeen").as_deref())),
        ("Agent", text("agent")),
        (
            "Key",
            device
                .maybe("fingerprint")
                .map_or_else(none, |key| html! { code { (key) } }),
        ),
    ]
}

fn pairs(pairs: &[(String, String)], between: &str) -> Markup {
    html! {
        @if pairs.is_empty() { span.none { "none" } }
        @for (name, value) in pairs { span.version { (name) (between) (value) } " " }
    }
}

/// The lane of the newest attempt.
fn now(device: &Value) -> Markup {
    if device["deployment"].is_null() {
        return html! { p.empty { "Nothing was deployed to this device yet." } };
    }
    let number = device.number("deployment");
    let at = device.text("step");
    let place = STEPS.iter().position(|step| *step == at);
    let status = device.text("status");
    html! {
        section aria-labelledby="now" {
            h2 #now { "Newest deployment: " a href=(format!("/deployments/{number}")) { "#" (number) } }
            ol.lane {
                @if place.is_some() {
                @for (index, step) in STEPS.iter().enumerate() {
                    li class=(if place.is_some_and(|place| index < place) { "done" } else if place == Some(index) { "now" } else { "next" })
                        aria-current=[(place == Some(index)).then_some("step")] { (spoken(step)) }
                }
                }
                li.end { @if status.is_empty() { "not begun" } @else { (state(&status)) } }
            }
            p { (detail(device))
                @if !device["attempt"].is_null() { span.minor { " attempt " (device.text("attempt")) ", round " (device.text("round")) } }
                @if device.flag("provisional") { span.minor { " (inferred by the server)" } } }
        }
    }
}

/// The end of what the failing script said.
fn output(device: &Value) -> Markup {
    html! {
        @if let Some(output) = device.maybe("output") {
            section aria-labelledby="output" {
                h2 #output { "Output of the failing script" }
                pre.output tabindex="0" { (output) }
            }
        }
    }
}

/// Why it does or does not carry out each deployment.
fn reasons(why: &Value) -> Markup {
    let nothing = &why["nothing"];
    html! {
        section aria-labelledby="why" {
            h2 #why { "Why" }
            @if !nothing.is_null() { p { (sentence(&nothing.text("says"))) " " (sentence(&nothing.text("next"))) } }
            @for one in why.items("deployments") { (reason_of(one)) }
        }
    }
}

fn reason_of(one: &Value) -> Markup {
    let number = one.number("deployment");
    html! {
        article.reason {
            h3 { a href=(format!("/deployments/{number}")) { "#" (number) " " (one.text("release")) } " " strong { (spoken(&one.text("why"))) } }
            p { (sentence(&one.text("says"))) " " (sentence(&one.text("next"))) @if let Some(at) = one.maybe("at") { " " (time(&at)) } }
            details {
                summary { "Every rule that was looked at" }
                ul.rules { @for rule in one.items("rules") {
                    li { (state(if rule.flag("pass") { "ok" } else { "failed" })) " " (spoken(&rule.text("rule")))
                        @if let Some(says) = rule.maybe("says") { ": " (says) } }
                } }
            }
        }
    }
}

/// Group and labels, for those who may change them.
fn edit(visitor: &Visitor, device: &Value) -> Markup {
    let moves = html! {
        label for="move-to" { "Move to group" }
        input #move-to name="group" required autocomplete="off" spellcheck="false";
    };
    let labels = html! {
        label for="label-set" { "Set labels" }
        input #label-set name="set" placeholder="site=eu, ring=canary" autocomplete="off" spellcheck="false";
        label for="label-remove" { "Take away" }
        input #label-remove name="remove" placeholder="old" autocomplete="off" spellcheck="false";
    };
    html! {
        div.edits {
            (form(visitor, device, "device-move", &[], &moves))
            (form(visitor, device, "device-label", &[], &labels))
        }
    }
}
