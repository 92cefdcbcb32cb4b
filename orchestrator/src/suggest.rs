//! "Did you mean …?": a name that was not found is compared with those there are. Only on
//! the way out, and never stored: names come and go.

use hoist_orchestrator_core::model::error::{Code, Rejection};
use hoist_orchestrator_core::model::key::{Key, Prefix};

use crate::release_id::DIGITS_MIN;
use crate::store::{Store, StoreError};
use hoist_orchestrator_core::model::nearest::nearest;

/// Names looked at: enough for what people type, and bounded for a million devices.
const NAMES_MAX: usize = 2_000;
/// Versions that are named.
const VERSIONS_MAX: usize = 8;
/// Releases that are named.
const RELEASES_MAX: usize = 4;

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
    let names: Vec<String> = names.collect();
    let hint = match nearest(wanted, names.iter()) {
        Some(name) => Some(format!("did you mean {name}?")),
        None if rejection.code == Code::Release => {
            Some(versions(wanted, &names).unwrap_or_else(|| releases(wanted, &names)))
        }
        None => None,
    };
    if hint.is_some() {
        rejection.hint = hint;
    }
    Ok(())
}

/// The advice on how a release is named, and which there are.
fn releases(wanted: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "there is no release yet; `hoist release create DIR` makes one".to_owned();
    }
    let is_hex = wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let how = match is_hex {
        true if wanted.len() < DIGITS_MIN => {
            format!("of a release's id at least {DIGITS_MIN} digits are wanted")
        }
        true => format!("no id of a release begins with {wanted}"),
        false => format!("a release is name@version, or the first {DIGITS_MIN} digits of its id"),
    };
    let shown = names.iter().take(RELEASES_MAX).map(String::as_str);
    let and_more = match names.len().saturating_sub(RELEASES_MAX) {
        0 => "`hoist release list` shows their ids".to_owned(),
        more => format!("and {more} more: `hoist release list`"),
    };
    let shown: Vec<&str> = shown.collect();
    format!("{how}; there are {}; {and_more}", shown.join(", "))
}

/// The versions of a release that was named without one, or with one that does not exist.
fn versions(wanted: &str, names: &[String]) -> Option<String> {
    let (name, _) = wanted.split_once('@').unwrap_or((wanted, ""));
    let of_name = names.iter().filter_map(|known| {
        let (known, version) = known.split_once('@')?;
        (known == name).then_some(version)
    });
    let mut versions: Vec<&str> = of_name.collect();
    let more = versions.len().saturating_sub(VERSIONS_MAX);
    versions.truncate(VERSIONS_MAX);
    let and_more = match more {
        0 => String::new(),
        more => format!(" and {more} more, see `hoist release list`"),
    };
    let listed = format!(
        "name one of its versions: {}{and_more}",
        versions.join(", ")
    );
    (!versions.is_empty()).then_some(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_names_no_release_is_told_how_one_is_named_and_which_there_are() {
        let names = ["hello@1.0.0", "hello@1.1.0"].map(str::to_owned);
        for (wanted, how) in [
            ("467", "of a release's id at least 4 digits are wanted"),
            ("467a", "no id of a release begins with 467a"),
            (
                "firmware",
                "a release is name@version, or the first 4 digits of its id",
            ),
        ] {
            let hint = releases(wanted, &names);
            assert!(hint.starts_with(how), "{hint}");
            assert!(
                hint.contains("; there are hello@1.0.0, hello@1.1.0; `hoist"),
                "{hint}"
            );
        }
        let many: Vec<String> = (0..6).map(|minor| format!("fw@1.{minor}")).collect();
        assert!(releases("467", &many).ends_with("fw@1.3; and 2 more: `hoist release list`"));
        assert!(releases("467", &[]).contains("hoist release create"));
    }

    #[test]
    fn a_release_without_a_version_is_told_its_versions() {
        let mut names = vec!["hello@1.0.0".to_owned(), "other@9".to_owned()];
        names.extend((1..=9).map(|minor| format!("hello@1.{minor}.0")));
        let hint = versions("hello", &names).unwrap();
        assert!(hint.contains("1.0.0, 1.1.0, "), "{hint}");
        assert!(hint.contains("and 2 more") && !hint.contains('9'), "{hint}");
        assert_eq!(
            versions("other@8", &names).as_deref(),
            Some("name one of its versions: 9")
        );
        assert_eq!(versions("hell", &names), None);
    }
}
