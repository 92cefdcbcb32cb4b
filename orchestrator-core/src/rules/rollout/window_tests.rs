//! Windows over the year in places whose clocks change, and in one where they do not.

use super::*;
use crate::model::time::parse_time;
use crate::model::window::{EVERY_DAY, LocalWindow, parse_days, parse_from};

fn at(text: &str) -> u64 {
    parse_time(text).unwrap()
}

fn windows(time_zone: &str, open: &[(&str, &str, u16)]) -> Windows {
    let open = open.iter().map(|(days, from, minutes)| LocalWindow {
        days: parse_days(days).unwrap(),
        from_minute: parse_from(from).unwrap(),
        minutes: *minutes,
    });
    Windows {
        time_zone: time_zone.to_owned(),
        open: open.collect(),
    }
}

fn utc(windows: &Windows, at_ms: u64) -> Vec<(u16, u16)> {
    let zone = zone(&windows.time_zone).unwrap();
    let minutes = in_utc(windows, &zone, at_ms).into_iter();
    minutes.map(|it| (it.start_minute, it.minutes)).collect()
}

fn changes(time_zone: &str, from: &str) -> Vec<String> {
    let zone = zone(time_zone).unwrap();
    let first = next_change_ms(&zone, at(from));
    let all = std::iter::successors(first, |ms| next_change_ms(&zone, *ms));
    all.take(3).map(crate::model::time::format_time).collect()
}

#[test]
fn a_window_keeps_its_local_time_over_both_changes_of_a_year() {
    let berlin = windows("Europe/Berlin", &[("tue", "02:00", 120)]);
    let tuesday = 24 * 60;
    assert_eq!(
        changes("Europe/Berlin", "2027-01-01T00:00:00Z"),
        [
            "2027-03-28T01:00:00Z",
            "2027-10-31T01:00:00Z",
            "2028-03-26T01:00:00Z"
        ]
    );
    for (time, start) in [
        ("2027-03-28T00:59:59Z", tuesday + 60),
        ("2027-03-28T01:00:00Z", tuesday),
        ("2027-10-31T00:59:59Z", tuesday),
        ("2027-10-31T01:00:00Z", tuesday + 60),
    ] {
        assert_eq!(utc(&berlin, at(time)), [(start, 120)], "{time}");
    }
}

#[test]
fn the_southern_summer_and_half_hours_are_known() {
    let sydney = windows("Australia/Sydney", &[("mon", "02:00", 60)]);
    let sunday = 6 * 24 * 60;
    assert_eq!(
        utc(&sydney, at("2027-01-10T00:00:00Z")),
        [(sunday + 15 * 60, 60)]
    );
    assert_eq!(
        utc(&sydney, at("2027-07-10T00:00:00Z")),
        [(sunday + 16 * 60, 60)]
    );
    let changes = changes("Australia/Sydney", "2027-01-01T00:00:00Z");
    assert_eq!(
        changes[..2],
        ["2027-04-03T16:00:00Z", "2027-10-02T16:00:00Z"]
    );
    // Half an hour of daylight saving, on a day that is another one in UTC.
    let lord_howe = windows("Australia/Lord_Howe", &[("mon", "00:00", 60)]);
    assert_eq!(
        utc(&lord_howe, at("2027-07-10T00:00:00Z")),
        [(sunday + 13 * 60 + 30, 60)]
    );
    assert_eq!(
        utc(&lord_howe, at("2027-01-10T00:00:00Z")),
        [(sunday + 13 * 60, 60)]
    );
}

#[test]
fn windows_go_across_midnight_and_across_the_end_of_the_week() {
    let july = at("2027-07-10T00:00:00Z");
    let night = windows("Europe/Berlin", &[("sun", "23:00", 240)]);
    assert_eq!(utc(&night, july), [(6 * 1_440 + 21 * 60, 240)]);
    // Monday begins on Sunday, in UTC.
    let early = windows("Europe/Berlin", &[("mon", "01:00", 60)]);
    assert_eq!(utc(&early, july), [(6 * 1_440 + 23 * 60, 60)]);
    let american = windows("America/Los_Angeles", &[("sun", "23:00", 60)]);
    assert_eq!(utc(&american, july), [(6 * 60, 60)], "Monday in UTC");
}

#[test]
fn windows_that_touch_are_one_and_a_whole_week_is_one() {
    let july = at("2027-07-10T00:00:00Z");
    let twice = windows("UTC", &[("mon", "02:00", 120), ("mon", "03:00", 120)]);
    assert_eq!(utc(&twice, july), [(120, 180)]);
    let days = windows("UTC", &[("mon-fri", "00:00", 1_440)]);
    assert_eq!(utc(&days, july), [(0, 5 * 1_440)]);
    let weekend = windows("UTC", &[("sat", "22:00", 1_440), ("sun", "22:00", 600)]);
    assert_eq!(
        utc(&weekend, july),
        [(5 * 1_440 + 22 * 60, 2_040)],
        "into Monday"
    );
    for always in [("daily", "09:00", 1_440), ("wed", "00:00", WEEK_MINUTES)] {
        assert_eq!(utc(&windows("UTC", &[always]), july), [(0, WEEK_MINUTES)]);
    }
    assert_eq!(
        utc(&windows("UTC", &[("daily", "02:00", 60)]), july).len(),
        7
    );
}

#[test]
fn clocks_that_never_change_are_looked_at_no_more() {
    assert_eq!(changes("Asia/Tokyo", "2027-01-01T00:00:00Z").len(), 0);
    assert_eq!(changes("UTC", "2027-01-01T00:00:00Z").len(), 0);
    let tokyo = windows("Asia/Tokyo", &[("tue", "02:00", 60)]);
    for time in ["2027-01-10T00:00:00Z", "2027-07-10T00:00:00Z"] {
        assert_eq!(utc(&tokyo, at(time)), [(17 * 60, 60)]);
    }
}

#[test]
fn a_name_is_found_in_any_case_and_a_near_one_is_offered() {
    let name = zone("europe/berlin").unwrap();
    assert_eq!(name.iana_name(), Some("Europe/Berlin"));
    assert!(zone("Europe/Atlantis").is_none());
    assert_eq!(nearest_zone("Europe/Berlim"), Some("Europe/Berlin".into()));
}

#[test]
fn the_next_opening_is_told_in_local_time_also_behind_a_change() {
    let berlin = windows("Europe/Berlin", &[("sun,mon", "03:30", 60)]);
    let opens = |time| {
        let opens_ms = opens_ms(&berlin, at(time)).unwrap();
        let utc = crate::model::time::format_time(opens_ms);
        (utc, local_text("Europe/Berlin", opens_ms).unwrap())
    };
    assert_eq!(
        opens("2027-03-27T12:00:00Z"),
        (
            "2027-03-28T01:30:00Z".to_owned(),
            "Sun 03:30 Europe/Berlin".to_owned()
        ),
        "in summer time already"
    );
    let open = "2027-03-28T01:45:00Z";
    assert_eq!(opens(open).0, open, "it is open");
    assert_eq!(opens("2027-03-28T02:30:00Z").1, "Mon 03:30 Europe/Berlin");
    assert_eq!(EVERY_DAY.count_ones(), 7);
}
