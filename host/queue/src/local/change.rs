//! One batch in the making: what each request changes in the rows, the indexes and the counters.
//! Knows no thread and no reply; nothing is on disk before the batch is committed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lsm_tree::{Guard, Slice};

use super::engine::{Engine, TOTAL_KEY};
use super::key::{
    DueKey, delivery_destination, delivery_key, held_delivery, held_key, name_key, name_prefix,
};
use super::record::{CountRecord, DeliveryRecord, MessageRecord, reply_text};
use super::row::RecordError;
use super::rows::{Batch, Rows};
use crate::{Destination, Destinations, Lease, QueueId, Settlement, Step, StoreError};

/// So many deliveries are looked at by one step of a move.
const MOVE_STEP_MAX: usize = 1000;

/// The rows of a new message, encoded by whoever brings it.
pub(super) struct NewRows {
    pub(super) id: QueueId,
    pub(super) message: Slice,
    /// The body, unless it has a file.
    pub(super) body: Option<Slice>,
    pub(super) octets: u64,
    pub(super) deliveries: Vec<(Destination, DeliveryRecord)>,
}

/// What is done to deliveries chosen by their destination.
#[derive(Clone, Debug)]
pub(super) enum Move {
    /// Make them due.
    Flush { now_ms: u64 },
    /// Put them on hold.
    Hold { reason: Arc<str> },
    /// Take them off hold, and make them due.
    Release { now_ms: u64 },
}

/// How far a move came.
pub(super) struct MoveStep {
    pub(super) moved: u64,
    /// Go on behind this key.
    pub(super) after: Option<Vec<u8>>,
}

/// A batch in the making.
pub(super) struct Change<'a> {
    engine: &'a Engine,
    batch: Batch,
    counts: HashMap<Destination, CountRecord>,
    total: CountRecord,
    queued: Vec<DueKey>,
    files_freed: Vec<QueueId>,
    /// Deliveries that this batch removes: reading still shows them.
    removed: HashSet<Vec<u8>>,
}

/// What a batch has changed, to be acted on once it is durable.
pub(super) struct Changed {
    pub(super) batch: Batch,
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
            for (destination, count) in &self.counts {
                let key = name_key(destination);
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
            total: self.total,
            queued: self.queued,
            files_freed: self.files_freed,
        }
    }

    /// Adds a message.
    pub(super) fn insert(&mut self, rows: NewRows) -> Result<(), StoreError> {
        for (destination, _) in &rows.deliveries {
            self.load_count(destination)?;
        }
        self.batch.insert(&self.engine.message, rows.id.to_bytes(), rows.message);
        if let Some(body) = rows.body {
            self.batch.insert(&self.engine.body, rows.id.to_bytes(), body);
        }
        for (destination, record) in &rows.deliveries {
            self.put(rows.id, destination, None, Some(record));
        }
        self.total.messages += 1;
        self.total.octets += rows.octets;
        Ok(())
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
        new.due_ms = due_ms;
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
        self.load_count(destination)?;
        let last = new.recipients.is_empty() && self.is_last_delivery(lease.id, destination)?;
        let left = (!new.recipients.is_empty()).then_some(&new);
        self.put(lease.id, destination, Some(&old), left);
        if last {
            self.remove_message(lease.id, old.octets, Some(old.body_in_file));
        }
        Ok(())
    }

    /// Holds whatever is left of a message.
    pub(super) fn hold(&mut self, id: QueueId, reason: &str) -> Result<(), StoreError> {
        self.rewrite(id, |record| hold_all(record, reason))
    }

    /// Makes the held recipients of a message due.
    pub(super) fn release(&mut self, id: QueueId, now_ms: u64) -> Result<(), StoreError> {
        self.rewrite(id, |record| release_all(record, now_ms))
    }

    /// Takes a delivery whose row can't be read out of the indexes: nobody is to find it due again and again.
    pub(super) fn set_aside(&mut self, key: &DueKey) -> Result<(), StoreError> {
        self.load_count(&key.destination)?;
        self.remove_from_indexes(key);
        let count = self.counts.entry(key.destination.clone()).or_default();
        for count in [count, &mut self.total] {
            count.queued = count.queued.saturating_sub(1);
            count.held += 1;
        }
        Ok(())
    }

    /// Removes a message and whatever is left of it, also what can't be read.
    pub(super) fn remove(&mut self, id: QueueId) -> Result<(), StoreError> {
        let row = self.engine.message.get(id.to_bytes()).map_err(StoreError::unavailable)?;
        let row = row.ok_or(StoreError::Missing(id))?;
        let known = MessageRecord::decode(&row).ok();
        let size = |record: &MessageRecord| record.header.len() as u64 + record.body.octets;
        let mut octets = known.as_ref().map(size);
        let mut in_file = known.map(|record| record.body.in_file);
        for entry in self.engine.delivery.prefix(id.to_bytes()) {
            let (key, row) = entry.into_inner().map_err(StoreError::unavailable)?;
            match (delivery_destination(&key), DeliveryRecord::decode(&row)) {
                (Some(destination), Ok(record)) => {
                    self.load_count(&destination)?;
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
        self.remove_message(id, octets.unwrap_or(0), in_file);
        Ok(())
    }

    /// Takes a delivery whose row can't be read out of indexes and counters. One that [`Change::set_aside`] knows is in no
    /// index and was counted as held; the key of another is looked for, since its row can't tell it.
    fn forget_unreadable(
        &mut self,
        id: QueueId,
        destination: &Destination,
        octets: u64,
    ) -> Result<(), StoreError> {
        self.load_count(destination)?;
        let mut indexed = None;
        for entry in self.engine.destination.prefix(name_key(destination)) {
            let key = entry.key().map_err(StoreError::unavailable)?;
            indexed = DueKey::decode_by_destination(&key).filter(|key| key.id == id);
            if indexed.is_some() {
                break;
            }
        }
        if let Some(key) = &indexed {
            self.remove_from_indexes(key);
        }
        self.batch.remove(&self.engine.held, held_key(id, destination));
        let count = self.counts.entry(destination.clone()).or_default();
        count.octets = count.octets.saturating_sub(octets);
        for count in [count, &mut self.total] {
            let state = if indexed.is_some() { &mut count.queued } else { &mut count.held };
            *state = state.saturating_sub(1);
        }
        Ok(())
    }

    /// Moves deliveries of some destinations, a bounded number of them, found through the index that has them.
    pub(super) fn move_some(
        &mut self,
        destinations: &Destinations,
        what: &Move,
        after: Option<&[u8]>,
    ) -> Result<MoveStep, StoreError> {
        let engine = self.engine;
        let index = match what {
            Move::Flush { .. } | Move::Hold { .. } => &engine.destination,
            Move::Release { .. } => &engine.held,
        };
        let prefix = name_prefix(destinations);
        let from = after.unwrap_or(&prefix);
        let mut step = MoveStep { moved: 0, after: None };
        let mut seen = 0;
        for entry in index.range(from..) {
            let key = entry.key().map_err(StoreError::unavailable)?;
            if !key.starts_with(&prefix) {
                break;
            }
            if after.is_some_and(|after| *after == *key) {
                continue;
            }
            seen += 1;
            step.moved += u64::from(self.move_one(&key, what)?);
            if seen == MOVE_STEP_MAX {
                step.after = Some(key.to_vec());
                break;
            }
        }
        Ok(step)
    }

    /// Moves the delivery behind a key of an index. False when there is nothing to move.
    fn move_one(&mut self, key: &[u8], what: &Move) -> Result<bool, StoreError> {
        let found = match what {
            Move::Release { .. } => held_delivery(key),
            Move::Flush { now_ms } => DueKey::decode_by_destination(key)
                .filter(|due| due.due_ms > *now_ms)
                .map(|due| (due.id, due.destination)),
            Move::Hold { .. } => {
                DueKey::decode_by_destination(key).map(|due| (due.id, due.destination))
            }
        };
        let Some((id, destination)) = found else {
            return Ok(false);
        };
        let Some(old) = self.readable_delivery(id, &destination)? else {
            return Ok(false);
        };
        let mut new = old.clone();
        match what {
            Move::Flush { now_ms } => new.due_ms = *now_ms,
            Move::Hold { reason } => hold_all(&mut new, reason),
            Move::Release { now_ms } => release_all(&mut new, *now_ms),
        }
        self.load_count(&destination)?;
        self.put(id, &destination, Some(&old), Some(&new));
        Ok(true)
    }

    /// A delivery, if it is there and can be read. One that can't is found when it is due, and set aside.
    fn readable_delivery(
        &self,
        id: QueueId,
        destination: &Destination,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        match self.delivery(id, destination) {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            other => other,
        }
    }

    /// Changes every delivery of a message.
    fn rewrite(
        &mut self,
        id: QueueId,
        change: impl Fn(&mut DeliveryRecord),
    ) -> Result<(), StoreError> {
        let deliveries = self.deliveries(id)?;
        if deliveries.is_empty() {
            return Err(StoreError::Missing(id));
        }
        for (destination, _) in &deliveries {
            self.load_count(destination)?;
        }
        for (destination, old) in &deliveries {
            let mut new = old.clone();
            change(&mut new);
            self.put(id, destination, Some(old), Some(&new));
        }
        Ok(())
    }

    /// Replaces a delivery in row, indexes and counters. The count of its destination was loaded before.
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
        let due = |record: &DeliveryRecord| DueKey {
            due_ms: record.due_ms,
            id,
            destination: destination.clone(),
        };
        let old_due = old.filter(|record| record.is_queued()).map(due);
        let new_due = new.filter(|record| record.is_queued()).map(due);
        if old_due != new_due {
            if let Some(key) = &old_due {
                self.remove_from_indexes(key);
            }
            if let Some(key) = &new_due {
                self.batch.insert(&self.engine.due, key.encode(), []);
                self.batch.insert(&self.engine.destination, key.encode_by_destination(), []);
            }
        }
        let is_held =
            |record: Option<&DeliveryRecord>| record.is_some_and(DeliveryRecord::has_held);
        match (is_held(old), is_held(new)) {
            (false, true) => self.batch.insert(&self.engine.held, held_key(id, destination), []),
            (true, false) => self.batch.remove(&self.engine.held, held_key(id, destination)),
            _ => {}
        }
        // Also at the same time as before: nobody looks at what is leased, so it has to be told of again.
        self.queued.extend(new_due);
        let key = delivery_key(id, destination);
        match new {
            Some(record) => self.batch.insert(&self.engine.delivery, key, record.encode()),
            None => {
                self.batch.remove(&self.engine.delivery, key.clone());
                self.removed.insert(key);
            }
        }
        let count = self.counts.entry(destination.clone()).or_default();
        if let Some(record) = old {
            count.octets = count.octets.saturating_sub(record.octets);
        }
        count.octets = count.octets.saturating_add(new.map_or(0, |record| record.octets));
        for count in [count, &mut self.total] {
            if let Some(record) = old {
                let state = state_of(count, record);
                *state = state.saturating_sub(1);
            }
            if let Some(record) = new {
                *state_of(count, record) += 1;
            }
        }
    }

    fn remove_from_indexes(&mut self, key: &DueKey) {
        self.batch.remove(&self.engine.due, key.encode());
        self.batch.remove(&self.engine.destination, key.encode_by_destination());
    }

    /// Removes the rows of a message, and its body, wherever that is if nobody knows.
    fn remove_message(&mut self, id: QueueId, octets: u64, in_file: Option<bool>) {
        self.batch.remove(&self.engine.message, id.to_bytes());
        if in_file != Some(false) {
            self.files_freed.push(id);
        }
        if in_file != Some(true) {
            self.batch.remove(&self.engine.body, id.to_bytes());
        }
        self.total.messages = self.total.messages.saturating_sub(1);
        self.total.octets = self.total.octets.saturating_sub(octets);
    }

    fn delivery(
        &self,
        id: QueueId,
        destination: &Destination,
    ) -> Result<Option<DeliveryRecord>, StoreError> {
        let row = self.engine.delivery.get(delivery_key(id, destination));
        let row = row.map_err(StoreError::unavailable)?;
        row.map(|row| decoded(id, &row)).transpose()
    }

    fn deliveries(&self, id: QueueId) -> Result<Vec<(Destination, DeliveryRecord)>, StoreError> {
        let mut found = Vec::new();
        for entry in self.engine.delivery.prefix(id.to_bytes()) {
            let (key, row) = entry.into_inner().map_err(StoreError::unavailable)?;
            let destination =
                delivery_destination(&key).ok_or_else(|| corrupt(id, RecordError::Value))?;
            found.push((destination, decoded(id, &row)?));
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

    fn load_count(&mut self, destination: &Destination) -> Result<(), StoreError> {
        if !self.counts.contains_key(destination) {
            let count = read_count(&self.engine.count, &name_key(destination))?;
            self.counts.insert(destination.clone(), count);
        }
        Ok(())
    }
}

fn hold_all(record: &mut DeliveryRecord, reason: &str) {
    for recipient in &mut record.recipients {
        recipient.held = true;
        recipient.reply = reply_text(reason);
    }
}

fn release_all(record: &mut DeliveryRecord, now_ms: u64) {
    if record.has_held() {
        record.due_ms = now_ms;
    }
    for recipient in &mut record.recipients {
        recipient.held = false;
    }
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
    DeliveryRecord::decode(row).map_err(|error| corrupt(id, error))
}

fn corrupt(id: QueueId, error: RecordError) -> StoreError {
    let what = format!("the row of a delivery: {error}").into();
    StoreError::Corrupt { id, what }
}
