//! Configuration errors (bad-inputs row 70).

use super::*;
use std::fs;

use hoist_protocol::code::Code;

const ROOT: &str = "abababababababababababababababababababababababababababababababab";

fn load(text: &str) -> Result<AgentConfig, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    write(&path, text, 0o600);
    AgentConfig::load(&path)
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn rendered() -> String {
    render(&NewAgent {
        device: &"dev-01".parse().unwrap(),
        namespace: None,
        broker: "mqtt://127.0.0.1:1883",
        ca: None,
        client_cert: None,
        token: Some("1.secret"),
        root_sha256: ROOT,
        root_number: None,
        artifacts: Some("http://127.0.0.1:7883/artifacts"),
        device_type: None,
    })
}

#[test]
fn a_rendered_configuration_loads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dev-01.toml");
    write(&path, &rendered(), 0o600);
    let config = AgentConfig::load(&path).unwrap();
    assert_eq!(
        config.server.broker,
        Endpoint::parse("mqtt://127.0.0.1:1883").unwrap()
    );
    assert_eq!(config.server.root_sha256, [0xab; 32]);
    assert_eq!(config.server.root_number, 1);
    assert_eq!(config.host.state_dir, dir.path().join("dev-01.state"));
    assert_eq!(config.server.keep_alive, KEEP_ALIVE);
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn an_unknown_key_is_refused_with_line_and_suggestion() {
    let error = load(&format!("{}keepalive = \"10m\"\n", rendered()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("agent.toml:7:"), "{error}");
    assert!(error.contains("did you mean `keep_alive`?"), "{error}");
}

#[test]
fn a_bad_unit_or_address_is_refused_with_its_line() {
    let error = load(&format!("{}keep_alive = \"10 parsecs\"\n", rendered()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("agent.toml:7: keep_alive"), "{error}");
    let error = load(&rendered().replace("mqtt://", "ssh://"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("agent.toml:3: broker"), "{error}");
    let error = load(&format!("{}reboot_command = []\n", rendered()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("agent.toml:7: reboot_command"), "{error}");
}

#[test]
fn an_address_with_a_password_is_refused_and_not_repeated() {
    for (from, to) in [
        ("http://127", "http://user:hunter2@127"),
        ("http://127", "https://hunter2@127"),
        ("mqtt://127", "mqtt://user:hunter2@127"),
    ] {
        let error = load(&rendered().replace(from, to)).unwrap_err().to_string();
        assert!(error.contains("user name or password"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn an_address_that_artifacts_cannot_come_from_is_refused_with_its_line() {
    for (address, told) in [
        ("https://files", "TLS"),
        ("files/artifacts", "not an address like http://"),
    ] {
        let text = rendered().replace("http://127.0.0.1:7883/artifacts", address);
        let error = load(&text).unwrap_err().to_string();
        assert!(
            error.contains("agent.toml:6: artifacts") && error.contains(told),
            "{error}"
        );
    }
}

#[test]
fn a_token_that_others_can_read_or_a_file_that_they_can_change_is_refused_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    let beside = rendered().replace("token = \"1.secret\"", "token_file = \"token\"");
    write(&dir.path().join("token"), "1.secret\n", 0o400);
    for (text, mode, fits) in [
        (rendered(), 0o600, true),
        (rendered(), 0o644, false),
        (rendered(), 0o640, false),
        (rendered(), 0o666, false),
        (beside.clone(), 0o644, true),
        (beside.clone(), 0o664, false),
        (beside, 0o646, false),
    ] {
        write(&path, &text, mode);
        match AgentConfig::load(&path) {
            Ok(_) => assert!(fits, "{mode:o}"),
            Err(error) => {
                assert!(!fits && error.code() == Code::Exposed, "{mode:o}: {error}");
                assert!(error.to_string().contains("`chmod "), "{error}");
            }
        }
        let found = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "it is not mended in silence");
    }
}

#[test]
fn a_token_file_that_others_can_read_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    let text = rendered().replace("token = \"1.secret\"", "token_file = \"token\"");
    write(&path, &text, 0o644);
    let token = dir.path().join("token");
    write(&token, "1.secret\n", 0o644);
    let error = AgentConfig::load(&path).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(AgentConfig::load(&path).unwrap().server.token.0, "1.secret");
}

#[test]
fn variables_for_scripts_are_read_and_those_of_the_agent_refused_with_their_line() {
    let config = load(&format!("{}[environment]\nTZ = \"UTC\"\n", rendered())).unwrap();
    let expected = [("TZ".to_owned(), "UTC".to_owned())];
    assert_eq!(config.host.environment, expected);
    let text = format!(
        "{}[environment]\nTZ = \"UTC\"\nHOIST_X = \"1\"\n",
        rendered()
    );
    let error = load(&text).unwrap_err().to_string();
    assert!(error.contains("agent.toml:9: "), "{error}");
    assert!(error.contains("HOIST_"), "{error}");
}

#[cfg(feature = "tls")]
#[test]
fn a_broker_by_tls_wants_the_ca_that_it_is_believed_by() {
    let encrypted = rendered().replace("mqtt://", "mqtts://");
    let error = load(&encrypted).unwrap_err().to_string();
    assert!(error.contains("agent.toml:3: broker"), "{error}");
    assert!(error.contains("`ca`"), "{error}");
    let error = load(&format!("{encrypted}ca = \"nothing\"\n"));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("agent.toml:7: there is no certificate in ca"),
        "{error}"
    );
    let both = format!("{encrypted}ca = \"a\"\nca_file = \"b\"\n");
    let error = load(&both).unwrap_err().to_string();
    assert!(error.contains("both ca and ca_file"), "{error}");
}
