use super::*;

#[test]
fn no_flipped_bit_of_a_sealed_spec_passes() {
    let trusted = [key(ORCHESTRATOR_SEED).public()];
    let sealed = seal(&key(ORCHESTRATOR_SEED), Kind::GroupSpec, "t", &group_spec());
    for flipped in flips(&sealed) {
        assert!(open::<GroupSpec>(&trusted, Kind::GroupSpec, "t", &flipped).is_err());
    }
    for end in 0..sealed.len() {
        assert!(open::<GroupSpec>(&trusted, Kind::GroupSpec, "t", &sealed[..end]).is_err());
    }
}

#[test]
fn no_flipped_bit_of_a_signed_status_passes() {
    let public = key(DEVICE_SEED).public();
    let sealed = failed(b"tail").seal(&key(DEVICE_SEED), "t");
    for flipped in flips(&sealed) {
        let passed = DeviceStatus::receive(&flipped).map(|status| status.verify(&public, "t"));
        assert!(!matches!(passed, Ok(Ok(()))));
    }
}

#[test]
fn no_flipped_bit_of_a_root_document_passes() {
    let document = root_document();
    for flipped in flips(&document.seal(&[key(ROOT_SEED)])) {
        assert!(RootDocument::open_pinned(&flipped, &document.pin()).is_err());
    }
}
