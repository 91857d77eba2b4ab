//! Brings a spool that an older server has written up to what this one wants.
//! Knows what was added since; what is there already, it leaves as it is.

use lsm_tree::Guard;

use super::engine::{Engine, EngineError};
use super::fault::Faults;
use super::key::sender_key;
use super::record::MessageRecord;
use super::row::Writer;
use super::rows::Batch;
use crate::QueueId;

/// What the spool has been brought up to, in [`Engine::total`].
pub(super) const UPGRADE_KEY: &[u8] = b"upgrade";
/// The version of that row, and the only upgrade there is: the index by sender.
const SENDERS: u8 = 1;
/// So many rows are changed before they are put on disk.
const ROWS_MAX: usize = 50_000;

/// Adds what is missing, once, and puts it on disk. The tables have all groups of the journal up to this one, and nobody else
/// changes them. Blocks.
pub(super) fn upgrade(engine: &Engine, faults: &dyn Faults, last: u64) -> Result<(), EngineError> {
    if engine.total.contains_key(UPGRADE_KEY)? {
        return Ok(());
    }
    let (mut batch, mut rows) = (Batch::default(), 0);
    for entry in engine.message.range::<&[u8]>(..) {
        let (key, row) = entry.into_inner()?;
        let id = <[u8; QueueId::OCTETS]>::try_from(&*key).map(QueueId::from_bytes);
        let (Ok(id), Ok(sender)) = (id, MessageRecord::decode_sender(&row)) else {
            // It is damaged: nobody sends it.
            continue;
        };
        batch.insert(&engine.sender, sender_key(&sender, id), []);
        rows += 1;
        if rows % ROWS_MAX == 0 {
            engine.apply(std::mem::take(&mut batch))?;
            engine.sender.seal();
            engine.sender.flush()?;
        }
    }
    batch.insert(&engine.total, UPGRADE_KEY, Writer::new(SENDERS, 8).end());
    engine.apply(batch)?;
    // The row of an empty queue can wait for the next checkpoint: should it be lost, this is done again.
    if rows > 0 {
        tracing::info!(messages = rows, "the queue was given its index by sender");
        engine.seal(last);
        engine.flush(faults)?;
    }
    Ok(())
}
