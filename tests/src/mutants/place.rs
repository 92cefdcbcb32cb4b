//! Where in a file the text is that a mistake changes. It must be there, and once: a mistake
//! that is planted elsewhere, or nowhere, proves nothing.

use std::ops::Range;

use super::MutantsError;
use super::catalog::Change;

/// Where the text is that a change is about.
pub(super) fn place(name: &str, change: &Change, text: &str) -> Result<Range<usize>, MutantsError> {
    let around = match &change.within {
        Some(within) => only(name, within, text, &change.file)?,
        None => 0..text.len(),
    };
    let within = change.within.as_ref().unwrap_or(&change.file);
    let at = only(name, &change.from, &text[around.clone()], within)?;
    Ok(around.start + at.start..around.start + at.end)
}

fn only(name: &str, sought: &str, text: &str, within: &str) -> Result<Range<usize>, MutantsError> {
    let sought = sought.trim();
    let first = sought.chars().next();
    let starts = text.char_indices().filter(|(_, c)| Some(*c) == first);
    let mut found = starts.filter_map(|(start, _)| {
        let length = length_of(sought, &text[start..])?;
        Some(start..start + length)
    });
    match (found.next(), found.count()) {
        (Some(at), 0) => Ok(at),
        (one, more) => Err(MutantsError::Place {
            name: name.to_owned(),
            text: sought.to_owned(),
            within: within.to_owned(),
            count: usize::from(one.is_some()) + more,
        }),
    }
}

/// The length of what a text begins with, if that is what is sought.
fn length_of(sought: &str, text: &str) -> Option<usize> {
    let mut rest = text;
    for (number, word) in sought.split_whitespace().enumerate() {
        let after = rest.trim_start();
        if number > 0 && after.len() == rest.len() {
            return None;
        }
        rest = after.strip_prefix(word)?;
    }
    Some(text.len() - rest.len())
}
