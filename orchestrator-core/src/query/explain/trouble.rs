//! The meaning of a device's own trouble, and the remedy: who does what about it.

use hoist_protocol::device::Trouble;
use hoist_protocol::id::DeviceId;

use crate::query::explain::said::Finding;
use crate::reply::Why;

/// Says it.
pub(super) fn said(trouble: Trouble, device: &DeviceId) -> Finding {
    let (why, says) = match trouble {
        Trouble::RootNotTrusted => (
            Why::RootNotTrusted,
            "the device obeys nothing of this server: the root_sha256 of its agent.toml names \
             another root document",
        ),
        Trouble::SignerNotTrusted => (
            Why::SignerNotTrusted,
            "the device obeys nothing of this server: no key of the root document that it trusts \
             has signed what it is told",
        ),
        Trouble::KeyNotAccepted => (
            Why::KeyNotApproved,
            "the device says that this server knows another key of it",
        ),
        Trouble::CannotExecute => (
            Why::CannotExecute,
            "the device starts nothing: its state directory cannot execute scripts",
        ),
        Trouble::Held => (
            Why::HeldThere,
            "the device starts nothing new: somebody holds it by a file named `hold` in its state \
             directory",
        ),
    };
    let next = match trouble {
        Trouble::RootNotTrusted | Trouble::SignerNotTrusted => format!(
            "starts once the device has an agent.toml of this server, which \
             `hoist device add {device}` prints"
        ),
        Trouble::KeyNotAccepted => {
            format!(
                "starts when its key is approved: `hoist device approve {device} --fingerprint F`"
            )
        }
        Trouble::CannotExecute => {
            "starts when state_dir of its agent.toml is on a file system that \
                                   is not mounted noexec"
                .to_owned()
        }
        Trouble::Held => "starts when that file is removed on the device".to_owned(),
    };
    Finding::new(why, says, next)
}

/// The explanation of a device that is away and that reported a trouble of its own while it was
/// there: its connection alone would not be enough.
pub(super) fn beside(away: Finding, trouble: Option<Trouble>, device: &DeviceId) -> Finding {
    let Some(trouble) = trouble else { return away };
    let own = said(trouble, device);
    Finding {
        says: format!("{}; as it said before, {}", away.says, own.says),
        next: format!("that it connects is not enough: {}", own.next),
        ..away
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_away_is_explained_with_the_trouble_that_it_has() {
        let away = || {
            Finding::new(
                Why::Offline,
                "the device is offline",
                "starts when it connects",
            )
        };
        let device = "d1".parse().unwrap();
        assert_eq!(beside(away(), None, &device).says, "the device is offline");
        let both = beside(away(), Some(Trouble::RootNotTrusted), &device);
        assert_eq!(both.why, Why::Offline);
        assert!(both.says.contains("root_sha256"), "{}", both.says);
        assert!(both.next.contains("hoist device add d1"), "{}", both.next);
    }
}
