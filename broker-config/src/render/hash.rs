//! Hashes of tokens as brokers keep them. A token has 256 random bits: few rounds are as good as
//! many, and a fleet's file is made within seconds.

use data_encoding::BASE64;
use hoist_protocol::id::sha256;
use sha2::Sha512;

use crate::credentials::hash_user_token;

/// The rounds that `mosquitto_passwd` takes.
const ROUNDS: u32 = 101;
/// The least that there is.
const BCRYPT_COST: u32 = 4;
/// Bytes of the salt that it takes.
const SALT_BYTES: usize = 12;

/// A line of a password file of Mosquitto without its name: PBKDF2 with SHA-512.
pub(super) fn pbkdf2_sha512(name: &str, token: &str) -> String {
    let token_sha256 = hash_user_token(token);
    let salt = &salt_of_hash(name, &token_sha256)[..SALT_BYTES];
    let mut hash = [0; 64];
    pbkdf2::pbkdf2_hmac::<Sha512>(token.as_bytes(), salt, ROUNDS, &mut hash);
    pbkdf2_start(name, &token_sha256) + &BASE64.encode(&hash)
}

/// The beginning of what [`pbkdf2_sha512`] makes of the token with this SHA-256: it is told by it that
/// a line is of that very token.
pub(super) fn pbkdf2_start(name: &str, token_sha256: &[u8; 32]) -> String {
    let salt = &salt_of_hash(name, token_sha256)[..SALT_BYTES];
    format!("$7${ROUNDS}${}$", BASE64.encode(salt))
}

fn salt_of_hash(name: &str, token_sha256: &[u8; 32]) -> [u8; 32] {
    sha256(&[b"salt/", name.as_bytes(), b"/", token_sha256].concat())
}

/// A password of a NATS server.
pub(super) fn bcrypt(name: &str, token: &str) -> String {
    let mut short = [0; 16];
    short.copy_from_slice(&salt(name, token)[..16]);
    // It refuses a cost that does not exist and a password with a zero in it: there is neither.
    bcrypt::hash_with_salt(token, BCRYPT_COST, short)
        .map(|parts| parts.format_for_version(bcrypt::Version::TwoA))
        .unwrap_or_default()
}

/// A salt must differ from name to name, and need not be secret. From the token itself, it is the
/// same whenever the same file is made.
pub(super) fn salt(name: &str, token: &str) -> [u8; 32] {
    sha256(format!("salt/{name}/{token}").as_bytes())
}
