//! Tables that several threads fill and nobody empties.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Parts of a table that are locked by themselves; a power of two.
const SHARDS: usize = 1 << 12;
/// Things in one piece of a [`Shelf`], and pieces at most: a million things, far above what
/// parts and choices there are.
const PIECE: usize = 1 << 10;
const PIECES: usize = 1 << 14;

/// A quick hash of 128 bits: two different things of a search have the same by chance once
/// in more searches than will ever be made.
#[derive(Debug, Clone)]
pub(super) struct Hash128(u64, u64);

/// Odd numbers without a pattern: digits of the golden ratio and of the root of 3.
const MIX: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xbb67_ae85_84ca_a73b];

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

/// A key for two numbers. What has the first in common lies together.
pub(super) fn pair(first: u32, second: u32) -> u128 {
    u128::from(first) << 64 | u128::from(mixed(first, second))
}

/// Two numbers as one without a pattern; no other two have the same.
fn mixed(first: u32, second: u32) -> u64 {
    let both = u64::from(second) << 32 | u64::from(first);
    let mixed = both.wrapping_mul(MIX[0]);
    mixed ^ mixed >> 32
}

/// Keys are hashes already.
#[derive(Default)]
pub(super) struct Passed(u64);

impl Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = number as u64;
    }
}

/// Values by hash.
pub(super) struct Table<V> {
    shards: Vec<Mutex<HashMap<u128, V, BuildHasherDefault<Passed>>>>,
}

impl<V: Copy> Table<V> {
    pub(super) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards }
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, HashMap<u128, V, BuildHasherDefault<Passed>>> {
        let shard = &self.shards[(key >> 64) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: u128) -> Option<V> {
        self.shard(key).get(&key).copied()
    }

    /// Puts a value there unless there is one; returns what is there then.
    pub(super) fn enter(&self, key: u128, value: impl FnOnce() -> V) -> V {
        *self.shard(key).entry(key).or_insert_with(value)
    }
}

/// Things by number, which stay where they are.
pub(super) struct Shelf<T> {
    pieces: Vec<OnceLock<Vec<OnceLock<T>>>>,
    next: AtomicU32,
}

impl<T> Shelf<T> {
    pub(super) fn new() -> Self {
        Self {
            pieces: (0..PIECES).map(|_| OnceLock::new()).collect(),
            next: AtomicU32::new(0),
        }
    }

    /// Puts a thing there and says its number.
    pub(super) fn put(&self, thing: T) -> u32 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let piece = self.pieces.get(number as usize / PIECE);
        let piece = piece.expect("a small world has few parts");
        let piece = piece.get_or_init(|| (0..PIECE).map(|_| OnceLock::new()).collect());
        let _fresh = piece[number as usize % PIECE].set(thing);
        number
    }

    /// True if there is a thing of this number.
    pub(super) fn has(&self, number: u32) -> bool {
        number < self.next.load(Ordering::Relaxed)
    }

    /// The thing of a number that [`Shelf::put`] said.
    pub(super) fn at(&self, number: u32) -> &T {
        let piece = self.pieces[number as usize / PIECE].get();
        let thing = piece.and_then(|piece| piece[number as usize % PIECE].get());
        thing.expect("a number that was given out")
    }
}
