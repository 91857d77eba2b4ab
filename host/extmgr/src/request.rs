//! Requests: work that plug-ins ask for and whose result comes later, to be waited for or to be read when a token is woken.
//! Knows no service; a result that nobody reads goes when its room is needed.

use std::collections::HashMap;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stagepost_abi as abi;

use crate::host::Host;
use crate::mail::{Coming, Waiting};
use crate::token;
use crate::watchdog::is_called_in_line;

/// The most requests of one plug-in that are under way or not read.
const REQUESTS_MAX: usize = 4096;

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// How much waits.
    Waiting(Waiting),
    /// How many deliveries were moved.
    Moved(u64),
    /// Octets of a new message were taken.
    Written,
    /// A new message is on disk under this id.
    Committed(String),
}

/// The requests of one plug-in.
#[derive(Default)]
pub(crate) struct Requests(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// The last number given out. Never reused, so that a stale one is told.
    last: u64,
    open: HashMap<u64, Open>,
}

struct Open {
    /// Woken when it is done.
    token: abi::EmToken,
    found: Option<Result<Finding, abi::STATUS>>,
}

impl Requests {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does work and waits for it on the caller's thread, which must be one that may block.
///
/// # Errors
/// The status for the plug-in: it may not block here, or the work failed.
pub(crate) fn wait<T: Send + 'static>(
    plugin: &'static Host,
    work: impl FnOnce(&crate::mail::Door) -> Coming<T>,
) -> Result<T, abi::STATUS> {
    // The thread serves sessions: all of them would wait for the disk.
    if is_called_in_line() {
        return Err(abi::EM_ERR_STAGE);
    }
    plugin.mail(|door| {
        let work = work(door);
        let (tell, told) = sync_channel(1);
        door.runtime.spawn(async move {
            // Whoever waits is there until it is told.
            let _ = tell.send(work.await);
        });
        // The server ends and takes the work with it.
        let done = told.recv().map_err(|_| abi::EM_ERR_IO)?;
        done.map_err(crate::mail::MailError::status)
    })
}

/// Begins work; the token is woken when it is done, and its result is to be taken then.
///
/// # Errors
/// The status for the plug-in: no such token, or too many requests.
pub(crate) fn begin(
    plugin: &'static Host,
    token: abi::EmToken,
    work: impl FnOnce(&crate::mail::Door) -> Coming<Finding>,
) -> Result<abi::EmRequest, abi::STATUS> {
    token::find(plugin, token)?;
    plugin.mail(|door| {
        let request = {
            let mut table = plugin.requests.table();
            if table.open.len() >= REQUESTS_MAX {
                // Of calls that have ended nobody comes to read.
                table.open.retain(|_, open| {
                    open.found.is_none() || token::find(plugin, open.token).is_ok()
                });
            }
            if table.open.len() >= REQUESTS_MAX {
                return Err(abi::EM_ERR_LIMIT);
            }
            table.last += 1;
            let request = table.last;
            table.open.insert(request, Open { token, found: None });
            request
        };
        let work = work(door);
        door.runtime.spawn(async move {
            let found = work.await.map_err(crate::mail::MailError::status);
            if let Some(open) = plugin.requests.table().open.get_mut(&request) {
                open.found = Some(found);
            }
            // A call that is over needs no waking.
            let _ = token::find(plugin, token).map(|call| call.wake());
        });
        Ok(request)
    })
}

/// Takes the result of a request.
///
/// # Errors
/// The status for the plug-in: not done yet, taken before or never made, or what the work failed with.
pub(crate) fn take(plugin: &Host, request: abi::EmRequest) -> Result<Finding, abi::STATUS> {
    let mut table = plugin.requests.table();
    let open = table.open.get_mut(&request).ok_or(abi::ERR_NOT_FOUND)?;
    let found = open.found.take().ok_or(abi::EM_PENDING)?;
    table.open.remove(&request);
    found
}
