//! Memory by handles, as add-ins call for it.
#![allow(non_snake_case, reason = "the names are Domino's")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::pointer::put;
use crate::handles::{HANDLES_MAX, fresh};
use crate::status::{ERR_MEMORY, ERR_MISC_INVALID_ARGS, NOERROR};

/// The most octets in all blocks together.
const OCTETS_MAX: u64 = 1 << 30;

/// A block: eight octets at a time, so that anything may lie in it. Kept as a pointer, since add-ins have it as one.
struct Block {
    words: *mut [u64],
    octets: u32,
    locks: u32,
}

// SAFETY: the pointer is the block's own, and used with the lock on all blocks.
unsafe impl Send for Block {}

impl Block {
    fn new(octets: u32) -> Self {
        let words = vec![0_u64; octets.div_ceil(8).max(1) as usize].into_boxed_slice();
        Self { words: Box::into_raw(words), octets, locks: 0 }
    }

    fn place(&self) -> *mut u8 {
        self.words.cast()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: made by `into_raw` in `new`, and nobody else frees it.
        drop(unsafe { Box::from_raw(self.words) });
    }
}

#[derive(Default)]
struct Blocks {
    all: HashMap<u32, Block>,
    octets: u64,
}

fn blocks() -> MutexGuard<'static, Blocks> {
    static BLOCKS: OnceLock<Mutex<Blocks>> = OnceLock::new();
    BLOCKS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a block with these octets at its beginning, at least so many.
pub(crate) fn make(octets: &[u8], size: u32) -> Option<u32> {
    let size = u32::try_from(octets.len()).ok()?.max(size);
    let mut blocks = blocks();
    if blocks.octets + u64::from(size) > OCTETS_MAX || blocks.all.len() >= HANDLES_MAX {
        return None;
    }
    let block = Block::new(size);
    // SAFETY: the block is as long at least, and nobody else has it yet.
    unsafe { block.place().copy_from_nonoverlapping(octets.as_ptr(), octets.len()) };
    let handle = fresh(|handle| blocks.all.contains_key(&handle));
    blocks.octets += u64::from(size);
    blocks.all.insert(handle, block);
    Some(handle)
}

/// Gives a block back. False: there is none.
pub(crate) fn free(handle: u32) -> bool {
    let mut blocks = blocks();
    let Some(block) = blocks.all.remove(&handle) else { return false };
    blocks.octets -= u64::from(block.octets);
    true
}

fn told(done: bool) -> u16 {
    if done { NOERROR } else { ERR_MISC_INVALID_ARGS }
}

pub(super) unsafe extern "C" fn OSMemAlloc(_type: u16, size: u32, handle: *mut u32) -> u16 {
    if handle.is_null() {
        return ERR_MISC_INVALID_ARGS;
    }
    let made = make(&[], size);
    // SAFETY: a place for a handle (osmem.h).
    unsafe { put(handle, made.unwrap_or(0)) };
    if made.is_some() { NOERROR } else { ERR_MEMORY }
}

pub(super) extern "C" fn OSMemFree(handle: u32) -> u16 {
    told(free(handle))
}

pub(super) unsafe extern "C" fn OSMemGetSize(handle: u32, size: *mut u32) -> u16 {
    let octets = blocks().all.get(&handle).map(|block| block.octets);
    // SAFETY: a place for a size (osmem.h).
    unsafe { put(size, octets.unwrap_or(0)) };
    told(octets.is_some())
}

pub(super) extern "C" fn OSMemRealloc(handle: u32, size: u32) -> u16 {
    let mut blocks = blocks();
    let blocks = &mut *blocks;
    let Some(block) = blocks.all.get_mut(&handle) else { return ERR_MISC_INVALID_ARGS };
    let octets = blocks.octets - u64::from(block.octets) + u64::from(size);
    if octets > OCTETS_MAX {
        return ERR_MEMORY;
    }
    let mut fresh = Block::new(size);
    // SAFETY: both are as long at least as the shorter one, and nobody has a pointer to the fresh one. Who has the other one locked
    // must lock it again (osmem.h).
    unsafe {
        fresh.place().copy_from_nonoverlapping(block.place(), block.octets.min(size) as usize);
    }
    fresh.locks = block.locks;
    *block = fresh;
    blocks.octets = octets;
    NOERROR
}

pub(super) extern "C" fn OSLockObject(handle: u32) -> *mut c_void {
    let mut blocks = blocks();
    let Some(block) = blocks.all.get_mut(&handle) else { return std::ptr::null_mut() };
    block.locks += 1;
    block.place().cast()
}

pub(super) extern "C" fn OSUnlockObject(handle: u32) -> i32 {
    let mut blocks = blocks();
    let Some(block) = blocks.all.get_mut(&handle) else { return 0 };
    block.locks = block.locks.saturating_sub(1);
    1
}

pub(super) unsafe extern "C" fn OSMemoryAllocate(_type: u32, size: u32, handle: *mut u32) -> u16 {
    // SAFETY: as for OSMemAlloc.
    unsafe { OSMemAlloc(0, size, handle) }
}

pub(super) extern "C" fn OSMemoryFree(handle: u32) {
    free(handle);
}

pub(super) extern "C" fn OSMemoryLock(handle: u32) -> *mut c_void {
    OSLockObject(handle)
}

pub(super) extern "C" fn OSMemoryUnlock(handle: u32) -> i32 {
    OSUnlockObject(handle)
}
