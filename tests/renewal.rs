//! Certificates of devices are renewed before they end.

use std::path::Path;
use std::time::{Duration, SystemTime};

use hoist_protocol::id::sha256;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair, PublicKeyData};

use crate::enroll::{comes_in, enroll, server, text};
use crate::harness::eventually;
use crate::harness::server::Server;

#[test]
fn a_certificate_is_renewed_over_the_connection_of_the_device_when_sixty_days_have_passed() {
    let server = server();
    let text = text(&server, &[]);
    let (enrolled, config) = enroll(&server, &text, "d1");
    assert!(enrolled.status.success(), "{enrolled:?}");
    let state = server.scratch().join("d1.state");
    let file = state.join("client.pem");
    // As if it had been made sixty days ago, by the CA that has made it.
    let old = aged(&server, &state, 60);
    std::fs::write(&file, &old).unwrap();
    let agent = server.agent(&config);
    comes_in(&server, "d1");
    eventually("the certificate to be renewed", || {
        agent
            .said()
            .contains("the certificate was renewed")
            .then_some(())
    });
    assert!(!agent.said().contains("not connected"), "{}", agent.said());
    // The next connection proves it, and until then the other one is kept.
    assert_eq!(std::fs::read_to_string(&file).unwrap(), old);
    drop(agent);
    let _again = server.agent(&config);
    eventually("the renewed certificate to be proven", || {
        let now = std::fs::read_to_string(&file).unwrap();
        (now != old).then_some(())
    });
    assert!(!state.join("client.next.pem").exists());
}

/// The certificate of a device as it would be had it been made so many days ago.
fn aged(server: &Server, state: &Path, days: u64) -> String {
    let ca = |end: &str| {
        let path = server.data().join("tls").join(format!("devices.{end}"));
        std::fs::read_to_string(path).unwrap()
    };
    let ca_key = KeyPair::from_pem(&ca("key")).unwrap();
    let hash = data_encoding::HEXLOWER.encode(&sha256(ca_key.der_bytes()));
    let subject = format!("Hoist device CA {}", &hash[..8]);
    let named = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let issuer = Issuer::new(named(&subject), ca_key);
    let seed: [u8; 32] = std::fs::read(state.join("device.key"))
        .unwrap()
        .try_into()
        .unwrap();
    let der = [
        &[
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ][..],
        &seed,
    ]
    .concat();
    let key = KeyPair::try_from(der).unwrap();
    let mut params = named("d1");
    let day = Duration::from_secs(24 * 3_600);
    let now = SystemTime::now();
    params.not_before = (now - day * u32::try_from(days).unwrap()).into();
    params.not_after = (now + day * u32::try_from(90 - days).unwrap()).into();
    let mut serial = vec![1, 0, 0, 0, 1];
    serial.extend([9; 11]);
    params.serial_number = Some(serial.into());
    params.signed_by(&key, &issuer).unwrap().pem()
}
