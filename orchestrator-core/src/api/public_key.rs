//! A public key as it is written in JSON and CSV.

use hoist_protocol::envelope::PublicKey;

/// The description of a public key in JSON and CSV, to follow "is not".
pub const PUBLIC_KEY_IS: &str = "an Ed25519 public key, 64 hex digits";

/// Reads a public key as it is written in JSON and CSV: 64 hex digits, with which a signature
/// can be verified.
#[must_use]
pub fn parse_public_key(text: &str) -> Option<PublicKey> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(PublicKey(key)).filter(PublicKey::is_sound)
}

#[cfg(test)]
mod tests {
    use hoist_protocol::envelope::PrivateKey;

    use super::*;

    #[test]
    fn a_public_key_is_sixty_four_hex_digits_and_sound() {
        // bad-inputs rows 22 and 72
        let sound = PrivateKey::from_seed(&[1; 32]).public();
        let text: String = sound.0.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [text.clone(), text.to_uppercase()] {
            assert_eq!(parse_public_key(&text), Some(sound));
        }
        for wrong in [
            &"0".repeat(64),
            &format!("01{}", "0".repeat(62)),
            &format!("02{}", "0".repeat(62)),
            "",
            "0a",
            &"0g".repeat(32),
            &"é".repeat(32),
            &"+1".repeat(32),
        ] {
            assert_eq!(parse_public_key(wrong), None, "{wrong}");
        }
    }
}
