//! Backups of the rows.

use std::time::Duration;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode};

use super::*;

/// Asks as the user of a token.
async fn ask(state: &HttpState, token: &str) -> Response {
    let request = Request::get("/backup/rows").header("Authorization", format!("Bearer {token}"));
    let peer = listener::Peer([192, 0, 2, 7].into());
    let request = request.body(Body::empty()).unwrap();
    backup::rows(State(state.clone()), Extension(peer), request).await
}

async fn code(answer: Response) -> (StatusCode, String) {
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_client_that_goes_away_while_its_backup_is_made_keeps_nobody_from_the_next() {
    let site = Site::start().await;
    tokio::select! {
        biased;
        answer = ask(&site.state, "admin") => panic!("it is made elsewhere: {answer:?}"),
        () = std::future::ready(()) => {}
    }
    let next = ask(&site.state, "admin").await;
    assert_eq!(next.status(), StatusCode::OK);
    drop(next);
    assert!(!site.rows().exists());
}

#[tokio::test]
async fn rows_that_somebody_still_reads_take_their_space_once_and_for_a_bounded_time() {
    let limits = HttpLimits {
        turn: Duration::from_millis(50),
        ..HttpLimits::default()
    };
    let site = Site::with(limits).await;
    let first = ask(&site.state, "admin").await;
    assert_eq!(first.status(), StatusCode::OK);
    // The second client learns soon when to come again.
    let second = ask(&site.state, "admin").await;
    assert_eq!(second.headers()["retry-after"], "30");
    assert_eq!(
        code(second).await,
        (StatusCode::CONFLICT, "E_BUSY".to_owned())
    );
    drop(first);
    assert!(!site.rows().exists());

    let mut state = site.state.clone();
    state.limits.rows = Duration::ZERO;
    let late = ask(&state, "admin").await.into_body();
    to_bytes(late, 1 << 16).await.unwrap_err();
    assert!(!site.rows().exists());
}

#[tokio::test]
async fn only_administrators_of_all_groups_get_the_rows_of_all_groups() {
    let site = Site::start().await;
    for (token, expected) in [
        ("nobody", (StatusCode::UNAUTHORIZED, "E_AUTH")),
        ("viewer", (StatusCode::FORBIDDEN, "E_ROLE")),
        ("deployer", (StatusCode::FORBIDDEN, "E_ROLE")),
        ("admin of eu", (StatusCode::FORBIDDEN, "E_ROLE")),
    ] {
        let (status, code) = code(ask(&site.state, token).await).await;
        assert_eq!((status, code.as_str()), expected, "{token}");
    }
}

#[tokio::test]
async fn a_copy_of_the_rows_takes_nothing_of_the_space_that_is_the_stores() {
    let uploads = UploadLimits {
        reserve_bytes: u64::MAX,
        ..UploadLimits::default()
    };
    let site = Site::limited(uploads).await;
    let refused = code(ask(&site.state, "admin").await).await;
    let no_space = (StatusCode::INSUFFICIENT_STORAGE, "E_SPACE".to_owned());
    assert_eq!(refused, no_space);
    assert!(!site.rows().exists());
}

#[tokio::test]
async fn whoever_takes_the_rows_along_is_in_the_audit_trail_and_whoever_may_not_is_not() {
    let site = Site::start().await;
    for token in ["viewer", "deployer", "admin of eu"] {
        let refused = code(ask(&site.state, token).await).await;
        assert_eq!(refused, (StatusCode::FORBIDDEN, "E_ROLE".to_owned()));
    }
    assert_eq!(*site.desk.noted.lock().unwrap(), []);
    let taken = ask(&site.state, "admin").await;
    assert_eq!(taken.status(), StatusCode::OK);
    let noted = site.desk.noted.lock().unwrap();
    let [deed] = &noted[..] else {
        panic!("{noted:?}");
    };
    let told = [deed.user.as_str(), &deed.from, &deed.verb, &deed.target];
    assert_eq!(told, ["ann", "192.0.2.7", "backup", "rows"]);
    assert!(deed.request.as_str().starts_with("backup-"), "{deed:?}");
}
