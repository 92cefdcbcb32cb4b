//! Work beside the agent's loop. Every future and every closure goes in behind a pointer,
//! so that the runtime's code for it is there once: for each kind of its own it is 3 kB.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

/// Starts work that waits.
pub(super) fn start(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(work);
    tokio::spawn(work)
}

/// Does work that computes or reads for long: hashing gigabytes must not stop the agent's
/// keep-alive. Nothing comes of it only when the program ends.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, result) = oneshot::channel();
    let work: Box<dyn FnOnce() + Send> = Box::new(move || {
        // Nobody waits any more when the task was stopped.
        let _unheard = sender.send(work());
    });
    spawn_blocking(work);
    result.await.ok()
}
