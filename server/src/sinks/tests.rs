//! What is written in the file of sinks, and what is refused.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn hook(id: &str, secret: &Path) -> Sink {
    Sink {
        webhook: Some("http://127.0.0.1:1/hook".into()),
        secret_file: Some(secret.to_owned()),
        ..Sink::new(id).unwrap()
    }
}

#[test]
fn sinks_are_read_back_as_they_were_written_and_not_by_others() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read(dir.path()).unwrap(), []);
    let program = Sink {
        exec: vec!["/bin/true".into(), "--loud".into()],
        kinds: vec!["device-failed".into()],
        ..Sink::new("ops").unwrap()
    };
    let sinks = vec![hook("chat", Path::new("/secret")), program];
    write(dir.path(), sinks.clone()).unwrap();
    assert_eq!(read(dir.path()).unwrap(), sinks);
    let file = dir.path().join(FILE);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o620)).unwrap();
    assert_eq!(read(dir.path()).unwrap_err().code, "E_SECRET");
}

#[test]
fn a_sink_goes_to_one_place_with_a_secret_of_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    let code = |sink: &Sink| sink.target().map_err(|failure| failure.code);
    private_file::write(&secret, b"too short\n").unwrap();
    assert_eq!(code(&hook("a", &secret)).unwrap_err(), "E_CONFIG");
    private_file::write(&secret, b"0123456789abcdef\n").unwrap();
    assert!(matches!(
        code(&hook("a", &secret)),
        Ok(Target::Webhook { .. })
    ));
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(code(&hook("a", &secret)).unwrap_err(), "E_SECRET");
    let nowhere = Sink::new("a").unwrap();
    assert_eq!(code(&nowhere).unwrap_err(), "E_CONFIG");
    let both = Sink {
        exec: vec!["true".into()],
        ..hook("a", &secret)
    };
    assert_eq!(code(&both).unwrap_err(), "E_CONFIG");
    let by_mqtt = Sink {
        webhook: Some("mqtt://127.0.0.1:1".into()),
        ..hook("a", &secret)
    };
    assert_eq!(code(&by_mqtt).unwrap_err(), "E_CONFIG");
}

#[tokio::test]
async fn a_program_gets_the_event_on_its_input_and_ends_with_its_children_when_it_is_late() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let sink = |script: String| Sink {
        exec: vec!["sh".into(), "-c".into(), script],
        timeout_secs: 1,
        ..Sink::new("ops").unwrap()
    };
    let event = test_event("hoist", std::time::SystemTime::UNIX_EPOCH);
    let writes = format!(
        "cat > {0}; echo $HOIST_EVENT_KIND $HOME >> {0}",
        out.display()
    );
    deliver(&sink(writes), &event).await.unwrap();
    let got = std::fs::read_to_string(&out).unwrap();
    assert_eq!(got, format!("{}test\n", event.body));
    let why = deliver(&sink("exit 3".into()), &event).await.unwrap_err();
    assert!(why.contains("exit status: 3"), "{why}");
    let late = format!("sleep 60 & echo $! > {}; wait", out.display());
    let why = deliver(&sink(late), &event).await.unwrap_err();
    assert!(why.contains("within 1s"), "{why}");
    let child = std::fs::read_to_string(&out).unwrap();
    let alive = || Path::new("/proc").join(child.trim()).join("exe").exists();
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(5));
    while alive() {
        pause.tick().await;
    }
}
