//! Readers of events who are too slow.

use std::time::Duration;

use hoist_orchestrator_core::model::key::{EventHeadKey, EventKey, Key, RowKey};
use hoist_orchestrator_core::model::row::{EventHeadRow, EventRow};
use hoist_protocol::codec::encode;

use super::*;
use crate::store::{Change, Expected, Store};

/// Events that no buffer of a socket takes.
const EVENTS: u64 = 4_000;

/// Puts them into the history of a server.
async fn happen(site: &Site) {
    let row = EventRow {
        at_ms: 1,
        kind: "server-degraded".into(),
        group: None,
        data: format!("{{\"detail\":\"{}\"}}", "x".repeat(3_000)),
    };
    let head = EventHeadRow {
        origin_ms: 1,
        number: EVENTS,
        first: 1,
    };
    let change = |key: Key, value: Vec<u8>| Change {
        key: key.0,
        expected: Expected::Absent,
        value: Some(value),
    };
    let rows = (1..=EVENTS).map(|number| change(EventKey(number).key(), encode(&row)));
    let head = change(EventHeadKey.key(), encode(&head));
    site.state
        .store
        .commit(rows.chain([head]).collect())
        .await
        .unwrap();
}

/// Asks for events behind one.
async fn follow(site: &Site, last: &str) -> TcpStream {
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let head = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer viewer\r\n\
         Last-Event-ID: {last}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_and_goes_on_behind_the_last_event_that_it_had() {
    let site = Site::with(HttpLimits {
        silence: Duration::from_millis(200),
        ..HttpLimits::default()
    })
    .await;
    happen(&site).await;
    let mut slow = follow(&site, "1-0").await;
    let places = || site.state.events.places();
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    while places() == 0 {
        pause.tick().await;
    }
    while places() > 0 {
        pause.tick().await;
    }
    let mut had = Vec::new();
    let _reset = slow.read_to_end(&mut had).await;
    let had = String::from_utf8_lossy(&had).into_owned();
    let ids: Vec<&str> = had
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert!(
        !ids.is_empty() && (ids.len() as u64) < EVENTS,
        "{}",
        ids.len()
    );
    let last = ids.last().unwrap();
    let mut again = follow(&site, last).await;
    let (origin, number) = last.split_once('-').unwrap();
    let next = format!("id: {origin}-{}\n", number.parse::<u64>().unwrap() + 1);
    let mut read = String::new();
    while !read.contains("\ndata: ") {
        let mut part = [0; 4_096];
        let bytes = again.read(&mut part).await.unwrap();
        read += &String::from_utf8_lossy(&part[..bytes]);
    }
    assert!(read.contains(&next), "{next} {read:.300}");
}
