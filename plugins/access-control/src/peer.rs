//! A connecting host as rules see it: its address, and what the DNS says of its name.
//! Knows no rule, and asks nobody.

use std::net::IpAddr;

use crate::list::{Hit, List};

/// What the DNS says of a host's name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum HostName {
    /// Nobody has asked.
    #[default]
    NotAsked,
    /// It has names.
    Found(Vec<Name>),
    /// It has none.
    Missing,
    /// Nobody knows now.
    Trouble,
}

/// A name of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    /// Whether the name has the host's address in turn: anybody can claim any name for an address of theirs.
    pub(crate) confirmed: bool,
}

/// A connecting host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'p> {
    pub(crate) address: IpAddr,
    pub(crate) name: &'p HostName,
}

/// Which names count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// All: what is refused to a name is refused to whoever claims it.
    Claimed,
    /// Those that are confirmed alone: what a name is allowed.
    Confirmed,
}

impl HostName {
    /// The names that count.
    pub(crate) fn names(&self, trust: Trust) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::Found(names) => names.as_slice(),
            Self::NotAsked | Self::Missing | Self::Trouble => &[],
        };
        let counts = move |name: &&Name| trust == Trust::Claimed || name.confirmed;
        names.iter().filter(counts).map(|name| name.text.as_str())
    }
}

impl<'p> Peer<'p> {
    /// The first entry that the host fits, by its address or else by a name that counts.
    pub(crate) fn find<'l>(&self, list: &'l List, trust: Trust) -> Option<Hit<'l>> {
        list.find_address(self.address).or_else(|| self.find_name(list, trust))
    }

    /// The first entry that a name of it fits.
    pub(crate) fn find_name<'l>(&self, list: &'l List, trust: Trust) -> Option<Hit<'l>> {
        self.name.names(trust).find_map(|name| list.find_host(name))
    }

    /// Whether the list can say more about it once its name is known.
    pub(crate) fn name_matters(&self, list: &List) -> bool {
        *self.name == HostName::NotAsked
            && list.has_names()
            && list.find_address(self.address).is_none()
    }
}
