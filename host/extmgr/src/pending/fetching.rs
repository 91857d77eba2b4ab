//! What a pending call has fetched of the directory: each thing once, and the call is woken when it is there.
//! Knows no directory.

use std::sync::{Arc, Mutex, PoisonError};

use stagepost_abi as abi;

use super::Pending;
use crate::hosted::{DirectoryPart, UserDirectory};

/// The most fetches of one call at once.
const FETCHES_MAX: usize = 64;

/// Those under way.
#[derive(Default)]
pub(super) struct Fetches(Mutex<Vec<(Box<str>, DirectoryPart)>>);

impl Fetches {
    /// Notes one; whether it is new.
    fn begin(&self, address: &str, part: DirectoryPart) -> Result<bool, abi::STATUS> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.iter().any(|(known, of)| &**known == address && *of == part) {
            return Ok(false);
        }
        if all.len() >= FETCHES_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        all.push((address.into(), part));
        Ok(true)
    }

    fn end(&self, address: &str, part: DirectoryPart) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, of)| &**known != address || *of != part);
    }
}

impl Pending {
    /// Has something of the directory fetched, and poll called when it is in memory. Nothing when it is there.
    ///
    /// # Errors
    /// The status for the plug-in: it is not there yet; or the call is over, has no poll, or has too many under way.
    pub(crate) fn fetch(
        self: &Arc<Self>,
        users: &dyn UserDirectory,
        address: &str,
        part: DirectoryPart,
    ) -> Result<(), abi::STATUS> {
        if self.poll.is_none() {
            return Err(abi::EM_ERR_STAGE);
        }
        self.state().is_open()?;
        let Some(fetching) = users.fetch(address, part) else { return Ok(()) };
        if self.fetches.begin(address, part)? {
            let (call, address): (_, Box<str>) = (Arc::downgrade(self), address.into());
            // It ends by itself, and finds no call if that has ended before.
            drop(self.runtime.spawn(async move {
                fetching.await;
                if let Some(call) = call.upgrade() {
                    call.fetches.end(&address, part);
                    // A call that is over needs no waking.
                    let _ = call.wake();
                }
            }));
        }
        Err(abi::EM_PENDING)
    }
}
