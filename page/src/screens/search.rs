//! Finds whatever has a name: device, group, release, deployment, request.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use hoist_protocol::access::Role;
use maud::html;
use serde_json::{Value, json};

use super::{releases, shown};
use crate::answer::redirect;
use crate::fields::{Fields, visible};
use crate::form::Form;
use crate::site::Site;
use crate::visitor::Visitor;

/// Groups that are offered by a part of their name.
const GROUPS_MAX: usize = 10;

/// Something that was found, and the way there.
struct Hit {
    kind: &'static str,
    name: String,
    path: String,
}

/// The page; a single hit is gone to at once.
pub(crate) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Form::of_query(query.as_deref());
    let wanted = query.get("q");
    let hits = find(&site, &visitor, wanted).await;
    if let [hit] = hits.as_slice() {
        return redirect(&hit.path);
    }
    let content = html! {
        h1 { "Find" }
        @if wanted.is_empty() { p { "Type the name of a device, group or release, the number of a deployment, or the id of a request." } }
        @else if hits.is_empty() { p.empty { "Nothing is called “" (visible(wanted)) "”. Names are found as they are written, groups also by a part." } }
        ul.cards { @for hit in &hits { li { a href=(hit.path) { (hit.name) } span { (hit.kind) } } } }
    };
    shown(&site, &visitor, ("Find", ""), &content)
}

async fn find(site: &Site, visitor: &Visitor, wanted: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    if wanted.is_empty() {
        return hits;
    }
    let number = wanted.trim_start_matches('#').parse::<u32>().ok();
    if let Some(number) = number {
        let asked = json!({"deployment": number});
        if site.ask(visitor, "deployment-show", &asked).await.is_ok() {
            hits.push(hit(
                "deployment",
                &format!("#{number}"),
                format!("/deployments/{number}"),
            ));
        }
    }
    let asked = json!({"device": wanted});
    if site.ask(visitor, "device-show", &asked).await.is_ok() {
        hits.push(hit("device", wanted, format!("/devices/{wanted}")));
    }
    let named = json!({"release": wanted});
    if wanted.contains('@') && site.ask(visitor, "release-show", &named).await.is_ok() {
        hits.push(hit("release", wanted, releases::link(wanted)));
    }
    hits.extend(groups(site, wanted));
    hits.extend(requests(site, visitor, wanted).await);
    hits
}

fn hit(kind: &'static str, name: &str, path: String) -> Hit {
    Hit {
        kind,
        name: name.to_owned(),
        path,
    }
}

fn groups(site: &Site, wanted: &str) -> Vec<Hit> {
    let all = site.config.live.groups();
    let all = all
        .iter()
        .filter_map(|json| serde_json::from_slice::<Value>(json).ok());
    let names = all.map(|group| group.text("group"));
    names
        .filter(|name| name.contains(wanted))
        .take(GROUPS_MAX)
        .map(|name| hit("group", &name, format!("/groups/{name}")))
        .collect()
}

/// Requests of the newest page of the audit trail, for those who may read it.
async fn requests(site: &Site, visitor: &Visitor, wanted: &str) -> Option<Hit> {
    if !visitor.may(Role::Admin, None) {
        return None;
    }
    let list = site.ask(visitor, "audit-list", &json!({})).await.ok()?;
    let found = list
        .items("items")
        .iter()
        .find(|item| item.text("request") == wanted)?;
    let path = format!(
        "/audit?{}",
        Form::default().with("user", &found.text("user"))
    );
    Some(hit("request", wanted, path))
}
