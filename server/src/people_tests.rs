use hoist_protocol::access::Role;

use super::*;

fn registry() -> (tempfile::TempDir, Registry) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.toml");
    let admin = User {
        name: "admin".parse().unwrap(),
        role: Role::Admin,
        groups: Vec::new(),
        token_sha256: credentials::hash_user_token("secret"),
    };
    Users::create(&path, admin).unwrap();
    let users = Users::open(&path).unwrap();
    (dir, Registry::new(Namespace::default(), [7; 32], users))
}

fn root() -> UserId {
    "admin".parse().unwrap()
}

fn named(user: &str) -> UserRemove {
    UserRemove {
        user: user.into(),
        dry_run: false,
    }
}

fn asked(user: &str, hash: &str) -> UserAdd {
    UserAdd {
        user: user.into(),
        role: Role::Viewer,
        groups: Vec::new(),
        token_sha256: hash.into(),
        dry_run: false,
    }
}

#[test]
fn a_user_added_may_come_in_with_its_token_and_is_gone_when_removed() {
    let (_dir, registry) = registry();
    let hash = data_encoding::HEXLOWER.encode(&credentials::hash_user_token("token"));
    registry.add_user(&asked("vera", &hash), &root()).unwrap();
    let vera = "vera".parse().unwrap();
    let found = registry.user_of("token");
    let found = found.map(|(user, rights)| (user, rights.role));
    assert_eq!(found, Some((vera, Role::Viewer)));
    assert_eq!(registry.list_users().len(), 2);
    registry.remove_user(&named("vera"), &root()).unwrap();
    assert_eq!(registry.user_of("token"), None);
    let again = registry.remove_user(&named("vera"), &root());
    assert_eq!(again.unwrap_err().code, Code::User);
}

#[test]
fn a_group_named_twice_counts_once_and_one_that_is_made_later_counts() {
    let (_dir, registry) = registry();
    let add = UserAdd {
        groups: ["eu", "later", "eu"].map(str::to_owned).to_vec(),
        ..asked("vera", &"00".repeat(32))
    };
    registry.add_user(&add, &root()).unwrap();
    let users = registry.list_users().into_iter();
    let groups: Vec<Vec<String>> = users.map(|user| user.groups).collect();
    assert!(
        groups.contains(&vec!["eu".into(), "later".into()]),
        "{groups:?}"
    );
}

#[test]
fn a_dry_run_changes_no_user_and_refuses_what_would_be_refused() {
    let (_dir, registry) = registry();
    let dry = |user: &str| UserAdd {
        dry_run: true,
        ..asked(user, &"00".repeat(32))
    };
    registry.add_user(&dry("vera"), &root()).unwrap();
    let taken = registry.add_user(&dry("admin"), &root()).unwrap_err();
    assert_eq!(taken.code, Code::UserExists);
    let gone = |user: &str| UserRemove {
        dry_run: true,
        ..named(user)
    };
    let code = |user: &str| registry.remove_user(&gone(user), &root()).unwrap_err().code;
    assert_eq!(code("admin"), Code::LastAdmin);
    assert_eq!(code("vera"), Code::User);
    assert_eq!(code("a b"), Code::Name);
    let users: Vec<String> = registry.list_users().into_iter().map(|u| u.user).collect();
    assert_eq!(users, ["admin"]);
}

#[test]
fn what_was_revoked_or_replaced_is_worth_nothing_and_what_came_after_it_is() {
    let (_dir, registry) = registry();
    let device: DeviceId = "dev-01".parse().unwrap();
    let before = People::version(&registry);
    let accepted = Arc::new(Accepted::default());
    accepted.accept([[7; 32]]);
    registry.accepted.set(accepted).unwrap();
    let other = |from_s, ca| Shown::OtherCertificate {
        from_s,
        by: [ca; 32],
    };
    let shows = |shown| registry.admits(&device, shown);
    assert_eq!(shows(Shown::Token(1)), Ok(()));
    let until = Revocation {
        issue: 1,
        tokens: 3,
        certificates: 2,
        at_ms: 5_000,
    };
    registry.revoke(&device, until);
    let after = People::version(&registry);
    assert_ne!(after, before);
    for (shown, admitted) in [
        (Shown::Token(1), Err(Refusal::Revoked)),
        (Shown::Token(3), Err(Refusal::Replaced)),
        (Shown::Token(4), Ok(())),
        (Shown::Certificate(1), Err(Refusal::Revoked)),
        (Shown::Certificate(2), Err(Refusal::Replaced)),
        (Shown::Certificate(3), Ok(())),
        (other(5, 7), Err(Refusal::RevokedSince)),
        (other(6, 7), Ok(())),
        (other(6, 8), Err(Refusal::Authority)),
    ] {
        assert_eq!(shows(shown), admitted, "{shown:?}");
    }
    assert_eq!(
        registry.admits(&"dev-02".parse().unwrap(), Shown::Token(1)),
        Ok(())
    );
    registry.revoke(&device, Revocation::default());
    assert_eq!(shows(Shown::Token(3)), Err(Refusal::Replaced));
    assert_eq!(People::version(&registry), after, "nothing changed");
}

#[test]
fn a_bad_name_a_bad_hash_and_the_servers_own_name_are_refused() {
    // bad-inputs row 71
    let (_dir, registry) = registry();
    let hash = "00".repeat(32);
    let code = |user: &str, hash: &str| {
        registry
            .add_user(&asked(user, hash), &root())
            .unwrap_err()
            .code
    };
    assert_eq!(code("a b", &hash), Code::Name);
    assert_eq!(code("vera", "abc"), Code::Command);
    assert_eq!(code("admin", &hash), Code::UserExists);
    assert_eq!(code(SERVICE_USER, &hash), Code::UserExists);
}

#[test]
fn a_claim_is_known_from_when_it_is_made_until_it_ends_and_each_change_is_seen() {
    let (_dir, registry) = registry();
    let claim: ClaimId = "c-1".parse().unwrap();
    let mut seen = People::version(&registry);
    let mut knows = |change: &dyn Fn(), known: bool| {
        change();
        assert_eq!(registry.knows_claim(&claim), known);
        let now = People::version(&registry);
        assert!(std::mem::replace(&mut seen, now) < now);
    };
    knows(&|| registry.claim_made(&claim), true);
    knows(&|| registry.claim_ended(&claim), false);
    knows(&|| registry.claims_are(vec![claim.clone()]), true);
    knows(&|| registry.claims_are(Vec::new()), false);
}
