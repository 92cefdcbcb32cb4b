//! The contract of every store: one suite, run on each of them.

use std::sync::Arc;

use super::{Change, CommitError, Expected, Store, Versioned};

fn put(key: &str, expected: Expected, value: &str) -> Change {
    Change {
        key: key.into(),
        expected,
        value: Some(value.into()),
    }
}

async fn load(store: &dyn Store, key: &str) -> Option<Versioned> {
    store.load(vec![key.into()]).await.unwrap().remove(0)
}

/// Runs the whole suite on an empty store.
pub(super) async fn run(store: Arc<dyn Store>) {
    a_value_comes_back_with_its_generation(&*store).await;
    a_conflict_writes_nothing(&*store).await;
    a_deleted_key_is_absent(&*store).await;
    a_scan_is_ordered_paged_and_bound_to_its_prefix(&*store).await;
    of_two_writers_one_wins(store).await;
}

async fn a_value_comes_back_with_its_generation(store: &dyn Store) {
    assert_eq!(load(store, "a").await, None);
    store
        .commit(vec![put("a", Expected::Absent, "one")])
        .await
        .unwrap();
    let row = load(store, "a").await.unwrap();
    assert_eq!(
        row,
        Versioned {
            generation: 1,
            value: b"one".to_vec()
        }
    );
    store
        .commit(vec![put("a", Expected::Generation(1), "")])
        .await
        .unwrap();
    assert_eq!(
        load(store, "a").await,
        Some(Versioned {
            generation: 2,
            value: Vec::new()
        })
    );
    let keys = vec![b"x".to_vec(), b"a".to_vec()];
    let rows = store.load(keys).await.unwrap();
    assert!(
        rows[0].is_none() && rows[1].is_some(),
        "rows come in the order of the keys"
    );
}

async fn a_conflict_writes_nothing(store: &dyn Store) {
    for wrong in [Expected::Absent, Expected::Generation(1)] {
        let batch = vec![put("new", Expected::Absent, "x"), put("a", wrong, "lost")];
        let error = store.commit(batch).await.unwrap_err();
        assert!(matches!(error, CommitError::Conflict));
    }
    assert_eq!(load(store, "new").await, None);
    assert_eq!(load(store, "a").await.map(|row| row.generation), Some(2));
}

async fn a_deleted_key_is_absent(store: &dyn Store) {
    let delete = |generation| Change {
        key: b"a".to_vec(),
        expected: Expected::Generation(generation),
        value: None,
    };
    assert!(store.commit(vec![delete(1)]).await.is_err());
    store.commit(vec![delete(2)]).await.unwrap();
    assert_eq!(load(store, "a").await, None);
    store
        .commit(vec![put("a", Expected::Absent, "again")])
        .await
        .unwrap();
}

async fn a_scan_is_ordered_paged_and_bound_to_its_prefix(store: &dyn Store) {
    let batch = (0..512)
        .map(|n| put(&format!("p/{n:03}"), Expected::Absent, "v"))
        .collect();
    store.commit(batch).await.unwrap();
    store
        .commit(vec![put("q", Expected::Absent, "other")])
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.scan(b"p/".to_vec(), after.take(), 100).await.unwrap();
        assert!(page.items.len() <= 100);
        seen.extend(
            page.items
                .iter()
                .map(|(key, _)| String::from_utf8(key.clone()).unwrap()),
        );
        after = page.items.last().map(|(key, _)| key.clone());
        if !page.more {
            break;
        }
    }
    let expected: Vec<String> = (0..512).map(|n| format!("p/{n:03}")).collect();
    assert_eq!(seen, expected);
    assert!(
        store
            .scan(b"zz".to_vec(), None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

async fn of_two_writers_one_wins(store: Arc<dyn Store>) {
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let store = Arc::clone(&store);
            let value = writer.to_string();
            tokio::spawn(async move {
                store
                    .commit(vec![put("race", Expected::Absent, &value)])
                    .await
                    .is_ok()
            })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(load(&*store, "race").await.unwrap().generation, 1);
}

mod stores {
    use super::super::memory::MemoryStore;
    use super::super::sled::SledStore;
    use super::super::{Fault, Versioned};
    use super::*;

    #[tokio::test]
    async fn the_memory_store_keeps_the_contract() {
        run(Arc::new(MemoryStore::default())).await;
    }

    #[tokio::test]
    async fn the_sled_store_keeps_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        run(Arc::new(
            SledStore::create(&dir.path().join("store")).unwrap(),
        ))
        .await;
    }

    #[tokio::test]
    async fn a_reopened_store_has_everything_that_was_committed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let store = SledStore::create(&path).unwrap();
        store
            .commit(vec![put("a", Expected::Absent, "kept")])
            .await
            .unwrap();
        drop(store);
        let store = SledStore::open(&path).unwrap();
        let kept = Versioned {
            generation: 1,
            value: b"kept".to_vec(),
        };
        assert_eq!(load(&store, "a").await, Some(kept));
    }

    #[tokio::test]
    async fn what_a_kill_left_of_an_index_keeps_no_store_from_starting() {
        // bad-inputs row 74
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let store = SledStore::create(&path).unwrap();
        let one = vec![put("a", Expected::Absent, "kept")];
        store.commit(one).await.unwrap();
        drop(store);
        for torn in [&b""[..], b"half of an index"] {
            let unfinished = path.join("snap.00000000FFFFFFFF.generating");
            std::fs::write(&unfinished, torn).unwrap();
            let store = SledStore::open(&path).unwrap();
            assert!(load(&store, "a").await.is_some());
            assert!(!unfinished.exists());
        }
    }

    #[test]
    fn a_store_that_is_unknown_or_lost_its_data_is_refused_with_its_path() {
        // bad-inputs row 62
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        drop(SledStore::create(&path).unwrap());
        std::fs::write(path.join("FORMAT"), "hoist-store 3\n").unwrap();
        let error = SledStore::open(&path).unwrap_err();
        assert_eq!(error.fault(), Fault::Format, "{error}");
        assert!(error.to_string().contains("FORMAT"), "{error}");

        std::fs::write(path.join("FORMAT"), "hoist-store 2\n").unwrap();
        std::fs::remove_file(path.join("db")).unwrap();
        let error = SledStore::open(&path).unwrap_err();
        assert_eq!(error.fault(), Fault::Damaged, "{error}");
        assert!(!path.join("db").exists(), "it is not started empty");
    }

    #[test]
    fn no_store_is_made_where_one_is_looked_for_nor_over_a_part_of_one() {
        // bad-inputs row 66
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        for _ in 0..2 {
            let error = SledStore::open(&path).unwrap_err();
            assert_eq!(error.fault(), Fault::Missing, "{error}");
            assert!(!path.join("FORMAT").exists() && !path.join("db").exists());
            // The second time a volume is not mounted.
            std::fs::create_dir_all(&path).unwrap();
        }
        drop(SledStore::create(&path).unwrap());
        let error = SledStore::create(&path).unwrap_err();
        assert!(matches!(error.fault(), Fault::Io(_)), "{error}");
        std::fs::remove_file(path.join("FORMAT")).unwrap();
        let error = SledStore::open(&path).unwrap_err();
        assert_eq!(error.fault(), Fault::Damaged, "{error}");
        let error = SledStore::create(&path).unwrap_err();
        assert!(matches!(error.fault(), Fault::Io(_)), "{error}");
    }
}
