//! The weekly windows of a deployment as people say them: in the local time of a place. Devices
//! get them in UTC, anew whenever the clocks there change.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;
/// The days of a week, as they are written.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Every day, as bits of [`LocalWindow::days`].
pub const EVERY_DAY: u8 = 0x7f;

/// The windows of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// The IANA name of the time zone.
    pub time_zone: String,
    /// The windows, as they were said.
    pub open: Vec<LocalWindow>,
}

/// A weekly window in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalWindow {
    /// The days on which it opens: bit 0 is Monday.
    pub days: u8,
    /// The minute of the day at which it opens.
    pub from_minute: u16,
    /// Minutes for which it is open, at least 1.
    pub minutes: u16,
}

impl LocalWindow {
    /// The days on which it opens, as they are written: `mon-fri,sun`.
    #[must_use]
    pub fn days_text(self) -> String {
        let opens = |day: usize| day < DAYS.len() && self.days & (1 << day) != 0;
        let mut parts = Vec::new();
        let mut day = 0;
        while day < DAYS.len() {
            let length = (day..=DAYS.len()).take_while(|day| opens(*day)).count();
            match length {
                0 => {}
                1 => parts.push(DAYS[day].to_owned()),
                _ => parts.push(format!("{}-{}", DAYS[day], DAYS[day + length - 1])),
            }
            day += length.max(1);
        }
        parts.join(",")
    }

    /// The time at which it opens, as it is written: `02:00`.
    #[must_use]
    pub fn from_text(self) -> String {
        format!("{:02}:{:02}", self.from_minute / 60, self.from_minute % 60)
    }
}

impl fmt::Display for LocalWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, from, minutes) = (self.days_text(), self.from_text(), self.minutes);
        write!(f, "{days} {from} {minutes}m")
    }
}

/// Reads days: `mon-fri`, `sat,sun`, `sun-tue`, or `daily`. None when they are no days.
#[must_use]
pub fn parse_days(text: &str) -> Option<u8> {
    if text == "daily" {
        return Some(EVERY_DAY);
    }
    let day = |word: &str| DAYS.iter().position(|day| *day == word);
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + DAYS.len() - first) % DAYS.len();
        for after in 0..=length {
            days |= 1 << ((first + after) % DAYS.len());
        }
    }
    Some(days)
}

/// Reads a time of the day, `02:00`, as its minute.
#[must_use]
pub fn parse_from(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |part: &str, below: u16| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = part.parse::<u16>().ok().filter(|_| digits)?;
        (number < below).then_some(number)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_in_lists_and_ranges_also_across_the_end_of_the_week() {
        let read = |text| {
            parse_days(text).map(|days| {
                LocalWindow {
                    days,
                    from_minute: 125,
                    minutes: 90,
                }
                .to_string()
            })
        };
        assert_eq!(read("mon-fri").unwrap(), "mon-fri 02:05 90m");
        assert_eq!(read("wed").unwrap(), "wed 02:05 90m");
        assert_eq!(read("sat-mon").unwrap(), "mon,sat-sun 02:05 90m");
        assert_eq!(read("tue,thu,fri").unwrap(), "tue,thu-fri 02:05 90m");
        assert_eq!(read("daily").unwrap(), "mon-sun 02:05 90m");
        for wrong in ["", "Monday", "mon-", "mo", "mon fri", "mon,,fri"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_of_the_day_has_two_digits_twice() {
        assert_eq!(parse_from("00:00"), Some(0));
        assert_eq!(parse_from("23:59"), Some(1_439));
        for wrong in ["24:00", "2:00", "02:60", "02", "+2:00", "02:00:00"] {
            assert_eq!(parse_from(wrong), None, "{wrong}");
        }
    }
}
