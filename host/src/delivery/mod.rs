//! Getting queued mail out: the scheduler that decides when, and the transports that carry it.
//! Holds how the parts hang together; the queue knows none of it.

mod asking;
mod carrier;
mod demand;
mod fetching;
mod finding;
mod lane;
mod lanes;
mod line_end;
mod logins;
mod maildir;
mod notification;
mod octets;
mod relay;
mod schedule;
mod servers;
mod tls_wish;
mod transport;

pub(crate) use asking::{answer, next_exchange, reason_to_hold};
pub(crate) use carrier::Carrier;
pub(crate) use fetching::{Fetched, Fetching, Pushed};
pub(crate) use lane::Pauses;
pub(crate) use lanes::{LaneReport, Lanes, Road, Roads};
pub(crate) use logins::Logins;
pub(crate) use notification::Notifier;
pub(crate) use relay::{
    Carrying, Dial, DialError, Ends, Explained, ExplainedServer, LineFault, OpenLine, Relay,
};
pub(crate) use schedule::{Limits, Scheduler};
