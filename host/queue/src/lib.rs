//! The durable queue: what was acknowledged is on disk, and what is due is handed out.
//! Knows envelopes and octets; no session, no router, no transport.
#![forbid(unsafe_code)]

mod body;
mod destination;
mod error;
mod id;
mod incoming;
mod inspection;
mod lane;
pub mod local;
mod message;
mod order;
mod queue_name;
mod store;

pub use body::{BodyReader, BodySource};
pub use destination::{Destination, DestinationError, Destinations};
pub use error::{BadMessage, StoreError};
pub use id::{QueueId, QueueIdError, QueueIds};
pub use incoming::{BODY_MEMORY_OCTETS_MAX, Incoming};
pub use inspection::{DeliveryState, Inspection, Listed, MeantPage, Page, RecipientState};
pub use lane::{LaneName, Lanes, Room};
pub use message::{NewDelivery, NewMessage, Origin, OriginTls, StoredMessage};
pub use order::{Mark, MarkError, Move, Moved, Queues, Selection};
pub use queue_name::{QueueName, QueueNameError};
pub use store::{
    BoxFuture, Count, Counts, FetchPlace, FetchRequest, Fetched, Health, Lease, LeaseRequest,
    Leases, Settlement, Step, Store, Summary,
};
