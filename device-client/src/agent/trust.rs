//! The trust of this device in what it is told: it says so when that changes, and again while it
//! does not.

use hoist_protocol::code::Code;
use hoist_protocol::device::Trouble;
use tokio::time::Instant;

use super::distrust::Distrust;
use super::runner::Agent;

impl Agent {
    /// Something arrived that must not be obeyed. The same trouble, which comes again with
    /// every connection, is only said when it is time.
    pub(super) fn distrusts(&mut self, trouble: Trouble) {
        let known = self.distrust.is_some_and(|known| known.trouble == trouble);
        if !known {
            self.distrust = Some(Distrust::new(trouble, Instant::now()));
            self.say_distrust();
        }
        self.changed();
    }

    /// Notes that a thing which was not trusted is trusted now.
    pub(super) fn trusts(&mut self, trouble: Trouble) {
        if self
            .distrust
            .take_if(|was| was.trouble == trouble)
            .is_some()
        {
            tracing::info!("what this server signs is trusted now");
            self.changed();
        }
    }

    /// It is time to say it again.
    pub(super) fn distrusts_still(&mut self) {
        self.distrust = self.distrust.map(|was| was.again(Instant::now()));
        self.say_distrust();
    }

    fn say_distrust(&self) {
        match self.distrust.map(|distrust| distrust.trouble) {
            Some(Trouble::RootNotTrusted) => tracing::error!(
                code = Code::Root.as_str(),
                "nothing of this server is obeyed: its root document is not the one that \
                 root_sha256 in the configuration names; for this server, get a new agent.toml \
                 with `hoist device add`"
            ),
            Some(Trouble::SignerNotTrusted) => tracing::error!(
                code = Code::Signature.as_str(),
                "nothing of this server is obeyed: what it says is not signed by a key of the \
                 root document that root_sha256 in the configuration names"
            ),
            Some(Trouble::KeyNotAccepted | Trouble::CannotExecute) | None => {}
        }
    }
}
