//! The pages, one file each.

pub(crate) mod audit;
pub(crate) mod deployment;
pub(crate) mod deployments;
pub(crate) mod device;
pub(crate) mod fleet;
pub(crate) mod group;
pub(crate) mod login;
pub(crate) mod new;
pub(crate) mod releases;
pub(crate) mod search;
pub(crate) mod users;

use axum::http::StatusCode;
use axum::response::Response;
use maud::Markup;

use crate::answer::page;
use crate::parts::frame::{Page, whole};
use crate::site::Site;
use crate::visitor::Visitor;

/// A page of this title for a visitor.
fn shown(
    site: &Site,
    visitor: &Visitor,
    (title, here): (&str, &str),
    content: &Markup,
) -> Response {
    let notice = visitor
        .cookie()
        .and_then(|cookie| site.sessions.told(cookie));
    let shown = Page {
        title,
        here,
        notice,
    };
    page(StatusCode::OK, whole(visitor, &shown, content))
}
