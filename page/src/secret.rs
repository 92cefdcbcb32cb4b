//! Random texts that nobody guesses.

use std::fmt::Write as _;

/// A text of 256 random bits, in hex; `None` when the system has no randomness to give.
pub(crate) fn draw() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(data_encoding::HEXLOWER.encode(&bytes))
}

/// An id for a request of the page.
pub(crate) fn request_id() -> Option<String> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).ok()?;
    let mut id = String::from("page-");
    for byte in bytes {
        let _ = write!(id, "{byte:02x}");
    }
    Some(id)
}

/// True if two texts are the same; the time that this takes tells only whether their lengths are.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let differ = |differ: u8, (one, other): (u8, u8)| differ | (one ^ other);
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_the_same() {
        let (one, other) = (draw().unwrap(), draw().unwrap());
        assert_eq!(one.len(), 64);
        assert!(is_same(&one, &one.clone()) && !is_same(&one, &other));
        assert!(!is_same(&one, &one[1..]));
    }
}
