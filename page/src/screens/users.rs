//! People who may come in, for administrators.

use axum::extract::State;
use axum::response::Response;
use maud::html;
use serde_json::json;

use super::shown;
use crate::answer::Refused;
use crate::fields::Fields;
use crate::parts::words::same_as;
use crate::site::Site;
use crate::visitor::Visitor;

/// The page.
pub(crate) async fn show(State(site): State<Site>, visitor: Visitor) -> Result<Response, Refused> {
    let list = site.ask(&visitor, "user-list", &json!({})).await?;
    let content = html! {
        h1 { "Users" }
        div.wide tabindex="0" role="region" aria-label="Table of users" { table {
            thead { tr { th scope="col" { "User" } th scope="col" { "Role" } th scope="col" { "Groups" } } }
            tbody { @for user in list.items("items") {
                @let groups = user.texts("groups");
                tr {
                    th scope="row" { (user.text("user")) }
                    td { (user.text("role")) }
                    td { @if groups.is_empty() { "all" } @else { (groups.join(", ")) } }
                }
            } }
        } }
        p { "A token is shown once, to whoever makes it: users are added where it can be kept." }
        (same_as("hoist user add NAME --role viewer > client.toml"))
    };
    Ok(shown(&site, &visitor, ("Users", "/users"), &content))
}
