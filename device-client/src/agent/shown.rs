//! The certificate that the broker is shown. A renewed one lies beside the one before it until a
//! connection was made with it: nobody signs the answer that it came in, and whoever gave a wrong
//! one would lock the device out. What is refused makes room for the other at the next attempt.

use hoist_net::tls::Trust;

use super::config::CertificateTexts;

/// The certificate that was shown last, and from which file.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) last: Option<(CertificateTexts, Trust)>,
    /// True if it is the renewed one.
    pub(super) is_renewed: bool,
    /// True if the next attempt shows the one before it.
    pub(super) yields: bool,
}

impl Shown {
    /// Trust that shows it, once one was shown.
    #[cfg(feature = "tls")]
    pub(super) fn trust(&self) -> Option<&Trust> {
        self.last.as_ref().map(|(_, trust)| trust)
    }
}
