//! Decisions by the lists of one section, for who measures what they cost: `cargo bench -p access-control`.
//! Not for the plug-in, which has sessions to decide about.

use std::net::IpAddr;

use crate::connection::Connection;
use crate::entry::Place;
use crate::peer::{HostName, Name, Peer};
use crate::rules::{self, Places, Rules};

/// The rules of a section.
pub struct Measured(Rules);

/// A host's name.
pub struct Named(HostName);

/// A section that stands nowhere.
struct Nowhere;

impl Places for Nowhere {
    fn place_near(&self, _: &str) -> Option<Place> {
        None
    }
}

impl Measured {
    /// Makes rules of a section, written as JSON.
    ///
    /// # Errors
    /// In words: it makes none.
    pub fn read(section: &str) -> Result<Self, String> {
        let section = serde_json::from_str(section).map_err(|error| error.to_string())?;
        rules::make(&section, &Nowhere)
            .map(|made| Self(made.rules))
            .map_err(|error| error.to_string())
    }

    /// Whether a host may not connect: by its address, or else by its name.
    pub fn denies(&self, address: IpAddr, named: &Named) -> bool {
        let decide = |name| self.0.connection.decide(Peer { address, name });
        let decided = match decide(&HostName::NotAsked) {
            Connection::NeedsName => decide(&named.0),
            decided => decided,
        };
        matches!(decided, Connection::Denied(_))
    }
}

impl Named {
    /// A name that was confirmed.
    pub fn new(name: &str) -> Self {
        Self(HostName::Found(vec![Name { text: name.to_owned(), confirmed: true }]))
    }
}
