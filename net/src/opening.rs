//! Sockets that have not said yet who they are, at a door that knows no other way to tell them
//! apart than by their patience.

use std::collections::VecDeque;

use tokio::sync::oneshot;

/// Sockets that have not said yet who they are. They hold no place, and when there are too many
/// the one that has said nothing for the longest makes room: whoever has something to say needs
/// milliseconds.
#[derive(Debug, Default)]
pub struct Opening(VecDeque<oneshot::Sender<()>>);

impl Opening {
    /// Takes one more in; it is told when it has to make room, until the receiver is dropped.
    pub fn enter(&mut self, most: usize) -> oneshot::Receiver<()> {
        if self.0.len() >= most {
            self.0.retain(|silent| !silent.is_closed());
        }
        if self.0.len() >= most
            && let Some(oldest) = self.0.pop_front()
        {
            let _ = oldest.send(());
        }
        let (sender, receiver) = oneshot::channel();
        self.0.push_back(sender);
        receiver
    }
}
