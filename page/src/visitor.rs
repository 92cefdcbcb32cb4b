//! The person behind a request, and the rights that it has at this moment.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse, Response};
use hoist_orchestrator::config::Rights;
use hoist_orchestrator::http::Peer;
use hoist_protocol::access::Role;
use hoist_protocol::id::UserId;

use crate::LOCAL_READER;
use crate::answer::{Refused, again, redirect};
use crate::secret;
use crate::session::Session;
use crate::site::{Opening, Site};

/// The cookie of a session.
pub(crate) const COOKIE: &str = "hoist_session";
/// Headers by which a proxy says that somebody else asks.
const FORWARDED: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// A person with a session, or one who reads on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) user: UserId,
    pub(crate) from: IpAddr,
    rights: Rights,
    session: Option<Opened>,
}

/// The session of a visitor.
#[derive(Debug, Clone)]
struct Opened {
    cookie: String,
    csrf: String,
}

impl Visitor {
    /// The visitor behind these headers.
    pub(crate) fn of(site: &Site, parts: &Parts) -> Option<Self> {
        let Peer(from) = *parts.extensions.get::<Peer>()?;
        if let Some(cookie) = cookie(&parts.headers) {
            return Self::with_session(site, cookie, from);
        }
        let is_open = site.config.opening == Opening::ThisMachine;
        if !is_open || !from.is_loopback() || !is_direct(parts) {
            return None;
        }
        Some(Self {
            user: LOCAL_READER.parse().ok()?,
            from,
            rights: Rights {
                role: Role::Viewer,
                groups: Vec::new(),
            },
            session: None,
        })
    }

    fn with_session(site: &Site, cookie: String, from: IpAddr) -> Option<Self> {
        let session = site.sessions.find(&cookie, Instant::now())?;
        if !is_as_it_was(site, &session) {
            site.sessions.end(&cookie);
            return None;
        }
        Some(Self {
            user: session.user,
            from,
            rights: session.rights,
            session: Some(Opened {
                cookie,
                csrf: session.csrf,
            }),
        })
    }

    /// True while its session lasts, or it needs none.
    pub(crate) fn still_may(&self, site: &Site) -> bool {
        let Some(opened) = &self.session else {
            return true;
        };
        let session = site.sessions.find(&opened.cookie, Instant::now());
        session.is_some_and(|session| is_as_it_was(site, &session))
    }

    /// True if the visitor may do what this role may, in a group if it is about one.
    pub(crate) fn may(&self, role: Role, group: Option<&str>) -> bool {
        let groups = &self.rights.groups;
        let in_group = |group: &str| groups.iter().any(|own| own.as_str() == group);
        self.session.is_some()
            && self.rights.role >= role
            && (groups.is_empty() || group.is_none_or(in_group))
    }

    /// True if the visitor is not limited to some groups.
    pub(crate) fn has_all_groups(&self) -> bool {
        self.rights.groups.is_empty()
    }

    /// The role, as people read it.
    pub(crate) fn role(&self) -> &'static str {
        self.rights.role.word()
    }

    /// True if the visitor has logged in.
    pub(crate) fn is_known(&self) -> bool {
        self.session.is_some()
    }

    /// The text that its forms carry; empty without a session, which changes nothing.
    pub(crate) fn csrf(&self) -> &str {
        self.session.as_ref().map_or("", |opened| &opened.csrf)
    }

    /// The cookie of its session.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.session.as_ref().map(|opened| opened.cookie.as_str())
    }

    /// Refuses a form that does not carry the text of this session.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_form(&self, shown: &str) -> Result<(), Refused> {
        if self.session.is_some() && secret::is_same(self.csrf(), shown) {
            return Ok(());
        }
        Err(Refused::new(
            StatusCode::FORBIDDEN,
            "This form is not of your session",
            "Nothing was done. Open the page anew and send its form again.",
        ))
    }
}

/// True if the token of a session is still that of the same user with the same rights.
fn is_as_it_was(site: &Site, session: &Session) -> bool {
    let now = site.config.bearers.user_with(&session.token_sha256);
    now.is_some_and(|(user, rights)| user == session.user && rights == session.rights)
}

/// True if no proxy says, or lets itself be known by its old HTTP, that it asks for somebody else.
fn is_direct(parts: &Parts) -> bool {
    parts.version >= Version::HTTP_11
        && FORWARDED
            .iter()
            .all(|name| !parts.headers.contains_key(*name))
}

/// The one cookie of a session; of two, another site may have set one.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.filter_map(|line| line.to_str().ok());
    let mut found = pairs
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE);
    let (_, value) = found.next()?;
    found.next().is_none().then(|| value.to_owned())
}

impl FromRequestParts<Site> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Response> {
        if let Some(visitor) = Self::of(site, parts) {
            return Ok(visitor);
        }
        Err(to_login(&parts.headers, &parts.uri))
    }
}

/// The way to the login. A browser that followed a link of another site kept its cookie back: it asks
/// once more from here.
fn to_login(headers: &HeaderMap, uri: &Uri) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site == Some(b"cross-site") {
        return again(path);
    }
    if uri.path().starts_with("/live/") {
        let title = "Log in to see this live";
        return Refused::new(StatusCode::UNAUTHORIZED, title, "").into_response();
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("to", path)
        .finish();
    redirect(&format!("/login?{query}"))
}
