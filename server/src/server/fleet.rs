//! The sources that a recovery learns from, and its destination.

use std::sync::Arc;

use hoist_orchestrator::config::OrchestratorConfig;
use hoist_orchestrator::recovery::{self, Answered, Recovered, Recovery};
use hoist_orchestrator::store::sled::SledStore;
use hoist_protocol::code::Code;

use crate::data_dir::DataDir;
use crate::failure::Failure;

/// The store that learns.
#[derive(Clone)]
pub struct Fleet {
    pub(super) store: Arc<SledStore>,
}

impl Fleet {
    pub(super) fn of(store: &Arc<SledStore>) -> Self {
        let store = Arc::clone(store);
        Self { store }
    }

    fn recovery(&self) -> Recovery<'_> {
        Recovery {
            store: &*self.store,
        }
    }

    /// Notes that a recovery has begun, and takes in what is kept beside the store. Where
    /// nothing was lost it is refused: it ends every active deployment. Returns what cannot be
    /// used.
    pub(super) async fn begin(
        &self,
        data_dir: &DataDir,
        whole_too: bool,
        config: &OrchestratorConfig,
    ) -> Result<Vec<String>, Failure> {
        if !data_dir.is_recovering() {
            let behind = recovery::behind(&*self.store, config).await;
            let origin = match behind.map_err(|error| not_recovered(&error))? {
                Some(ahead) => format!("the store is older than it was: {ahead}"),
                None if whole_too => "a recovery was asked for".to_owned(),
                None => {
                    let what = "nothing shows that this store lost anything, and a recovery ends \
                                every active deployment";
                    return Err(Failure::new(Code::Confirm, what).help(
                        "when devices report what it does not know, repeat it with --yes; else \
                         start it with `hoist serve`",
                    ));
                }
            };
            data_dir.begin_recovery(&origin)?;
        }
        let begun = self.recovery().begin(config).await;
        begun.map_err(|error| not_recovered(&error))
    }

    /// The answers of the fleet since then, Unix ms.
    ///
    /// # Errors
    /// `E_RECOVER`.
    pub async fn answered(&self, since_ms: u64) -> Result<Answered, Failure> {
        let answered = self.recovery().answered(since_ms).await;
        answered.map_err(|error| not_recovered(&error))
    }

    /// Stops what may have been aborted since, and says what came back. Nobody may be heard
    /// any more: whatever is learned after this would stay active.
    ///
    /// # Errors
    /// `E_RECOVER`.
    pub(super) async fn over(&self, since_ms: u64) -> Result<Recovered, Failure> {
        let recovered = self.recovery().over(since_ms).await;
        recovered.map_err(|error| not_recovered(&error))
    }
}

fn not_recovered(error: &dyn std::error::Error) -> Failure {
    Failure::because(Code::Recover, "the store cannot be recovered", error)
}
