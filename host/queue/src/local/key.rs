//! The keys of the rows, made so that their order answers the questions asked of the queue.
//! Knows no engine and no row.

use crate::{Destination, Destinations, QueueId};

/// Ends a label of a destination's name; sorts before every character of a name.
const LABEL_END: u8 = 1;
/// Ends a destination's name; sorts before the labels of the domains below it.
const NAME_END: u8 = 0;

/// A key of the index by due time: due time, then message, then destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DueKey {
    pub(crate) due_ms: u64,
    pub(crate) id: QueueId,
    pub(crate) destination: Destination,
}

impl DueKey {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut key = due_prefix(self.due_ms, self.id);
        key.extend_from_slice(self.destination.as_str().as_bytes());
        key
    }

    pub(crate) fn decode(key: &[u8]) -> Option<Self> {
        let (due_ms, rest) = key.split_first_chunk()?;
        let (id, name) = rest.split_first_chunk()?;
        Some(Self {
            due_ms: u64::from_be_bytes(*due_ms),
            id: QueueId::from_bytes(*id),
            destination: Destination::new(std::str::from_utf8(name).ok()?).ok()?,
        })
    }

    /// The same delivery in the index by destination.
    pub(crate) fn encode_by_destination(&self) -> Vec<u8> {
        let mut key = name_key(&self.destination);
        key.extend_from_slice(&due_prefix(self.due_ms, self.id));
        key
    }

    /// Reads a key of the index by destination.
    pub(crate) fn decode_by_destination(key: &[u8]) -> Option<Self> {
        let end = key.iter().position(|octet| *octet == NAME_END)?;
        let (due_ms, id) = key[end + 1..].split_first_chunk()?;
        Some(Self {
            due_ms: u64::from_be_bytes(*due_ms),
            id: QueueId::from_bytes(id.try_into().ok()?),
            destination: name_of(&key[..end])?,
        })
    }
}

/// The key of a delivery: message, then destination.
pub(crate) fn delivery_key(id: QueueId, destination: &Destination) -> Vec<u8> {
    let mut key = id.to_bytes().to_vec();
    key.extend_from_slice(destination.as_str().as_bytes());
    key
}

/// The destination in the key of a delivery.
pub(crate) fn delivery_destination(key: &[u8]) -> Option<Destination> {
    let name = key.get(QueueId::OCTETS..)?;
    Destination::new(std::str::from_utf8(name).ok()?).ok()
}

/// The key of a delivery in the index of held ones: destination, then message.
pub(crate) fn held_key(id: QueueId, destination: &Destination) -> Vec<u8> {
    let mut key = name_key(destination);
    key.extend_from_slice(&id.to_bytes());
    key
}

/// The delivery that a key of the index of held ones means.
pub(crate) fn held_delivery(key: &[u8]) -> Option<(QueueId, Destination)> {
    let (name, id) = held_place(key)?;
    Some((id, name_of(name.strip_suffix(&[NAME_END])?)?))
}

/// What a key of the index of held ones has of the destination, which is what its other keys begin with, and the message.
pub(crate) fn held_place(key: &[u8]) -> Option<(&[u8], QueueId)> {
    let end = key.iter().position(|octet| *octet == NAME_END)?;
    let (name, id) = key.split_at(end + 1);
    Some((name, QueueId::from_bytes(id.try_into().ok()?)))
}

/// The key of a destination's counters: its labels in reverse order, so that a domain and those below it are
/// one range. It begins the keys of that destination in the index by destination.
pub(crate) fn name_key(destination: &Destination) -> Vec<u8> {
    let mut key = labels(destination);
    key.push(NAME_END);
    key
}

/// What the keys of these destinations begin with.
pub(crate) fn name_prefix(destinations: &Destinations) -> Vec<u8> {
    match destinations {
        Destinations::One(destination) => name_key(destination),
        Destinations::Below(destination) => labels(destination),
    }
}

fn labels(destination: &Destination) -> Vec<u8> {
    let name = destination.as_str();
    let mut key = Vec::with_capacity(name.len() + 26);
    // The dots of an address literal separate no labels.
    let dot = if name.starts_with('[') { '\0' } else { '.' };
    for label in name.rsplit(dot) {
        key.extend_from_slice(label.as_bytes());
        key.push(LABEL_END);
    }
    key
}

fn name_of(labels: &[u8]) -> Option<Destination> {
    let labels = std::str::from_utf8(labels.strip_suffix(&[LABEL_END])?).ok()?;
    let name: Vec<&str> = labels.rsplit(char::from(LABEL_END)).collect();
    Destination::new(&name.join(".")).ok()
}

fn due_prefix(due_ms: u64, id: QueueId) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&due_ms.to_be_bytes());
    key.extend_from_slice(&id.to_bytes());
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = Destination> {
        "[a-z0-9-]{1,5}(\\.[a-z0-9-]{1,5}){0,3}|\\[[0-9]{1,3}(\\.[0-9]{1,3}){3}\\]"
            .prop_map(|name| Destination::new(&name).unwrap())
    }

    fn due_key() -> impl Strategy<Value = DueKey> {
        (any::<u64>(), any::<[u8; 16]>(), name()).prop_map(|(due_ms, id, destination)| DueKey {
            due_ms,
            id: QueueId::from_bytes(id),
            destination,
        })
    }

    proptest! {
        #[test]
        fn keys_come_back_as_they_were(key in due_key()) {
            prop_assert_eq!(DueKey::decode(&key.encode()), Some(key.clone()));
            prop_assert_eq!(DueKey::decode_by_destination(&key.encode_by_destination()), Some(key.clone()));
            let held = held_key(key.id, &key.destination);
            prop_assert_eq!(held_delivery(&held), Some((key.id, key.destination.clone())));
            let delivery = delivery_key(key.id, &key.destination);
            prop_assert_eq!(delivery_destination(&delivery), Some(key.destination));
        }

        #[test]
        fn the_order_of_keys_is_the_order_of_time(a in due_key(), b in due_key()) {
            prop_assert_eq!(a.encode().cmp(&b.encode()), a.cmp(&b));
        }

        #[test]
        fn prefixes_select_what_is_meant(key in due_key(), top in name(), below in any::<bool>()) {
            let meant = if below { Destinations::Below(top) } else { Destinations::One(top) };
            let selected = key.encode_by_destination().starts_with(&name_prefix(&meant));
            prop_assert_eq!(selected, meant.contains(&key.destination));
        }

        #[test]
        fn random_octets_are_refused_without_panic(octets in any::<Vec<u8>>()) {
            let _ = (DueKey::decode(&octets), DueKey::decode_by_destination(&octets), delivery_destination(&octets), held_delivery(&octets));
        }
    }

    #[test]
    fn a_domain_and_those_below_are_one_range() {
        let key = |name: &str| name_key(&Destination::new(name).unwrap());
        let mut names = [
            "b.example.org",
            "example.org",
            "example-x.org",
            "a.b.example.org",
            "exampl.org",
            "example.net",
        ];
        names.sort_by_key(|name| key(name));
        let first = names.iter().position(|name| *name == "example.org").unwrap();
        assert_eq!(names[first..first + 3], ["example.org", "b.example.org", "a.b.example.org"]);
    }
}
