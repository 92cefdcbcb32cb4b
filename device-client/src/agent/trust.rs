//! The trust of this device in what it is told: it says so when that changes, and again while it
//! does not.

use hoist_net::tls::Time;
use hoist_protocol::code::Code;
use hoist_protocol::device::Trouble;
use hoist_protocol::envelope::{OpenError, PublicKey};
use hoist_protocol::root::{KeyRole, RootDocument};
use tokio::time::Instant;

use super::distrust::Distrust;
use super::runner::Agent;
use super::storage::StorageError;

impl Agent {
    /// The keys trusted for a role.
    pub(super) fn keys(&self, role: KeyRole) -> Vec<PublicKey> {
        let root = self.root.iter();
        root.flat_map(|root| root.keys_of(role)).collect()
    }

    /// The root document came that is heard: the pinned one, or the one after the trusted.
    pub(super) fn root_document(&mut self, payload: &[u8]) -> Result<(), OpenError> {
        match self.root.take() {
            None => self.pinned_root(payload),
            Some(root) => {
                self.root = Some(root.clone());
                self.next_root(&root, payload);
                Ok(())
            }
        }
    }

    fn pinned_root(&mut self, payload: &[u8]) -> Result<(), OpenError> {
        let Some(server) = &self.server else {
            return Ok(());
        };
        let root = match RootDocument::open_pinned(payload, &server.root_sha256) {
            Err(OpenError::Signature | OpenError::UnknownKey { .. }) => {
                self.distrusts(Trouble::RootNotTrusted);
                return Ok(());
            }
            opened => opened?,
        };
        if root.namespace != server.namespace {
            tracing::error!("the pinned root document is for another namespace");
            return Ok(());
        }
        if let Err(error) = self.storage.keep_root(payload) {
            self.root_not_kept(&error);
            return Ok(());
        }
        self.trusts(Trouble::RootNotTrusted);
        self.follow(root);
        Ok(())
    }

    /// It is durable before it is followed: after a power cut the keys before it would count again.
    fn next_root(&mut self, root: &RootDocument, payload: &[u8]) {
        let now_s = self.time().unix_s();
        let next = match root.open_next(payload, now_s) {
            Ok(next) => next,
            Err(error) => {
                let code = error.code();
                tracing::error!(code = code.as_str(), %error, "root document refused");
                return;
            }
        };
        if let Err(error) = self.storage.keep_next_root(next.number, payload) {
            return self.root_not_kept(&error);
        }
        tracing::info!(number = next.number, "a newer root document is trusted");
        self.follow(next);
    }

    /// It is not followed, and comes again in the next connection.
    fn root_not_kept(&mut self, error: &StorageError) {
        tracing::error!(code = error.code().as_str(), %error, "the root document cannot be kept, and is not followed");
        self.disconnected("the root document of the server cannot be kept");
    }

    /// The time by which certificates and root documents are judged.
    pub(super) fn time(&self) -> Time {
        let issued = self.root.as_ref().map(|root| root.issued.0);
        // Before the first root document nothing is known.
        self.clock.of_certificates(issued.unwrap_or(0))
    }

    fn follow(&mut self, root: RootDocument) {
        // What came before may be by a key of this one, and comes again.
        self.distrust = self.distrust.filter(|distrust| distrust.is_said);
        self.session.trusts((&root).into(), &mut self.clock);
        self.root = Some(root);
        self.await_own_spec();
    }

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

    /// Something arrived that an unknown key has signed. A root document on its way may name it: what
    /// has been rotated since this device was set up is no alarm.
    pub(super) fn distrusts_unless_named(&mut self) {
        let trouble = Trouble::SignerNotTrusted;
        if self.distrust.is_none_or(|known| known.trouble != trouble) {
            self.distrust = Some(Distrust::unless_named(trouble, Instant::now()));
        }
    }

    /// Notes that a thing which was not trusted is trusted now.
    pub(super) fn trusts(&mut self, trouble: Trouble) {
        let over = self.distrust.take_if(|was| was.trouble == trouble);
        if over.is_some_and(|was| was.is_said) {
            tracing::info!("what this server signs is trusted now");
            self.changed();
        }
    }

    /// It is time to say it, for the first time or again.
    pub(super) fn distrusts_still(&mut self) {
        let is_new = self.distrust.is_some_and(|was| !was.is_said);
        self.distrust = self.distrust.map(|was| was.again(Instant::now()));
        self.say_distrust();
        if is_new {
            self.changed();
        }
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
            Some(Trouble::KeyNotAccepted | Trouble::CannotExecute | Trouble::Held) | None => {}
        }
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
