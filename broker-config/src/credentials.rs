//! Credentials: the trait that decides who may come in, which the front door asks, and the token
//! rules behind it. Devices' tokens are derived, so that a connect needs no store and devices still
//! come in when the store is lost; users' tokens are random and kept as hashes only.

use std::sync::Arc;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
pub use hoist_protocol::access::SERVICE_USER;
use hoist_protocol::access::{Principal, Role};
use hoist_protocol::enroll::{ClaimSecret, claim_of};
use hoist_protocol::id::{ClaimId, DeviceId, GroupId, Namespace, UserId, sha256};
use sha2::Sha256;

/// The names and the token that a client presents in its CONNECT.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The MQTT client id, maybe empty.
    pub client_id: &'a str,
    /// The user name: a user's or device's id.
    pub user: &'a str,
    /// The password: a token.
    pub token: &'a str,
    /// The certificate that was proven in its handshake.
    pub certificate: Option<&'a ClientCertificate>,
}

/// A client's certificate, signed by a CA that is accepted of clients, whose key was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The common name of its subject: a device id.
    pub name: String,
    /// The issue of the device that it was made for; 0 of another CA, which knows of none.
    pub issue: u32,
    /// The SHA-256 of the certificate of that other CA.
    pub authority: [u8; 32],
    /// Valid from then on, Unix seconds.
    pub not_before_s: u64,
    /// Valid until then, Unix seconds.
    pub not_after_s: u64,
}

/// Bytes of the serial number of a device's certificate: one that keeps it positive, the issue, and
/// random ones.
pub const SERIAL_BYTES: usize = 16;
const SERIAL_FIRST: u8 = 1;

/// The serial number of a certificate that is made for an issue of a device.
#[must_use]
pub fn serial_of(issue: u32, random: [u8; SERIAL_BYTES - 5]) -> [u8; SERIAL_BYTES] {
    let mut serial = [SERIAL_FIRST; SERIAL_BYTES];
    serial[1..5].copy_from_slice(&issue.to_be_bytes());
    serial[5..].copy_from_slice(&random);
    serial
}

/// The issue in a serial number that [`serial_of`] has made.
#[must_use]
pub fn issue_of(serial: &[u8]) -> Option<u32> {
    let (&first, rest) = serial.split_first()?;
    let issue = rest.first_chunk::<4>()?;
    (serial.len() == SERIAL_BYTES && first == SERIAL_FIRST).then(|| u32::from_be_bytes(*issue))
}

/// Why a client may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody of that name, or no name at all: there are no anonymous clients.
    #[error("no such user or device")]
    Unknown,
    /// The token is not the one of that name.
    #[error("wrong token")]
    Token,
    /// A device's client id must be its name.
    #[error("a device's client id is its own id")]
    ClientId,
    /// The device was removed or revoked.
    #[error("this device was removed or revoked; it needs a new token or certificate")]
    Revoked,
    /// The device was removed or revoked after its certificate begins, which is of a CA of others.
    #[error(
        "this device was removed or revoked after its certificate begins; give it one that begins later (some CAs date certificates back)"
    )]
    RevokedSince,
    /// Another token or key took the place of this one.
    #[error("this token or certificate was replaced; give the device its newest one")]
    Replaced,
    /// The certificate is another's: client id and user name, where there is one, are the device id
    /// in it.
    #[error("a device's client id and user name are the id in its certificate")]
    Certificate,
    /// The certificate ended since its session began.
    #[error("the certificate has expired; give the device another one")]
    CertificateOver,
    /// The CA of the certificate is not accepted any more.
    #[error("the CA of this certificate is not accepted any more; give the device another one")]
    Authority,
    /// The claim was revoked, or is forgotten; or it is of another server.
    #[error("this claim was revoked, or is forgotten; make another enrollment text")]
    Claim,
    /// The user may do something else by now, so that its session has to begin again.
    #[error("what this user may do has changed")]
    Changed,
}

/// Decides who a client is, and whether it still may be here.
pub trait Credentials: Send + Sync + 'static {
    /// The principal behind a login.
    ///
    /// # Errors
    /// [`Refusal`] with the reason, which the client learns only by its CONNACK code.
    fn authenticate(&self, login: &Login<'_>) -> Result<Pass, Refusal>;

    /// Ok if a client that came in with this pass would come in with it now.
    ///
    /// # Errors
    /// [`Refusal`] with the reason: its session is over.
    fn review(&self, pass: &Pass) -> Result<(), Refusal>;

    /// Another number whenever [`Credentials::review`] may answer otherwise than before.
    /// It is asked several times a second.
    fn version(&self) -> u64;
}

/// A client that came in, with what it showed: a token can lose its worth while its session
/// lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The principal that the client is.
    pub principal: Principal,
    /// The proof that the client showed.
    pub proof: Proof,
}

/// The proof that a client showed to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The orchestrator's token of this start.
    Service,
    /// A user's token: its SHA-256.
    User([u8; 32]),
    /// What a device has.
    Device(Shown),
    /// The secret of a claim.
    Claim,
}

/// What a device comes in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A token: its issue number.
    Token(u32),
    /// A certificate of our own CA: the issue that it was made for.
    Certificate(u32),
    /// A certificate of another CA, which knows of no issue.
    OtherCertificate {
        /// Valid from then on, Unix seconds.
        from_s: u64,
        /// The SHA-256 of that CA's certificate.
        by: [u8; 32],
    },
}

impl From<&ClientCertificate> for Shown {
    fn from(certificate: &ClientCertificate) -> Self {
        match certificate.issue {
            0 => Self::OtherCertificate {
                from_s: certificate.not_before_s,
                by: certificate.authority,
            },
            issue => Self::Certificate(issue),
        }
    }
}

/// The key of which every device token is derived.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// The key of 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn mac(&self, namespace: &Namespace, device: &DeviceId, issue: u32) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        // No id holds a slash: the parts cannot run into each other.
        mac.update(format!("{namespace}/{device}/{issue}").as_bytes());
        Some(mac)
    }

    /// A device's token: `<issue>.<64 hex digits>`. A higher issue replaces a lost one.
    #[must_use]
    pub fn device_token(&self, namespace: &Namespace, device: &DeviceId, issue: u32) -> String {
        let code = self
            .mac(namespace, device, issue)
            .map(|mac| mac.finalize().into_bytes());
        let code = code
            .map(|code| data_encoding::HEXLOWER.encode(&code))
            .unwrap_or_default();
        format!("{issue}.{code}")
    }

    /// The secret of a claim, which lets devices enroll.
    #[must_use]
    pub fn claim_secret(&self, namespace: &Namespace, claim: &ClaimId) -> ClaimSecret {
        // No id is empty: it is not what a token is derived of.
        let of = format!("{namespace}//{claim}");
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).ok();
        let code = mac.map(|mac| mac.chain_update(of.as_bytes()).finalize().into_bytes());
        ClaimSecret(code.map(Into::into).unwrap_or_default())
    }

    /// The issue of a genuine token of a device, compared in constant time.
    #[must_use]
    pub fn verify(&self, namespace: &Namespace, device: &DeviceId, token: &str) -> Option<u32> {
        let (issue, code) = token.split_once('.')?;
        let issue: u32 = issue.parse().ok()?;
        let code = data_encoding::HEXLOWER.decode(code.as_bytes()).ok()?;
        self.mac(namespace, device, issue)?
            .verify_slice(&code)
            .ok()?;
        Some(issue)
    }
}

/// The hash that is kept of a user's token.
#[must_use]
pub fn hash_user_token(token: &str) -> [u8; 32] {
    sha256(token.as_bytes())
}

/// A user as the front door needs it.
#[derive(Debug, Clone)]
pub struct User {
    /// The role of the user.
    pub role: Role,
    /// The only groups it may change; empty means all.
    pub groups: Vec<GroupId>,
    /// SHA-256 of its token.
    pub token_sha256: [u8; 32],
}

/// Where users, claims and revocations are looked up at each login.
pub trait People: Send + Sync + 'static {
    /// The user of a name.
    fn user(&self, name: &UserId) -> Option<User>;
    /// Ok if a device may come in with this.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] and [`Refusal::RevokedSince`], [`Refusal::Replaced`] or
    /// [`Refusal::Authority`].
    fn admits(&self, device: &DeviceId, shown: Shown) -> Result<(), Refusal>;
    /// True if there is such a claim: one that was revoked or is forgotten lets nobody in.
    fn knows_claim(&self, claim: &ClaimId) -> bool;
    /// Another number with every change of any of them.
    fn version(&self) -> u64;
    /// The time by which certificates are judged, in Unix seconds: that of the system.
    fn unix_s(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_secs()
    }
}

/// Users by hash, devices by derived tokens, the orchestrator by its token of this start.
pub struct TokenCredentials {
    /// Part of what a device token is derived of.
    pub namespace: Namespace,
    /// The key of device tokens.
    pub key: TokenKey,
    /// SHA-256 of the orchestrator's token.
    pub service_token_sha256: [u8; 32],
    /// Users and revocations.
    pub people: Arc<dyn People>,
}

impl TokenCredentials {
    fn user(&self, name: UserId, hash: [u8; 32]) -> Option<Pass> {
        let user = self.people.user(&name)?;
        (user.token_sha256 == hash).then_some(Pass {
            principal: Principal::User {
                user: name,
                role: user.role,
                groups: user.groups,
            },
            proof: Proof::User(hash),
        })
    }

    /// A device by the certificate that it shows, whatever its password says.
    fn certified(
        &self,
        login: &Login<'_>,
        certificate: &ClientCertificate,
    ) -> Result<Pass, Refusal> {
        let device: DeviceId = certificate.name.parse().map_err(|_| Refusal::Certificate)?;
        let is_own = |text: &str| text == device.as_str();
        if !is_own(login.client_id) || !(login.user.is_empty() || is_own(login.user)) {
            return Err(Refusal::Certificate);
        }
        // A session that is resumed may be older than the end of its certificate.
        if self.people.unix_s() > certificate.not_after_s {
            return Err(Refusal::CertificateOver);
        }
        let shown = certificate.into();
        self.people.admits(&device, shown)?;
        Ok(Pass {
            principal: Principal::Device(device),
            proof: Proof::Device(shown),
        })
    }

    /// Whoever comes by a claim that is there. What that is worth by now is decided when its request is.
    fn enrolling(&self, login: &Login<'_>, claim: ClaimId) -> Result<Pass, Refusal> {
        let secret = self.key.claim_secret(&self.namespace, &claim);
        // Hashes of 256 secret bits may be compared in any time.
        if hash_user_token(login.token) != hash_user_token(&secret.password()) {
            return Err(Refusal::Token);
        }
        let device = login.client_id.parse().map_err(|_| Refusal::ClientId)?;
        if !self.people.knows_claim(&claim) {
            return Err(Refusal::Claim);
        }
        Ok(Pass {
            principal: Principal::Enrolling { device, claim },
            proof: Proof::Claim,
        })
    }
}

impl Credentials for TokenCredentials {
    fn authenticate(&self, login: &Login<'_>) -> Result<Pass, Refusal> {
        if let Some(certificate) = login.certificate {
            return self.certified(login, certificate);
        }
        if let Some(claim) = claim_of(login.user) {
            return self.enrolling(login, claim);
        }
        let hash = hash_user_token(login.token);
        if login.user == SERVICE_USER {
            // Hashes of 256 random bits may be compared in any time.
            let genuine = hash == self.service_token_sha256;
            let (principal, proof) = (Principal::Service, Proof::Service);
            return genuine
                .then_some(Pass { principal, proof })
                .ok_or(Refusal::Token);
        }
        let name: UserId = login.user.parse().map_err(|_| Refusal::Unknown)?;
        // A token decides: a device that is called like a user must not lose its way in.
        if let Some(pass) = self.user(name, hash) {
            return Ok(pass);
        }
        let device: DeviceId = login.user.parse().map_err(|_| Refusal::Unknown)?;
        let issue = self
            .key
            .verify(&self.namespace, &device, login.token)
            .ok_or(Refusal::Token)?;
        if login.client_id != device.as_str() {
            return Err(Refusal::ClientId);
        }
        let shown = Shown::Token(issue);
        self.people.admits(&device, shown)?;
        Ok(Pass {
            principal: Principal::Device(device),
            proof: Proof::Device(shown),
        })
    }

    fn review(&self, pass: &Pass) -> Result<(), Refusal> {
        match (&pass.principal, pass.proof) {
            (Principal::Device(device), Proof::Device(shown)) => self.people.admits(device, shown),
            (Principal::User { user, .. }, Proof::User(hash)) => {
                match self.user(user.clone(), hash) {
                    Some(now) if now == *pass => Ok(()),
                    Some(_) => Err(Refusal::Changed),
                    None => Err(Refusal::Token),
                }
            }
            (Principal::Enrolling { claim, .. }, Proof::Claim) => {
                let known = self.people.knows_claim(claim);
                known.then_some(()).ok_or(Refusal::Claim)
            }
            (Principal::Service, Proof::Service) => Ok(()),
            // Nobody came in like that.
            _ => Err(Refusal::Unknown),
        }
    }

    fn version(&self) -> u64 {
        self.people.version()
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
