use super::*;

/// Nobody but devices, at a certain time; `gone` was revoked at 500 when its tokens had the issue 1.
struct Devices(u64);

impl People for Devices {
    fn user(&self, _: &UserId) -> Option<User> {
        None
    }

    fn admits(&self, device: &DeviceId, shown: Shown) -> Result<(), Refusal> {
        match shown {
            _ if device.as_str() != "gone" => Ok(()),
            Shown::Token(..=1)
            | Shown::Certificate(..=1)
            | Shown::OtherCertificate { from_s: ..=500, .. } => Err(Refusal::Revoked),
            Shown::Token(2) => Err(Refusal::Replaced),
            Shown::Token(_) | Shown::Certificate(_) | Shown::OtherCertificate { .. } => Ok(()),
        }
    }

    fn knows_claim(&self, claim: &ClaimId) -> bool {
        claim.as_str() == "c-1"
    }

    fn version(&self) -> u64 {
        0
    }

    fn unix_s(&self) -> u64 {
        self.0
    }
}

fn at(unix_s: u64) -> TokenCredentials {
    TokenCredentials {
        namespace: Namespace::default(),
        key: TokenKey::new([7; 32]),
        service_token_sha256: [0; 32],
        people: Arc::new(Devices(unix_s)),
    }
}

/// A certificate of another CA, valid from then on.
fn other(from_s: u64) -> Shown {
    let by = [9; 32];
    Shown::OtherCertificate { from_s, by }
}

/// The proof of a client with the certificate of `name`, valid until 1000.
fn proof(name: &str, issue: u32, names: (&str, &str)) -> Result<Proof, Refusal> {
    let certificate = ClientCertificate {
        name: name.to_owned(),
        issue,
        authority: [9; 32],
        not_before_s: 400,
        not_after_s: 1_000,
    };
    proof_of(&certificate, names)
}

fn proof_of(
    certificate: &ClientCertificate,
    (client_id, user): (&str, &str),
) -> Result<Proof, Refusal> {
    let login = Login {
        client_id,
        user,
        token: "",
        certificate: Some(certificate),
    };
    let pass = at(1_000).authenticate(&login)?;
    let device = certificate.name.parse().unwrap();
    assert_eq!(pass.principal, Principal::Device(device));
    Ok(pass.proof)
}

#[test]
fn a_certificate_needs_no_token_and_lets_in_under_its_own_name_alone() {
    let shown = |shown| Ok(Proof::Device(shown));
    assert_eq!(proof("d1", 1, ("d1", "d1")), shown(Shown::Certificate(1)));
    assert_eq!(proof("d1", 0, ("d1", "")), shown(other(400)));
    for other in [("d2", "d1"), ("d1", "d2"), ("", ""), ("d2", "")] {
        assert_eq!(
            proof("d1", 1, other),
            Err(Refusal::Certificate),
            "{other:?}"
        );
    }
    assert_eq!(proof("no id", 1, ("no id", "")), Err(Refusal::Certificate));
}

#[test]
fn a_revoked_device_comes_in_only_with_a_certificate_that_was_made_for_it_since() {
    assert_eq!(proof("gone", 1, ("gone", "")), Err(Refusal::Revoked));
    assert_eq!(proof("gone", 0, ("gone", "")), Err(Refusal::Revoked));
    let proven = proof("gone", 2, ("gone", ""));
    assert_eq!(proven, Ok(Proof::Device(Shown::Certificate(2))));
    // A CA of others knows of no issue: the time of its certificate says it.
    let later = ClientCertificate {
        name: "gone".into(),
        issue: 0,
        authority: [9; 32],
        not_before_s: 501,
        not_after_s: 1_000,
    };
    let proven = proof_of(&later, ("gone", ""));
    assert_eq!(proven, Ok(Proof::Device(other(501))));
    let review = |shown| {
        at(0).review(&Pass {
            principal: Principal::Device("gone".parse().unwrap()),
            proof: Proof::Device(shown),
        })
    };
    assert_eq!(review(Shown::Certificate(1)), Err(Refusal::Revoked));
    assert_eq!(review(Shown::Certificate(2)), Ok(()));
    assert_eq!(review(Shown::Token(2)), Err(Refusal::Replaced));
}

#[test]
fn a_session_that_is_resumed_does_not_outlive_its_certificate() {
    let certificate = ClientCertificate {
        name: "d1".into(),
        issue: 1,
        authority: [0; 32],
        not_before_s: 0,
        not_after_s: 1_000,
    };
    let login = Login {
        client_id: "d1",
        user: "d1",
        token: "",
        certificate: Some(&certificate),
    };
    let refused = at(1_001).authenticate(&login);
    assert_eq!(refused, Err(Refusal::CertificateOver));
}

#[test]
fn the_issue_is_found_in_the_serial_numbers_that_are_made_here_and_in_no_others() {
    assert_eq!(issue_of(&serial_of(7, [0xff; 11])), Some(7));
    assert_eq!(issue_of(&[2; SERIAL_BYTES]), None);
    assert_eq!(issue_of(&[1; SERIAL_BYTES - 1]), None);
    assert_eq!(issue_of(&[]), None);
}

#[test]
fn a_claim_lets_in_whoever_has_its_secret_to_ask_for_a_certificate_and_for_nothing_else() {
    let all = at(0);
    let claim: ClaimId = "c-1".parse().unwrap();
    let secret = all.key.claim_secret(&all.namespace, &claim);
    assert_ne!(
        secret,
        all.key
            .claim_secret(&all.namespace, &"c-2".parse().unwrap())
    );
    let password = secret.password();
    let come = |user: &str, client_id: &str, token: &str| {
        let login = Login {
            client_id,
            user,
            token,
            certificate: None,
        };
        all.authenticate(&login)
    };
    let revoked = all
        .key
        .claim_secret(&all.namespace, &"c-9".parse().unwrap());
    let revoked = revoked.password();
    let pass = come("enroll:c-1", "d1", &password).unwrap();
    let device = "d1".parse().unwrap();
    assert_eq!(pass.principal, Principal::Enrolling { device, claim });
    assert_eq!(all.review(&pass), Ok(()));
    for (user, client_id, token, refusal) in [
        ("enroll:c-1", "d1", "", Refusal::Token),
        ("enroll:c-2", "d1", password.as_str(), Refusal::Token),
        ("enroll:c-1", "no id", password.as_str(), Refusal::ClientId),
        ("enroll:", "d1", password.as_str(), Refusal::Unknown),
        ("c-1", "c-1", password.as_str(), Refusal::Token),
        ("enroll:c-9", "d1", revoked.as_str(), Refusal::Claim),
    ] {
        assert_eq!(
            come(user, client_id, token),
            Err(refusal),
            "{user} {client_id}"
        );
    }
}
