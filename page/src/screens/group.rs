//! One group: who is in it, and what is deployed to it.

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use hoist_protocol::topic::View;
use maud::html;
use serde_json::Value;

use super::shown;
use crate::action;
use crate::answer::Refused;
use crate::fields::Fields;
use crate::form::Form;
use crate::parts::deployments::row;
use crate::parts::devices::{self, Of};
use crate::parts::overview::view;
use crate::parts::words::{count, grouped, same_as, state};
use crate::site::Site;
use crate::visitor::Visitor;

/// Deployments that are shown.
const DEPLOYMENTS_MAX: usize = 10;

/// The page.
pub(crate) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let unknown = || {
        Refused::new(
            StatusCode::NOT_FOUND,
            "There is no such group",
            "Look at the fleet for all groups.",
        )
    };
    let live = &site.config.live;
    let group = id.parse().map_err(|_| unknown())?;
    let group = view(live, &View::Group(group));
    if group.is_null() {
        return Err(unknown());
    }
    let query = Form::of_query(query.as_deref());
    let table = devices::table(&site, &visitor, Of::Group(&id), &query).await;
    let all = live.deployments();
    let all = all
        .iter()
        .rev()
        .filter_map(|json| serde_json::from_slice::<Value>(json).ok());
    let deployed: Vec<Value> = all
        .filter(|view| view.text("group") == id)
        .take(DEPLOYMENTS_MAX)
        .collect();
    let frozen = !group["frozen"].is_null();
    let verb = if frozen { "unfreeze" } else { "freeze" };
    let none = html! {};
    let content = html! {
        p.crumbs { a href="/fleet" { "Fleet" } }
        div.title {
            h1 { "Group " (id) @if frozen { " " (state("frozen")) } }
            div.actions {
                a.button href=(format!("/new?group={id}")) { "Deploy to this group" }
                (action::form(&visitor, verb, (&[("group", &id)], Some(&id)), (&format!("/groups/{id}"), &none)))
            }
        }
        p { (grouped(group.number("online"))) " of " (count(group.number("members"), "device", "devices")) " online" }
        section aria-labelledby="deployed" {
            h2 #deployed { "Deployments" }
            @if deployed.is_empty() { p.empty { "Nothing was deployed to this group yet." } }
            ul.rows { @for deployment in &deployed { (row(deployment)) } }
        }
        (table)
        (same_as(&format!("hoist device list --group {id}")))
    };
    Ok(shown(
        &site,
        &visitor,
        (&format!("Group {id}"), "/fleet"),
        &content,
    ))
}
