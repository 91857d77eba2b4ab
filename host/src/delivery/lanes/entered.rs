//! One delivery on its lane: whether its attempt begins, and what its end says of the servers.
//! Knows no message and no transport.

use std::sync::Arc;
use std::time::SystemTime;

use stagepost_queue::{Destination, LaneName};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Lanes, Road};
use crate::delivery::lane::{Lane, Standing};

/// Such a part of all that run may find out at once whether lanes still lead to nobody.
const PROBES_PART: u32 = 4;
/// The longest reply that is kept, in octets.
const REPLY_OCTETS_MAX: usize = 200;

/// A delivery that counts against its lane until this is dropped.
pub(in crate::delivery) struct Entered {
    pub(super) lanes: Arc<Lanes>,
    /// By which the store has let it in.
    pub(super) counted: LaneName,
    /// By which it goes: another one when an operator has chosen a route.
    pub(super) road: Road,
    pub(super) destination: Destination,
    pub(super) probing: bool,
    /// It goes where other mail may not, and says nothing of the lane.
    pub(super) aside: bool,
}

/// Whether an attempt is made.
pub(in crate::delivery) enum Start {
    /// It is; it began now.
    Go(Instant),
    /// There was nobody shortly before.
    PutOff(PutOff),
}

/// Why an attempt is not made.
pub(in crate::delivery) struct PutOff {
    /// What was found out shortly before.
    pub(in crate::delivery) said: Box<str>,
    /// There was somebody, and nobody to be trusted.
    pub(in crate::delivery) untrusted: bool,
}

/// What the end of an attempt means for other mail, and for its own.
#[derive(Debug, Default)]
pub(in crate::delivery) struct Ended {
    /// The destinations whose mail is to be tried now, since there is somebody again.
    pub(in crate::delivery) open: Vec<Destination>,
    /// When this delivery is to find out, if its own next attempt comes later, whether there is somebody again.
    pub(in crate::delivery) again: Option<SystemTime>,
}

impl Entered {
    /// Begins the attempt, if it is to be made now. `anyway`: the mail asks for nothing of TLS.
    pub(in crate::delivery) fn start(&mut self, anyway: bool) -> Start {
        let now = Instant::now();
        let mut state = self.lanes.lock();
        let room = state.probes < (self.lanes.concurrency_max / PROBES_PART).max(1);
        let known = state.known(&self.road, now);
        let (failing, untrusted) = (known.lane.is_failing(), known.lane.is_untrusted());
        if untrusted && anyway {
            self.aside = true;
            return Start::Go(now);
        }
        if known.lane.shut_until(now).is_some() || failing && !room {
            known.wait(&self.destination);
            let said = known.last.as_ref().map_or("", |(_, said)| said).into();
            known.put_off += 1;
            state.counts.put_off += 1;
            return Start::PutOff(PutOff { said, untrusted });
        }
        state.probes += u32::from(failing);
        self.probing = failing;
        Start::Go(now)
    }

    /// Whether its attempt would not begin now, whatever the message is.
    pub(in crate::delivery) fn is_shut(&self) -> bool {
        let state = self.lanes.lock();
        let shut = |lane: &Lane| lane.shut_until(Instant::now()).is_some() && !lane.is_untrusted();
        state.lanes.get(&self.road.lane).is_some_and(|known| shut(&known.lane))
    }

    /// What was found out when it would not begin now; none: it would.
    pub(in crate::delivery) fn put_off(&mut self) -> Option<PutOff> {
        if !self.is_shut() {
            return None;
        }
        match self.start(false) {
            Start::PutOff(put_off) => Some(put_off),
            Start::Go(_) => None,
        }
    }

    /// Learns that nobody knows whether the servers have the message of the attempt.
    pub(in crate::delivery) fn doubt(&self) {
        self.lanes.lock().counts.in_doubt += 1;
    }

    /// Learns how the attempt has ended. What is put off has no line of its own in the log: it is told of here, by lane.
    ///
    /// - said: what was found out about the servers, on one line.
    pub(in crate::delivery) fn end(&self, begun: Instant, standing: Standing, said: &str) -> Ended {
        if self.aside {
            return Ended::default();
        }
        let (now, lane) = (Instant::now(), &self.road.lane);
        let mut state = self.lanes.lock();
        let spread = self.lanes.spread(&mut state);
        match standing {
            Standing::Well => state.counts.well += 1,
            Standing::Busy => state.counts.busy += 1,
            Standing::Down | Standing::Untrusted => state.counts.down += 1,
            Standing::Unknown => return Ended::default(),
        }
        let known = state.known(&self.road, now);
        let (shut, was_failing) = (known.lane.shut_until(now), known.lane.is_failing());
        let recovered = known.lane.end(begun, standing, now, spread);
        known.last = Some(((self.lanes.now)(), cut(said).into()));
        if standing != Standing::Well {
            known.wait(&self.destination);
        }
        if let Some(until) = known.lane.shut_until(now).filter(|_| shut.is_none()) {
            let (pause_s, again) = ((until - now).as_secs(), was_failing);
            let (destinations, put_off) = known.told();
            match known.lane.is_untrusted() {
                true => {
                    warn!(%lane, pause_s, again, destinations, put_off, said, "no server has TLS as it must be: its mail waits")
                }
                false => {
                    warn!(%lane, pause_s, again, destinations, put_off, said, "no server could be talked to: its mail waits")
                }
            }
            let again = Some((self.lanes.now)() + (until - now));
            return Ended { open: Vec::new(), again };
        }
        if !recovered {
            return Ended::default();
        }
        let (destinations, put_off) = known.told();
        info!(%lane, destinations, put_off, "there is a server again: its mail goes on");
        Ended { open: std::mem::take(&mut known.waiting).into_iter().collect(), again: None }
    }
}

/// The delivery counts no longer.
impl Drop for Entered {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        state.running = state.running.saturating_sub(1);
        state.probes -= u32::from(self.probing);
        if let Some(known) = state.lanes.get_mut(&self.counted) {
            known.lane.leave();
        }
        let refused = std::mem::take(&mut state.refused);
        drop(state);
        if refused {
            (self.lanes.wake)();
        }
    }
}

/// As much of a line as is kept.
fn cut(said: &str) -> &str {
    &said[..said.floor_char_boundary(REPLY_OCTETS_MAX)]
}
