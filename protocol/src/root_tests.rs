use super::*;

fn document(key: &PrivateKey) -> RootDocument {
    RootDocument {
        number: 1,
        namespace: Namespace::default(),
        issued: Generation(1),
        expires_s: 0,
        threshold: 1,
        keys: alloc::vec![RoleKey {
            role: KeyRole::Root,
            key: key.public()
        }],
    }
}

#[test]
fn the_first_root_is_trusted_only_by_its_pin_and_its_own_signature() {
    let key = PrivateKey::from_seed(&[1; 32]);
    let root = document(&key);
    let sealed = root.seal(core::slice::from_ref(&key));
    assert_eq!(
        RootDocument::open_pinned(&sealed, &root.pin()),
        Ok(root.clone())
    );
    assert!(RootDocument::open_pinned(&sealed, &[0; 32]).is_err());
    let forged = root.seal(&[PrivateKey::from_seed(&[2; 32])]);
    assert!(RootDocument::open_pinned(&forged, &root.pin()).is_err());
    assert!(RootDocument::open_pinned(&encode(&root), &root.pin()).is_err());
}

#[test]
fn a_threshold_is_met_only_by_different_keys() {
    let key = PrivateKey::from_seed(&[1; 32]);
    let mut root = document(&key);
    root.threshold = 2;
    root.keys.push(root.keys[0]);
    assert!(root.check().is_err());
    let other = PrivateKey::from_seed(&[2; 32]);
    root.keys[1].key = other.public();
    assert_eq!(root.check(), Ok(()));
    let twice = root.seal(&[key.clone(), key.clone()]);
    assert!(RootDocument::open_pinned(&twice, &root.pin()).is_err());
    let both = root.seal(&[key, other]);
    assert_eq!(RootDocument::open_pinned(&both, &root.pin()), Ok(root));
}

/// The document after `before`, with the root keys of these seeds.
fn next(before: &RootDocument, seeds: &[u8], threshold: u8) -> RootDocument {
    let keys = seeds.iter().map(|seed| RoleKey {
        role: KeyRole::Root,
        key: key(*seed).public(),
    });
    RootDocument {
        number: before.number + 1,
        threshold,
        keys: keys.collect(),
        ..before.clone()
    }
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn sealed(document: &RootDocument, seeds: &[u8]) -> Vec<u8> {
    let keys: Vec<PrivateKey> = seeds.iter().map(|seed| key(*seed)).collect();
    document.seal(&keys)
}

#[test]
fn the_next_root_is_followed_when_the_keys_of_both_signed_it() {
    // bad-inputs row 45
    let first = document(&key(1));
    let second = next(&first, &[2], 1);
    let both = sealed(&second, &[1, 2]);
    assert_eq!(first.open_next(&both, 0), Ok(second.clone()));
    // A device that pins the second needs no key of the first.
    assert_eq!(RootDocument::open_pinned(&both, &second.pin()), Ok(second));
    // A document that keeps its root key is signed once for both.
    let kept = next(&first, &[1], 1);
    assert_eq!(first.open_next(&sealed(&kept, &[1]), 0), Ok(kept));
}

#[test]
fn the_next_root_by_the_keys_of_one_document_only_is_refused() {
    // bad-inputs row 45
    let first = document(&key(1));
    let second = next(&first, &[2, 3], 2);
    for (seeds, by) in [
        (&[1_u8][..], 2),
        (&[2, 3], 1),
        (&[1, 2], 2),
        (&[1, 2, 2], 2),
    ] {
        let refused = first.open_next(&sealed(&second, seeds), 0).unwrap_err();
        assert!(
            matches!(refused, RootError::Signatures { by: named, .. } if named == by),
            "{seeds:?}: {refused:?}"
        );
        assert_eq!(refused.code(), Code::RootSignatures);
    }
    assert!(first.open_next(&sealed(&second, &[1, 2, 3]), 0).is_ok());
    let stranger = first.open_next(&sealed(&second, &[1, 2, 3, 9]), 0);
    assert_eq!(stranger.unwrap_err().code(), Code::Signature);
    let mut flipped = sealed(&second, &[1, 2, 3]);
    *flipped.last_mut().unwrap() ^= 1;
    let flipped = first.open_next(&flipped, 0);
    assert_eq!(flipped.unwrap_err().code(), Code::Signature);
}

#[test]
fn a_root_that_is_skipped_to_old_foreign_or_over_is_refused_each_by_its_code() {
    // bad-inputs row 45
    let first = document(&key(1));
    let second = next(&first, &[1], 1);
    let third = next(&second, &[1], 1);
    let mut foreign = second.clone();
    foreign.namespace = "other".parse().unwrap();
    let mut over = second.clone();
    over.expires_s = 1_000;
    let refused = |known: &RootDocument, document: &RootDocument| {
        let refused = known.open_next(&sealed(document, &[1]), 1_000);
        refused.unwrap_err().code()
    };
    assert_eq!(refused(&first, &third), Code::RootSkipped);
    assert_eq!(refused(&second, &first), Code::RootOld);
    assert_eq!(refused(&second, &second), Code::RootOld);
    assert_eq!(refused(&first, &foreign), Code::RootNamespace);
    assert_eq!(refused(&first, &over), Code::RootExpired);
    assert!(first.open_next(&sealed(&over, &[1]), 999).is_ok());
}
