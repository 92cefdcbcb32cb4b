//! Who may read the metrics, and what is said of the server itself.

use super::*;

#[tokio::test]
async fn metrics_are_for_viewers_and_for_this_machine_without_a_proxy() {
    let site = Site::start().await;
    let (status, head, body) = site.ask("GET /metrics HTTP/1.1", b"").await;
    assert_eq!(status, 200);
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains("hoist_ready 0\n"));
    for proxy in ["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1"] {
        let head = format!("GET /metrics HTTP/1.1\r\n{proxy}");
        assert_eq!(site.ask(&head, b"").await.0, 401, "{proxy}");
        let head = format!("{head}\r\nAuthorization: Bearer viewer");
        assert_eq!(site.ask(&head, b"").await.0, 200, "{proxy}");
    }
}

#[tokio::test]
async fn metrics_tell_problems_by_their_code_and_the_time_of_a_backup_once_there_was_one() {
    use crate::health::Stops;
    let site = Site::start().await;
    site.health
        .begin("store", Code::Space, "full", Stops::Server);
    site.ready.send(true).unwrap();
    let get = async || {
        let (_, _, body) = site.ask("GET /metrics HTTP/1.1", b"").await;
        String::from_utf8(body).unwrap()
    };
    let before = get().await;
    assert!(
        before.contains("hoist_problems{code=\"E_SPACE\"} 1\n"),
        "{before}"
    );
    assert!(before.contains("hoist_ready 1\n"), "{before}");
    assert!(
        !before.contains("\nhoist_backup_timestamp_seconds"),
        "{before}"
    );
    let rows = "GET /backup/rows HTTP/1.1\r\nAuthorization: Bearer admin";
    assert_eq!(site.ask(rows, b"").await.0, 200);
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
    // The text is given again for a moment.
    while !get().await.contains("\nhoist_backup_timestamp_seconds ") {
        pause.tick().await;
    }
}
