//! Where plug-ins are entered: each on a thread made for it, so that one that does not come back is named, and refused in
//! the end. Knows no plug-in and no file.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long somebody waits for an entry.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// How often the plug-in is named meanwhile.
    pub(crate) named: Duration,
    /// Until it is refused.
    pub(crate) most: Duration,
}

/// Why there is no answer of an entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoEntry {
    /// It has not returned; its thread is left to it.
    #[error("it has not returned")]
    Late,
    /// There is no thread for it.
    #[error("there is no thread for it: {0}")]
    NoThread(#[from] io::Error),
    /// The host's own code failed around it.
    #[error("the host failed around it")]
    Host,
}

/// Enters a plug-in and waits for a bounded time. While it lasts, the log names the plug-in.
pub(crate) fn entered<T: Send + 'static>(
    plugin: &str,
    patience: Patience,
    enter: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoEntry> {
    let (tell, told) = channel();
    let begun = Instant::now();
    // One that comes back late finds nobody.
    let run = move || drop(tell.send(enter()));
    thread::Builder::new().name("load".to_owned()).spawn(run)?;
    loop {
        let left = patience.most.saturating_sub(begun.elapsed());
        match told.recv_timeout(left.min(patience.named)) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Disconnected) => return Err(NoEntry::Host),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(NoEntry::Late),
            Err(RecvTimeoutError::Timeout) => tracing::warn!(
                plugin,
                "the start waits for the plug-in: it has not returned from em_entry for {} s",
                begun.elapsed().as_secs()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_does_not_return_is_refused_and_left_alone() {
        let patience = |most| Patience { named: Duration::from_secs(1), most };
        let (open, gate) = channel::<()>();
        let (tell, told) = channel();
        let stuck = move || {
            // Until the end of the test, when nobody is left to open it.
            let _ = gate.recv();
            tell.send("back").unwrap();
        };
        let late = entered("p", patience(Duration::ZERO), stuck);
        assert!(matches!(late, Err(NoEntry::Late)), "{late:?}");
        drop(open);
        assert_eq!(told.recv().unwrap(), "back");
        let back = entered("p", patience(Duration::from_secs(300)), || 7);
        assert_eq!(back.unwrap(), 7);
        let failed = entered("p", patience(Duration::from_secs(300)), || {
            std::panic::resume_unwind(Box::new(()))
        });
        assert!(matches!(failed, Err::<(), _>(NoEntry::Host)), "{failed:?}");
    }
}
