//! The root documents that a device keeps: the pinned one, and those that followed it.

use hoist_protocol::root::RootDocument;

use super::storage::Storage;

/// The newest root document that is kept and follows from the pinned one. Whether one has expired
/// was asked when it came.
pub(super) fn newest_root(storage: &Storage, pin: &[u8; 32]) -> Option<RootDocument> {
    let mut root = RootDocument::open_pinned(&storage.root()?, pin).ok()?;
    loop {
        let next = root.number.checked_add(1);
        let next = next.and_then(|number| storage.next_root(number));
        match next.and_then(|sealed| root.open_next(&sealed, 0).ok()) {
            Some(next) => root = next,
            None => return Some(root),
        }
    }
}
