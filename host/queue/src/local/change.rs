//! One batch in the making: what each request changes in the rows, the indexes and the counters.
//! Knows no thread and no reply; nothing is on disk before the batch is committed.

pub(super) mod rebuild;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use lsm_tree::Slice;

use super::engine::{Engine, TOTAL_KEY};
use super::key::{DueKey, Place, delivery_destination, delivery_key, sender_key};
use super::record::{CountRecord, DeliveryRecord, MessageRecord, queue_name, reply_text};
use super::rows::{Batch, Rows};
use crate::{Destination, Lease, QueueId, QueueName, Settlement, Step, StoreError};

/// The rows of a new message, encoded by whoever brings it.
pub(super) struct NewRows {
    pub(super) id: QueueId,
    /// Its key in the index by sender.
    pub(super) sender: Slice,
    pub(super) message: Slice,
    /// The body, unless it has a file.
    pub(super) body: Option<Slice>,
    pub(super) octets: u64,
    pub(super) deliveries: Vec<(Destination, DeliveryRecord)>,
}

/// A batch in the making.
pub(super) struct Change<'a> {
    pub(super) engine: &'a Engine,
    batch: Batch,
    counts: HashMap<Place, CountRecord>,
    total: CountRecord,
    queued: Vec<DueKey>,
    files_freed: Vec<QueueId>,
    /// Deliveries that this batch removes: reading still shows them.
    removed: HashSet<Vec<u8>>,
}

/// What a batch has changed, to be acted on once it is durable.
pub(super) struct Changed {
    pub(super) batch: Batch,
    /// What there is now at each place that it is about.
    pub(super) counts: HashMap<Place, CountRecord>,
    pub(super) total: CountRecord,
    /// Deliveries that are due at a new time.
    pub(super) queued: Vec<DueKey>,
    /// Messages that are gone and whose body files are to go.
    pub(super) files_freed: Vec<QueueId>,
}

impl<'a> Change<'a> {
    pub(super) fn new(engine: &'a Engine, total: CountRecord) -> Self {
        Self {
            batch: Batch::default(),
            engine,
            counts: HashMap::new(),
            total,
            queued: Vec::new(),
            files_freed: Vec::new(),
            removed: HashSet::new(),
        }
    }

    /// Adds the counters and gives the batch away.
    pub(super) fn end(mut self) -> Changed {
        if !self.batch.is_empty() {
            for (place, count) in &self.counts {
                let key = place.as_bytes();
                if *count == CountRecord::default() {
                    self.batch.remove(&self.engine.count, key);
                } else {
                    self.batch.insert(&self.engine.count, key, count.encode());
                }
            }
            self.batch.insert(&self.engine.total, TOTAL_KEY, self.total.encode());
        }
        Changed {
            batch: self.batch,
            counts: self.counts,
            total: self.total,
            queued: self.queued,
            files_freed: self.files_freed,
        }
    }

    /// Adds a message.
    pub(super) fn insert(&mut self, rows: NewRows) {
        self.batch.insert(&self.engine.sender, rows.sender, []);
        self.batch.insert(&self.engine.message, rows.id.to_bytes(), rows.message);
        if let Some(body) = rows.body {
            self.batch.insert(&self.engine.body, rows.id.to_bytes(), body);
        }
        for (destination, record) in &rows.deliveries {
            self.put(rows.id, destination, None, Some(record));
        }
        self.total.messages += 1;
        self.total.octets += rows.octets;
    }

    /// Settles a lease. A delivery that is gone was settled before.
    pub(super) fn settle(
        &mut self,
        lease: &Lease,
        settlement: &Settlement,
        due_ms: u64,
    ) -> Result<(), StoreError> {
        let destination = &lease.destination;
        let Some(old) = self.delivery(lease.id, destination)? else {
            return Ok(());
        };
        let mut new = old.clone();
        new.attempts = old.attempts.saturating_add(1);
        // Who had it go otherwise during the attempt meant it to be tried so now.
        let otherwise = old.route.as_deref() != lease.route.as_deref()
            || old.give_up.as_deref() != lease.give_up.as_deref();
        new.due_ms = if otherwise { old.due_ms } else { due_ms };
        for (index, step) in lease.recipients.iter().zip(&settlement.recipients) {
            let Some(at) = new.recipients.iter().position(|recipient| recipient.index == *index)
            else {
                continue;
            };
            let recipient = &mut new.recipients[at];
            match step {
                Step::Done => {
                    new.recipients.remove(at);
                }
                Step::Retry(reply) => recipient.reply = reply_text(reply),
                Step::Hold(reason) => {
                    recipient.held = true;
                    recipient.reply = reply_text(reason);
                }
            }
        }
        self.replace(lease.id, destination, &old, &new)
    }

    /// Replaces a delivery; one that has no recipients left goes, and the last of a message takes the message with it.
    pub(super) fn replace(
        &mut self,
        id: QueueId,
        destination: &Destination,
        old: &DeliveryRecord,
        new: &DeliveryRecord,
    ) -> Result<(), StoreError> {
        if !new.recipients.is_empty() {
            self.put(id, destination, Some(old), Some(new));
            return Ok(());
        }
        let last = self.is_last_delivery(id, destination)?;
        let sender = if last { self.sender_key(id)? } else { None };
        self.put(id, destination, Some(old), None);
        if last {
            self.remove_message(id, old.octets, Some(old.body_in_file), sender);
        }
        Ok(())
    }

    /// Holds whatever is left of a message.
    pub(super) fn hold(&mut self, id: QueueId, reason: &str) -> Result<(), StoreError> {
        let destinations = self.destinations(id)?;
        if destinations.is_empty() {
            return Err(StoreError::Missing(id));
        }
        for destination in &destinations {
            let Some(old) = self.readable_delivery(id, destination)? else {
                continue;
            };
            let mut new = old.clone();
            new.hold_all(reason);
            self.put(id, destination, Some(&old), Some(&new));
        }
        Ok(())
    }

    /// Puts a delivery whose row can't be read on hold: nobody is to find it due again and again.
    pub(super) fn set_aside(&mut self, key: &DueKey) -> Result<(), StoreError> {
        let queue = self.engine.due.get(key.encode()).map_err(StoreError::unavailable)?;
        // Others may have found it too, or an operator has removed it since.
        let Some(queue) = queue.map(|queue| queue_name(&queue)) else {
            return Ok(());
        };
        self.batch.remove(&self.engine.due, key.encode());
        for place in Place::all(&key.destination, queue.as_ref()) {
            self.batch.remove(&self.engine.destination, key.encode_at(&place));
            let held = place.held_key(key.id, &key.destination);
            self.batch.insert(&self.engine.held, held, queue_value(queue.as_ref()));
        }
        let hold = |count: &mut CountRecord| {
            count.queued = count.queued.saturating_sub(1);
            count.held += 1;
        };
        self.recount(&key.destination, queue.as_ref(), hold);
        hold(&mut self.total);
        Ok(())
    }

    /// Removes a message and whatever is left of it, also what can't be read; how many deliveries that were.
    pub(super) fn remove(&mut self, id: QueueId) -> Result<u64, StoreError> {
        let row = self.engine.message.get(id.to_bytes()).map_err(StoreError::unavailable)?;
        let row = row.ok_or(StoreError::Missing(id))?;
        let known = MessageRecord::decode(&row).ok();
        let size = |record: &MessageRecord| record.header.len() as u64 + record.body.octets;
        let mut octets = known.as_ref().map(size);
        let mut in_file = known.as_ref().map(|record| record.body.in_file);
        let mut deliveries = 0;
        for entry in self.engine.delivery.prefix(id.to_bytes()) {
            let (key, row) = entry.into_inner().map_err(StoreError::unavailable)?;
            deliveries += 1;
            match (delivery_destination(&key), DeliveryRecord::decode(&row)) {
                (Some(destination), Ok(record)) => {
                    self.put(id, &destination, Some(&record), None);
                    (octets, in_file) = (Some(record.octets), Some(record.body_in_file));
                }
                (destination, _) => {
                    self.batch.remove(&self.engine.delivery, &*key);
                    self.removed.insert(key.to_vec());
                    if let Some(destination) = destination {
                        self.forget_unreadable(id, &destination, octets.unwrap_or(0))?;
                    }
                }
            }
        }
        let sender = known.map(|record| sender_key(&record.envelope.sender, id));
        self.remove_message(id, octets.unwrap_or(0), in_file, sender);
        Ok(deliveries)
    }

    /// Takes a message that is gone out of the index by sender.
    pub(super) fn forget_sender(&mut self, key: &[u8]) {
        self.batch.remove(&self.engine.sender, key);
    }

    /// Takes a delivery whose row can't be read out of indexes and counters. One that [`Change::set_aside`] knows is on hold; the
    /// due time of another is looked for, since its row can't tell it.
    fn forget_unreadable(
        &mut self,
        id: QueueId,
        destination: &Destination,
        octets: u64,
    ) -> Result<(), StoreError> {
        let at_home = Place::of_destination(destination);
        let mut due = None;
        for entry in self.engine.destination.prefix(at_home.as_bytes()) {
            let key = entry.key().map_err(StoreError::unavailable)?;
            due = DueKey::decode_at_place(&key).filter(|key| key.id == id);
            if due.is_some() {
                break;
            }
        }
        let queue = match &due {
            Some(key) => queue_in(&self.engine.due, &key.encode())?,
            None => queue_in(&self.engine.held, &at_home.held_key(id, destination))?,
        };
        if let Some(key) = &due {
            self.batch.remove(&self.engine.due, key.encode());
        }
        for place in Place::all(destination, queue.as_ref()) {
            if let Some(key) = &due {
                self.batch.remove(&self.engine.destination, key.encode_at(&place));
            }
            self.batch.remove(&self.engine.held, place.held_key(id, destination));
        }
        let forget = |count: &mut CountRecord| {
            let state = if due.is_some() { &mut count.queued } else { &mut count.held };
            *state = state.saturating_sub(1);
        };
        self.recount(destination, queue.as_ref(), |count| {
            count.octets = count.octets.saturating_sub(octets);
            forget(count);
        });
        forget(&mut self.total);
        Ok(())
    }

    /// Replaces a delivery in row, indexes and counters.
    fn put(
        &mut self,
        id: QueueId,
        destination: &Destination,
        old: Option<&DeliveryRecord>,
        new: Option<&DeliveryRecord>,
    ) {
        if old == new {
            return;
        }
        self.index(id, destination, old, new);
        // Also at the same time as before: nobody looks at what is leased, so it has to be told of again.
        let queued = new.filter(|record| record.is_queued());
        self.queued.extend(queued.map(|record| due_key(id, destination, record)));
        let key = delivery_key(id, destination);
        match new {
            Some(record) => self.batch.insert(&self.engine.delivery, key, record.encode()),
            None => {
                self.batch.remove(&self.engine.delivery, key.clone());
                self.removed.insert(key);
            }
        }
        self.count(destination, old, new);
    }

    /// Has the indexes say what is now, where it is not what was.
    fn index(
        &mut self,
        id: QueueId,
        destination: &Destination,
        old: Option<&DeliveryRecord>,
        new: Option<&DeliveryRecord>,
    ) {
        let engine = self.engine;
        let entries = |record| entries(engine, id, destination, record);
        let value = |record: Option<&'_ DeliveryRecord>| {
            Slice::from(queue_value(record.and_then(|record| record.queue.as_ref())))
        };
        let (old_value, new_value) = (value(old), value(new));
        let (old, new) =
            (old.map(entries).unwrap_or_default(), new.map(entries).unwrap_or_default());
        let among = |entries: &[(&Rows, Vec<u8>)], (rows, key): &(&Rows, Vec<u8>)| {
            entries.iter().any(|(other, same)| std::ptr::eq(*other, *rows) && same == key)
        };
        for (rows, key) in old.iter().filter(|entry| !among(&new, entry)) {
            self.batch.remove(rows, &**key);
        }
        let as_it_was = new_value == old_value;
        for (rows, key) in new.iter().filter(|entry| !(as_it_was && among(&old, entry))) {
            self.batch.insert(rows, &**key, new_value.clone());
        }
    }

    /// Has the counters say what is now.
    fn count(
        &mut self,
        destination: &Destination,
        old: Option<&DeliveryRecord>,
        new: Option<&DeliveryRecord>,
    ) {
        if let Some(record) = old {
            let leave = |count: &mut CountRecord| {
                let state = state_of(count, record);
                *state = state.saturating_sub(1);
            };
            self.recount(destination, record.queue.as_ref(), |count| {
                count.octets = count.octets.saturating_sub(record.octets);
                leave(count);
            });
            leave(&mut self.total);
        }
        if let Some(record) = new {
            self.recount(destination, record.queue.as_ref(), |count| {
                count.octets = count.octets.saturating_add(record.octets);
                *state_of(count, record) += 1;
            });
            *state_of(&mut self.total, record) += 1;
        }
    }

    /// Changes the counters of a delivery's places.
    fn recount(
        &mut self,
        destination: &Destination,
        queue: Option<&QueueName>,
        change: impl Fn(&mut CountRecord),
    ) {
        for place in Place::all(destination, queue) {
            let count = match self.counts.entry(place) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let now = self.engine.counters.at(new.key());
                    new.insert(now)
                }
            };
            change(count);
        }
    }

    /// Removes the rows of a message, given its key in the index by sender, and its body, wherever that is if nobody knows.
    fn remove_message(
        &mut self,
        id: QueueId,
        octets: u64,
        in_file: Option<bool>,
        sender: Option<Vec<u8>>,
    ) {
        self.batch.remove(&self.engine.message, id.to_bytes());
        if let Some(sender) = sender {
            self.batch.remove(&self.engine.sender, sender);
        }
        if in_file != Some(false) {
            self.files_freed.push(id);
        }
        if in_file != Some(true) {
            self.batch.remove(&self.engine.body, id.to_bytes());
        }
        self.total.messages = self.total.messages.saturating_sub(1);
        self.total.octets = self.total.octets.saturating_sub(octets);
    }

    /// The key of a message in the index by sender; none when nobody can tell any more.
    fn sender_key(&self, id: QueueId) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.engine.message.get(id.to_bytes()).map_err(StoreError::unavailable)?;
        let sender = row.and_then(|row| MessageRecord::decode_sender(&row).ok());
        Ok(sender.map(|sender| sender_key(&sender, id)))
    }

    /// A delivery, if it is there and can be read. One that can't is found when it is due, and set aside.
    pub(super) fn readable_delivery(
        &self,
        id: QueueId,
        destination: &Destination,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        match self.delivery(id, destination) {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            other => other,
        }
    }

    fn delivery(
        &self,
        id: QueueId,
        destination: &Destination,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        match self.engine.delivery.get(delivery_key(id, destination)) {
            Ok(row) => row.map(|row| decoded(id, &row)).transpose(),
            Err(error) if error.is_damage() => Err(corrupt(id, &error)),
            Err(error) => Err(StoreError::unavailable(error)),
        }
    }

    /// Where a message has deliveries.
    pub(super) fn destinations(&self, id: QueueId) -> Result<Vec<Destination>, StoreError> {
        let mut found = Vec::new();
        for entry in self.engine.delivery.prefix(id.to_bytes()) {
            let key = entry.key().map_err(StoreError::unavailable)?;
            found.extend(delivery_destination(&key));
        }
        Ok(found)
    }

    fn is_last_delivery(&self, id: QueueId, destination: &Destination) -> Result<bool, StoreError> {
        let this = delivery_key(id, destination);
        for entry in self.engine.delivery.prefix(id.to_bytes()) {
            let key = entry.key().map_err(StoreError::unavailable)?;
            if *key != *this && !self.removed.contains(&*key) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn due_key(id: QueueId, destination: &Destination, record: &DeliveryRecord) -> DueKey {
    DueKey { due_ms: record.due_ms, id, destination: destination.clone() }
}

/// Where a delivery is found: its keys in the indexes.
fn entries<'e>(
    engine: &'e Engine,
    id: QueueId,
    destination: &Destination,
    record: &DeliveryRecord,
) -> Vec<(&'e Rows, Vec<u8>)> {
    let due = record.is_queued().then(|| due_key(id, destination, record));
    let mut entries = Vec::with_capacity(4);
    entries.extend(due.as_ref().map(|due| (&engine.due, due.encode())));
    for place in Place::all(destination, record.queue.as_ref()) {
        entries.extend(due.as_ref().map(|due| (&engine.destination, due.encode_at(&place))));
        if record.has_held() {
            entries.push((&engine.held, place.held_key(id, destination)));
        }
    }
    entries
}

/// What an index has besides the key of a delivery: its queue, which is known then although its row can't be read.
fn queue_value(queue: Option<&QueueName>) -> &[u8] {
    queue.map_or(b"", |queue| queue.as_str().as_bytes())
}

/// The queue of a delivery, as an index has it.
fn queue_in(rows: &Rows, key: &[u8]) -> Result<Option<QueueName>, StoreError> {
    let value = rows.get(key).map_err(StoreError::unavailable)?;
    Ok(value.and_then(|value| queue_name(&value)))
}

/// Reads a row of counters; a missing one is all zeros.
pub(super) fn read_count(rows: &Rows, key: &[u8]) -> Result<CountRecord, StoreError> {
    let row = rows.get(key).map_err(StoreError::unavailable)?;
    let Some(row) = row else {
        return Ok(CountRecord::default());
    };
    CountRecord::decode(&row)
        .map_err(|error| StoreError::unavailable(format_args!("a counter can't be read: {error}")))
}

fn state_of<'c>(count: &'c mut CountRecord, record: &DeliveryRecord) -> &'c mut u64 {
    if record.is_queued() { &mut count.queued } else { &mut count.held }
}

fn decoded(id: QueueId, row: &[u8]) -> Result<DeliveryRecord, StoreError> {
    DeliveryRecord::decode(row).map_err(|error| corrupt(id, &error))
}

fn corrupt(id: QueueId, error: &dyn std::fmt::Display) -> StoreError {
    let what = format!("the row of a delivery: {error}").into();
    StoreError::Corrupt { id, what }
}
