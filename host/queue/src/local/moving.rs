//! Orders carried out, a bounded number of deliveries at a time, each found through an index.
//! Knows which index finds what; what a change does to rows, indexes and counters, the batch knows.

use std::ops::Bound;

use super::change::Change;
use super::key::{
    DueKey, KeyRange, domain_prefix, due_after, held_delivery, sender_message, sender_prefix,
};
use super::record::{DeliveryRecord, reply_text, to_ms};
use super::rows::Rows;
use crate::{Destination, Mark, Move, Moved, QueueId, Selection, StoreError};

/// So many keys of an index are looked at by one step; it ends with the message that has so many deliveries changed.
const STEP_MAX: usize = 1000;
/// The same of the first step: whoever is to deliver what is due then need not wait for many to be written.
const FIRST_STEP_MAX: usize = 50;

/// Where a walk through an index goes on.
enum Next {
    /// Behind the key; so many deliveries were changed.
    Behind(u64),
    /// At this one.
    From(Vec<u8>),
}

impl Change<'_> {
    /// Carries out an order, or a part of it.
    pub(super) fn move_some(
        &mut self,
        selection: &Selection,
        what: &Move,
        after: Option<&Mark>,
    ) -> Result<Moved, StoreError> {
        match selection {
            Selection::Message(id) => {
                if !self
                    .engine
                    .message
                    .contains_key(id.to_bytes())
                    .map_err(StoreError::unavailable)?
                {
                    return Err(StoreError::Missing(*id));
                }
                Ok(Moved { count: self.move_message(*id, what)?, after: None })
            }
            Selection::Destinations(destinations) => {
                self.move_at(&KeyRange::of_places(destinations), what, after)
            }
            Selection::Sender(sender) => {
                self.move_of(&KeyRange::of_prefix(sender_prefix(sender)), what, after)
            }
            Selection::SendersBelow(domain) => {
                self.move_of(&KeyRange::of_prefix(domain_prefix(domain)), what, after)
            }
        }
    }

    /// Moves deliveries that are at some places.
    fn move_at(
        &mut self,
        meant: &KeyRange,
        what: &Move,
        after: Option<&Mark>,
    ) -> Result<Moved, StoreError> {
        let engine = self.engine;
        let both = [&engine.destination, &engine.held];
        let indexes = match what {
            Move::Flush { .. } | Move::Hold { .. } => &both[..1],
            Move::Release { .. } => &both[1..],
            // One with queued and held recipients is in both.
            Move::Remove | Move::GiveUp { .. } | Move::Requeue { .. } => &both[..],
        };
        let at = after.map_or(0, |mark| usize::from(mark.index));
        let Some(index) = indexes.get(at) else {
            return Ok(Moved { count: 0, after: None });
        };
        let next = (at + 1 < indexes.len()).then(|| Mark { index: at as u8 + 1, key: Vec::new() });
        self.walk((index, at), meant, after, next, |change, key| {
            let found = if std::ptr::eq(*index, &engine.held) {
                held_delivery(key)
            } else {
                let due = DueKey::decode_at_place(key);
                if let (Some(due), Move::Flush { now }) = (&due, what)
                    && due.due_ms <= to_ms(*now)
                {
                    return Ok(Next::From(due_after(key, to_ms(*now))));
                }
                due.map(|due| (due.id, due.destination))
            };
            let Some((id, destination)) = found else {
                return Ok(Next::Behind(0));
            };
            Ok(Next::Behind(change.move_one(id, &destination, what)?.into()))
        })
    }

    /// Moves all deliveries of the messages of some senders.
    fn move_of(
        &mut self,
        meant: &KeyRange,
        what: &Move,
        after: Option<&Mark>,
    ) -> Result<Moved, StoreError> {
        let engine = self.engine;
        self.walk((&engine.sender, 0), meant, after, None, |change, key| {
            let Some(id) = sender_message(key) else {
                return Ok(Next::Behind(0));
            };
            if engine.message.contains_key(id.to_bytes()).map_err(StoreError::unavailable)? {
                return Ok(Next::Behind(change.move_message(id, what)?));
            }
            // Its row could not be read when it was removed.
            change.forget_sender(key);
            Ok(Next::Behind(0))
        })
    }

    /// Goes through keys of an index, a bounded number of them.
    fn walk(
        &mut self,
        (index, number): (&Rows, usize),
        meant: &KeyRange,
        after: Option<&Mark>,
        next: Option<Mark>,
        mut visit: impl FnMut(&mut Self, &[u8]) -> Result<Next, StoreError>,
    ) -> Result<Moved, StoreError> {
        let from = meant.from(after.map(|mark| &*mark.key));
        let most = if after.is_none() { FIRST_STEP_MAX } else { STEP_MAX };
        let mut moved = Moved { count: 0, after: next };
        let mut seen = 0;
        let mut entries = index.range((from, Bound::Unbounded));
        while let Some(entry) = entries.next() {
            let key = entry.key().map_err(StoreError::unavailable)?;
            if !meant.has(&key) {
                break;
            }
            match visit(self, &key)? {
                Next::Behind(count) => moved.count += count,
                Next::From(key) => entries = index.range(key..),
            }
            seen += 1;
            // A message may have many deliveries.
            if seen == most || moved.count >= most as u64 {
                moved.after = Some(Mark { index: number as u8, key: key.to_vec() });
                break;
            }
        }
        Ok(moved)
    }

    /// Moves all deliveries of a message; how many were changed.
    fn move_message(&mut self, id: QueueId, what: &Move) -> Result<u64, StoreError> {
        if matches!(what, Move::Remove) {
            return self.remove(id);
        }
        let mut count = 0;
        for destination in self.destinations(id)? {
            count += u64::from(self.move_one(id, &destination, what)?);
        }
        Ok(count)
    }

    /// Moves a delivery; whether that changed anything. One that can't be read stays as it is.
    fn move_one(
        &mut self,
        id: QueueId,
        destination: &Destination,
        what: &Move,
    ) -> Result<bool, StoreError> {
        let Some(old) = self.readable_delivery(id, destination)? else {
            return Ok(false);
        };
        let mut new = old.clone();
        new.carry_out(destination, what);
        if new == old {
            return Ok(false);
        }
        self.replace(id, destination, &old, &new)?;
        Ok(true)
    }
}

impl DeliveryRecord {
    /// Changes what an order says.
    fn carry_out(&mut self, destination: &Destination, what: &Move) {
        match what {
            Move::Flush { now } if self.is_queued() => self.due_ms = self.due_ms.min(to_ms(*now)),
            Move::Flush { .. } => {}
            Move::Hold { reason } => self.hold_all(reason),
            Move::Release { now } => self.release_all(to_ms(*now)),
            Move::Remove => self.recipients.clear(),
            Move::GiveUp { reason, now } => {
                let reason = reply_text(reason);
                for recipient in &mut self.recipients {
                    recipient.held = false;
                    recipient.reply = reason.clone();
                }
                self.due_ms = self.due_ms.min(to_ms(*now));
                self.give_up = Some(reason);
            }
            Move::Requeue { route, queues, now } => {
                self.route = route.as_deref().map(Into::into);
                self.queue = queues.queue_of(destination);
                self.give_up = None;
                self.due_ms = self.due_ms.min(to_ms(*now));
            }
        }
    }

    /// Puts everybody on hold.
    pub(super) fn hold_all(&mut self, reason: &str) {
        for recipient in &mut self.recipients {
            recipient.held = true;
            recipient.reply = reply_text(reason);
        }
    }

    /// Ends the hold on everybody; they are due now if there was one.
    pub(super) fn release_all(&mut self, now_ms: u64) {
        if self.has_held() {
            self.due_ms = now_ms;
        }
        for recipient in &mut self.recipients {
            recipient.held = false;
        }
    }
}
