//! Places for clients while many are there: first for everybody, then for users, who must be able
//! to end what a fleet does; the orchestrator has places of its own. A place is taken when it is
//! known who comes, and held as long as its socket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hoist_protocol::access::Principal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::code::Code;
use super::limits::Limits;
use super::owner::Owner;

/// Places that only the orchestrator gets: one, and those of its sockets that are just ending.
const OF_SERVICE: usize = 16;
/// Places of one user among those that only users get.
const OF_ONE_USER: usize = 4;

/// All places.
pub(crate) struct Places {
    everybody: Arc<Semaphore>,
    users: Arc<Semaphore>,
    service: Arc<Semaphore>,
    enrolling: Arc<Semaphore>,
    of_one_user: usize,
    of_one_claim: usize,
    taken: Arc<Mutex<Taken>>,
}

/// The number of places of each user or claim: in all, and of those that only users get.
type Taken = HashMap<Owner, (usize, usize)>;

/// A place, until it is dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _counted: Option<Counted>,
}

/// A place of a user or a claim.
struct Counted {
    owner: Owner,
    /// Of those that only users get: 1 or 0.
    of_users: usize,
    taken: Arc<Mutex<Taken>>,
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

fn free(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(places).try_acquire_owned().ok()
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            everybody: places(limits.connections),
            users: places(limits.operator_connections),
            service: places(OF_SERVICE),
            enrolling: places(limits.enrolling_connections),
            of_one_user: limits.user_connections,
            of_one_claim: limits.claim_connections,
            taken: Arc::default(),
        }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Code::Busy`] when there is none for this client.
    pub(super) fn take(&self, principal: &Principal) -> Result<Place, Code> {
        let uncounted = |permit| Place {
            _permit: permit,
            _counted: None,
        };
        let place = match principal {
            Principal::Service => free(&self.service).map(uncounted),
            Principal::Enrolling { .. } => self.take_for_claim(Owner::of(principal)),
            Principal::Device(_) => free(&self.everybody).map(uncounted),
            Principal::User { .. } => self.take_for_user(Owner::of(principal)),
        };
        place.ok_or(Code::Busy)
    }

    fn take_for_claim(&self, owner: Owner) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let (all, _) = taken.get(&owner).copied().unwrap_or_default();
        if all >= self.of_one_claim {
            return None;
        }
        let permit = free(&self.enrolling)?;
        taken.insert(owner.clone(), (all + 1, 0));
        Some(self.counted(permit, owner, 0))
    }

    fn take_for_user(&self, owner: Owner) -> Option<Place> {
        let mut taken = lock(&self.taken);
        let (all, for_users) = taken.get(&owner).copied().unwrap_or_default();
        if all >= self.of_one_user {
            return None;
        }
        let (permit, of_users) = match free(&self.everybody) {
            Some(permit) => (permit, 0),
            None if for_users >= OF_ONE_USER => return None,
            None => (free(&self.users)?, 1),
        };
        taken.insert(owner.clone(), (all + 1, for_users + of_users));
        Some(self.counted(permit, owner, of_users))
    }

    fn counted(&self, permit: OwnedSemaphorePermit, owner: Owner, of_users: usize) -> Place {
        let taken = Arc::clone(&self.taken);
        Place {
            _permit: permit,
            _counted: Some(Counted {
                owner,
                of_users,
                taken,
            }),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        let Some((all, for_users)) = taken.get_mut(&self.owner) else {
            return;
        };
        *all -= 1;
        *for_users -= self.of_users;
        if *all == 0 {
            taken.remove(&self.owner);
        }
    }
}
