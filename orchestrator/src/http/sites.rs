//! Requests that a browser sends for a page of another site. Nothing here is meant for them: who is
//! asking is said by a bearer token alone, and no answer allows a page of elsewhere to read it.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use hoist_protocol::code::Code;

use super::refusal::refusal;

/// The relation of a page to where its request goes, as a browser says it.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what a page of another site asks for, before anything else is looked at.
pub(super) async fn refuse_others(request: Request, next: Next) -> Response {
    if is_of_another(request.headers()) {
        let title = "a page of another site asks";
        return refusal(StatusCode::FORBIDDEN, Code::Origin, title, "");
    }
    next.run(request).await
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
