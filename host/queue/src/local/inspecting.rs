//! Reading what is kept of messages besides their octets, one by one or page by page.
//! Changes nothing, not even for what turns out to be damaged.

use std::ops::Bound;
use std::sync::Arc;

use super::core::Core;
use super::engine::Engine;
use super::held::first_held;
use super::key::delivery_destination;
use super::ledger;
use super::record::{DeliveryRecord, MessageRecord, from_ms};
use super::row::RecordError;
use crate::{DeliveryState, Inspection, Listed, Page, QueueId, RecipientState, StoreError};

/// The most messages of a page.
pub(super) const MESSAGES_MAX: usize = 1000;
/// A page that has so many octets of rows ends.
pub(super) const PAGE_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// What is kept of a message. Blocks.
pub(super) fn inspect(core: &Core, id: QueueId) -> Result<Inspection, StoreError> {
    let engine = core.engine()?;
    let row = engine.message.get(id.to_bytes()).map_err(StoreError::unavailable)?;
    let row = row.ok_or(StoreError::Missing(id))?;
    read(&engine, id, &row)?.map_err(|what| StoreError::Corrupt { id, what })
}

/// The messages behind one, or the first ones. Blocks.
pub(super) fn list(
    core: &Core,
    which: Listed,
    after: Option<QueueId>,
    max: usize,
) -> Result<Page, StoreError> {
    let engine = core.engine()?;
    let max = max.clamp(1, MESSAGES_MAX);
    match which {
        Listed::All => list_all(&engine, after, max),
        Listed::Held => list_held(&engine, after, max),
    }
}

fn list_all(engine: &Engine, after: Option<QueueId>, max: usize) -> Result<Page, StoreError> {
    let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.to_bytes()));
    let (mut page, mut octets) = (Page::default(), 0);
    for entry in engine.message.range((from, Bound::Unbounded)) {
        if page.messages.len() == max || octets >= PAGE_OCTETS_MAX {
            page.more = true;
            break;
        }
        let (key, row) = entry.into_inner().map_err(StoreError::unavailable)?;
        let Ok(key) = <[u8; QueueId::OCTETS]>::try_from(&*key) else {
            continue;
        };
        let id = QueueId::from_bytes(key);
        octets += row.len();
        page.messages.push((id, read(engine, id, &row)?));
    }
    Ok(page)
}

fn list_held(engine: &Engine, after: Option<QueueId>, max: usize) -> Result<Page, StoreError> {
    let (mut page, mut octets, mut after) = (Page::default(), 0, after);
    loop {
        // One more tells whether there are more.
        let found = first_held(&engine.held, after, max + 1)?;
        let whole = found.len() <= max;
        for id in found {
            if page.messages.len() == max || octets >= PAGE_OCTETS_MAX {
                page.more = true;
                return Ok(page);
            }
            after = Some(id);
            // One that is gone since it was found is left out.
            if let Some(row) = engine.message.get(id.to_bytes()).map_err(StoreError::unavailable)? {
                octets += row.len();
                page.messages.push((id, read(engine, id, &row)?));
            }
        }
        if whole {
            return Ok(page);
        }
    }
}

/// Reads the rows of a message; what is damaged is told.
pub(super) fn read(
    engine: &Engine,
    id: QueueId,
    row: &[u8],
) -> Result<Result<Inspection, Arc<str>>, StoreError> {
    let record = match MessageRecord::decode(row) {
        Ok(record) => record,
        Err(error) => return Ok(Err(format!("the row of the message: {error}").into())),
    };
    let mut deliveries = Vec::new();
    for entry in engine.delivery.prefix(id.to_bytes()) {
        let (key, row) = match entry.into_inner() {
            Ok(entry) => entry,
            Err(error) if error.is_damage() => return Ok(Err(error.to_string().into())),
            Err(error) => return Err(StoreError::unavailable(error)),
        };
        match delivery(&key, &row) {
            Ok(state) => deliveries.push(state),
            Err(error) => return Ok(Err(format!("the row of a delivery: {error}").into())),
        }
    }
    Ok(Ok(Inspection {
        id,
        octets: record.header.len() as u64 + record.body.octets,
        received_at: from_ms(record.received_ms),
        ledger: ledger::decode(&record.ledger).ok(),
        envelope: record.envelope,
        origin: record.origin,
        deliveries,
    }))
}

fn delivery(key: &[u8], row: &[u8]) -> Result<DeliveryState, RecordError> {
    let destination = delivery_destination(key).ok_or(RecordError::Value)?;
    let record = DeliveryRecord::decode(row)?;
    let state = |recipient: super::record::RecipientRecord| RecipientState {
        index: recipient.index,
        held: recipient.held,
        reply: recipient.reply,
    };
    Ok(DeliveryState {
        destination,
        queue: record.queue,
        route: record.route,
        due: from_ms(record.due_ms),
        attempts: record.attempts,
        recipients: record.recipients.into_iter().map(state).collect(),
    })
}
