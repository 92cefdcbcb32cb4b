//! Hoist's wire: topics, messages, strict encoding, signatures and the access rules.
