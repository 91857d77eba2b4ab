//! The journal of a table's database after a power cut: a batch of which only some pages reached the disk.
//! Knows the journal's format (fjall 3) and no row in it.
//!
//! The database cuts off a batch that has no end. One whose end is there though its middle is not makes it refuse to open, for
//! it can't tell it from damage. Here it can be told: only the last batch can be torn, since each is synced before
//! the next is written, and nothing of it was acknowledged. A broken batch with others behind it is damage, and stays.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3Default;

use crate::local::folder::sync_folder;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const MAGIC: [u8; 4] = *b"FJL\x03";

/// What a walk through a journal found.
#[derive(Debug, PartialEq)]
enum Walk {
    /// Whole batches, and perhaps one that has no end.
    Sound,
    /// The last batch has an end, but other contents than it was written with.
    Torn { start: usize, end: usize },
    /// A batch before the last has other contents than it was written with.
    Damaged,
}

/// Cuts the last batch off the journals in this folder where it is torn, and keeps it beside them, as `N.torn`.
/// Whether there was one. Blocks.
pub(super) fn cut_torn_batch(folder: &Path) -> io::Result<bool> {
    let mut found = false;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "jnl") {
            continue;
        }
        let octets = std::fs::read(&path)?;
        let Walk::Torn { start, end } = walk(&octets) else {
            continue;
        };
        let aside = path.with_extension("torn");
        std::fs::write(&aside, &octets[start..end])?;
        File::open(&aside)?.sync_all()?;
        let journal = OpenOptions::new().write(true).open(&path)?;
        journal.set_len(start as u64)?;
        journal.sync_all()?;
        tracing::error!(
            journal = %path.display(), at = start, octets = end - start, kept = %aside.display(),
            "the last batch of a journal was written in part only; it was never acknowledged and is left out"
        );
        found = true;
    }
    if found {
        sync_folder(folder)?;
    }
    Ok(found)
}

fn walk(octets: &[u8]) -> Walk {
    let mut rest = octets;
    loop {
        let start = octets.len() - rest.len();
        let Some(batch) = read_batch(&mut rest) else {
            return Walk::Sound;
        };
        let end = octets.len() - rest.len();
        match (batch, rest.first()) {
            (Batch::Whole, _) => {}
            (Batch::Broken, Some(&START)) => return Walk::Damaged,
            (Batch::Broken, _) => return Walk::Torn { start, end },
        }
    }
}

enum Batch {
    Whole,
    Broken,
}

/// Reads one batch up to its end; `None` when there is no batch, or one without an end.
fn read_batch(rest: &mut &[u8]) -> Option<Batch> {
    if take::<1>(rest)? != [START] {
        return None;
    }
    let items = u32::from_le_bytes(take(rest)?);
    let _sequence: [u8; 8] = take(rest)?;
    let mut hash = Xxh3Default::new();
    let mut found = 0;
    loop {
        let item = *rest;
        match take::<1>(rest)? {
            [ITEM] => skip_item(rest)?,
            [END] => break,
            _ => return None,
        }
        hash.update(&item[..item.len() - rest.len()]);
        found += 1;
    }
    let wanted = u64::from_le_bytes(take(rest)?);
    let ended = take(rest)? == MAGIC;
    let whole = ended && found == items && hash.digest() == wanted;
    ended.then_some(if whole { Batch::Whole } else { Batch::Broken })
}

/// Skips an item behind its tag: kind, compression, keyspace, lengths of key, value and value as written, key, value.
fn skip_item(rest: &mut &[u8]) -> Option<()> {
    let _kind_compression_keyspace: [u8; 10] = take(rest)?;
    let key = u16::from_le_bytes(take(rest)?) as usize;
    let _value: [u8; 4] = take(rest)?;
    let value = u32::from_le_bytes(take(rest)?) as usize;
    *rest = rest.get(key.checked_add(value)?..)?;
    Some(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn random_octets_are_walked_without_panic(octets in any::<Vec<u8>>()) {
            let mut batch = vec![START, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ITEM];
            batch.extend(octets);
            walk(&batch);
        }
    }
}
