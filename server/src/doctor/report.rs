//! What was tried at a broker, and what came of it.

use hoist_protocol::code::Code;

/// How bad it is when something is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A server does not work with such a broker.
    Serious,
    /// Something to know.
    Warning,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Serious => "serious",
            Self::Warning => "warning",
        }
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is as it must be.
    Well,
    /// It is not, for this reason.
    Open(String),
    /// It could not be tried, for this reason.
    Untried(String),
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub id: &'static str,
    /// The meaning of it being open, and what to do.
    pub code: Code,
    /// How bad that is.
    pub severity: Severity,
    /// What came of it.
    pub found: Found,
}

/// What can be tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe(&'static str, Code, Severity);

impl Probe {
    const fn serious(id: &'static str, code: Code) -> Self {
        Self(id, code, Severity::Serious)
    }

    const fn warning(id: &'static str, code: Code) -> Self {
        Self(id, code, Severity::Warning)
    }
}

pub(super) const ENCRYPTION: Probe = Probe::serious("encryption", Code::BrokerPlain);
pub(super) const ANONYMOUS: Probe = Probe::serious("anonymous-login", Code::BrokerAnonymous);
pub(super) const PASSWORD: Probe = Probe::serious("wrong-password", Code::BrokerPassword);
pub(super) const CANARY: Probe = Probe::warning("canary-login", Code::BrokerUntried);
pub(super) const TAKEOVER: Probe = Probe::serious("takeover-by-device", Code::BrokerTakeover);
pub(super) const USER_TAKEOVER: Probe = Probe::warning("takeover-by-user", Code::BrokerTakeover);
pub(super) const FORGED: Probe = Probe::serious("foreign-status", Code::BrokerForged);
pub(super) const SPEC: Probe = Probe::serious("spec-by-device", Code::BrokerSpec);
pub(super) const USER_SPEC: Probe = Probe::serious("spec-by-user", Code::BrokerSpec);
pub(super) const WILL: Probe = Probe::serious("foreign-will", Code::BrokerWill);
pub(super) const COMMAND: Probe = Probe::serious("command-by-device", Code::BrokerCommand);
pub(super) const READ: Probe = Probe::serious("read-by-device", Code::BrokerRead);
pub(super) const USER_READ: Probe = Probe::warning("read-by-user", Code::BrokerRead);
pub(super) const SYS: Probe = Probe::warning("broker-topics", Code::BrokerSys);
pub(super) const RETAINED: Probe = Probe::serious("retained", Code::BrokerRetained);
pub(super) const WILDCARD: Probe = Probe::warning("wildcard-retained", Code::BrokerWildcard);
pub(super) const SMALL: Probe = Probe::serious("size-needed", Code::BrokerSmall);
pub(super) const LARGE: Probe = Probe::serious("size-limit", Code::BrokerLarge);
pub(super) const STALE: Probe = Probe::warning("persistence", Code::BrokerStale);
pub(super) const QUEUE: Probe = Probe::serious("queue", Code::BrokerQueue);

/// Everything that is tried.
const ALL: [Probe; 20] = [
    ENCRYPTION,
    ANONYMOUS,
    PASSWORD,
    CANARY,
    TAKEOVER,
    USER_TAKEOVER,
    FORGED,
    SPEC,
    WILL,
    COMMAND,
    USER_SPEC,
    READ,
    SYS,
    USER_READ,
    RETAINED,
    WILDCARD,
    SMALL,
    QUEUE,
    LARGE,
    STALE,
];

/// What can be open and is serious: a server works with such a broker when it is told to.
pub const RISKS: &[Code] = &[
    Code::BrokerPlain,
    Code::BrokerAnonymous,
    Code::BrokerPassword,
    Code::BrokerTakeover,
    Code::BrokerForged,
    Code::BrokerSpec,
    Code::BrokerWill,
    Code::BrokerCommand,
    Code::BrokerRead,
    Code::BrokerRetained,
    Code::BrokerSmall,
    Code::BrokerLarge,
    Code::BrokerQueue,
];

/// All that was tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order in which it was tried.
    pub checks: Vec<Check>,
    /// The reason that the examination ended before everything was tried.
    pub cut_off: Option<String>,
    /// True if retained messages of the canaries stay at the broker.
    pub is_left_behind: bool,
    /// True once there are such messages.
    pub(super) has_retained: bool,
}

impl Report {
    /// True if nothing serious is open, and the examination came to its end.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.cut_off.is_none() && self.serious().next().is_none()
    }

    /// What is open and serious, and why.
    pub fn serious(&self) -> impl Iterator<Item = (&Check, &str)> {
        self.open()
            .filter(|(check, _)| check.severity == Severity::Serious)
    }

    /// What is open, and why.
    pub fn open(&self) -> impl Iterator<Item = (&Check, &str)> {
        self.checks.iter().filter_map(|check| match &check.found {
            Found::Open(why) => Some((check, why.as_str())),
            Found::Well | Found::Untried(_) => None,
        })
    }

    pub(super) fn add(&mut self, Probe(id, code, severity): Probe, found: Found) {
        self.checks.push(Check {
            id,
            code,
            severity,
            found,
        });
    }

    /// Open with this sentence, or well.
    pub(super) fn judge(&mut self, probe: Probe, open: Option<String>) {
        self.add(probe, open.map_or(Found::Well, Found::Open));
    }

    pub(super) fn untried(&mut self, probes: &[Probe], why: &str) {
        for probe in probes {
            self.add(*probe, Found::Untried(why.to_owned()));
        }
    }

    /// These could not be tried because of a connection that came in before. Where one of them is
    /// serious, the examination has not come to its end.
    pub(super) fn lost(&mut self, probes: &[Probe], why: &str) {
        self.untried(probes, why);
        let is_known = |check: &Check| check.id == CANARY.0 && check.found == Found::Well;
        let is_serious = |probe: &Probe| probe.2 == Severity::Serious;
        if self.checks.iter().any(is_known) && probes.iter().any(is_serious) {
            self.cut_off.get_or_insert_with(|| why.to_owned());
        }
    }

    /// Ends before everything was tried.
    pub(super) fn cut_off(&mut self, why: String) {
        for probe in ALL {
            if !self.checks.iter().any(|check| check.id == probe.0) {
                self.untried(&[probe], &why);
            }
        }
        self.cut_off = Some(why);
    }
}
