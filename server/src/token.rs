//! New tokens.

use hoist_protocol::code::Code;

use crate::failure::Failure;
use crate::keys;

/// A new token: 256 random bits.
pub fn random_token() -> Result<String, Failure> {
    let seed = keys::random_seed()
        .map_err(|error| Failure::because(Code::Random, "cannot make a token", &error))?;
    Ok(data_encoding::BASE64URL_NOPAD.encode(&seed))
}
