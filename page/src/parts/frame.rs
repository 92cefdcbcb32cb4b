//! The frame around every page: what it is called, where else to go, who is looking.

use maud::{DOCTYPE, Markup, html};

use crate::assets::{ICON, SCRIPT, STYLE};
use crate::visitor::Visitor;

/// A page inside the frame.
pub(crate) struct Page<'p> {
    /// Its title.
    pub(crate) title: &'p str,
    /// The path in the navigation that it belongs to.
    pub(crate) here: &'p str,
    /// A sentence that is told once.
    pub(crate) notice: Option<String>,
}

/// Places in the navigation, and whether only administrators go there.
const PLACES: [(&str, &str, bool); 6] = [
    ("/fleet", "Fleet", false),
    ("/deployments", "Deployments", false),
    ("/releases", "Releases", false),
    ("/new", "Deploy", false),
    ("/users", "Users", true),
    ("/audit", "Audit", true),
];

/// A whole page for a visitor.
pub(crate) fn whole(visitor: &Visitor, page: &Page<'_>, content: &Markup) -> Markup {
    let content = html! {
        a.skip href="#main" { "Skip to the content" }
        header.top {
            a.brand href="/fleet" { (mark()) "Hoist" }
            (navigation(visitor, page.here))
            (search(""))
            (person(visitor))
        }
        main #main tabindex="-1" {
            @if let Some(notice) = &page.notice { p.notice role="status" { (notice) } }
            (content)
        }
        footer { p { "Times are in your zone; hover for UTC." } p #liveness role="status" {} }
    };
    document(page.title, None, &content)
}

/// A page without navigation: of nobody known.
pub(crate) fn plain(title: &str, go_on: Option<&str>, content: &Markup) -> Markup {
    let content = html! {
        header.top { a.brand href="/fleet" { (mark()) "Hoist" } }
        main #main.narrow tabindex="-1" { (content) }
    };
    document(title, go_on, &content)
}

fn document(title: &str, go_on: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(path) = go_on { meta http-equiv="refresh" content=(format!("0; url={path}")); }
                title { (title) " · Hoist" }
                link rel="stylesheet" href=(format!("/assets/{}", STYLE.name));
                link rel="icon" href=(format!("/assets/{}", ICON.name)) type="image/svg+xml";
                script type="module" src=(format!("/assets/{}", SCRIPT.name)) {}
            }
            body { (body) }
        }
    }
}

fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 16 16" aria-hidden="true" {
            path d="M8 1 13 6H10V11H6V6H3Z" {}
            path d="M2 13H14V15H2Z" {}
        }
    }
}

fn navigation(visitor: &Visitor, here: &str) -> Markup {
    let is_admin = visitor.may(hoist_protocol::access::Role::Admin, None);
    html! {
        nav.places aria-label="Pages" {
            @for (path, name, admins) in PLACES {
                @if !admins || is_admin {
                    a href=(path) aria-current=[(path == here).then_some("page")] { (name) }
                }
            }
        }
    }
}

/// The field that finds whatever has a name.
pub(crate) fn search(query: &str) -> Markup {
    html! {
        form.search role="search" action="/search" {
            label.unseen for="q" { "Find a device, group, release, deployment or request" }
            input #q name="q" type="search" placeholder="Find…" value=(query) autocomplete="off" spellcheck="false";
            button type="submit" { "Find" }
        }
    }
}

fn person(visitor: &Visitor) -> Markup {
    html! {
        div.person {
            @if visitor.is_known() {
                span { strong { (visitor.user) } " " span.role { (visitor.role()) } }
                form method="post" action="/logout" {
                    (token(visitor))
                    button.quiet type="submit" { "Log out" }
                }
            } @else {
                span { "Reading on this machine" }
                a.button href="/login" { "Log in" }
            }
        }
    }
}

/// The text by which a form is of its session.
pub(crate) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf()); }
}
