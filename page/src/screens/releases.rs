//! Releases: what they consist of, and where they went.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::shown;
use crate::answer::Refused;
use crate::fields::Fields;
use crate::form::Form;
use crate::parts::devices::pages;
use crate::parts::words::{bytes, nothing, same_as, state, time};
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
    for name in ["name", "after"] {
        if let Some(value) = query.maybe(name) {
            body[name] = json!(value);
        }
    }
    let list = site.ask(&visitor, "release-list", &body).await?;
    let one = match query.maybe("release") {
        Some(release) => {
            let asked = json!({"release": release});
            Some(site.ask(&visitor, "release-show", &asked).await?)
        }
        None => None,
    };
    let all = site.config.live.deployments();
    let content = html! {
        h1 { "Releases" }
        @if let Some(one) = &one { (detail(one, &all)) }
        (table(&list))
        (pages(&list, &query))
        (same_as("hoist release list"))
    };
    Ok(shown(&site, &visitor, ("Releases", "/releases"), &content))
}

fn table(list: &Value) -> Markup {
    let items = list.items("items");
    if items.is_empty() {
        return nothing(
            "There is no release yet. Pack a folder with a manifest, payloads and scripts:",
            Some("hoist release create examples/hello"),
        );
    }
    html! {
        div.wide tabindex="0" role="region" aria-label="Table of releases" { table {
            thead { tr { th scope="col" { "Release" } th scope="col" { "Artifacts" } th.number scope="col" { "Size" }
                th.number scope="col" { "Counter" } th scope="col" { "Added" } th scope="col" { "" } } }
            tbody { @for release in items {
                @let name = release.text("release");
                tr {
                    th scope="row" { a href=(link(&name)) { (name) } }
                    td { (release.texts("artifacts").join(", ")) }
                    td.number { (bytes(release.number("sizeBytes"))) }
                    td.number { (release.number("counter")) }
                    td { (time(&release.text("createdAt"))) }
                    td { a href=(format!("/new?{}", Form::default().with("release", &name))) aria-label=(format!("Deploy {name}")) { "Deploy" } }
                }
            } }
        } }
    }
}

/// The way to a release.
pub(crate) fn link(release: &str) -> String {
    format!("/releases?{}", Form::default().with("release", release))
}

fn detail(release: &Value, deployments: &[axum::body::Bytes]) -> Markup {
    let name = release.text("release");
    let all = deployments
        .iter()
        .rev()
        .filter_map(|json| serde_json::from_slice::<Value>(json).ok());
    let went: Vec<Value> = all.filter(|view| view.text("release") == name).collect();
    html! {
        section.release aria-labelledby="release" {
            h2 #release { (name) }
            p { "Id " code { (release.text("id")) } }
            @for damaged in release.items("damaged") {
                p { (state("degraded")) " " (damaged.text("artifact")) " is " (damaged.text("found")) " " code { (damaged.text("id")) } }
            }
            @if let Some(next) = release.maybe("next") { p.hint { (next) } }
            p { "Deployed: "
                @if went.is_empty() { "nowhere yet" }
                @for view in &went { a href=(format!("/deployments/{}", view.number("deployment"))) { "#" (view.number("deployment")) " to " (view.text("group")) } " " }
            }
        }
    }
}
