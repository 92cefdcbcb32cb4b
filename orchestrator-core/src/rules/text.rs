//! Texts that a person typed.

use std::str::FromStr;

use hoist_protocol::id::IdError;

use crate::model::error::{Code, Rejection};
use crate::model::time::parse_time;

/// Reads an id that a person typed (bad-inputs row 71).
pub(crate) fn parse_name<I: FromStr<Err = IdError>>(
    field: &str,
    text: &str,
) -> Result<I, Rejection> {
    text.parse()
        .map_err(|error: IdError| Rejection::new(Code::Name, error.to_string()).field(field))
}

/// Refuses a text that is not one line: no character of what people are shown moves a cursor.
pub(crate) fn one_line(text: &str, field: &str) -> Result<(), Rejection> {
    if !text.chars().any(char::is_control) {
        return Ok(());
    }
    let why = "a text has control characters, such as a line break or a tab";
    Err(Rejection::new(Code::Command, why).field(field))
}

/// Longest text that an operator can leave with what was done, in bytes: it is in every list.
const REASON_BYTES_MAX: usize = 256;

/// The text that an operator leaves with what was done; empty when there is none.
pub(crate) fn reason(text: Option<&str>) -> Result<String, Rejection> {
    let text = text.unwrap_or_default();
    if text.len() > REASON_BYTES_MAX {
        let why = format!("a reason has at most {REASON_BYTES_MAX} bytes");
        return Err(Rejection::new(Code::Size, why).field("reason"));
    }
    one_line(text, "reason")?;
    Ok(text.to_owned())
}

/// Reads a time that a person typed, in Unix ms.
pub(crate) fn parse_moment(field: &str, text: &str) -> Result<u64, Rejection> {
    parse_time(text).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Rejection::new(Code::Time, format!("{shown} is not a time"))
            .field(field)
            .hint("write times as 2026-01-31T06:00:00Z or 2026-01-31T08:00:00+02:00")
    })
}
