//! Backups of the rows.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};

use super::*;

#[tokio::test]
async fn a_client_that_goes_away_while_its_backup_is_made_keeps_nobody_from_the_next() {
    let site = Site::start().await;
    let request = || {
        let request = Request::get("/backup/rows").header("Authorization", "Bearer admin");
        request.body(Body::empty()).unwrap()
    };
    let begun = backup::rows(State(site.state.clone()), request());
    tokio::select! {
        biased;
        answer = begun => panic!("it is made elsewhere: {answer:?}"),
        () = std::future::ready(()) => {}
    }
    let next = backup::rows(State(site.state.clone()), request()).await;
    assert_eq!(next.status(), StatusCode::OK);
    assert!(!site.state.scratch.exists());
}
