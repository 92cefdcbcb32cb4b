//! The root documents of a server: the newest, and those before it, by which devices that pinned an
//! older one come to it.

use std::path::{Path, PathBuf};

use hoist_protocol::codec::decode_prefix;
use hoist_protocol::envelope::OpenError;
use hoist_protocol::id::sha256;
use hoist_protocol::root::{RootDocument, RootError};

use super::KeysError;
use crate::private_file;

/// The file of the newest document.
pub(super) const NEWEST: &str = "root.bin";

/// The file of an earlier one.
pub(super) fn earlier(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("root.{number}.bin"))
}

/// Root documents without a gap, each proven by the one before it.
#[derive(Debug, Clone)]
pub struct Chain {
    newest: RootDocument,
    /// With their numbers, oldest first.
    sealed: Vec<(u32, Vec<u8>)>,
}

impl Chain {
    /// Reads the documents in a folder of keys. Without those before a certain one, devices that
    /// pinned them cannot follow any more; the newest must be there.
    ///
    /// # Errors
    /// [`KeysError`]; a document that does not follow from the one before it is refused.
    pub fn read(dir: &Path) -> Result<Self, KeysError> {
        let path = dir.join(NEWEST);
        let sealed = private_file::read(&path)?;
        let newest = open_own(&sealed).map_err(of(&path))?;
        let mut chain = vec![(newest.number, sealed)];
        let mut later = newest.clone();
        while later.number > 1 {
            let path = earlier(dir, later.number - 1);
            if !path.exists() {
                break;
            }
            let sealed = private_file::read(&path)?;
            let document = open_own(&sealed).map_err(of(&path))?;
            if let Some((_, after)) = chain.last() {
                document.open_next(after, 0).map_err(of(&path))?;
            }
            chain.push((document.number, sealed));
            later = document;
        }
        chain.reverse();
        Ok(Self {
            newest,
            sealed: chain,
        })
    }

    /// The document that counts.
    #[must_use]
    pub fn newest(&self) -> &RootDocument {
        &self.newest
    }

    /// All of them with their numbers, as devices get them, oldest first.
    #[must_use]
    pub fn sealed(&self) -> Vec<(u32, Vec<u8>)> {
        self.sealed.clone()
    }

    /// The newest as devices get it.
    pub(super) fn newest_sealed(&self) -> &[u8] {
        self.sealed.last().map_or(&[], |(_, sealed)| sealed)
    }
}

fn of<E: Into<RootError>>(path: &Path) -> impl FnOnce(E) -> KeysError {
    let path = path.to_owned();
    move |source| KeysError::Root {
        path,
        source: source.into(),
    }
}

/// Opens our own root document: we are who pins it.
fn open_own(sealed: &[u8]) -> Result<RootDocument, OpenError> {
    let (document, rest) = decode_prefix::<RootDocument>(sealed)?;
    let pin = sha256(&sealed[..sealed.len() - rest.len()]);
    RootDocument::open_pinned(sealed, &pin)?;
    Ok(document)
}
