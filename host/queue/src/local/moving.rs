//! Changes to all mail that is found through one index, a bounded number of deliveries at a time.
//! Knows which index finds what; what a change does to rows, indexes and counters, the batch knows.

use std::sync::Arc;

use lsm_tree::Guard;

use super::change::Change;
use super::key::{DueKey, held_delivery, place_prefix};
use super::record::{DeliveryRecord, reply_text};
use crate::{Destinations, StoreError};

/// So many deliveries are looked at by one step of a move.
const MOVE_STEP_MAX: usize = 1000;

/// What is done to deliveries chosen by where they go.
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

impl Change<'_> {
    /// Moves deliveries, a bounded number of them, found through the index that has them.
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
        let prefix = place_prefix(destinations);
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
            Move::Flush { now_ms } => DueKey::decode_at_place(key)
                .filter(|due| due.due_ms > *now_ms)
                .map(|due| (due.id, due.destination)),
            Move::Hold { .. } => DueKey::decode_at_place(key).map(|due| (due.id, due.destination)),
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
        self.replace(id, &destination, &old, &new)?;
        Ok(true)
    }
}

pub(super) fn hold_all(record: &mut DeliveryRecord, reason: &str) {
    for recipient in &mut record.recipients {
        recipient.held = true;
        recipient.reply = reply_text(reason);
    }
}

pub(super) fn release_all(record: &mut DeliveryRecord, now_ms: u64) {
    if record.has_held() {
        record.due_ms = now_ms;
    }
    for recipient in &mut record.recipients {
        recipient.held = false;
    }
}
