//! Requests that a browser sends for a page of another site. Nothing here is meant for them: who is
//! asking is said by a bearer token alone, and no answer allows a page of elsewhere to read it. A page
//! whose own name was made to lead here is told by that name: the server has others.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use hoist_protocol::code::Code;

use super::refusal::refusal;

/// The relation of a page to where its request goes, as a browser says it.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The purpose of a request, as a browser says it.
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// What anybody may open by a link: it changes nothing and tells no page anything.
const OPENED_BY_LINKS: [&str; 15] = [
    "/livez",
    "/readyz",
    "/artifacts/",
    "/",
    "/login",
    "/fleet",
    "/deployments",
    "/deployments/",
    "/devices/",
    "/groups/",
    "/releases",
    "/new",
    "/search",
    "/users",
    "/audit",
];

/// The hosts that a server goes by. Clones are the same.
#[derive(Debug, Clone)]
pub struct Hosts {
    named: Arc<[String]>,
    /// Those of the certificate that is shown, which may be exchanged meanwhile.
    certified: Arc<RwLock<Vec<String>>>,
    /// The address that it listens at.
    bound: IpAddr,
}

impl Hosts {
    /// Those of a server that listens there: that address, this machine, and these names and
    /// addresses; a name may be `*.example.com`.
    pub fn new(bound: IpAddr, names: impl IntoIterator<Item = String>) -> Self {
        Self {
            named: lowercase(names).collect(),
            certified: Arc::default(),
            bound,
        }
    }

    /// The certificate that is shown from now on is for these names, in the place of the one before.
    pub fn certify(&self, names: impl IntoIterator<Item = String>) {
        let names = lowercase(names).collect();
        let mut certified = self
            .certified
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *certified = names;
    }

    /// True if a host, maybe with a port, is one of them. Who listens at every address is reached by
    /// any: no page of elsewhere has an address for its name.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        let host = without_port(host)
            .trim_end_matches('.')
            .to_ascii_lowercase();
        if host == "localhost" {
            return true;
        }
        let address = host.parse::<IpAddr>().ok();
        let is_here = address.is_some_and(|address| {
            // 0.0.0.0 leads to this machine as well.
            let is_local = address.is_loopback() || address.is_unspecified();
            is_local || address == self.bound || self.bound.is_unspecified()
        });
        let certified = self
            .certified
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut names = self.named.iter().chain(&*certified);
        is_here || names.any(|name| covers(name, &host))
    }
}

fn lowercase(names: impl IntoIterator<Item = String>) -> impl Iterator<Item = String> {
    let names = names.into_iter();
    names.map(|name| name.to_ascii_lowercase())
}

fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

/// True if a name, maybe `*.example.com`, stands for this host.
fn covers(name: &str, host: &str) -> bool {
    let parent = host.split_once('.').map(|(_, parent)| parent);
    name == host || (name.starts_with("*.") && parent == Some(&name[2..]))
}

/// Refuses what a page of another site asks for, before anything else is looked at.
pub(super) async fn refuse_others(
    State(hosts): State<Hosts>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let mut named = headers.get_all(header::HOST).iter();
    let is_own = |host: &str| hosts.has(host);
    let at = request.uri().host();
    if !named.all(|host| host.to_str().is_ok_and(is_own)) || !at.is_none_or(is_own) {
        let title = "the request is for a host that is none of this server's";
        let hint = "ask by a name or address of the server: those that `--name` names are its own, also behind a proxy";
        return refusal(StatusCode::MISDIRECTED_REQUEST, Code::Origin, title, hint);
    }
    if is_of_another(headers) && !is_opened(&request) {
        let title = "a page of another site asks";
        return refusal(StatusCode::FORBIDDEN, Code::Origin, title, "");
    }
    next.run(request).await
}

/// True if a person follows a link to something that anybody may have.
fn is_opened(request: &Request) -> bool {
    let headers = request.headers();
    let mut modes = headers.get_all(MODE).iter();
    let path = request.uri().path();
    request.method() == Method::GET
        && modes.next().is_some_and(|mode| mode == "navigate")
        && modes.next().is_none()
        && !headers.contains_key(header::ORIGIN)
        && OPENED_BY_LINKS
            .iter()
            .any(|open| match open.len() > 1 && open.ends_with('/') {
                true => path.starts_with(open),
                false => path == *open,
            })
}

fn is_of_another(headers: &HeaderMap) -> bool {
    let texts = |name| headers.get_all(name).iter().map(|value| value.to_str());
    let is_foreign = |site| matches!(site, Ok("cross-site" | "same-site"));
    let host = texts(header::HOST).next().and_then(Result::ok);
    let is_here = |origin: &str| {
        let of = origin.split_once("://").map(|(_, authority)| authority);
        of.is_some() && of == host
    };
    texts(SITE).any(is_foreign) || texts(header::ORIGIN).any(|origin| !origin.is_ok_and(is_here))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_server_goes_by_its_names_its_address_and_this_machine() {
        let of = |bound: &str| {
            let names = ["Fleet.example.com", "*.example.net", "10.0.0.7"];
            Hosts::new(bound.parse().unwrap(), names.map(str::to_owned))
        };
        let one = of("192.0.2.1");
        for own in [
            "localhost",
            "LOCALHOST:7883",
            "127.0.0.1:7883",
            "[::1]:7883",
            "0.0.0.0:7883",
            "192.0.2.1",
            "10.0.0.7:443",
            "fleet.example.com:7883",
            "fleet.EXAMPLE.com.",
            "a.example.net",
        ] {
            assert!(one.has(own), "{own}");
        }
        for other in [
            "evil.example",
            "",
            "192.0.2.2",
            "[2001:db8::1]:7883",
            "fleet.example.com.evil.example",
            "example.net",
            "a.b.example.net",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
        ] {
            assert!(!one.has(other), "{other}");
        }
        // In a container, nobody knows by which address it is reached.
        let every = of("0.0.0.0");
        assert!(every.has("192.0.2.2:7883") && every.has("[2001:db8::1]"));
        assert!(!every.has("evil.example"));
    }

    #[test]
    fn a_certificate_that_is_exchanged_takes_its_names_with_it() {
        let server = Hosts::new([192, 0, 2, 1].into(), ["fleet.example.com".to_owned()]);
        let asked = server.clone();
        server.certify(["Fleet.example.com".to_owned(), "old.example.com".to_owned()]);
        assert!(asked.has("old.example.com:7883"));
        server.certify(["*.example.net".to_owned()]);
        assert!(asked.has("new.example.net") && asked.has("fleet.example.com"));
        assert!(!asked.has("old.example.com"));
    }

    fn of(said: &[(&str, &'static str)]) -> bool {
        let pair = |(name, value): &(&str, &'static str)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_static(value))
        };
        is_of_another(&said.iter().map(pair).collect())
    }

    #[test]
    fn only_a_page_of_this_very_address_may_ask() {
        let host = ("host", "fleet.example:7883");
        assert!(!of(&[host]));
        assert!(!of(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(!of(&[host, ("sec-fetch-site", "none")]), "typed by hand");
        assert!(!of(&[host, ("origin", "https://fleet.example:7883")]));
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "https://fleet.example"),
            ("origin", "https://fleet.example:7883.evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(of(&[host, (name, value)]), "{name}: {value}");
        }
        assert!(of(&[("origin", "https://evil.example")]), "without a host");
    }
}
