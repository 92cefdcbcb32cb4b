//! Hashes of tokens as brokers keep them. A token has 256 random bits: few rounds are as good as
//! many, and a fleet's file is made within seconds.

use data_encoding::BASE64;
use hoist_protocol::id::sha256;
use sha2::Sha512;

/// The rounds that `mosquitto_passwd` takes.
const ROUNDS: u32 = 101;
/// The least that there is.
const BCRYPT_COST: u32 = 4;
/// Bytes of the salt that it takes.
const SALT_BYTES: usize = 12;

/// A line of a password file of Mosquitto without its name: PBKDF2 with SHA-512.
pub(super) fn pbkdf2_sha512(name: &str, token: &str) -> String {
    let salt = &salt(name, token)[..SALT_BYTES];
    let mut hash = [0; 64];
    pbkdf2::pbkdf2_hmac::<Sha512>(token.as_bytes(), salt, ROUNDS, &mut hash);
    format!(
        "$7${ROUNDS}${}${}",
        BASE64.encode(salt),
        BASE64.encode(&hash)
    )
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
