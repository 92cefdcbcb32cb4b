//! An artifact that is arriving: proven as it comes, refused as soon as it cannot be what it
//! is said to be, and before any of its content when there is no room for it.

use std::io;
use std::path::{Path, PathBuf};

use hoist_protocol::id::{ArtifactId, UserId};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::ledger::Stamp;
use super::proof::Proof;
use super::{ARTIFACT_BYTES_MAX, ArtifactDirectory, ArtifactError};

/// An artifact that is arriving; dropped, it leaves nothing behind.
pub struct Incoming {
    id: ArtifactId,
    user: UserId,
    /// Bytes that were announced.
    announced: Option<u64>,
    directory: ArtifactDirectory,
    target: PathBuf,
    named: NamedTempFile,
    file: File,
    proof: Proof,
    /// Bytes from before it is known how many there will be.
    held: Vec<u8>,
    /// Its number in the ledger, once there is room for it.
    number: Option<u64>,
}

impl Incoming {
    pub(super) async fn begin(
        directory: ArtifactDirectory,
        (id, user): (ArtifactId, UserId),
        announced: Option<u64>,
    ) -> Result<Self, ArtifactError> {
        let tmp = directory.root.join("tmp");
        let target = directory.path(id);
        let io = |source| ArtifactError::Io {
            path: target.clone(),
            source,
        };
        let named = tokio::task::spawn_blocking(move || NamedTempFile::new_in(tmp));
        let named = named
            .await
            .map_err(io::Error::other)
            .and_then(|named| named)
            .map_err(io)?;
        let file = File::from_std(named.as_file().try_clone().map_err(io)?);
        Ok(Self {
            id,
            user,
            announced,
            directory,
            target,
            named,
            file,
            proof: Proof::new(id),
            held: Vec::new(),
            number: None,
        })
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        let id = self.id;
        let proven = self.proof.take(bytes);
        proven.map_err(|why| ArtifactError::Content { id, why })?;
        let Some(total) = self.proof.total() else {
            self.held.extend_from_slice(bytes);
            return Ok(());
        };
        if self.number.is_none() {
            self.number = Some(self.admit(total)?);
            let held = std::mem::take(&mut self.held);
            self.store(&held).await?;
        }
        self.directory.check_space(0)?;
        self.store(bytes).await
    }

    async fn store(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        let written = self.file.write_all(bytes).await;
        written.map_err(|source| ArtifactError::Io {
            path: self.target.clone(),
            source,
        })
    }

    /// Ok if there is room for so many bytes, of this user.
    fn admit(&self, total: u64) -> Result<u64, ArtifactError> {
        if let Some(announced) = self.announced.filter(|announced| *announced != total) {
            return Err(ArtifactError::Length { announced, total });
        }
        if total > ARTIFACT_BYTES_MAX {
            return Err(ArtifactError::TooLarge);
        }
        self.directory.check_space(total)?;
        let mut ledger = self.directory.ledger();
        let (unused, quota) = (
            ledger.unused_of(&self.user),
            self.directory.limits.quota_bytes,
        );
        if ledger.release_of(self.id).is_none() && unused.saturating_add(total) > quota {
            let user = self.user.clone();
            return Err(ArtifactError::Quota {
                user,
                unused,
                quota,
            });
        }
        Ok(ledger.begin(self.user.clone(), total))
    }

    /// Keeps it, when it is whole; the same artifact again is fine.
    ///
    /// # Errors
    /// [`ArtifactError`]; nothing is kept then.
    pub async fn finish(mut self) -> Result<(), ArtifactError> {
        let id = self.id;
        let proof = std::mem::replace(&mut self.proof, Proof::new(id));
        proof
            .finish()
            .map_err(|why| ArtifactError::Content { id, why })?;
        let target = self.target.clone();
        let io = |source| ArtifactError::Io {
            path: target.clone(),
            source,
        };
        self.file.flush().await.map_err(io)?;
        self.file.sync_all().await.map_err(io)?;
        let empty = NamedTempFile::new_in(self.directory.root.join("tmp")).map_err(io)?;
        let named = std::mem::replace(&mut self.named, empty);
        let (directory, number) = (self.directory.clone(), self.number.take());
        let keeping = tokio::task::spawn_blocking(move || directory.keep(id, named, number));
        let kept = keeping
            .await
            .map_err(io::Error::other)
            .and_then(|kept| kept);
        kept.map_err(io)
    }
}

impl ArtifactDirectory {
    /// Puts a proven file in its place, and notes whose it is in one go: nobody who hangs up
    /// meanwhile is rid of it, and nobody by a restart.
    fn keep(&self, id: ArtifactId, named: NamedTempFile, number: Option<u64>) -> io::Result<()> {
        let (stamp, to) = (Stamp::of(named.path()), self.path(id));
        let holds = number.and_then(|number| self.ledger().holds(number, id));
        let noted = match &holds {
            Some(user) => self.owners.note(id, user),
            None => Ok(false),
        };
        let put = noted.and_then(|is_new| {
            named.persist(&to).map(drop).map_err(|error| {
                // Another upload of the same artifact may have made the note.
                if is_new {
                    self.owners.forget(id);
                }
                error.error
            })
        });
        if let Some(number) = number {
            let mut ledger = self.ledger();
            if put.is_ok() {
                ledger.arrived(number, id);
            }
            ledger.end(number);
        }
        put?;
        let folder = to.parent().unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()?;
        self.found(id, stamp, Ok(()));
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.directory.ledger().end(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_brought_it_first_is_held_to_it_although_nobody_waits_for_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let directory = ArtifactDirectory::open(dir.path()).unwrap();
        let id = ArtifactId([1; 16]);
        let users = ["dan", "eve"].map(|user| user.parse::<UserId>().unwrap());
        for user in &users {
            let named = NamedTempFile::new_in(dir.path().join("tmp")).unwrap();
            let number = directory.ledger().begin(user.clone(), 7);
            directory.keep(id, named, Some(number)).unwrap();
        }
        let unused = users.map(|user| directory.ledger().unused_of(&user));
        assert_eq!(unused, [7, 0]);
        assert!(directory.contains(id));
    }

    #[test]
    fn an_upload_that_cannot_be_noted_takes_no_room_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let directory = ArtifactDirectory::open(dir.path()).unwrap();
        let (id, dan) = (ArtifactId([1; 16]), "dan".parse::<UserId>().unwrap());
        std::fs::remove_dir(dir.path().join("uploads")).unwrap();
        let named = NamedTempFile::new_in(dir.path().join("tmp")).unwrap();
        let number = directory.ledger().begin(dan.clone(), 7);
        let kept = directory.keep(id, named, Some(number));
        assert!(kept.is_err() && !directory.contains(id), "{kept:?}");
        assert_eq!(directory.ledger().unused_of(&dan), 0);
    }

    #[test]
    fn a_restart_forgets_no_upload_that_no_release_names() {
        let dir = tempfile::tempdir().unwrap();
        let open = || ArtifactDirectory::open(dir.path()).unwrap();
        let dan: UserId = "dan".parse().unwrap();
        let unused = |directory: &ArtifactDirectory| directory.ledger().unused_of(&dan);
        let ids = [1, 2, 3].map(|byte| ArtifactId([byte; 16]));
        let directory = open();
        for id in ids {
            let mut named = NamedTempFile::new_in(dir.path().join("tmp")).unwrap();
            std::io::Write::write_all(&mut named, b"content").unwrap();
            let number = directory.ledger().begin(dan.clone(), 7);
            directory.keep(id, named, Some(number)).unwrap();
        }
        directory.claim(ids[0], "app@1.0.0");
        std::fs::remove_file(directory.path(ids[1])).unwrap();
        let directory = open();
        assert_eq!(unused(&directory), 7);
        directory.claim(ids[2], "app@1.1.0");
        assert_eq!(unused(&directory), 0);
        assert_eq!(unused(&open()), 0);
        assert_eq!(dir.path().join("uploads").read_dir().unwrap().count(), 0);
    }
}
