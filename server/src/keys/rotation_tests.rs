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

fn begin(keys: &Path, role: KeyRole) -> Rotation {
    let key = Rotation::key(keys, role, &NewKey::Made).unwrap();
    let mut rotation = Rotation::new(keys, (role, &key, false), Generation(9)).unwrap();
    rotation.sign_here().unwrap();
    rotation
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
    let rotation = begin(&keys, KeyRole::Orchestrator);
    assert_eq!(load(&keys).service.orchestrator.public(), before);
    // The document is in effect, and the key has its old name.
    let sealed = rotation.next.sealed_with(&rotation.seals);
    private_file::write(&earlier(&keys, 1), rotation.chain.newest_sealed()).unwrap();
    private_file::write(&keys.join(NEWEST), &sealed).unwrap();
    let after = load(&keys).service;
    assert_ne!(after.orchestrator.public(), before);
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
    rotation.wait().unwrap().write(&path).unwrap();

    let request = Request::read(&path).unwrap();
    let body = request.body(&path).unwrap();
    let key = read_signing_key(&away).unwrap();
    assert_eq!(request.keys(), [key.public()], "the new one has signed");
    let seal = Signer::Key(key).sign(Kind::Root, &body, &[]).unwrap();
    let path = dir.path().join("signature");
    Signature::new(request.of, &body, &seal)
        .write(&path)
        .unwrap();

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
