//! The beginning of a release id, as lists show it, stands for the whole id where only one
//! release begins so. It is looked up on the way in: the rules know whole ids only.

use data_encoding::HEXLOWER;
use hoist_orchestrator_core::engine::arrival::Asked;
use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::key::{Prefix, ReleaseNameKey};
use hoist_orchestrator_core::model::txn::Txn;
use hoist_protocol::id::ReleaseId;

use crate::rows::{self, ReadError};
use crate::store::{Store, StoreError};

/// Fewer digits are rather a slip than an id.
pub(crate) const DIGITS_MIN: usize = 4;
/// Digits of a whole id.
const DIGITS: usize = 32;
/// Ids that begin with the same bytes: among thousands of releases, one or two.
const SAME_MAX: usize = 256;
/// Ids that a refusal names.
const NAMED_MAX: usize = 4;

/// Puts the whole id where a command names a release by the beginning of it.
pub(crate) async fn complete(store: &dyn Store, asked: &mut Asked) {
    let Ok(command) = &mut asked.command else {
        return;
    };
    let Some(release) = command.release_mut() else {
        return;
    };
    match read(store, release).await {
        Ok(Ok(Typed::Beginning(id))) => *release = id.to_string(),
        Ok(Ok(Typed::Other)) => {}
        Ok(Err(rejection)) => asked.command = Err(rejection),
        Err(error) => tracing::warn!(%error, "no release id can be looked up"),
    }
}

/// The id of a release that is named as `name@version` or by its whole id; none where there is
/// no such name.
///
/// # Errors
/// [`ReadError`].
pub(crate) async fn named(store: &dyn Store, text: &str) -> Result<Option<ReleaseId>, ReadError> {
    if let Ok(id) = text.parse() {
        return Ok(Some(id));
    }
    let key = ReleaseNameKey(text.to_owned());
    let row = rows::resolve(store, &mut Txn::default(), |txn| txn.read(&key)).await?;
    Ok(row.map(|row| row.release))
}

/// The text that was typed for a release.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    /// The beginning of this id.
    Beginning(ReleaseId),
    /// A name, a whole id, or nothing that exists: the rules say which.
    Other,
}

/// Finds out what `text` stands for. A name is never taken for an id.
///
/// # Errors
/// When the store cannot be read; inside, the refusal of what several ids begin with.
async fn read(store: &dyn Store, text: &str) -> Result<Result<Typed, Rejection>, StoreError> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(DIGITS_MIN..DIGITS).contains(&text.len()) {
        return Ok(Ok(Typed::Other));
    }
    let mut named = Prefix::ReleaseNames.bytes().0;
    named.extend_from_slice(format!("{text}@").as_bytes());
    if !store.scan(named, None, 1).await?.items.is_empty() {
        return Ok(Ok(Typed::Other));
    }
    let text = text.to_ascii_lowercase();
    let whole_bytes = HEXLOWER.decode(&text.as_bytes()[..text.len() / 2 * 2]);
    let prefix = Prefix::Releases.bytes().0;
    let range = [&prefix[..], &whole_bytes.unwrap_or_default()].concat();
    let page = store.scan(range, None, SAME_MAX).await?;
    let ids = page
        .items
        .iter()
        .map(|(key, _)| HEXLOWER.encode(&key[prefix.len()..]));
    let mut ids: Vec<String> = ids.filter(|id| id.starts_with(&text)).collect();
    if ids.len() > 1 {
        let why = format!("the ids of {} releases begin with {text}", ids.len());
        ids.truncate(NAMED_MAX);
        let hint = format!("give more digits: {}", ids.join(", "));
        return Ok(Err(Rejection::new(Code::Release, why)
            .field("release")
            .hint(hint)));
    }
    let id = ids.pop().and_then(|id| id.parse().ok());
    Ok(Ok(id.map_or(Typed::Other, Typed::Beginning)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;
    use crate::store::{Change, Expected};
    use hoist_orchestrator_core::model::key::{ReleaseKey, RowKey};

    async fn store(ids: &[&str], names: &[&str]) -> MemoryStore {
        let store = MemoryStore::default();
        let ids = ids.iter().map(|id| ReleaseKey(id.parse().unwrap()).key());
        let names = names
            .iter()
            .map(|name| ReleaseNameKey((*name).into()).key());
        let put = |key: hoist_orchestrator_core::model::key::Key| Change {
            key: key.0,
            expected: Expected::Absent,
            value: Some(vec![0]),
        };
        store
            .commit(ids.chain(names).map(put).collect())
            .await
            .unwrap();
        store
    }

    const FIRST: &str = "beef4a61c0ffee000000000000000001";
    const SECOND: &str = "beef4a7100000000000000000000000a";

    #[tokio::test]
    async fn the_beginning_of_one_id_is_that_id_and_of_two_is_refused() {
        let store = store(&[FIRST, SECOND], &[]).await;
        for text in ["beef4a61c0ff", "beef4a6", "BEEF4A61"] {
            let found = read(&store, text).await.unwrap();
            assert_eq!(
                found,
                Ok(Typed::Beginning(FIRST.parse().unwrap())),
                "{text}"
            );
        }
        let refused = read(&store, "beef4").await.unwrap().unwrap_err();
        let hint = refused.hint.unwrap();
        assert!(hint.contains(FIRST) && hint.contains(SECOND), "{hint}");
    }

    #[tokio::test]
    async fn a_name_a_slip_and_a_whole_id_are_left_to_the_rules() {
        let store = store(&[FIRST], &["beef@1.0.0"]).await;
        for text in ["beef", "bee", "hello", "hello@1.0.0", FIRST, "abad1dea"] {
            assert_eq!(
                read(&store, text).await.unwrap(),
                Ok(Typed::Other),
                "{text}"
            );
        }
    }
}
