//! The keys of the rows, made so that their order answers the questions asked of the queue.
//! Knows no engine and no row.

use std::ops::Bound;

use stagepost_smtp::ReversePath;

use super::record::queue_name;
use crate::{Destination, Destinations, QueueId, QueueName};

/// Ends a label of a destination's name; sorts before every character of a name.
const LABEL_END: u8 = 1;
/// Ends the name of a place or of a sender; sorts before the labels of the domains below.
const NAME_END: u8 = 0;
/// Begins the place of a queue; sorts before the places of all destinations.
const QUEUE: u8 = 2;
/// The places of all destinations sort behind this.
pub(crate) const DESTINATIONS: &[u8] = &[QUEUE + 1];

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

    /// The same delivery in the index by place.
    pub(crate) fn encode_at(&self, place: &Place) -> Vec<u8> {
        let mut key = place.0.clone();
        key.extend_from_slice(&due_prefix(self.due_ms, self.id));
        place.end(key, &self.destination)
    }

    /// Reads a key of the index by place.
    pub(crate) fn decode_at_place(key: &[u8]) -> Option<Self> {
        let (place, rest) = split_place(key)?;
        let (due_ms, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        Some(Self {
            due_ms: u64::from_be_bytes(*due_ms),
            id: QueueId::from_bytes(*id),
            destination: destination_at(place, rest)?,
        })
    }
}

/// Where mail waits: a destination or a queue. Begins its keys in the indexes, and is the key of its counters.
///
/// That of a destination is its labels in reverse order, so that a domain and those below it are one range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place(Vec<u8>);

impl Place {
    pub(crate) fn of_destination(destination: &Destination) -> Self {
        let mut place = labels(destination.as_str());
        place.push(NAME_END);
        Self(place)
    }

    pub(crate) fn of_queue(queue: &QueueName) -> Self {
        let mut place = vec![QUEUE];
        place.extend_from_slice(queue.as_str().as_bytes());
        place.push(NAME_END);
        Self(place)
    }

    /// The places that a delivery is found at.
    pub(crate) fn all(
        destination: &Destination,
        queue: Option<&QueueName>,
    ) -> impl Iterator<Item = Self> {
        std::iter::once(Self::of_destination(destination)).chain(queue.map(Self::of_queue))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A delivery with somebody on hold in the index of held ones: place, then message.
    pub(crate) fn held_key(&self, id: QueueId, destination: &Destination) -> Vec<u8> {
        let mut key = self.0.clone();
        key.extend_from_slice(&id.to_bytes());
        self.end(key, destination)
    }

    /// The key of a queue has its destination last; that of a destination begins with it.
    fn end(&self, mut key: Vec<u8>, destination: &Destination) -> Vec<u8> {
        if self.0[0] == QUEUE {
            key.extend_from_slice(destination.as_str().as_bytes());
        }
        key
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

/// The delivery that a key of the index of held ones means.
pub(crate) fn held_delivery(key: &[u8]) -> Option<(QueueId, Destination)> {
    let (place, id, rest) = held_place(key)?;
    Some((id, destination_at(place, rest)?))
}

/// What a key of the index of held ones has: the place, which is what the others of it begin with, the message, and
/// what is left.
pub(crate) fn held_place(key: &[u8]) -> Option<(&[u8], QueueId, &[u8])> {
    let (place, rest) = split_place(key)?;
    let (id, rest) = rest.split_first_chunk()?;
    Some((place, QueueId::from_bytes(*id), rest))
}

/// Where at its place, given by a key of the index by place, what is due after a time begins.
pub(crate) fn due_after(key: &[u8], due_ms: u64) -> Vec<u8> {
    let place = split_place(key).map_or(key, |(place, _)| place);
    [place, &due_ms.saturating_add(1).to_be_bytes()].concat()
}

/// The keys of an index that some mail has: from one on those that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRange {
    first: Vec<u8>,
    prefix: Vec<u8>,
}

impl KeyRange {
    /// The keys that begin so.
    pub(crate) fn of_prefix(prefix: Vec<u8>) -> Self {
        Self { first: prefix.clone(), prefix }
    }

    /// The keys of this mail in an index by place: each delivery has one.
    pub(crate) fn of_places(destinations: &Destinations) -> Self {
        Self::of_prefix(match destinations {
            Destinations::One(destination) => Place::of_destination(destination).0,
            Destinations::Below(destination) => labels(destination.as_str()),
            Destinations::Queue(queue) => Place::of_queue(queue).0,
            // What is in a queue has a destination too.
            Destinations::All => return Self { first: DESTINATIONS.to_vec(), prefix: Vec::new() },
        })
    }

    /// Where its keys begin, or go on behind one of them.
    pub(crate) fn from(&self, behind: Option<&[u8]>) -> Bound<Vec<u8>> {
        match behind.filter(|key| self.has(key)) {
            Some(key) => Bound::Excluded(key.to_vec()),
            None => Bound::Included(self.first.clone()),
        }
    }

    /// What its keys are not before.
    pub(crate) fn into_first(self) -> Vec<u8> {
        self.first
    }

    /// Whether a key is one of them.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        key >= &*self.first && key.starts_with(&self.prefix)
    }
}

/// Whether a key is that of a place, and not what those of several begin with.
pub(crate) fn is_place(key: &[u8]) -> bool {
    key.ends_with(&[NAME_END])
}

/// What the keys of all places below each domain above a place begin with, from the top domain on.
pub(crate) fn places_above(place: &[u8]) -> impl Iterator<Item = &[u8]> {
    let labels = place.strip_suffix(&[LABEL_END, NAME_END]).unwrap_or_default();
    let ends = labels.iter().enumerate().filter(|(_, octet)| **octet == LABEL_END);
    ends.map(|(at, _)| &place[..=at])
}

/// What the keys of a sender begin with: the labels of the domain in reverse order, then the local part, in lower case.
pub(crate) fn sender_prefix(sender: &ReversePath) -> Vec<u8> {
    let mut key = match sender {
        ReversePath::Null => Vec::new(),
        ReversePath::Address(address) => labels(&address.domain_key()),
    };
    key.push(NAME_END);
    if let ReversePath::Address(address) = sender {
        key.extend_from_slice(address.local_unquoted().to_lowercase().as_bytes());
    }
    key.push(NAME_END);
    key
}

/// What the keys of all senders of a domain and of the domains below it begin with.
pub(crate) fn domain_prefix(domain: &Destination) -> Vec<u8> {
    labels(domain.as_str())
}

/// The message that a key of the index by sender means.
pub(crate) fn sender_message(key: &[u8]) -> Option<QueueId> {
    Some(QueueId::from_bytes(*key.last_chunk()?))
}

/// The key of a message in the index by sender.
pub(crate) fn sender_key(sender: &ReversePath, id: QueueId) -> Vec<u8> {
    let mut key = sender_prefix(sender);
    key.extend_from_slice(&id.to_bytes());
    key
}

/// What the key of counters is about.
pub(crate) fn counted(key: &[u8]) -> Option<Destinations> {
    let name = key.strip_suffix(&[NAME_END])?;
    match name.strip_prefix(&[QUEUE]) {
        Some(queue) => queue_name(queue).map(Destinations::Queue),
        None => name_of(name).map(Destinations::One),
    }
}

/// Splits a key behind the place that it begins with.
fn split_place(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = key.iter().position(|octet| *octet == NAME_END)?;
    Some(key.split_at(end + 1))
}

/// The destination of a delivery at a place, given what is left of the key.
fn destination_at(place: &[u8], rest: &[u8]) -> Option<Destination> {
    let name = place.strip_suffix(&[NAME_END])?;
    match name.strip_prefix(&[QUEUE]) {
        Some(queue) => {
            queue_name(queue)?;
            Destination::new(std::str::from_utf8(rest).ok()?).ok()
        }
        None => rest.is_empty().then(|| name_of(name))?,
    }
}

fn labels(name: &str) -> Vec<u8> {
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

    fn queue() -> impl Strategy<Value = QueueName> {
        "[a-z0-9_-]{1,8}".prop_map(|name| QueueName::new(&name).unwrap())
    }

    fn place() -> impl Strategy<Value = Destinations> {
        prop_oneof![
            Just(Destinations::All),
            name().prop_map(Destinations::One),
            name().prop_map(Destinations::Below),
            queue().prop_map(Destinations::Queue),
        ]
    }

    /// What is meant, without any key.
    fn means(meant: &Destinations, destination: &Destination, queue: &QueueName) -> bool {
        match meant {
            Destinations::One(one) => one == destination,
            Destinations::Below(top) => {
                let rest = destination.as_str().strip_suffix(top.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Destinations::Queue(one) => one == queue,
            Destinations::All => true,
        }
    }

    proptest! {
        #[test]
        fn keys_come_back_as_they_were(key in due_key(), queue in queue()) {
            prop_assert_eq!(DueKey::decode(&key.encode()), Some(key.clone()));
            for place in Place::all(&key.destination, Some(&queue)) {
                prop_assert_eq!(DueKey::decode_at_place(&key.encode_at(&place)), Some(key.clone()));
                let held = place.held_key(key.id, &key.destination);
                prop_assert_eq!(held_delivery(&held), Some((key.id, key.destination.clone())));
                prop_assert_eq!(held_place(&held).unwrap().0, place.as_bytes());
                let meant = counted(place.as_bytes()).unwrap();
                prop_assert_eq!(KeyRange::of_places(&meant).first, place.as_bytes());
            }
            let delivery = delivery_key(key.id, &key.destination);
            prop_assert_eq!(delivery_destination(&delivery), Some(key.destination));
        }

        #[test]
        fn the_order_of_keys_is_the_order_of_time(a in due_key(), b in due_key()) {
            prop_assert_eq!(a.encode().cmp(&b.encode()), a.cmp(&b));
        }

        #[test]
        fn prefixes_select_what_is_meant(key in due_key(), queue in queue(), meant in place()) {
            let range = KeyRange::of_places(&meant);
            let selected = |place: &Place| {
                let (due, held) = (key.encode_at(place), place.held_key(key.id, &key.destination));
                assert_eq!(range.has(&due), range.has(&held));
                range.has(&due)
            };
            let places = Place::all(&key.destination, Some(&queue)).filter(selected);
            // Once, whatever it is found by.
            prop_assert_eq!(places.count(), usize::from(means(&meant, &key.destination, &queue)));
        }

        #[test]
        fn places_of_queues_come_before_all_destinations(queue in queue(), name in name()) {
            prop_assert!(Place::of_queue(&queue).as_bytes() < DESTINATIONS);
            prop_assert!(Place::of_destination(&name).as_bytes() > DESTINATIONS);
        }

        #[test]
        fn random_octets_are_refused_without_panic(octets in any::<Vec<u8>>()) {
            let _ = (DueKey::decode(&octets), DueKey::decode_at_place(&octets), delivery_destination(&octets), held_delivery(&octets), sender_message(&octets), counted(&octets));
        }
    }

    #[test]
    fn a_node_is_a_domain_and_what_is_below() {
        let below = Destinations::Below(Destination::new("example.org").unwrap());
        let below = KeyRange::of_places(&below);
        let cases = [
            ("example.org", true),
            ("a.example.org", true),
            ("a.b.example.org", true),
            ("badexample.org", false),
            ("org", false),
            ("example.org.net", false),
        ];
        for (name, wanted) in cases {
            let place = Place::of_destination(&Destination::new(name).unwrap());
            assert_eq!(below.has(place.as_bytes()), wanted, "{name}");
        }
    }

    #[test]
    fn senders_are_told_apart_by_their_addresses_alone() {
        let sender = |text: &str| match text {
            "" => ReversePath::Null,
            text => ReversePath::Address(stagepost_smtp::Address::parse(text).unwrap()),
        };
        let id = QueueId::from_bytes([0; 16]);
        let cases = [
            ("a@b.example", "A@B.Example", true),
            ("a@b.example", "\"a\"@b.example", true),
            ("a@b.example", "ab@b.example", false),
            ("a@b.example", "a@x.b.example", false),
            ("a@b.example", "", false),
            ("", "", true),
        ];
        for (one, other, wanted) in cases {
            let key = sender_key(&sender(other), id);
            assert_eq!(key.starts_with(&sender_prefix(&sender(one))), wanted, "{one} {other}");
            assert_eq!(sender_message(&key), Some(id));
        }
        let below = domain_prefix(&Destination::new("b.example").unwrap());
        for (address, wanted) in
            [("a@b.example", true), ("a@x.b.example", true), ("a@xb.example", false), ("", false)]
        {
            assert_eq!(sender_key(&sender(address), id).starts_with(&below), wanted, "{address}");
        }
    }

    #[test]
    fn above_a_place_are_domains() {
        for (name, wanted) in [
            ("a.example.org", vec!["org", "example.org"]),
            ("org", vec![]),
            ("[192.0.2.1]", vec![]),
        ] {
            let place = Place::of_destination(&Destination::new(name).unwrap());
            let wanted = wanted.into_iter().map(labels);
            assert!(places_above(place.as_bytes()).eq(wanted), "{name}");
        }
        let queue = Place::of_queue(&QueueName::new("org-example").unwrap());
        assert_eq!(places_above(queue.as_bytes()).count(), 0);
    }

    #[test]
    fn a_domain_and_those_below_are_one_range() {
        let key = |name: &str| Place::of_destination(&Destination::new(name).unwrap()).0;
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
