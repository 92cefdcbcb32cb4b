//! The mistakes that this build can plant: none. In the copy of the tree that has them, a
//! file with their switches stands in the place of this one.

use super::Planted;

/// Every mistake of this build.
pub const ALL: &[Planted] = &[];

/// Plants the mistake with this number, and no other; 0 plants none.
pub fn plant(_place: usize) {}
