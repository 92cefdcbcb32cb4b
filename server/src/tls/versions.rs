//! When files that somebody exchanges are read again.

/// The versions of files: the one that was seen last, and the one that is in use.
#[derive(Debug)]
pub(super) struct Versions<V> {
    seen: V,
    /// Absent after one that could not be used: whatever was wrong with it may be over without a change
    /// of the files, such as their permissions.
    read: Option<V>,
}

impl<V: PartialEq + Clone> Versions<V> {
    /// Files of which this version is in use.
    pub(super) fn of(version: V) -> Self {
        Self {
            seen: version.clone(),
            read: Some(version),
        }
    }

    /// True if the files, which are in this version now, are to be read: it rests, and is not in use.
    pub(super) fn wants(&mut self, version: V) -> bool {
        let rests = self.seen == version;
        self.seen = version;
        rests && self.read.as_ref() != Some(&self.seen)
    }

    /// The version that was seen last was read, and can be used or not.
    pub(super) fn were_read(&mut self, can_be_used: bool) {
        self.read = can_be_used.then(|| self.seen.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_once_it_rests_and_again_until_it_can_be_used() {
        let mut versions = Versions::of(1);
        assert!(!versions.wants(1));
        assert!(!versions.wants(2), "it is being written");
        assert!(versions.wants(2));
        versions.were_read(false);
        assert!(versions.wants(2), "its permissions are no part of it");
        versions.were_read(true);
        assert!(!versions.wants(2));
        // One that cannot be used, and the one before in its place again.
        assert!(!versions.wants(3));
        assert!(versions.wants(3));
        versions.were_read(false);
        assert!(!versions.wants(2));
        assert!(versions.wants(2), "what is told about the other is over");
    }
}
