//! What a pending call is woken by of itself: alarms that ring and look-ups that are answered.
//! Knows no clock of its own and no resolver; that poll is called then is done where the call is waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stagepost_abi as abi;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Pending;
use crate::dns::DnsQuestion;
use crate::lookup::Lookups;

/// The most alarms of one call.
const ALARMS_MAX: usize = 64;

/// When poll is to be called, whatever happens.
#[derive(Default)]
pub(super) struct Alarms(Vec<Instant>);

impl Alarms {
    /// Sets one more, unless the call is over before it can ring. Whether it was set.
    fn set(&mut self, alarm: Instant, latest: Instant) -> Result<bool, abi::STATUS> {
        if self.0.len() >= ALARMS_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        let rings = alarm < latest;
        if rings {
            self.0.push(alarm);
        }
        Ok(rings)
    }

    /// Takes those away whose time has come. Whether there were any.
    pub(super) fn ring(&mut self, now: Instant) -> bool {
        let set = self.0.len();
        self.0.retain(|&alarm| alarm > now);
        self.0.len() < set
    }

    /// The one that rings next.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.iter().min().copied()
    }
}

/// Look-ups under way. They end with the call: a client that comes, has names looked up and goes leaves none behind, which a dead
/// server would keep for its time-out.
#[derive(Default)]
pub(super) struct LookingUp(Mutex<Vec<AbortHandle>>);

impl LookingUp {
    fn add(&self, look_up: AbortHandle) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(look_up);
    }
}

impl Drop for LookingUp {
    fn drop(&mut self) {
        for look_up in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            look_up.abort();
        }
    }
}

impl Pending {
    /// Has poll called when time has passed.
    ///
    /// # Errors
    /// The status for the plug-in: the call is over, has no poll, or has too many alarms.
    pub(crate) fn wake_after(&self, time: Duration) -> Result<(), abi::STATUS> {
        if self.poll.is_none() {
            return Err(abi::EM_ERR_STAGE);
        }
        let alarm = Instant::now() + time;
        let mut state = self.state();
        state.is_open()?;
        if state.alarms.set(alarm, self.time.latest)? {
            drop(state);
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Looks a name up, and has poll called when the answer is there. What names the look-up.
    ///
    /// # Errors
    /// The status for the plug-in: the call is over, has no poll, or has asked too often.
    pub(crate) fn look_up(self: &Arc<Self>, question: DnsQuestion) -> Result<u32, abi::STATUS> {
        if self.poll.is_none() {
            return Err(abi::EM_ERR_STAGE);
        }
        self.state().is_open()?;
        let query = self.lookups.begin()?;
        let looking_up = self.plugin.look_up(question);
        let call = Arc::downgrade(self);
        let under_way = self.runtime.spawn(async move {
            let answer = looking_up.await;
            if let Some(call) = call.upgrade() {
                call.lookups.keep(query, answer);
                // A call that is over needs no waking.
                let _ = call.wake();
            }
        });
        self.looking_up.add(under_way.abort_handle());
        Ok(query)
    }

    pub(crate) fn lookups(&self) -> &Lookups {
        &self.lookups
    }
}
