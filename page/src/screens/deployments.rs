//! All deployments.

use axum::extract::State;
use axum::response::Response;
use maud::html;
use serde_json::Value;

use super::shown;
use crate::parts::deployments::row;
use crate::parts::words::nothing;
use crate::site::Site;
use crate::visitor::Visitor;

/// Deployments on the page: older ones are found by their numbers.
const ROWS_MAX: usize = 100;

/// The page.
pub(crate) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let all = site.config.live.deployments();
    let rows: Vec<Value> = all
        .iter()
        .rev()
        .take(ROWS_MAX)
        .filter_map(|json| serde_json::from_slice(json).ok())
        .collect();
    let content = html! {
        div.title { h1 { "Deployments" } a.button href="/new" { "New deployment" } }
        @if rows.is_empty() {
            (nothing("Nothing was deployed yet. Pack a release first, then deploy it to a group:",
                Some("hoist release create examples/hello && hoist deploy hello@1.0.0 --group unassigned")))
        }
        ul.rows { @for deployment in &rows { (row(deployment)) } }
        @if all.len() > ROWS_MAX { p { "The newest " (ROWS_MAX) " are shown; older ones are found by their number." } }
    };
    shown(&site, &visitor, ("Deployments", "/deployments"), &content)
}
