//! What somebody gives a device to be set up: the text, and perhaps a name.

use data_encoding::BASE64URL_NOPAD;
use hoist_protocol::codec::DecodeError;
use hoist_protocol::enroll::{EnrollText, TEXT_PREFIX};
use hoist_protocol::id::DeviceId;

use super::EnrollError;

/// The names of a host that has none of its own.
const NAMELESS: [&str; 3] = ["localhost", "(none)", ""];

/// The content of an enrollment text.
///
/// # Errors
/// [`EnrollError::Text`] or [`EnrollError::Damaged`].
pub(super) fn read_text(text: &str) -> Result<EnrollText, EnrollError> {
    let encoded = text.trim().strip_prefix(TEXT_PREFIX);
    let bytes = BASE64URL_NOPAD.decode(encoded.ok_or(EnrollError::Text)?.as_bytes());
    let bytes = bytes.map_err(|_| EnrollError::Damaged(DecodeError::Malformed))?;
    EnrollText::read(&bytes).map_err(EnrollError::Damaged)
}

/// The id of this device: a given one, the name of the host, or the id of the machine.
pub(super) fn name(given: Option<&str>) -> Result<DeviceId, EnrollError> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let found = match given {
        Some(given) => given.to_owned(),
        None => name_of(&read("/proc/sys/kernel/hostname"), &read("/etc/machine-id"))
            .ok_or(EnrollError::Nameless)?,
    };
    let parsed = found.parse();
    parsed.map_err(|source| EnrollError::Name {
        name: found,
        source,
    })
}

/// The first part of a host's name, unless that says nothing; else the id of the machine.
fn name_of(host: &str, machine: &str) -> Option<String> {
    let host = host.trim().split('.').next().unwrap_or_default();
    let machine = machine.trim();
    match (NAMELESS.contains(&host), machine.is_empty()) {
        (false, _) => Some(host.to_owned()),
        (true, false) => Some(machine.to_owned()),
        (true, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use hoist_protocol::code::Code;

    use super::*;

    #[test]
    fn a_device_is_called_as_its_host_is_or_by_the_id_of_its_machine() {
        let found = |host: &str, machine: &str| name_of(host, machine);
        assert_eq!(
            found("pump-7.site-a\n", "0123\n").as_deref(),
            Some("pump-7")
        );
        assert_eq!(found("localhost\n", "0123\n").as_deref(), Some("0123"));
        assert_eq!(found("(none)\n", "\n"), None);
        let refused = name(Some("pump 7")).unwrap_err();
        assert!(refused.to_string().contains("--device ID"), "{refused}");
        assert_eq!(refused.code(), Code::Name);
    }

    #[test]
    fn a_text_that_is_none_or_not_whole_is_refused_with_what_to_do() {
        for (text, code) in [
            ("", Code::Usage),
            ("hoist-enroll:", Code::Usage),
            ("hoist-enroll:AQ", Code::Usage),
        ] {
            let refused = read_text(text).unwrap_err();
            assert_eq!(refused.code(), code, "{refused}");
        }
        assert!(matches!(read_text("mqtt://a"), Err(EnrollError::Text)));
        assert!(matches!(
            read_text("hoist-enroll:!"),
            Err(EnrollError::Damaged(_))
        ));
    }
}
