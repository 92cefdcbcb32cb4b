//! Where something is: the one reader and writer of addresses with a scheme, for brokers and for
//! servers of HTTP.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// The protocol of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// MQTT over TCP.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
    /// HTTP over TCP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Mqtt, Self::Mqtts, Self::Http, Self::Https];

    /// The word before `://`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of an address that names none.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// True if what is said is encrypted. Without the feature `tls` no endpoint has such a scheme.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Mqtts | Self::Https)
    }

    /// The same with what is said encrypted.
    #[must_use]
    pub const fn encrypted(self) -> Self {
        match self {
            Self::Mqtt | Self::Mqtts => Self::Mqtts,
            Self::Http | Self::Https => Self::Https,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|scheme| word.eq_ignore_ascii_case(scheme.word()))
    }
}

/// Why a text is no endpoint. Says nothing of the text itself, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// `user:password@`.
    #[error("there is a user name or password in the address")]
    Password,
    /// A scheme with TLS.
    #[error("this version speaks no {}", .0.word())]
    Encrypted(Scheme),
    /// Anything else.
    #[error("it is not an address like mqtt://host:port or http://host:port")]
    Other,
}

/// Where something is. For MQTT the path is `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    /// `host[:port]`, as it was written.
    authority: String,
    /// From the first `/` on, with the query.
    path: String,
}

impl Endpoint {
    /// Reads `scheme://host[:port][/path]`.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(EndpointError::Password);
        }
        let scheme = Scheme::parse(scheme).ok_or(EndpointError::Other)?;
        if scheme.is_encrypted() && !cfg!(feature = "tls") {
            return Err(EndpointError::Encrypted(scheme));
        }
        // Nothing that could end a line of a request.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EndpointError::Other);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let endpoint = Self {
            scheme,
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
        };
        let port = endpoint.split().1;
        let is_port = port.is_empty() || port.parse::<u16>().is_ok();
        let is_named = !endpoint.host().is_empty() && is_port;
        is_named.then_some(endpoint).ok_or(EndpointError::Other)
    }

    /// The same of a text that may leave out a scheme, which is this one then. Encrypted is as
    /// good.
    ///
    /// # Errors
    /// [`EndpointError`], also for another scheme.
    pub fn parse_as(scheme: Scheme, text: &str) -> Result<Self, EndpointError> {
        let endpoint = match text.contains("://") {
            true => Self::parse(text)?,
            false => Self::parse(&format!("{}://{text}", scheme.word()))?,
        };
        let is_as = [scheme, scheme.encrypted()].contains(&endpoint.scheme);
        is_as.then_some(endpoint).ok_or(EndpointError::Other)
    }

    /// A place whose host has a name, or is an address.
    #[must_use]
    pub fn of(scheme: Scheme, host: &str, port: u16) -> Self {
        let bracketed = host.contains(':') && !host.starts_with('[');
        let authority = match bracketed {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        Self {
            scheme,
            authority,
            path: "/".to_owned(),
        }
    }

    /// A place whose address is known.
    #[must_use]
    pub fn at(scheme: Scheme, address: SocketAddr) -> Self {
        Self {
            scheme,
            authority: address.to_string(),
            path: "/".to_owned(),
        }
    }

    /// The protocol.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// `host[:port]`, as in the `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.split().0.trim_matches(['[', ']'])
    }

    /// The port that is written there, or that of the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.written_port().unwrap_or(self.scheme.port())
    }

    /// The port that is written there.
    #[must_use]
    pub fn written_port(&self) -> Option<u16> {
        self.split().1.parse().ok()
    }

    /// From the first `/` on, with the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    fn split(&self) -> (&str, &str) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (&self.authority, ""),
        }
    }

    /// The addresses of the host, as this machine's resolver knows them. Waits for it.
    ///
    /// # Errors
    /// The resolver's.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        Ok((self.host(), self.port()).to_socket_addrs()?.collect())
    }

    /// The place that a `Location` in an answer from here means (RFC 3986, 5.2).
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn join(&self, location: &str) -> Result<Self, EndpointError> {
        let has_scheme = location
            .split(['/', '?', '#'])
            .next()
            .is_some_and(|first| first.contains(':'));
        if location.is_empty() {
            return Err(EndpointError::Other);
        }
        if has_scheme {
            return Self::parse(location);
        }
        let scheme = self.scheme.word();
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
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
        Self::parse(&format!("{scheme}://{}{path}{query}", self.authority))
    }
}

impl fmt::Display for Endpoint {
    /// Without the path, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.word(), self.authority)
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

/// The first address that a text like `127.0.0.1:1883` means, to listen at.
#[must_use]
pub fn listening(text: &str) -> Option<SocketAddr> {
    text.to_socket_addrs().ok()?.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, u16, String), EndpointError> {
        let at = Endpoint::parse(text)?;
        Ok((at.host().to_owned(), at.port(), at.path().to_owned()))
    }

    #[test]
    fn an_address_is_a_scheme_a_host_and_what_else_it_names() {
        let parts = |host: &str, port, path: &str| Ok((host.to_owned(), port, path.to_owned()));
        assert_eq!(read("mqtt://127.0.0.1:1884"), parts("127.0.0.1", 1884, "/"));
        assert_eq!(read("mqtt://broker/"), parts("broker", 1883, "/"));
        assert_eq!(read("http://[::1]"), parts("::1", 80, "/"));
        assert_eq!(read("HTTP://h:8/a/b?c#d"), parts("h", 8, "/a/b?c"));
        assert_eq!(read("http://h?c"), parts("h", 80, "/?c"));
        for wrong in [
            "",
            "host:1",
            "ssh://host",
            "http://",
            "http://:80",
            "mqtt://host:99999",
            "http://ho st/",
            "http://h/\r\nEvil: 1",
        ] {
            assert_eq!(read(wrong), Err(EndpointError::Other), "{wrong}");
        }
    }

    #[test]
    fn a_password_and_an_encrypted_scheme_are_refused_by_name_and_not_repeated() {
        let refused = read("mqtt://admin:hunter2@host:1883").unwrap_err();
        assert_eq!(refused, EndpointError::Password);
        assert!(!refused.to_string().contains("hunter2"));
        for (text, scheme) in [("mqtts://h", Scheme::Mqtts), ("HTTPS://h", Scheme::Https)] {
            let read = Endpoint::parse(text).map(|at| (at.scheme(), at.port()));
            let expected = match cfg!(feature = "tls") {
                true => Ok((scheme, scheme.port())),
                false => Err(EndpointError::Encrypted(scheme)),
            };
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn a_scheme_that_is_left_out_is_the_one_asked_for_and_another_is_refused() {
        let shown = |text| Endpoint::parse_as(Scheme::Mqtt, text).map(|at| at.to_string());
        assert_eq!(shown("broker:1").as_deref(), Ok("mqtt://broker:1"));
        assert_eq!(shown("mqtt://broker:1/").as_deref(), Ok("mqtt://broker:1"));
        assert_eq!(shown("http://broker:1"), Err(EndpointError::Other));
        let named = Endpoint::of(Scheme::Mqtt, "::1", 1);
        assert_eq!(named.to_string(), "mqtt://[::1]:1");
        let here = Endpoint::at(Scheme::Http, SocketAddr::from(([127, 0, 0, 1], 7883)));
        assert_eq!(here.to_string(), "http://127.0.0.1:7883");
        assert_eq!(Endpoint::parse(&here.to_string()), Ok(here));
    }
}
