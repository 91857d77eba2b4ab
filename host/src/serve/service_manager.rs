//! What the service manager is told of the server's life (sd_notify(3)).
//! Does nothing where none asks (NOTIFY_SOCKET); knows no part of the server.

use sd_notify::NotifyState;

/// Clients are served.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] follows whatever comes of it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!("the service manager can't be told of a reload: {error}"),
    }
}

/// No connection is accepted any more; the process ends soon.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the service manager can't be told: {error}");
    }
}
