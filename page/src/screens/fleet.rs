//! The fleet at a glance.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use hoist_protocol::topic::View;
use maud::html;

use super::shown;
use crate::action;
use crate::answer::redirect;
use crate::form::Form;
use crate::parts::devices::{self, Of};
use crate::parts::overview;
use crate::site::Site;
use crate::visitor::Visitor;

/// The first page.
pub(crate) async fn home(_: Visitor) -> Response {
    redirect("/fleet")
}

/// The page.
pub(crate) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Response {
    let live = &site.config.live;
    let table = devices::table(
        &site,
        &visitor,
        Of::Fleet,
        &Form::of_query(query.as_deref()),
    )
    .await;
    let frozen = !overview::view(live, &View::Fleet)["frozen"].is_null();
    let verb = if frozen { "unfreeze" } else { "freeze" };
    let content = html! {
        div.title {
            h1 { "Fleet" }
            div #actions.actions { (action::form(&visitor, verb, (&[], None), ("/fleet", &html! {}))) }
        }
        div data-live="/live/fleet" { (overview::live(live)) }
        (table)
    };
    shown(&site, &visitor, ("Fleet", "/fleet"), &content)
}
