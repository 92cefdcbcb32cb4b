use serde_json::json;

use super::*;

const SHAPE: Shape = Shape {
    name: "device",
    columns: &[
        column("DEVICE", "/device", Show::Plain),
        column("STATUS", "/status", Show::Plain),
        column("SEEN", "/lastSeen", Show::Ago),
        wide("INSTALLED", "/installed", Show::Pairs),
        wide("ID", "/id", Show::Short),
    ],
};

fn items() -> Vec<Value> {
    vec![
        json!({"device": "dev-01", "status": "successful", "lastSeen": "2026-01-01T00:00:00Z",
               "installed": {"app": "1.1.0"}, "id": "a1b2c3d4e5f60718293a4b5c6d7e8f90"}),
        json!({"device": "dev-2", "status": null, "lastSeen": null, "installed": {}}),
    ]
}

fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-01-01T00:05:00Z").unwrap()
}

#[test]
fn a_table_aligns_its_columns_and_shows_times_relative() {
    assert_eq!(
        list(Format::Table, &SHAPE, &items(), now()),
        "DEVICE  STATUS      SEEN\ndev-01  successful  5m ago\ndev-2   -           -\n"
    );
    assert_eq!(
        list(Format::Wide, &SHAPE, &items(), now()),
        "DEVICE  STATUS      SEEN    INSTALLED  ID\n\
         dev-01  successful  5m ago  app=1.1.0  a1b2c3d4e5f6\n\
         dev-2   -           -       -          -\n"
    );
}

#[test]
fn every_json_item_carries_its_version_and_an_empty_list_is_a_list() {
    assert_eq!(list(Format::Json, &SHAPE, &[], now()), "[]\n");
    assert_eq!(list(Format::Ndjson, &SHAPE, &[], now()), "");
    let item = json!({"device": "d"});
    assert_eq!(
        list(Format::Json, &SHAPE, std::slice::from_ref(&item), now()),
        "[\n  {\n    \"apiVersion\": \"hoist/v1\",\n    \"device\": \"d\"\n  }\n]\n"
    );
    assert_eq!(
        list(Format::Ndjson, &SHAPE, std::slice::from_ref(&item), now()),
        "{\"apiVersion\":\"hoist/v1\",\"device\":\"d\"}\n"
    );
    assert_eq!(
        one(Format::Json, &SHAPE, &item),
        "{\n  \"apiVersion\": \"hoist/v1\",\n  \"device\": \"d\"\n}\n"
    );
}

#[test]
fn names_stand_alone_on_their_lines() {
    assert_eq!(
        list(Format::Name, &SHAPE, &items(), now()),
        "dev-01\ndev-2\n"
    );
}

#[test]
fn one_item_is_shown_field_by_field() {
    let item = json!({"apiVersion": "hoist/v1", "deployment": 1, "counts": {"failed": 1},
                      "failures": [{"reason": "script-failed"}]});
    assert_eq!(
        one(Format::Table, &SHAPE, &item),
        "counts.failed      1\ndeployment         1\nfailures.1.reason  script-failed\n"
    );
}

#[test]
fn a_time_is_told_in_its_largest_unit() {
    let at = |text| ago(text, now());
    assert_eq!(at("2026-01-01T00:04:58Z"), "2s ago");
    assert_eq!(at("2025-12-31T21:00:00Z"), "3h ago");
    assert_eq!(at("2025-12-01T00:00:00Z"), "31d ago");
    assert_eq!(at("2026-01-01T00:06:00Z"), "in 1m");
}

#[test]
fn an_unknown_format_names_what_was_meant() {
    let error = "jsn".parse::<Format>().unwrap_err();
    assert!(error.contains("did you mean json?"), "{error}");
}

#[test]
fn what_a_device_says_cannot_command_the_terminal() {
    let item = json!({"device": "d", "output": "one\ntwo \u{1b}[2Jthree\n"});
    assert_eq!(
        one(Format::Table, &SHAPE, &item),
        "device  d\noutput  one\n        two \u{fffd}[2Jthree\n"
    );
    let item = json!({"device": "d", "labels": {"a\u{1b}\nb": "1\u{202e}2"}});
    assert_eq!(
        one(Format::Table, &SHAPE, &item),
        "device       d\nlabels.a\u{fffd} b  1\u{fffd}2\n"
    );
    let json = one(Format::Json, &SHAPE, &item);
    assert!(json.contains("\\u001b"), "JSON escapes by itself: {json}");
}
