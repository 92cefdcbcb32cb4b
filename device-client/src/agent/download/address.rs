//! Addresses of artifact servers, and whether the way there leads through a proxy. What is
//! shown of an address is its host and port: a path or a query may be a secret, and a
//! password never gets this far.

use std::fmt;
use std::net::IpAddr;

/// Port of `http://`.
const HTTP_PORT: u16 = 80;

/// Why something is not an address of artifacts. Says nothing of the text itself, which may
/// hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// `user:password@`.
    #[error(
        "there is a user name or password in the address: take it out, artifacts need none (their hash is the capability)"
    )]
    Password,
    /// `https://`.
    #[error("this version speaks no https: use http, every byte is proven by its signed hash")]
    Https,
    /// Anything else.
    #[error("it is not an address like http://files.example.com/artifacts")]
    Other,
}

/// The parts of an `http://` address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `host[:port]`, as in the `Host` header.
    pub(super) authority: String,
    /// From the first `/` on.
    pub(super) path: String,
}

impl Address {
    /// The parts of an address without user names.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Other)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UrlError::Password);
        }
        if scheme.eq_ignore_ascii_case("https") {
            return Err(UrlError::Https);
        }
        // Nothing that could end a line of the request.
        let is_clean = url.bytes().all(|byte| byte.is_ascii_graphic());
        if !scheme.eq_ignore_ascii_case("http") || !is_clean {
            return Err(UrlError::Other);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let address = Self {
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
        };
        let is_named = !address.host().is_empty() && address.port().is_some();
        is_named.then_some(address).ok_or(UrlError::Other)
    }

    /// The host, an IPv6 address without its brackets.
    pub(super) fn host(&self) -> &str {
        self.split().0.trim_matches(['[', ']'])
    }

    pub(super) fn port(&self) -> Option<u16> {
        match self.split().1 {
            "" => Some(HTTP_PORT),
            port => port.parse().ok(),
        }
    }

    fn split(&self) -> (&str, &str) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (&self.authority, ""),
        }
    }

    /// What a `Location` in an answer from here means (RFC 3986, 5.2).
    ///
    /// # Errors
    /// [`UrlError`].
    pub(super) fn join(&self, location: &str) -> Result<Self, UrlError> {
        let has_scheme = location
            .split(['/', '?', '#'])
            .next()
            .is_some_and(|first| first.contains(':'));
        if location.is_empty() {
            return Err(UrlError::Other);
        }
        if has_scheme {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("http:{location}"));
        }
        let own = self.path.split('?').next().unwrap_or_default();
        let base = match location.chars().next() {
            Some('/') => "",
            Some('?') => own,
            _ => own.rsplit_once('/').map_or("", |(folder, _)| folder),
        };
        let slash = if location.starts_with(['/', '?']) {
            ""
        } else {
            "/"
        };
        let (path, query) = match location.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (location, String::new()),
        };
        let path = without_dots(&format!("{base}{slash}{path}"));
        Self::parse(&format!("http://{}{path}{query}", self.authority))
    }
}

/// A path with its `.` and `..` followed.
fn without_dots(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let ends_in_folder = path.ends_with("/.") || path.ends_with("/..");
    let end = if ends_in_folder && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", parts.join("/"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// The proxy that artifacts are fetched through, and the hosts that are reached without it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Address>,
    except: Vec<String>,
}

/// A variable that cannot be honored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The proxy's own address.
    #[error("{variable} names no proxy that can be used")]
    Address {
        /// The variable.
        variable: &'static str,
        /// Why.
        #[source]
        source: UrlError,
    },
    /// A proxy of another kind, and none for http.
    #[error(
        "{variable} is set, and artifacts are fetched by http: set http_proxy to a proxy for http, or unset {variable}"
    )]
    Kind {
        /// The variable.
        variable: &'static str,
    },
}

impl Proxies {
    /// What `http_proxy` and `no_proxy` say (in capitals, too). Without `http_proxy`, a
    /// variable that could mean the same is refused rather than ignored.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let set = |name: &'static str| get(name).filter(|text| !text.trim().is_empty());
        let first = |names: [&'static str; 2]| {
            let mut names = names.into_iter();
            names.find_map(|name| set(name).map(|text| (name, text)))
        };
        let except = first(["no_proxy", "NO_PROXY"]).map_or_else(String::new, |(_, text)| text);
        let except = except.split([',', ' ']).map(str::trim);
        let except: Vec<String> = except
            .filter(|host| !host.is_empty())
            .map(|host| host.trim_start_matches("*.").trim_start_matches('.'))
            .map(str::to_ascii_lowercase)
            .collect();
        let Some((variable, text)) = first(["http_proxy", "HTTP_PROXY"]) else {
            let other = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
            let other = other.into_iter().find(|name| set(name).is_some());
            let everything = except.iter().any(|host| host == "*");
            return match other.filter(|_| !everything) {
                Some(variable) => Err(ProxyError::Kind { variable }),
                None => Ok(Self::default()),
            };
        };
        let text = text.trim();
        let url = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let http = Address::parse(&url);
        let http = http.map_err(|source| ProxyError::Address { variable, source })?;
        Ok(Self {
            http: Some(http),
            except,
        })
    }

    /// The proxy on the way to an address. This machine is never reached through one.
    pub(super) fn on_the_way_to(&self, address: &Address) -> Option<&Address> {
        let host = address.host().to_ascii_lowercase();
        let is_here = host == "localhost"
            || host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback());
        let is_excepted = |except: &String| {
            let name = except
                .rsplit_once(':')
                .map_or(except.as_str(), |(name, port)| {
                    let same = port.parse().ok() == address.port();
                    if same { name } else { except }
                });
            name == "*" || host == name || host.ends_with(&format!(".{name}"))
        };
        let http = self.http.as_ref();
        http.filter(|_| !is_here && !self.except.iter().any(is_excepted))
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
