//! The table of devices, which the server filters and pages: a browser gets a page of it, however many
//! devices there are.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::words::{maybe_time, nothing, spoken, state};
use crate::answer::Refused;
use crate::fields::Fields;
use crate::form::Form;
use crate::site::Site;
use crate::visitor::Visitor;

/// Devices of one page.
const PAGE: u32 = 50;
/// Statuses to filter by.
const STATUSES: [(&str, &str); 5] = [
    ("", "any status"),
    ("pending", "pending"),
    ("inProgress", "in progress"),
    ("successful", "successful"),
    ("failed", "failed"),
];

/// The devices of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'o> {
    /// The members of a group.
    Group(&'o str),
    /// Those that a deployment counts.
    Deployment(u64),
    /// All of them.
    Fleet,
}

/// The table with its filter, by the fields of a query.
pub(crate) async fn table(site: &Site, visitor: &Visitor, of: Of<'_>, query: &Form) -> Markup {
    let listed = list(site, visitor, of, query).await;
    html! {
        section aria-labelledby="devices" {
            h2 #devices { "Devices" }
            (filter(query))
            @match listed {
                Ok(list) => (rows(&list, query)),
                Err(refused) => (refused.markup()),
            }
        }
    }
}

async fn list(site: &Site, visitor: &Visitor, of: Of<'_>, query: &Form) -> Result<Value, Refused> {
    let mut body = json!({"limit": PAGE});
    match of {
        Of::Group(group) => body["group"] = json!(group),
        Of::Deployment(deployment) => body["deployment"] = json!(deployment),
        Of::Fleet => {}
    }
    for name in ["status", "selector", "after"] {
        if let Some(value) = query.maybe(name) {
            body[name] = json!(value);
        }
    }
    site.ask(visitor, "device-list", &body).await
}

fn filter(query: &Form) -> Markup {
    let chosen = query.get("status");
    html! {
        form.filter method="get" action="#devices" {
            label { "Status "
                select name="status" {
                    @for (word, says) in STATUSES { option value=(word) selected[word == chosen] { (says) } }
                }
            }
            label { "Labels " input name="selector" value=(query.get("selector")) placeholder="site=eu,!broken"; }
            button type="submit" { "Filter" }
        }
    }
}

fn rows(list: &Value, query: &Form) -> Markup {
    let items = list.items("items");
    let is_filtered = ["status", "selector", "after"]
        .iter()
        .any(|name| query.maybe(name).is_some());
    html! {
        @if items.is_empty() && !is_filtered {
            (nothing("There are no devices here yet.", Some("hoist device add dev-01 > dev-01.toml")))
        } @else if items.is_empty() && list["next"].is_null() {
            p.empty { "No device fits the filter." }
        } @else {
            div.wide tabindex="0" role="region" aria-label="Table of devices" {
                table {
                    thead { tr {
                        th scope="col" { "Device" } th scope="col" { "Presence" } th scope="col" { "Status" }
                        th scope="col" { "Detail" } th scope="col" { "Installed" } th scope="col" { "Last seen" }
                    } }
                    tbody { @for item in items { (row(item)) } }
                }
            }
        }
        (pages(list, query))
    }
}

fn row(item: &Value) -> Markup {
    let id = item.text("device");
    html! {
        tr {
            th scope="row" { a href=(format!("/devices/{id}")) { (id) } " " span.minor { (item.text("group")) } }
            td { (state(&item.text("presence"))) }
            td {
                @if let Some(status) = item.maybe("status") { (state(&status)) } @else { span.none { "none" } }
                @if item.flag("held") { " " (state("held")) }
                @if !item["revoked"].is_null() { " " (state("revoked")) }
            }
            td { (detail(item)) }
            td { @for (name, version) in item.pairs("installed") { span.version { (name) " " (version) } " " } }
            td { (maybe_time(item.maybe("lastSeen").as_deref())) }
        }
    }
}

/// What there is to say beside a status.
pub(crate) fn detail(item: &Value) -> Markup {
    html! {
        @if let Some(reason) = item.maybe("reason") {
            strong { (spoken(&reason)) }
            @if let Some(script) = item.maybe("script") { " in " code { (script) } }
            @if !item["exit"].is_null() { " (exit " (item.text("exit")) ")" }
            @if let Some(rollback) = item.maybe("rollback") { span.minor { " rollback " (spoken(&rollback)) } }
        } @else if let Some(step) = item.maybe("step") {
            (spoken(&step))
            @if !item["progressPercent"].is_null() { " " (item.text("progressPercent")) " %" }
        }
        @if let Some(cause) = item.maybe("retryCause") { " – " (cause) }
        @if let Some(trouble) = item.maybe("trouble") { " " strong { (spoken(&trouble)) } }
    }
}

/// The ways to the first and the next page.
pub(crate) fn pages(list: &Value, query: &Form) -> Markup {
    let next = list["next"].as_str();
    html! {
        @if next.is_some() || query.maybe("after").is_some() {
            nav.pages aria-label="Pages of the list" {
                @if query.maybe("after").is_some() { a href=(format!("?{}#devices", query.with("after", ""))) { "First page" } }
                @if let Some(next) = next { a href=(format!("?{}#devices", query.with("after", next))) rel="next" { "Next page" } }
            }
        }
    }
}
