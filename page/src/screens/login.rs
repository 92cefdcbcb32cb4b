//! Coming in with a token, and leaving.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hoist_protocol::id::sha256;
use maud::{Markup, html};

use crate::answer::{Refused, own_path, page, redirect};
use crate::form::Form;
use crate::parts::frame;
use crate::session::LIFE;
use crate::site::{Opening, Site, Transport};
use crate::visitor::{COOKIE, Visitor};

/// The form.
pub(crate) async fn show(State(site): State<Site>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let query = Form::of_query(parts.uri.query());
    let content = content(&site, own_path(query.get("to")), None);
    let mut answer = page(StatusCode::OK, frame::plain("Log in", None, &content));
    if Visitor::of(&site, &parts).is_none() {
        // A cookie that leads here is good for nothing any more.
        set_cookie(&site, answer.headers_mut(), "", 0);
    }
    answer
}

/// A token is shown.
pub(crate) async fn enter(State(site): State<Site>, request: Request) -> Result<Response, Refused> {
    let form = Form::read(request.into_body()).await?;
    let to = own_path(form.get("to"));
    let hash = sha256(form.get("token").as_bytes());
    let Some(user) = site.config.bearers.user_with(&hash) else {
        let content = content(&site, to, Some("No user has this token."));
        let markup = frame::plain("Log in", None, &content);
        return Ok(page(StatusCode::UNAUTHORIZED, markup));
    };
    let cookie = site
        .sessions
        .open(hash, user, Instant::now())
        .ok_or_else(|| {
            Refused::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The system is not ready",
                "Try again.",
            )
        })?;
    let mut answer = redirect(to);
    set_cookie(&site, answer.headers_mut(), &cookie, LIFE.as_secs());
    Ok(answer)
}

/// A session ends.
pub(crate) async fn leave(
    State(site): State<Site>,
    visitor: Visitor,
    request: Request,
) -> Result<Response, Refused> {
    let form = Form::read(request.into_body()).await?;
    visitor.check_form(form.get("csrf"))?;
    if let Some(cookie) = visitor.cookie() {
        site.sessions.end(cookie);
    }
    let mut answer = redirect("/login").into_response();
    set_cookie(&site, answer.headers_mut(), "", 0);
    Ok(answer)
}

fn set_cookie(site: &Site, headers: &mut HeaderMap, value: &str, seconds: u64) {
    let secure = match site.config.transport {
        Transport::Tls => "; Secure",
        Transport::Plain => "",
    };
    let cookie =
        format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
}

fn content(site: &Site, to: &str, refused: Option<&str>) -> Markup {
    html! {
        h1 { "Log in" }
        @if let Some(refused) = refused { p.refusal role="alert" { (refused) } }
        form.stacked method="post" action="/login" {
            input type="hidden" name="to" value=(to);
            label for="token" { "Your token" }
            input #token name="token" type="password" required autocomplete="current-password" spellcheck="false"
                aria-describedby="token-help";
            p #token-help.hint { "It is in the client.toml that you were given; the administrator's is in "
                code { "client.toml" } " of the server's data directory. " code { "hoist user add" } " makes others." }
            button.primary type="submit" { "Log in" }
        }
        @if site.config.opening == Opening::ThisMachine {
            p { "On this machine the fleet can be read without: " a href="/fleet" { "read only" } "." }
        }
    }
}
