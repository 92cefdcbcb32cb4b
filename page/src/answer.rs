//! Answers to browsers: pages with the headers that keep them what they are, redirects, and refusals as
//! pages.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::parts::frame;

/// What a page may load and do: only what comes from this server as a file, nothing that stands in it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page, with its status.
pub(crate) fn page(status: StatusCode, markup: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, markup.into_string()).into_response()
}

/// The way to another page of this server.
pub(crate) fn redirect(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    let headers = [(header::LOCATION, to)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// A path of this server that somebody named, or the first page.
pub(crate) fn own_path(path: &str) -> &str {
    let is_own = path.starts_with('/')
        && !path.starts_with("//")
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own { path } else { "/" }
}

/// A page that lets the browser ask once more, from here.
pub(crate) fn again(path: &str) -> Response {
    let path = own_path(path);
    let content = html! { p { a href=(path) { "Go on" } } };
    page(StatusCode::OK, frame::plain("Hoist", Some(path), &content))
}

/// A refusal, as a page.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) title: String,
    pub(crate) detail: String,
    pub(crate) hint: String,
}

impl Refused {
    /// A refusal in words.
    pub(crate) fn new(status: StatusCode, title: &str, hint: &str) -> Self {
        Self {
            status,
            code: String::new(),
            title: title.to_owned(),
            detail: String::new(),
            hint: hint.to_owned(),
        }
    }

    /// The same with its stable code.
    pub(crate) fn coded(mut self, code: &str) -> Self {
        code.clone_into(&mut self.code);
        self
    }

    /// The same with one sentence of particulars.
    pub(crate) fn because(mut self, detail: &str) -> Self {
        detail.clone_into(&mut self.detail);
        self
    }

    /// The refusal in a page, or a part of one.
    pub(crate) fn markup(&self) -> Markup {
        html! {
            div.refusal role="alert" {
                p { strong { (self.title) } @if !self.code.is_empty() { " " code { (self.code) } } }
                @if !self.detail.is_empty() { p { (self.detail) } }
                @if !self.hint.is_empty() { p.hint { (self.hint) } }
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let content = html! {
            h1 { (self.title) }
            (self.markup())
            p { a href="/fleet" { "To the fleet" } }
        };
        page(self.status, frame::plain(&self.title, None, &content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site() {
        assert_eq!(own_path("/devices/a?x=1"), "/devices/a?x=1");
        for other in [
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "",
            "/a b",
            "/a\r\nb",
        ] {
            assert_eq!(own_path(other), "/", "{other}");
        }
    }
}
