//! Indexes and counters made anew from the rows of messages and deliveries: in a spool of an older server, which lacks some, and
//! where an operator has removed them since they are damaged.

use super::{Change, queue_value};
use crate::local::engine::{Engine, EngineError};
use crate::local::fault::Faults;
use crate::local::key::{Place, delivery_destination, sender_key};
use crate::local::record::{CountRecord, DeliveryRecord, MessageRecord};
use crate::local::row::Writer;
use crate::{Destination, QueueId};

/// That all indexes are complete, in [`Engine::total`].
pub(in crate::local) const INDEXED_KEY: &[u8] = b"upgrade";
/// The version of that row: the indexes of this server.
const VERSION: u8 = 1;
/// So many rows are read before what they lead to is put on disk.
const ROWS_MAX: usize = 50_000;

/// Makes what is missing, once, and puts it on disk. The tables have all groups of the journal up to this one, nobody else changes
/// them, and the counters in memory were not read yet. Blocks.
pub(in crate::local) fn rebuild(
    engine: &Engine,
    faults: &dyn Faults,
    last: u64,
) -> Result<(), EngineError> {
    if engine.total.contains_key(INDEXED_KEY)? {
        return Ok(());
    }
    let mut change = Change::new(engine, CountRecord::default());
    let mut rows = 0;
    for entry in engine.message.range::<&[u8]>(..) {
        let (key, row) = entry.into_inner()?;
        if let Ok(id) = <[u8; QueueId::OCTETS]>::try_from(&*key) {
            change.index_message(QueueId::from_bytes(id), &row);
        }
        rows += 1;
        change.put_aside(rows)?;
    }
    let messages = rows;
    for entry in engine.delivery.range::<&[u8]>(..) {
        let (key, row) = entry.into_inner()?;
        if let (Some(id), Some(destination)) = (key.first_chunk(), delivery_destination(&key)) {
            change.index_delivery(QueueId::from_bytes(*id), &destination, &row);
        }
        rows += 1;
        change.put_aside(rows)?;
    }
    change.batch.insert(&engine.total, INDEXED_KEY, Writer::new(VERSION, 8).end());
    engine.apply(change.end().batch)?;
    engine.seal(last);
    engine.flush(faults)?;
    if rows > 0 {
        tracing::info!(messages, deliveries = rows - messages, "the indexes were made anew");
    }
    Ok(())
}

impl Change<'_> {
    fn index_message(&mut self, id: QueueId, row: &[u8]) {
        self.total.messages += 1;
        // One that is damaged has an index by nothing but its deliveries.
        if let Ok(record) = MessageRecord::decode(row) {
            self.total.octets += record.header.len() as u64 + record.body.octets;
            let sender = sender_key(&record.envelope.sender, id);
            self.batch.insert(&self.engine.sender, sender, []);
        }
    }

    fn index_delivery(&mut self, id: QueueId, destination: &Destination, row: &[u8]) {
        if let Ok(record) = DeliveryRecord::decode(row) {
            self.index(id, destination, None, Some(&record));
            self.count(destination, None, Some(&record));
            return;
        }
        // As if it had been found due and set aside; nobody knows its queue.
        let held = Place::of_destination(destination).held_key(id, destination);
        self.batch.insert(&self.engine.held, held, queue_value(None));
        self.recount(destination, None, |count| count.held += 1);
        self.total.held += 1;
    }

    /// Puts on disk what there is, now and then: a queue may be larger than the memory.
    fn put_aside(&mut self, rows: usize) -> Result<(), EngineError> {
        if !rows.is_multiple_of(ROWS_MAX) {
            return Ok(());
        }
        let engine = self.engine;
        engine.apply(std::mem::take(&mut self.batch))?;
        for table in [&engine.sender, &engine.due, &engine.destination, &engine.held] {
            table.seal();
            table.flush()?;
        }
        Ok(())
    }
}
