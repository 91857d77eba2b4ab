//! Which messages are meant by a selection, page by page, in the order of the index that finds them.
//! Changes nothing; what is kept of a message is read elsewhere.

use std::ops::Bound;

use super::core::Core;
use super::engine::Engine;
use super::inspecting::{MESSAGES_MAX, PAGE_OCTETS_MAX, read};
use super::key::{
    DueKey, KeyRange, Place, domain_prefix, held_delivery, sender_message, sender_prefix,
};
use super::record::to_ms;
use super::rows::Rows;
use crate::{Inspection, Mark, MeantPage, QueueId, RecipientState, Selection, StoreError};

/// So many keys are looked at for one page at most.
const KEYS_MAX: usize = 4096;

/// The messages that are meant, behind a mark or from the beginning. Blocks.
pub(super) fn list_meant(
    core: &Core,
    selection: &Selection,
    held: bool,
    after: Option<&Mark>,
    max: usize,
) -> Result<MeantPage, StoreError> {
    let engine = core.engine()?;
    let (meant, indexes): (KeyRange, Vec<Index>) = match selection {
        Selection::Message(id) => return one(&engine, *id, held),
        Selection::Destinations(which) if held => (KeyRange::of_places(which), vec![Index::Held]),
        Selection::Destinations(which) => {
            (KeyRange::of_places(which), vec![Index::Destination, Index::Held])
        }
        Selection::Sender(sender) => {
            (KeyRange::of_prefix(sender_prefix(sender)), vec![Index::Sender])
        }
        Selection::SendersBelow(domain) => {
            (KeyRange::of_prefix(domain_prefix(domain)), vec![Index::Sender])
        }
    };
    let mut search = Search {
        engine: &engine,
        meant,
        held,
        max: max.clamp(1, MESSAGES_MAX),
        page: MeantPage::default(),
        octets: 0,
        keys: 0,
    };
    let first = after.map_or(0, |mark| usize::from(mark.index));
    for (number, index) in indexes.into_iter().enumerate().skip(first) {
        let after = after.filter(|mark| usize::from(mark.index) == number);
        if search.along(index, number as u8, after.map(|mark| &*mark.key))? {
            break;
        }
    }
    Ok(search.page)
}

fn one(engine: &Engine, id: QueueId, held: bool) -> Result<MeantPage, StoreError> {
    let mut page = MeantPage::default();
    if let Some(row) = engine.message.get(id.to_bytes()).map_err(StoreError::unavailable)? {
        let message = read(engine, id, &row)?;
        if !held || message.as_ref().is_ok_and(has_held) {
            page.messages.push((id, message));
        }
    }
    Ok(page)
}

/// An index that finds messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Index {
    Destination,
    Held,
    Sender,
}

struct Search<'a> {
    engine: &'a Engine,
    meant: KeyRange,
    held: bool,
    max: usize,
    page: MeantPage,
    octets: usize,
    keys: usize,
}

impl Index {
    fn rows(self, engine: &Engine) -> &Rows {
        match self {
            Self::Destination => &engine.destination,
            Self::Held => &engine.held,
            Self::Sender => &engine.sender,
        }
    }

    fn message(self, key: &[u8]) -> Option<QueueId> {
        match self {
            Self::Destination => DueKey::decode_at_place(key).map(|key| key.id),
            Self::Held => held_delivery(key).map(|(id, _)| id),
            Self::Sender => sender_message(key),
        }
    }
}

impl Search<'_> {
    /// Goes along an index, behind a key of it; whether the page is full.
    fn along(
        &mut self,
        index: Index,
        number: u8,
        after: Option<&[u8]>,
    ) -> Result<bool, StoreError> {
        let mut last = None;
        for entry in index.rows(self.engine).range((self.meant.from(after), Bound::Unbounded)) {
            let key = entry.key().map_err(StoreError::unavailable)?;
            if !self.meant.has(&key) {
                return Ok(false);
            }
            if self.is_full() {
                self.page.next = Some(Mark { index: number, key: last.unwrap_or_default() });
                return Ok(true);
            }
            self.keys += 1;
            if let Some(id) = index.message(&key) {
                self.add(index, &key, id)?;
            }
            last = Some(key.to_vec());
        }
        Ok(false)
    }

    fn is_full(&self) -> bool {
        self.page.messages.len() >= self.max
            || self.octets >= PAGE_OCTETS_MAX
            || self.keys >= KEYS_MAX
    }

    /// Adds a message that a key has led to, unless an earlier one did.
    fn add(&mut self, index: Index, key: &[u8], id: QueueId) -> Result<(), StoreError> {
        let row = self.engine.message.get(id.to_bytes()).map_err(StoreError::unavailable)?;
        // It is gone since its key was read.
        let Some(row) = row else { return Ok(()) };
        let message = read(self.engine, id, &row)?;
        if let Ok(message) = &message {
            let again =
                index != Index::Sender && self.first_key(message) != Some((index, key.to_vec()));
            if again || self.held && !has_held(message) {
                return Ok(());
            }
        }
        self.octets += row.len();
        self.page.messages.push((id, message));
        Ok(())
    }

    /// The first key that leads to a message: one with several deliveries that are meant has several.
    fn first_key(&self, message: &Inspection) -> Option<(Index, Vec<u8>)> {
        let keys = message.deliveries.iter().flat_map(|delivery| {
            let held = |recipient: &RecipientState| recipient.held;
            let any_queued = !delivery.recipients.iter().all(held) && !self.held;
            let any_held = delivery.recipients.iter().any(held);
            let due_ms = to_ms(delivery.due);
            let due = DueKey { due_ms, id: message.id, destination: delivery.destination.clone() };
            Place::all(&delivery.destination, delivery.queue.as_ref()).flat_map(move |place| {
                let queued = any_queued.then(|| (Index::Destination, due.encode_at(&place)));
                let held = || (Index::Held, place.held_key(due.id, &due.destination));
                queued.into_iter().chain(any_held.then(held)).collect::<Vec<_>>()
            })
        });
        keys.filter(|(_, key)| self.meant.has(key)).min()
    }
}

fn has_held(message: &Inspection) -> bool {
    message.deliveries.iter().flat_map(|delivery| &delivery.recipients).any(|it| it.held)
}
