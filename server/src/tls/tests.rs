use std::time::{Duration, SystemTime};

use super::*;

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

fn hosts() -> Hosts {
    Hosts::new([127, 0, 0, 1].into(), names(&["fleet.example"]))
}

fn place(dir: &tempfile::TempDir) -> Place {
    Place {
        folder: dir.path().join("tls"),
        client: dir.path().join("client.toml"),
    }
}

#[test]
fn a_ca_that_clients_pin_and_that_is_gone_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let of = names(&["fleet.example"]);
    let file = authority::server_file(&place.folder);
    authority::ensure(&place, (&file, &of), SystemTime::now()).unwrap();
    let ca = std::fs::read_to_string(place.folder.join("ca.pem")).unwrap();
    let pins = format!(
        "mqtt = \"mqtts://a:1\"\nhttp = \"https://a:2\"\nuser = \"admin\"\ntoken = \"t\"\nca = '''\n{ca}'''\n"
    );
    private_file::write(&place.client, pins.as_bytes()).unwrap();
    std::fs::remove_dir_all(&place.folder).unwrap();
    let failure = authority::ensure(&place, (&file, &of), SystemTime::now()).unwrap_err();
    assert_eq!(failure.code, "E_RECOVER", "{failure}");
    assert!(!place.folder.exists());
    std::fs::remove_file(&place.client).unwrap();
    assert!(authority::ensure(&place, (&file, &of), SystemTime::now()).is_ok());
}

#[test]
fn a_ca_is_made_once_and_a_certificate_for_other_names_or_when_it_ends_soon() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let folder = place.folder.clone();
    let file = authority::server_file(&folder);
    let now = SystemTime::now();
    let ensure = |of: &[&str], now| {
        authority::ensure(&place, (&file, &names(of)), now).unwrap();
        let ca = std::fs::read(folder.join("ca.pem")).unwrap();
        (ca, std::fs::read(&file).unwrap())
    };
    let (ca, first) = ensure(&["fleet.example", "10.0.0.7"], now);
    let shown = Shown::open(
        (&Encryption::Own, &TlsTerms::default()),
        &names(&["fleet.example"]),
        place.clone(),
    );
    let shown = shown.unwrap().unwrap();
    assert_eq!(shown.ca.as_bytes(), ca);
    assert_eq!(shown.host.as_deref(), Some("fleet.example"));
    assert_eq!(ensure(&["10.0.0.7"], now), (ca.clone(), first.clone()));
    let (same, second) = ensure(&["other.example"], now);
    assert!(same == ca && second != first);
    let later = now + Duration::from_secs(250 * 24 * 3_600);
    let (same, third) = ensure(&["other.example"], later);
    assert!(same == ca && third != second);
    for secret in ["ca.key", "server.pem"] {
        assert!(!private_file::others_can_read(&folder.join(secret)));
    }
}

#[test]
fn a_given_certificate_must_be_for_the_names_and_its_key_a_secret() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let own = |of: &[&str]| {
        Shown::open(
            (&Encryption::Own, &TlsTerms::default()),
            &names(of),
            place.clone(),
        )
    };
    assert!(own(&["fleet.example"]).is_ok());
    let file = authority::server_file(&place.folder);
    let given = Encryption::Given {
        certificate: file.clone(),
        key: file.clone(),
    };
    let open = |of: &[&str]| Shown::open((&given, &TlsTerms::default()), &names(of), place.clone());
    assert!(open(&["fleet.example", "127.0.0.1"]).is_ok());
    let failure = open(&["elsewhere.example"]).err().unwrap();
    assert_eq!(failure.code, "E_CERT_NAME", "{failure}");
    assert!(failure.what.contains("is for fleet.example"), "{failure}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let failure = open(&["fleet.example"]).err().unwrap();
    assert_eq!(failure.code, "E_SECRET", "{failure}");
}

#[test]
fn a_wildcard_is_one_label_and_names_know_no_case() {
    for (certified, host, is) in [
        ("a.example", "A.example", true),
        ("*.example", "a.example", true),
        ("*.example", "b.a.example", false),
        ("*.example", "example", false),
        ("10.0.0.7", "10.0.0.7", true),
        ("a.example", "b.example", false),
    ] {
        assert_eq!(covers(certified, host), is, "{certified} {host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_shown_and_a_wrong_one_is_told_while_the_last_good_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let of = names(&["fleet.example"]);
    let shown = Shown::open((&Encryption::Own, &TlsTerms::default()), &of, place.clone());
    let shown = shown.unwrap().unwrap();
    let health = Health::default();
    let file = authority::server_file(&place.folder);
    let good = std::fs::read(&file).unwrap();
    let problem = || {
        let problems = health.problems();
        problems.into_iter().find(|problem| problem.about == ABOUT)
    };
    let watching = tokio::spawn(shown.watch(health.clone(), hosts()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    private_file::write(&file, b"nothing").unwrap();
    tokio::time::sleep(4 * LOOK_PERIOD).await;
    assert_eq!(problem().unwrap().code, Code::Certificate);
    private_file::write(&file, &good).unwrap();
    tokio::time::sleep(4 * LOOK_PERIOD).await;
    assert!(problem().is_none());
    // What devices pin is not changed under them.
    let elsewhere = Place {
        folder: dir.path().join("other"),
        ..place
    };
    let others = authority::server_file(&elsewhere.folder);
    authority::ensure(&elsewhere, (&others, &of), SystemTime::now()).unwrap();
    let other = std::fs::read(others).unwrap();
    private_file::write(&file, &other).unwrap();
    tokio::time::sleep(4 * LOOK_PERIOD).await;
    assert_eq!(problem().unwrap().code, Code::CertificateIssuer);
    private_file::write(&file, &good).unwrap();
    tokio::time::sleep(4 * LOOK_PERIOD).await;
    assert!(problem().is_none());
    watching.abort();
}

/// The problems about this that there are.
fn problems(health: &Health, about: &str) -> Vec<Code> {
    let problems = health.problems().into_iter();
    let problems = problems.filter(|problem| problem.about == about);
    problems.map(|problem| problem.code).collect()
}

#[tokio::test(start_paused = true)]
async fn http_is_answered_for_the_hosts_of_the_certificate_that_is_shown_by_now() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let of = names(&["fleet.example"]);
    let shown = Shown::open((&Encryption::Own, &TlsTerms::default()), &of, place.clone());
    let (health, hosts) = (Health::default(), hosts());
    let watching = tokio::spawn(shown.unwrap().unwrap().watch(health.clone(), hosts.clone()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!hosts.has("further.example"));
    let further = names(&["fleet.example", "further.example"]);
    let file = authority::server_file(&place.folder);
    authority::ensure(&place, (&file, &further), SystemTime::now()).unwrap();
    tokio::time::sleep(4 * LOOK_PERIOD).await;
    assert_eq!(problems(&health, ABOUT), []);
    assert!(hosts.has("further.example:7883"));
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_permissions_are_mended_is_read_again() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let of = names(&["fleet.example"]);
    let shown = Shown::open((&Encryption::Own, &TlsTerms::default()), &of, place.clone());
    let health = Health::default();
    let watching = tokio::spawn(shown.unwrap().unwrap().watch(health.clone(), hosts()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let file = authority::server_file(&place.folder);
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    let beside = dir.path().join("new");
    std::fs::copy(&file, &beside).unwrap();
    std::fs::set_permissions(&beside, mode(0o644)).unwrap();
    std::fs::rename(&beside, &file).unwrap();
    tokio::time::sleep(4 * LOOK_PERIOD).await;
    assert_eq!(problems(&health, ABOUT), [Code::Secret]);
    // Neither its time nor its size change by that.
    std::fs::set_permissions(&file, mode(0o600)).unwrap();
    tokio::time::sleep(4 * LOOK_PERIOD).await;
    assert_eq!(problems(&health, ABOUT), []);
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn the_last_ca_of_others_is_taken_out_by_an_empty_file_and_not_by_one_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let of = names(&["fleet.example"]);
    let file = dir.path().join("others.pem");
    let elsewhere = Place {
        folder: dir.path().join("other"),
        ..place.clone()
    };
    let made = authority::server_file(&elsewhere.folder);
    authority::ensure(&elsewhere, (&made, &of), SystemTime::now()).unwrap();
    std::fs::copy(elsewhere.folder.join("ca.pem"), &file).unwrap();
    let terms = TlsTerms {
        client_ca: Some(file.clone()),
        ..TlsTerms::default()
    };
    let open = || Shown::open((&Encryption::Own, &terms), &of, place.clone());
    let shown = open().unwrap().unwrap();
    let (health, accepted) = (Health::default(), Arc::clone(&shown.accepted));
    let text = std::fs::read(&file).unwrap();
    let ca = Pem {
        name: "others.pem",
        text: &text,
    };
    let id = hoist_protocol::id::sha256(&hoist_net::tls::ders(ca).unwrap()[0]);
    assert!(accepted.has(&id));
    let watching = tokio::spawn(shown.watch(health.clone(), hosts()));
    let about = "certificates of devices";
    std::fs::remove_file(&file).unwrap();
    tokio::time::sleep(4 * LOOK_PERIOD).await;
    assert_eq!(problems(&health, about), [Code::Config]);
    assert!(accepted.has(&id));
    std::fs::write(&file, "\n").unwrap();
    tokio::time::sleep(4 * LOOK_PERIOD).await;
    assert_eq!(problems(&health, about), []);
    assert!(!accepted.has(&id));
    // The next start accepts none either.
    assert!(open().is_ok());
    watching.abort();
}
