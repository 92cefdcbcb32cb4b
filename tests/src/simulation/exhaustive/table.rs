//! Tables that several threads fill and nobody empties.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::super::hash128::MIX;

/// Parts of a table that are locked by themselves; a power of two.
const SHARDS: usize = 1 << 12;
/// Things in one piece of a [`Shelf`], and pieces at most: a million things, far above what
/// parts and choices there are.
const PIECE: usize = 1 << 10;
const PIECES: usize = 1 << 14;

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
