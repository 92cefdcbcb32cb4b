//! A quick hash of 128 bits.

use std::hash::{Hash, Hasher};

/// A quick hash of 128 bits: two different things of a search have the same by chance once
/// in more searches than will ever be made.
#[derive(Debug, Clone)]
pub(super) struct Hash128(u64, u64);

/// Odd numbers without a pattern: digits of the golden ratio and of the root of 3.
pub(super) const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xbb67_ae85_84ca_a73b];

impl Default for Hash128 {
    fn default() -> Self {
        Self(MIX[1], MIX[0])
    }
}

impl Hash128 {
    pub(super) fn both(&self) -> u128 {
        u128::from(self.0) << 64 | u128::from(self.1)
    }

    fn mix(&mut self, word: u64) {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product >> 64) as u64 ^ product as u64
        };
        self.0 = fold(self.0 ^ word, MIX[0]).wrapping_add(self.1.rotate_left(23));
        self.1 = fold(self.1 ^ word.rotate_left(32), MIX[1]) ^ word;
    }
}

impl Hasher for Hash128 {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut whole = [0; 8];
            whole[..word.len()].copy_from_slice(word);
            self.mix(u64::from_le_bytes(whole));
        }
        self.mix(bytes.len() as u64);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }
}

pub(super) fn hash128(what: impl Hash) -> u128 {
    let mut hash = Hash128::default();
    what.hash(&mut hash);
    hash.both()
}
