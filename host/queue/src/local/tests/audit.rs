//! Counts the whole queue row by row, and compares it with indexes, counters and files.

use std::collections::{BTreeMap, BTreeSet};

use super::spool::{Spool, destination, flush, past};
use crate::local::change::read_count;
use crate::local::engine::{Engine, TOTAL_KEY};
use crate::local::key::{DueKey, Place, counted, delivery_destination, sender_key};
use crate::local::record::{CountRecord, DeliveryRecord, MessageRecord};
use crate::local::rows::{Entry, Rows};
use crate::{Count, Destinations, QueueId, StoreError};

/// All that has to agree does.
pub(super) async fn audit(spool: &Spool) {
    audit_but_senders(spool).await;
    let engine = spool.store.core.engine().unwrap();
    let sender = |(id, message): (QueueId, MessageRecord)| {
        (sender_key(&message.envelope.sender, id), Vec::new())
    };
    assert_eq!(rows(&engine.sender), messages(&engine).into_iter().map(sender).collect());
}

/// The same, but for what the index by sender has of messages that are gone.
pub(super) async fn audit_but_senders(spool: &Spool) {
    // Files go after the answer that their message is gone, but before the next request: this one.
    let nobody = Destinations::One(destination("nobody.invalid"));
    flush(&spool.store, nobody, past(0)).await.unwrap();
    let engine = spool.store.core.engine().unwrap();
    let messages = messages(&engine);
    let mut total = CountRecord::default();
    let mut counts: BTreeMap<Vec<u8>, CountRecord> = BTreeMap::new();
    let (mut due, mut at_places, mut held) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut with_delivery = BTreeSet::new();
    for entry in engine.delivery.iter() {
        let (key, row) = entry.into_inner().unwrap();
        let id = QueueId::from_bytes(key[..16].try_into().unwrap());
        let destination = delivery_destination(&key).unwrap();
        let record = DeliveryRecord::decode(&row).unwrap();
        assert!(!record.recipients.is_empty(), "{id} has a delivery to nobody");
        let tally = |count: &mut CountRecord| {
            *if record.is_queued() { &mut count.queued } else { &mut count.held } += 1;
        };
        tally(&mut total);
        let queue = record.queue.as_ref().map_or(Vec::new(), |queue| queue.as_str().into());
        let key = DueKey { due_ms: record.due_ms, id, destination: destination.clone() };
        for place in Place::all(&destination, record.queue.as_ref()) {
            let count = counts.entry(place.as_bytes().to_vec()).or_default();
            count.octets += record.octets;
            tally(count);
            if record.has_held() {
                held.insert((place.held_key(id, &destination), queue.clone()));
            }
            if record.is_queued() {
                at_places.insert((key.encode_at(&place), queue.clone()));
            }
        }
        if record.is_queued() {
            due.insert((key.encode(), queue));
        }
        with_delivery.insert(id);
    }
    total.messages = messages.len() as u64;
    total.octets =
        messages.values().map(|message| message.body.octets + message.header.len() as u64).sum();

    assert_eq!(messages.keys().copied().collect::<BTreeSet<_>>(), with_delivery);
    assert_eq!(rows(&engine.due), due);
    assert_eq!(rows(&engine.destination), at_places);
    assert_eq!(rows(&engine.held), held);
    for (place, count) in &counts {
        let CountRecord { queued, held, octets, .. } = *count;
        let place = counted(place).unwrap();
        assert_eq!(engine.counters.of(&place), Count { queued, held, octets }, "{place:?}");
    }
    let stored = engine.count.iter().map(|entry| {
        let (key, row) = entry.into_inner().unwrap();
        (key.to_vec(), CountRecord::decode(&row).unwrap())
    });
    assert_eq!(stored.collect::<BTreeMap<_, _>>(), counts);
    assert_eq!(read_count(&engine.total, TOTAL_KEY), Ok::<_, StoreError>(total));

    let (in_file, in_row): (Vec<_>, Vec<_>) =
        messages.iter().partition(|(_, message)| message.body.in_file);
    let files: BTreeSet<_> = spool.body_files().into_iter().collect();
    assert_eq!(in_file.iter().map(|(id, _)| spool.body_file(**id)).collect::<BTreeSet<_>>(), files);
    let bodies = engine.body.keys();
    assert_eq!(
        bodies.iter().map(|key| key.to_vec()).collect::<Vec<_>>(),
        in_row.iter().map(|(id, _)| id.to_bytes().to_vec()).collect::<Vec<_>>()
    );
}

fn messages(engine: &Engine) -> BTreeMap<QueueId, MessageRecord> {
    let message = |entry: Entry| {
        let (key, row) = entry.into_inner().unwrap();
        (QueueId::from_bytes((*key).try_into().unwrap()), MessageRecord::decode(&row).unwrap())
    };
    engine.message.iter().map(message).collect()
}

fn rows(rows: &Rows) -> BTreeSet<(Vec<u8>, Vec<u8>)> {
    let row = |entry: Entry| {
        let (key, value) = entry.into_inner().unwrap();
        (key.to_vec(), value.to_vec())
    };
    rows.iter().map(row).collect()
}
