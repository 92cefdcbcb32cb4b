//! Percentages and durations as people type them.

use std::str::FromStr;
use std::time::Duration;

/// A share between 0 % and 100 %, in basis points so that `0.5%` is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percent {
    basis_points: u32,
}

/// Basis points in a whole.
const WHOLE: u64 = 10_000;

impl Percent {
    /// The share in hundredths of a percent.
    pub(crate) fn basis_points(self) -> u32 {
        self.basis_points
    }

    /// True if a uniformly random number falls into the share.
    pub(crate) fn hits(self, random: u64) -> bool {
        random % WHOLE < u64::from(self.basis_points)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a percentage from 0% to 100%, such as 5%");
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.len() > 2 || whole.is_empty() {
            return Err(wrong());
        }
        let digits = format!("{whole}{fraction:0<2}");
        let basis_points: u32 = digits.parse().map_err(|_| wrong())?;
        if u64::from(basis_points) > WHOLE {
            return Err(wrong());
        }
        Ok(Self { basis_points })
    }
}

/// `90s`, `5m`, `24h`, and combinations of them.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a number and a unit, such as 90s or 5m"))
}

/// Reads a duration from the first of these to the second, both of which may be written as they stand
/// here; the third is the example of who writes something else.
pub(crate) fn within(
    least: &'static str,
    most: &'static str,
    example: &'static str,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| {
        let wanted = format!("write a time from {least} to {most}, such as {example}");
        let bounds = [least, most].map(humantime::parse_duration);
        let read = humantime::parse_duration(text);
        match (read, bounds) {
            (Ok(read), [Ok(least), Ok(most)]) if (least..=most).contains(&read) => Ok(read),
            (Err(error), _) => Err(format!("{error}; {wanted}")),
            (Ok(_), _) => Err(wanted),
        }
    }
}

/// Reads a number from the first of these to the second; the third is an example.
pub(crate) fn count(
    least: u32,
    most: u32,
    example: u32,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| {
        let read = text.parse().ok();
        let fits = read.filter(|number| (least..=most).contains(number));
        fits.ok_or_else(|| match most {
            u32::MAX => format!("write a number from {least} on, such as {example}"),
            most => format!("write a number from {least} to {most}, such as {example}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_has_at_most_two_decimals_and_ends_at_100() {
        let points = |text: &str| text.parse::<Percent>().map(|p| p.basis_points).ok();
        assert_eq!(points("5%"), Some(500));
        assert_eq!(points("0.5%"), Some(50));
        assert_eq!(points("100"), Some(10_000));
        for wrong in ["", "%", "101%", "-1%", "1.234%", "x"] {
            assert_eq!(points(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_or_a_number_out_of_bounds_is_told_them_and_an_example() {
        let time = within("1s", "10y", "30d");
        let second = Duration::from_secs(1);
        assert_eq!(time("1s"), Ok(second));
        assert_eq!(time("10y").map(|time| time.as_secs()), Ok(315_576_000));
        for wrong in ["0s", "11y", "999ms", "5", "soon", "", "-1s"] {
            let told = time(wrong).unwrap_err();
            assert!(told.ends_with("from 1s to 10y, such as 30d"), "{told}");
        }
        let number = count(1, 1_000_000, 500);
        assert_eq!((number("1"), number("1000000")), (Ok(1), Ok(1_000_000)));
        for wrong in ["0", "1000001", "99999999999", "-3", "many", ""] {
            let told = number(wrong).unwrap_err();
            assert_eq!(told, "write a number from 1 to 1000000, such as 500");
        }
        let told = count(1, u32::MAX, 3)("0").unwrap_err();
        assert_eq!(told, "write a number from 1 on, such as 3");
    }

    #[test]
    fn zero_percent_never_hits_and_a_hundred_always_does() {
        let never: Percent = "0%".parse().unwrap();
        let always: Percent = "100%".parse().unwrap();
        for random in [0, 1, 9_999, 10_000, u64::MAX] {
            assert!(!never.hits(random) && always.hits(random));
        }
    }
}
