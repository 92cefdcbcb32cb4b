//! Times in JSON: RFC 3339 in UTC to the second, as Unix milliseconds inside.

const DAY_MS: u64 = 86_400_000;

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

/// The Unix milliseconds of a time written as [`format_time`] does; fractions of a second
/// are allowed and dropped.
#[must_use]
pub fn parse_time(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.len() != 19 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = whole.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
        digits.parse().ok()
    };
    let marks = [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':')];
    if !marks
        .iter()
        .all(|(at, mark)| whole[*at..].starts_with(*mark))
    {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    sound.then(|| days_of(year, month, day) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000)
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
    fn what_is_no_utc_time_is_refused() {
        for bad in [
            "",
            "Z",
            "2026-02-29T00:00:00Z",
            "2026-01-31 06:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T06:00:00+01:00",
            "1969-12-31T23:59:59Z",
            "2026-01-31T06:00é00Z",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
