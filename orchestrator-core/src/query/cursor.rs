//! Where a list goes on: behind its last item, in that list with that filter and in no other.

use std::fmt::Write;

use hoist_protocol::id::sha256;

use crate::model::error::{Code, Rejection};

/// Bytes of a mark: enough to tell lists apart that somebody mixes up.
const MARK_BYTES: usize = 4;

/// One list with one filter, which gives and reads its cursors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    list: String,
}

impl Cursor {
    /// The cursors of what a verb lists with this filter, its parts in a fixed order.
    #[must_use]
    pub fn of(verb: &str, filter: &[Option<&str>]) -> Self {
        let mut text = verb.to_owned();
        for part in filter {
            text.push('\n');
            text.push_str(part.unwrap_or_default());
        }
        Self { list: text }
    }

    /// The mark that tells a cursor of this list from every other, and from one that was cut.
    fn mark(&self, item: &str) -> String {
        let hash = sha256(format!("{}\n\n{item}", self.list).as_bytes());
        let mark = hash.iter().take(MARK_BYTES);
        mark.fold(String::new(), |mut mark, byte| {
            let _ = write!(mark, "{byte:02x}");
            mark
        })
    }

    /// The cursor of the page behind an item.
    #[must_use]
    pub fn behind(&self, item: &str) -> String {
        format!("{}.{item}", self.mark(item))
    }

    /// The item that a cursor stands behind.
    ///
    /// # Errors
    /// `E_CURSOR` for one of another list or filter, and for one that was cut or changed.
    pub fn open<'a>(&self, after: Option<&'a str>) -> Result<Option<&'a str>, Rejection> {
        let Some(after) = after else { return Ok(None) };
        match after.split_once('.') {
            Some((mark, item)) if mark == self.mark(item) => Ok(Some(item)),
            _ => Err(refusal()),
        }
    }
}

/// The refusal of a cursor that is none of the list.
pub(super) fn refusal() -> Rejection {
    let why = "the cursor was not given by this list with this filter";
    Rejection::new(Code::Cursor, why).field("after")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_by_the_list_and_the_filter_that_gave_it_and_by_no_other() {
        let of = |verb, group| Cursor::of(verb, &[group, None]);
        let eu = of("device-list", Some("eu"));
        let cursor = eu.behind("fw@1.0.0");
        assert_eq!(eu.open(Some(&cursor)), Ok(Some("fw@1.0.0")));
        for other in [&cursor[..cursor.len() - 1], &cursor.replace("1.0", "2.0")] {
            assert_eq!(eu.open(Some(other)).unwrap_err().code, Code::Cursor);
        }
        assert_eq!(eu.open(None), Ok(None));
        for other in [
            of("device-list", None),
            of("device-list", Some("us")),
            of("group-list", Some("eu")),
            Cursor::of("device-list", &[None, Some("eu")]),
        ] {
            assert_eq!(other.open(Some(&cursor)).unwrap_err().code, Code::Cursor);
        }
        for made_up in ["", "fw@1.0.0", "fw", "."] {
            assert!(eu.open(Some(made_up)).is_err(), "{made_up}");
        }
    }
}
