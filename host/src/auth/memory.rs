//! The memory that checking a password takes, lent to one check after the other: what is freed on one thread of many the
//! system's allocator keeps for that thread, and who asks for many checks at once would have it keep far more than is ever used.
//! Knows no password.

use std::sync::{Mutex, PoisonError};

use argon2::Block;
use zeroize::Zeroize;

/// What takes more than 64 MiB is rare, and not kept.
const KEPT_BLOCKS_MAX: usize = 65_536;

/// As many pieces of memory as checks were ever made at once.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Vec<Box<[Block]>>>);

impl Memory {
    /// Lends so many blocks to some work, and wipes them.
    pub(super) fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let taken = {
            let mut free = self.free();
            // One that is too small makes room for a larger one.
            let at = free.iter().position(|memory| memory.len() >= blocks).unwrap_or(0);
            (at < free.len()).then(|| free.swap_remove(at))
        };
        let fresh = || std::iter::repeat_n(Block::new(), blocks).collect();
        let mut memory = taken.filter(|memory| memory.len() >= blocks).unwrap_or_else(fresh);
        let done = work(&mut memory[..blocks]);
        memory[..blocks].iter_mut().for_each(Zeroize::zeroize);
        if memory.len() <= KEPT_BLOCKS_MAX {
            self.free().push(memory);
        }
        done
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Box<[Block]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_lent_again_and_nothing_stays_in_it() {
        let memory = Memory::default();
        let mut places = Vec::new();
        for blocks in [8, 8, 4, 8] {
            memory.lend(blocks, |lent| {
                assert_eq!(lent.len(), blocks);
                assert!(lent.iter().all(|block| block.as_ref().iter().all(|&word| word == 0)));
                lent[0].as_mut()[0] = 7;
                places.push(lent.as_ptr());
            });
        }
        assert!(places.iter().all(|&place| place == places[0]));
        memory.lend(8, |_| memory.lend(8, |_| ()));
        assert_eq!(memory.free().len(), 2);
        memory.lend(9, |_| ());
        assert_eq!(memory.free().len(), 2);
        memory.lend(KEPT_BLOCKS_MAX + 1, |_| ());
        assert_eq!(memory.free().len(), 1);
    }
}
