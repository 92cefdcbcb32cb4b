//! Addresses of artifact servers, and whether the way there leads through a proxy. What is
//! shown of an address is its host and port: a path or a query may be a secret, and a
//! password never gets this far.

use std::fmt;
use std::net::IpAddr;

use hoist_net::endpoint::{Endpoint, EndpointError, Scheme};

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
    #[error("this agent was built without TLS: use http, every byte is proven by its signed hash")]
    Https,
    /// Anything else.
    #[error("it is not an address like http://files.example.com/artifacts")]
    Other,
}

impl From<EndpointError> for UrlError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Password => Self::Password,
            EndpointError::Encrypted(Scheme::Https) => Self::Https,
            EndpointError::Encrypted(_) | EndpointError::Other => Self::Other,
        }
    }
}

/// An `http://` or `https://` address. What is shown of it is `host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Endpoint);

impl Address {
    /// The parts of an address without user names.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        Self::of(Endpoint::parse(url))
    }

    fn of(read: Result<Endpoint, EndpointError>) -> Result<Self, UrlError> {
        let endpoint = read?;
        let is_http = endpoint.scheme().encrypted() == Scheme::Https;
        is_http.then_some(Self(endpoint)).ok_or(UrlError::Other)
    }

    /// The host, an IPv6 address without its brackets.
    pub(super) fn host(&self) -> &str {
        self.0.host()
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port()
    }

    /// True if what is said there is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme().is_encrypted()
    }

    /// Where to connect and what to ask for there.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.0
    }

    /// The address that a `Location` in an answer from here means.
    ///
    /// # Errors
    /// [`UrlError`].
    pub(super) fn join(&self, location: &str) -> Result<Self, UrlError> {
        Self::of(self.0.join(location))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.authority())
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
    /// The proxy that `http_proxy` and `no_proxy` name (in capitals, too). Without `http_proxy`, a
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
        let http = Address::of(Endpoint::parse_as(Scheme::Http, text));
        let http = http.map_err(|source| ProxyError::Address { variable, source })?;
        Ok(Self {
            http: Some(http),
            except,
        })
    }

    /// The proxy on the way to an address. This machine is never reached through one, and by TLS
    /// nothing is.
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
                    let same = port.parse() == Ok(address.port());
                    if same { name } else { except }
                });
            name == "*" || host == name || host.ends_with(&format!(".{name}"))
        };
        let http = self.http.as_ref();
        http.filter(|_| !is_here && !address.is_encrypted() && !self.except.iter().any(is_excepted))
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
