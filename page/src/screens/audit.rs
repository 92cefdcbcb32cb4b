//! The audit trail, for administrators: every command that changed something, or was refused to.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::shown;
use crate::answer::Refused;
use crate::fields::Fields;
use crate::form::Form;
use crate::parts::devices::pages;
use crate::parts::words::{same_as, state, time};
use crate::site::Site;
use crate::visitor::Visitor;

/// The page.
pub(crate) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let query = Form::of_query(query.as_deref());
    let mut body = json!({});
    for name in ["user", "since", "after"] {
        if let Some(value) = query.maybe(name) {
            body[name] = json!(value);
        }
    }
    let list = site.ask(&visitor, "audit-list", &body).await?;
    let content = html! {
        h1 { "Audit trail" }
        form.filter method="get" {
            label { "User " input name="user" value=(query.get("user")) autocomplete="off" spellcheck="false"; }
            label { "Since " input name="since" value=(query.get("since")) placeholder="2026-01-31T00:00:00Z" autocomplete="off"; }
            button type="submit" { "Filter" }
        }
        (table(list.items("items")))
        (pages(&list, &query))
        (same_as("hoist audit list"))
    };
    Ok(shown(&site, &visitor, ("Audit trail", "/audit"), &content))
}

fn table(items: &[Value]) -> Markup {
    if items.is_empty() {
        return html! { p.empty { "Nothing is recorded here." } };
    }
    html! {
        div.wide tabindex="0" role="region" aria-label="Table of commands" { table {
            thead { tr { th scope="col" { "When" } th scope="col" { "User" } th scope="col" { "Verb" }
                th scope="col" { "Target" } th scope="col" { "Result" } th scope="col" { "From" } th scope="col" { "Request" } } }
            tbody { @for item in items {
                @let result = item.text("result");
                tr {
                    td { (time(&item.text("at"))) }
                    th scope="row" { (item.text("user")) }
                    td { (item.text("verb")) }
                    td { (item.text("target")) }
                    td { @if result == "ok" { (state("ok")) } @else { (state("failed")) " " code { (result) } } }
                    td { (item.text("from")) }
                    td { code { (item.text("request")) } }
                }
            } }
        } }
    }
}
