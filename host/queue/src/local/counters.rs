//! How much waits at each place, in memory, with sums for the domains above: told without the disk, which may be at a sync.
//! Knows no batch. The rows are what lasts; what is here is read from them when the tables are opened.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::engine::EngineError;
use super::key::{DESTINATIONS, KeyRange, Place, is_place, places_above};
use super::record::CountRecord;
use super::rows::Rows;
use crate::{Count, Destinations};

/// The sum of all destinations has the key that all others begin with.
const ALL: &[u8] = &[];
/// Sums are kept for domains of so many labels at most, whatever names mail comes for: those below deeper ones are gone through.
const SUMMED_LABELS_MAX: usize = 8;

/// The counters. Any thread; nobody holds them over I/O.
#[derive(Default)]
pub(super) struct Counters(RwLock<Table>);

/// By the keys of places, and of each domain above one, and of all destinations, by what the keys of those below begin with. Nothing is
/// kept that is zero.
#[derive(Default)]
struct Table(BTreeMap<Box<[u8]>, Count>);

impl Counters {
    /// Reads all rows. Blocks.
    pub(super) fn read(&self, rows: &Rows) -> Result<(), EngineError> {
        let mut table = Table::default();
        for entry in rows.range::<&[u8]>(..) {
            let (key, row) = entry.into_inner()?;
            let record = CountRecord::decode(&row).map_err(EngineError::Counter)?;
            table.set(&key, count_of(&record));
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    /// What waits for some destinations, all of it as one batch has left it.
    pub(super) fn of(&self, destinations: &Destinations) -> Count {
        self.table().of(destinations)
    }

    /// What waits at one place, as its row has it.
    pub(super) fn at(&self, place: &Place) -> CountRecord {
        let Count { queued, held, octets } = self.table().at(place.as_bytes());
        CountRecord { messages: 0, queued, held, octets }
    }

    /// Learns what a batch has changed that can be read now.
    pub(super) fn changed(&self, counts: &HashMap<Place, CountRecord>) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (place, record) in counts {
            table.set(place.as_bytes(), count_of(record));
        }
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn of(&self, destinations: &Destinations) -> Count {
        let meant = KeyRange::of_places(destinations);
        let top = match destinations {
            Destinations::All => return self.at(ALL),
            Destinations::One(_) | Destinations::Queue(_) => return self.at(&meant.into_first()),
            Destinations::Below(top) => top,
        };
        if top.labels() > SUMMED_LABELS_MAX {
            let below = self.0.range(Box::from(&*meant.clone().into_first())..);
            let below = below.take_while(|(key, _)| meant.has(key));
            return below
                .filter(|(key, _)| is_place(key))
                .fold(Count::default(), |sum, (_, count)| plus(sum, *count));
        }
        plus(self.at(Place::of_destination(top).as_bytes()), self.at(&meant.into_first()))
    }

    fn at(&self, key: &[u8]) -> Count {
        self.0.get(key).copied().unwrap_or_default()
    }

    fn set(&mut self, place: &[u8], new: Count) {
        let old = self.at(place);
        if old == new {
            return;
        }
        self.put(place, new);
        // What is in a queue has a destination too.
        let all = (place >= DESTINATIONS).then_some(ALL);
        for above in places_above(place).take(SUMMED_LABELS_MAX).chain(all) {
            self.put(above, plus(minus(self.at(above), old), new));
        }
    }

    fn put(&mut self, key: &[u8], count: Count) {
        if count == Count::default() {
            self.0.remove(key);
        } else if let Some(known) = self.0.get_mut(key) {
            *known = count;
        } else {
            self.0.insert(key.into(), count);
        }
    }
}

fn count_of(record: &CountRecord) -> Count {
    let CountRecord { queued, held, octets, .. } = *record;
    Count { queued, held, octets }
}

fn plus(one: Count, other: Count) -> Count {
    Count {
        queued: one.queued.saturating_add(other.queued),
        held: one.held.saturating_add(other.held),
        octets: one.octets.saturating_add(other.octets),
    }
}

fn minus(one: Count, other: Count) -> Count {
    Count {
        queued: one.queued.saturating_sub(other.queued),
        held: one.held.saturating_sub(other.held),
        octets: one.octets.saturating_sub(other.octets),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Destination, QueueName};

    /// Few names, so that many are below others, and some with more labels than sums are kept for.
    fn name() -> impl Strategy<Value = Destination> {
        "[ab](\\.[ab]){0,3}|([ab]\\.){7}[ab](\\.[ab]){0,4}|\\[192\\.0\\.2\\.[12]\\]"
            .prop_map(|name| Destination::new(&name).unwrap())
    }

    fn place() -> impl Strategy<Value = Destinations> {
        prop_oneof![
            4 => name().prop_map(Destinations::One),
            1 => "[ab]{1,2}".prop_map(|name| Destinations::Queue(QueueName::new(&name).unwrap())),
        ]
    }

    fn key(place: &Destinations) -> Place {
        match place {
            Destinations::One(name) | Destinations::Below(name) => Place::of_destination(name),
            Destinations::Queue(name) => Place::of_queue(name),
            Destinations::All => unreachable!("it is no place"),
        }
    }

    proptest! {
        /// What is told is what adding up everything would come to, and nothing is kept of what is gone.
        #[test]
        fn sums_are_those_of_all_places(
            changes in prop::collection::vec((place(), 0..4_u64), 1..60),
            asked in prop::collection::vec(name(), 20),
        ) {
            let counters = Counters::default();
            let mut all: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
            for (place, queued) in &changes {
                let record = CountRecord { messages: 0, queued: *queued, held: 1 - queued.min(&1), octets: queued * 10 };
                let record = if *queued == 3 { CountRecord::default() } else { record };
                counters.changed(&HashMap::from([(key(place), record)]));
                all.insert(key(place).as_bytes().to_vec(), record.octets);
                prop_assert_eq!(counters.at(&key(place)), record);
            }
            let asked = asked.into_iter().map(Destinations::Below).chain([Destinations::All]);
            for asked in asked.chain(changes.iter().map(|(place, _)| place.clone())) {
                let meant = KeyRange::of_places(&asked);
                let wanted: u64 = all.iter().filter(|(key, _)| meant.has(key)).map(|(_, octets)| octets).sum();
                prop_assert_eq!(counters.of(&asked).octets, wanted, "{:?}", asked);
            }
            let none = changes.iter().map(|(place, _)| (key(place), CountRecord::default())).collect();
            counters.changed(&none);
            prop_assert!(counters.table().0.is_empty());
        }
    }
}
