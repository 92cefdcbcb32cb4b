use super::*;
use crate::keys::{Given, Keys, Of, Signature, create};
use hoist_protocol::id::Namespace;

fn keys() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let namespace = Namespace::default();
    create(&keys, &namespace, Generation(7), &Given::default()).unwrap();
    (dir, keys)
}

fn load(keys: &Path) -> Keys {
    Keys::load(keys, &Namespace::default()).unwrap()
}

fn wanted(role: KeyRole) -> Wanted {
    Wanted {
        role,
        new: NewKey::Made,
        also: false,
        anew: false,
        only_tries: false,
    }
}

fn begin(keys: &Path, role: KeyRole) -> Rotation {
    begun(keys, &wanted(role)).unwrap()
}

fn begun(keys: &Path, wanted: &Wanted) -> Result<Rotation, KeysError> {
    let mut rotation = Rotation::begin(keys, wanted, Generation(9))?;
    rotation.sign_here()?;
    Ok(rotation)
}

/// A rotation whose document is in effect, and whose power is cut before its key has its place.
fn cut_off(keys: &Path, role: KeyRole) -> PublicKey {
    let rotation = begin(keys, role);
    let sealed = rotation.next.sealed_with(&rotation.seals);
    let before = rotation.chain.newest().number;
    private_file::write(&earlier(keys, before), rotation.chain.newest_sealed()).unwrap();
    private_file::write(&keys.join(NEWEST), &sealed).unwrap();
    let key = rotation.next.keys_of(role).next();
    key.unwrap()
}

fn key_here(keys: &Path, role: KeyRole) -> PublicKey {
    read_signing_key(&key_file(keys, role)).unwrap().public()
}

#[test]
fn each_key_is_replaced_and_a_device_that_pinned_the_first_root_follows() {
    let (_dir, keys) = keys();
    let first = load(&keys);
    for (number, role) in (2..).zip(ROLES) {
        assert_eq!(begin(&keys, role).finish().unwrap().number, number);
    }
    let now = load(&keys);
    assert_ne!(
        now.service.orchestrator.public(),
        first.service.orchestrator.public()
    );
    let numbers: Vec<u32> = now
        .service
        .roots
        .iter()
        .map(|(number, _)| *number)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let pinned = &now.service.roots[0].1;
    let mut root = RootDocument::open_pinned(pinned, &first.service.root_sha256).unwrap();
    for (_, sealed) in &now.service.roots[1..] {
        root = root.open_next(sealed, 0).unwrap();
    }
    assert_eq!(root.pin(), now.service.root_sha256);
}

#[test]
fn a_rotation_that_is_cut_off_anywhere_leaves_keys_that_a_server_starts_with() {
    let (_dir, keys) = keys();
    let before = load(&keys).service.orchestrator.public();
    // The key is made, and nothing else.
    drop(begin(&keys, KeyRole::Orchestrator));
    assert_eq!(load(&keys).service.orchestrator.public(), before);
    // The document is in effect, and the key has its old name.
    let key = cut_off(&keys, KeyRole::Orchestrator);
    let after = load(&keys).service;
    assert_eq!(after.orchestrator.public(), key);
    assert_eq!(after.root_number, 2);
    assert!(!next_key(&keys, KeyRole::Orchestrator).exists());
}

#[test]
fn root_keys_that_are_elsewhere_sign_a_request_and_their_signatures_finish_it() {
    let (dir, keys) = keys();
    let away = dir.path().join("root.key");
    std::fs::rename(keys.join("root.key"), &away).unwrap();
    let rotation = begin(&keys, KeyRole::Root);
    let refused = rotation.is_signed().unwrap_err();
    assert!(
        matches!(refused, KeysError::Unsigned { number: 2, .. }),
        "{refused}"
    );
    let path = dir.path().join("request");
    std::fs::write(&path, rotation.wait().unwrap().text()).unwrap();
    drop(rotation);

    let request = Request::read(&path).unwrap();
    let body = request.body(&path).unwrap();
    let key = read_signing_key(&away).unwrap();
    assert_eq!(request.keys(), [key.public()], "the new one has signed");
    let seal = Signer::Key(key).sign(Kind::Root, &body, &[]).unwrap();
    let path = dir.path().join("signature");
    let signature = Signature::new(request.of, &body, &seal);
    std::fs::write(&path, signature.text()).unwrap();

    let signature = Signature::read(&path).unwrap();
    let mut rotation = Rotation::waiting(&keys).unwrap();
    let body = encode(rotation.document());
    let seal = signature.seal(Of::RootDocument, &body, "it").unwrap();
    rotation.add(seal).unwrap();
    assert_eq!(rotation.finish().unwrap().number, 2);
    assert!(matches!(
        Rotation::waiting(&keys),
        Err(KeysError::NoRotation)
    ));
    let other = signature.seal(Of::RootDocument, b"other", "it");
    assert!(matches!(other, Err(KeysError::OtherContent { .. })));
}

#[test]
fn a_stranger_signs_no_root_document() {
    let (_dir, keys) = keys();
    let mut rotation = begin(&keys, KeyRole::Release);
    let stranger = Signer::Key(PrivateKey::from_seed(&[9; 32]));
    assert!(matches!(
        rotation.sign(&stranger),
        Err(KeysError::Signature)
    ));
}

#[test]
fn the_only_copy_of_a_key_in_effect_is_kept_by_the_rotation_after_one_that_was_cut_off() {
    for role in ROLES {
        let (_dir, keys) = keys();
        let named = cut_off(&keys, role);
        // Nobody has started a server in between.
        let rotation = begin(&keys, role);
        assert_eq!(rotation.document().number, 3);
        assert_eq!(key_here(&keys, role), named, "{role:?}");
        rotation.finish().unwrap();
        assert_eq!(load(&keys).service.root_number, 3);
    }
}

#[test]
fn another_rotation_beside_one_that_waits_is_refused_until_that_is_given_up() {
    let (_dir, keys) = keys();
    let role = KeyRole::Orchestrator;
    let first = begin(&keys, role);
    let document = first.document().clone();
    first.wait().unwrap();
    drop(first);
    for other in [KeyRole::Root, KeyRole::Release] {
        let refused = begun(&keys, &wanted(other)).err();
        assert!(matches!(refused, Some(KeysError::Waits { number: 2 })));
    }
    let brought = Wanted {
        new: NewKey::Brought([5; 32]),
        ..wanted(role)
    };
    let refused = begun(&keys, &brought).err();
    assert!(matches!(refused, Some(KeysError::Waits { .. })));
    // The same goes on, and gives the same request once more.
    assert_eq!(*begin(&keys, role).document(), document);
    assert_eq!(*Rotation::waiting(&keys).unwrap().document(), document);
    let anew = Wanted {
        anew: true,
        ..wanted(role)
    };
    let second = begun(&keys, &anew).unwrap();
    assert_ne!(*second.document(), document);
    drop(second);
    assert!(matches!(
        Rotation::waiting(&keys),
        Err(KeysError::NoRotation)
    ));
}

#[test]
fn a_document_whose_orchestrator_key_is_lost_never_takes_effect() {
    let (_dir, keys) = keys();
    let before = load(&keys).service.root_sha256;
    let rotation = begin(&keys, KeyRole::Orchestrator);
    rotation.wait().unwrap();
    drop(rotation);
    std::fs::remove_file(next_key(&keys, KeyRole::Orchestrator)).unwrap();
    let refused = Rotation::waiting(&keys).unwrap().finish().unwrap_err();
    assert!(
        matches!(refused, KeysError::Lost { number: 2, .. }),
        "{refused}"
    );
    assert_eq!(load(&keys).service.root_sha256, before);
    assert!(!earlier(&keys, 1).exists());
}

#[test]
fn two_who_change_the_same_keys_do_so_one_after_the_other() {
    let (_dir, keys) = keys();
    let first = begin(&keys, KeyRole::Release);
    let refused = begun(&keys, &wanted(KeyRole::Root)).err().unwrap();
    assert_eq!(refused.code(), hoist_protocol::code::Code::Locked);
    // A server may start meanwhile.
    load(&keys);
    drop(first);
    begin(&keys, KeyRole::Root).finish().unwrap();
}

#[test]
fn a_rotation_that_is_given_up_leaves_no_private_key_behind() {
    let (_dir, keys) = keys();
    begin(&keys, KeyRole::Orchestrator).wait().unwrap();
    let anew = Wanted {
        anew: true,
        ..wanted(KeyRole::Release)
    };
    begun(&keys, &anew).unwrap().finish().unwrap();
    for role in ROLES {
        assert!(!next_key(&keys, role).exists(), "{role:?}");
    }
}

#[test]
fn one_new_root_key_takes_the_place_of_no_two_whose_signatures_are_wanted() {
    let (_dir, keys) = keys();
    let mut newest = Chain::read(&keys).unwrap().newest().clone();
    let key = PrivateKey::from_seed(&[8; 32]).public();
    let role = KeyRole::Root;
    newest.keys.push(RoleKey { role, key });
    newest.threshold = 2;
    let refused = after(&newest, (role, key, false), Generation(9)).unwrap_err();
    assert!(matches!(refused, KeysError::Threshold { threshold: 2, .. }));
    let other = after(&newest, (KeyRole::Release, key, false), Generation(9)).unwrap();
    assert_eq!(other.threshold, 2);
}

#[test]
fn what_waits_and_its_only_key_stay_when_the_rotation_in_its_place_is_refused() {
    let (_dir, keys) = keys();
    // The newest document has as many keys as it can.
    while load(&keys).service.root_number < 14 {
        let more = Wanted {
            also: true,
            ..wanted(KeyRole::Release)
        };
        begun(&keys, &more).unwrap().finish().unwrap();
    }
    let first = begin(&keys, KeyRole::Orchestrator);
    let document = first.document().clone();
    first.wait().unwrap();
    drop(first);
    let key = next_key(&keys, KeyRole::Orchestrator);
    let before = std::fs::read(&key).unwrap();
    let more = Wanted {
        also: true,
        anew: true,
        ..wanted(KeyRole::Release)
    };
    let refused = begun(&keys, &more).err();
    assert!(matches!(refused, Some(KeysError::Full { .. })));
    assert_eq!(std::fs::read(&key).unwrap(), before);
    let waiting = Rotation::waiting(&keys).unwrap();
    assert_eq!(*waiting.document(), document);
}
