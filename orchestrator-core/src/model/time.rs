//! Times in JSON: written as RFC 3339 in UTC to the second, read with any offset; Unix
//! milliseconds inside.

const DAY_MS: u64 = 86_400_000;
const DAY_MINUTES: u64 = 1_440;
/// Times have four digits for the year.
const YEAR_10000_MS: u64 = 253_402_300_800_000;

/// Days from 1970-01-01 to a date, by the proleptic Gregorian calendar.
fn days_of(year: u64, month: u64, day: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let before = |y: u64| y * 365 + leaps(y - 1);
    (1..month).fold(before(year) - before(1970), |days, m| {
        days + days_in(year, m)
    }) + day
        - 1
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `2026-01-31T06:00:00Z`
#[must_use]
pub fn format_time(unix_ms: u64) -> String {
    let (mut days, mut year) = (unix_ms / DAY_MS, 1970);
    let length = |year| days_in(year, 2) + 337;
    while days >= length(year) && year < 9999 {
        days -= length(year);
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let seconds = unix_ms % DAY_MS / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The Unix milliseconds of an RFC 3339 time with any offset, from 1970 to 9999; fractions
/// of a second are dropped, a leap second is the one after it.
#[must_use]
pub fn parse_time(text: &str) -> Option<u64> {
    let (whole, rest) = text.split_at_checked(19)?;
    let number = |from: usize, to: usize| digits(whole.get(from..to)?);
    let is_at = |at: usize, marks: &str| {
        whole[at..]
            .chars()
            .next()
            .is_some_and(|mark| marks.contains(mark))
    };
    let marks = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")];
    if !whole.is_ascii() || !marks.iter().all(|(at, mark)| is_at(*at, mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let sound = (1969..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !sound {
        return None;
    }
    let minutes = minutes_since_1969(year, month, day) + hour * 60 + minute;
    let minutes = minutes.checked_add_signed(-offset_minutes(without_fraction(rest)?)?)?;
    if second == 60 && minutes % DAY_MINUTES != DAY_MINUTES - 1 {
        return None;
    }
    let minutes = minutes.checked_sub(365 * DAY_MINUTES)?;
    Some((minutes * 60 + second) * 1000).filter(|ms| *ms < YEAR_10000_MS)
}

/// Counted from a year before 1970, so that the first hours of 1970 elsewhere are not
/// negative.
fn minutes_since_1969(year: u64, month: u64, day: u64) -> u64 {
    match year {
        1969 => (1..month).fold(day - 1, |days, m| days + days_in(year, m)) * DAY_MINUTES,
        _ => (days_of(year, month, day) + 365) * DAY_MINUTES,
    }
}

/// The text that follows `.` and its digits, if there is one.
fn without_fraction(rest: &str) -> Option<&str> {
    let Some(fraction) = rest.strip_prefix('.') else {
        return Some(rest);
    };
    let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (offset.len() < fraction.len()).then_some(offset)
}

/// `Z`, `+02:00`
fn offset_minutes(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, hours_minutes) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(behind), _) => (1, behind),
        (_, Some(behind)) => (-1, behind),
        _ => return None,
    };
    let (hours, minutes) = hours_minutes.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let total = i64::try_from(hours * 60 + minutes).ok()?;
    (hours < 24 && minutes < 60).then_some(sign * total)
}

fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_written() {
        for (unix_s, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_769_839_200, "2026-01-31T06:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(format_time(unix_s * 1000), text);
            assert_eq!(parse_time(text), Some(unix_s * 1000), "{text}");
        }
        assert_eq!(
            parse_time("2026-01-31T06:00:00.250Z"),
            Some(1_769_839_200_000)
        );
    }

    #[test]
    fn a_time_with_any_offset_is_read_as_the_utc_time_it_is() {
        for (text, utc) in [
            ("2030-12-01T10:00:00+02:00", "2030-12-01T08:00:00Z"),
            ("2030-12-01T10:00:00-05:30", "2030-12-01T15:30:00Z"),
            ("2030-12-01T10:00:00+00:00", "2030-12-01T10:00:00Z"),
            ("2030-12-01T10:00:00-00:00", "2030-12-01T10:00:00Z"),
            ("2030-12-01t10:00:00z", "2030-12-01T10:00:00Z"),
            ("2030-12-01 10:00:00Z", "2030-12-01T10:00:00Z"),
            (
                "2030-12-01T10:00:00.999999999+02:00",
                "2030-12-01T08:00:00Z",
            ),
            ("2028-03-01T00:30:00+01:00", "2028-02-29T23:30:00Z"),
            ("2027-02-28T23:30:00-01:00", "2027-03-01T00:30:00Z"),
            ("2030-12-31T23:30:00-01:00", "2031-01-01T00:30:00Z"),
            ("1970-01-01T05:00:00+05:00", "1970-01-01T00:00:00Z"),
            ("1969-12-31T20:00:00-04:00", "1970-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("2017-01-01T01:59:60+02:00", "2017-01-01T00:00:00Z"),
        ] {
            assert_eq!(
                parse_time(text).map(format_time).as_deref(),
                Some(utc),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_or_out_of_bounds_is_refused() {
        for bad in [
            "",
            "Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T06:60:00Z",
            "2026-01-31T06:00:60Z",
            "2026-01-31T06:00:61Z",
            "2026-00-31T06:00:00Z",
            "2026-01-00T06:00:00Z",
            "2026-01-31T06:00:00",
            "2026-01-31T06:00:00.Z",
            "2026-01-31T06:00:00+1:00",
            "2026-01-31T06:00:00+0100",
            "2026-01-31T06:00:00+24:00",
            "2026-01-31T06:00:00+01:60",
            "2026-01-31T06:00:00+01:00Z",
            "2026-01-31T06:00:00Europe/Paris",
            "2026-01-31T06:00Z",
            "+026-01-31T06:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:59:59+01:00",
            "9999-12-31T23:59:59-00:01",
            "2026-01-31T06:00é00Z",
            "2026-01-31T06:00:00é",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
