//! What the program does for plug-ins behind their services: it has the stores and knows the users.
//! Holds traits; knows no store and no file.

use std::pin::Pin;
use std::sync::Arc;

use stagepost_smtp::Route;

use crate::dns::Resolver;

/// Why a state store could not do something.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The plug-in would keep more than it may.
    #[error("the plug-in would keep more than {0} octets")]
    Full(u64),
    /// The store's own, for the log.
    #[error("{0}")]
    Store(String),
}

impl StateError {
    /// Makes an error of a store's reason.
    pub fn new(reason: impl std::fmt::Display) -> Self {
        Self::Store(reason.to_string())
    }
}

/// Keeps values by key, durably, each plug-in its own. Its functions block; any thread.
pub trait StateStore: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// It could not be read.
    fn get(&self, plugin: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Puts a value in the place of any other; it is on disk when this returns. Refuses what would have the plug-in's keys
    /// and values come to more than `octets_max` octets, unless it takes less room than what it replaces.
    ///
    /// # Errors
    /// [`StateError::Full`]: nothing has changed. Else whether it is there is not known.
    fn put(
        &self,
        plugin: &str,
        key: &[u8],
        value: &[u8],
        octets_max: u64,
    ) -> Result<(), StateError>;

    /// Removes a key, if it is there; that is on disk when this returns.
    ///
    /// # Errors
    /// Whether it is there is not known.
    fn remove(&self, plugin: &str, key: &[u8]) -> Result<(), StateError>;

    /// The first key behind `after` that begins with `prefix`.
    ///
    /// # Errors
    /// It could not be read.
    fn next(
        &self,
        plugin: &str,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Vec<u8>>, StateError>;
}

/// Knows users and groups. Any thread.
pub trait UserDirectory: Send + Sync {
    /// What accepting an address as a recipient depends on, from memory.
    fn route(&self, address: &str) -> Said<Route>;

    /// The groups of an address, from memory; their names stay for ever.
    fn groups(&self, address: &str) -> Said<Arc<[&'static str]>>;

    /// Fetches what it says of an address into memory, where that stays for seconds at least. Ends by itself, within
    /// seconds; none: it is there.
    fn fetch(&self, address: &str, what: DirectoryPart) -> Option<Fetching>;
}

/// What is fetched of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryPart {
    /// What becomes of mail for it.
    pub route: bool,
    /// Its groups.
    pub groups: bool,
}

/// What the directory says at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<T> {
    /// This.
    Known(T),
    /// It is to be fetched before.
    NotFetched,
    /// Nobody knows now.
    Trouble,
    /// That it is no address.
    NoAddress,
}

/// A fetch under way.
pub type Fetching = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the program offers. A service whose part is missing is not there for plug-ins.
#[derive(Clone, Default)]
pub struct Hosted {
    /// Behind `em.state/1`.
    pub state: Option<Arc<dyn StateStore>>,
    /// Behind `em.directory/1`.
    pub users: Option<Arc<dyn UserDirectory>>,
    /// Behind `em.dns/1`; without one there is nothing but trouble.
    pub resolver: Option<Arc<dyn Resolver>>,
}
