//! What a certificate says of itself, for people: whose it is and from when to when it is valid.
//! Nothing is proven here; that is what the verifier of a handshake does.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const EXTENSIONS: u8 = 0xa3;
const VERSION: u8 = 0xa0;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANIZATION: &[u8] = &[0x55, 4, 10];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];

/// The statements of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The common name of its subject, or another name of it.
    pub subject: String,
    /// The common name of its subject, if it has one.
    pub common_name: Option<String>,
    /// The same as `subject` of who made it.
    pub issuer: String,
    /// Its number, by which its CA tells it from others.
    pub serial: Vec<u8>,
    /// The hosts that it is for.
    pub names: Vec<String>,
    /// Valid from then on, Unix seconds.
    pub not_before: u64,
    /// Valid until then, Unix seconds.
    pub not_after: u64,
    /// True if it may make others.
    pub is_ca: bool,
    /// Subject and issuer as they are written.
    links: (Vec<u8>, Vec<u8>),
}

impl Certificate {
    /// Reads one from its DER.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut signed = body(der, SEQUENCE)?;
        let mut parts = next(&mut signed)?.1;
        if parts.first() == Some(&VERSION) {
            next(&mut parts)?;
        }
        let serial = next(&mut parts)?.1.to_vec();
        let _algorithm = next(&mut parts)?;
        let issuer = next(&mut parts)?.1;
        let mut validity = next(&mut parts)?.1;
        let subject = next(&mut parts)?.1;
        let _key = next(&mut parts)?;
        let mut certificate = Self {
            subject: name(subject),
            common_name: names(subject).0,
            issuer: name(issuer),
            serial,
            names: Vec::new(),
            not_before: time(next(&mut validity)?)?,
            not_after: time(next(&mut validity)?)?,
            is_ca: false,
            links: (subject.to_vec(), issuer.to_vec()),
        };
        while let Some((tag, content)) = next(&mut parts) {
            if tag == EXTENSIONS {
                certificate.extensions(content)?;
            }
        }
        Some(certificate)
    }

    fn extensions(&mut self, content: &[u8]) -> Option<()> {
        let mut all = body(content, SEQUENCE)?;
        while let Some((_, mut extension)) = next(&mut all) {
            let oid = next(&mut extension)?.1;
            let mut value = next(&mut extension)?;
            if value.0 != OCTETS {
                value = next(&mut extension)?;
            }
            let inner = || body(value.1, SEQUENCE);
            match oid {
                BASIC_CONSTRAINTS => self.is_ca = inner()?.starts_with(&[1, 1, 0xff]),
                SUBJECT_ALT_NAME => {
                    let mut names = inner()?;
                    while let Some(name) = next(&mut names) {
                        self.names.extend(host(name));
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    /// True if `other` says that it made this one.
    #[cfg(feature = "tls-server")]
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        self.links.1 == other.links.0
    }

    /// True if it made itself.
    #[cfg(feature = "tls-server")]
    pub(crate) fn is_own(&self) -> bool {
        self.is_of(self)
    }
}

/// An element and what follows it.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, after) = rest.split_first()?;
    let (&first, mut after) = after.split_first()?;
    let mut length = usize::from(first & 0x7f);
    if first & 0x80 != 0 {
        let (bytes, behind) = after.split_at_checked(length)?;
        if bytes.len() > 4 {
            return None;
        }
        length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        after = behind;
    }
    let (content, behind) = after.split_at_checked(length)?;
    *rest = behind;
    Some((tag, content))
}

/// The content of the element that these bytes are.
fn body(mut bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    let (tag, content) = next(&mut bytes)?;
    (tag == wanted).then_some(content)
}

/// The common name in a distinguished name; else its organization, else that it has none.
fn name(parts: &[u8]) -> String {
    let (common, organization) = names(parts);
    common
        .or(organization)
        .unwrap_or_else(|| "nobody named".to_owned())
}

/// The common name in a distinguished name, and its organization.
fn names(mut parts: &[u8]) -> (Option<String>, Option<String>) {
    let mut named = (None, None);
    while let Some((_, mut set)) = next(&mut parts) {
        let pair = next(&mut set).and_then(|(_, mut pair)| {
            let oid = next(&mut pair).filter(|(tag, _)| *tag == OID)?.1;
            Some((
                oid,
                String::from_utf8_lossy(next(&mut pair)?.1).into_owned(),
            ))
        });
        match pair {
            Some((COMMON_NAME, value)) => named.0 = Some(value),
            Some((ORGANIZATION, value)) => named.1 = Some(value),
            _ => {}
        }
    }
    named
}

fn host((tag, value): (u8, &[u8])) -> Option<String> {
    match tag {
        DNS_NAME => Some(String::from_utf8_lossy(value).into_owned()),
        IP_ADDRESS => match value.len() {
            4 => <[u8; 4]>::try_from(value)
                .ok()
                .map(|ip| Ipv4Addr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(value)
                .ok()
                .map(|ip| Ipv6Addr::from(ip).to_string()),
        },
        _ => None,
    }
}

/// A time in one of the two ways that certificates write it, as Unix seconds.
fn time((tag, text): (u8, &[u8])) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u16 = year.parse().ok()?;
            // RFC 5280, 4.1.2.5.1
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        _ => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
    };
    if year < 1970 {
        return Some(0);
    }
    let part = |at: usize| rest.get(at..at + 2);
    let written = format!(
        "{year:04}-{}-{}T{}:{}:{}Z",
        part(0)?,
        part(2)?,
        part(4)?,
        part(6)?,
        part(8)?
    );
    let time = humantime::parse_rfc3339(&written).ok()?;
    Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
}

/// Unix seconds as a date and time of day.
pub(crate) fn date(unix_s: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s.min(LAST_SECOND));
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The end of the year 9999: later is not written.
const LAST_SECOND: u64 = 253_402_300_799;
