//! "Did you mean …?": a name that was not found is compared with those there are. Only on
//! the way out, and never stored: names come and go.

use hoist_orchestrator_core::error::{Code, Rejection};
use hoist_orchestrator_core::key::{Key, Prefix};

use crate::store::{Store, StoreError};

/// Names looked at: enough for what people type, and bounded for a million devices.
const NAMES_MAX: usize = 2_000;
/// Edits between what was typed and what was meant.
const EDITS_MAX: usize = 3;

/// Adds the nearest name to the refusal of an unknown one.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn suggest(
    store: &dyn Store,
    rejection: &mut Rejection,
) -> Result<(), StoreError> {
    let Some(wanted) = &rejection.wanted else {
        return Ok(());
    };
    let prefix = match rejection.code {
        Code::Release => Prefix::ReleaseNames,
        Code::Group => Prefix::Groups,
        Code::Device => Prefix::Devices,
        _ => return Ok(()),
    };
    let page = store.scan(prefix.bytes().0, None, NAMES_MAX).await?;
    let names = page
        .items
        .into_iter()
        .filter_map(|(key, _)| prefix.rest(&Key(key)));
    if let Some(name) = nearest(wanted, names) {
        rejection.hint = Some(format!("did you mean {name}?"));
    }
    Ok(())
}

fn nearest(wanted: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let near = names.map(|name| (strsim::damerau_levenshtein(wanted, &name), name));
    // A short name is not meant by another of which every character differs.
    let most = EDITS_MAX.min(wanted.chars().count() / 2);
    let best = near.filter(|(edits, _)| *edits <= most).min();
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_meant_and_a_strange_one_is_not() {
        let names = || {
            ["hello@1.0.0", "hello@1.1.0", "eu"]
                .map(str::to_owned)
                .into_iter()
        };
        assert_eq!(
            nearest("helo@1.1.0", names()).as_deref(),
            Some("hello@1.1.0")
        );
        assert_eq!(nearest("firmware@2", names()), None);
        assert_eq!(nearest("us", names()), None);
    }
}
