//! Whether the server is to stop: said once, heard by every part.
//! Knows neither who says it nor what a part does then.

use tokio::sync::watch;

/// One part's ear. A server whose speaker is gone is stopping as well.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<bool>);

/// The one who says it.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<bool>);

/// Makes a speaker and a first ear.
pub(crate) fn channel() -> (Stop, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (Stop(sender), Stopping(receiver))
}

impl Stop {
    /// Says it.
    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Whether it was said.
    pub(crate) fn is_said(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Resolves once the server is to stop.
    pub(crate) async fn wait(&mut self) {
        // An error means that the speaker is gone.
        drop(self.0.wait_for(|stopping| *stopping).await);
    }
}
