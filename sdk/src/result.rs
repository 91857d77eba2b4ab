//! What became of the recipients of an attempt, as the host lends it.
//! Knows no event.

use std::marker::PhantomData;

use stagepost_abi::{
    EM_RESULT_DELIVERED, EM_RESULT_DROPPED, EM_RESULT_FAILED, EM_RESULT_HELD, EM_RESULT_RELAYED,
    EmRecipientResult,
};

use crate::text::{Broken, text};

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outgoing {
    /// The mailbox or the next hop has it.
    Delivered,
    /// A next hop has it that tells nothing of such things.
    Relayed,
    /// It never will be delivered.
    Failed,
    /// It is tried again.
    Deferred,
    /// It is kept until it is released.
    Held,
    /// It is dropped in silence.
    Dropped,
}

/// One recipient and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecipientResult<'a> {
    /// The address.
    pub recipient: &'a str,
    /// What became of it.
    pub result: Outgoing,
    /// The enhanced code (RFC 3463): class, subject and detail.
    pub enhanced: (u8, u16, u16),
    /// Why, in words, on one line.
    pub reason: &'a str,
}

/// The recipients of an attempt, in its order.
#[derive(Clone, Copy, Debug)]
pub struct Results<'a> {
    first: *const EmRecipientResult,
    count: usize,
    lent: PhantomData<&'a EmRecipientResult>,
}

// SAFETY: what is lent is only read, and may be from any thread until the call has ended.
unsafe impl Send for Results<'_> {}
// SAFETY: as for Send.
unsafe impl Sync for Results<'_> {}

impl<'a> Results<'a> {
    /// # Safety
    ///
    /// `first` is NULL, or points to `count` results that are valid during `'a`.
    pub(crate) unsafe fn new(first: *const EmRecipientResult, count: u32) -> Result<Self, Broken> {
        let count = count as usize;
        if first.is_null() && count > 0 {
            return Err(Broken::Pointer);
        }
        let results = Self { first, count, lent: PhantomData };
        for index in 0..count {
            // SAFETY: by the caller's promise.
            unsafe { results.read(index) }?;
        }
        Ok(results)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = RecipientResult<'a>> + use<'a> {
        let results = *self;
        // SAFETY: `new` was promised this, and has read each of them.
        (0..self.count).filter_map(move |index| unsafe { results.read(index) }.ok())
    }

    /// # Safety
    ///
    /// As for `new`; `index` is below the count.
    unsafe fn read(self, index: usize) -> Result<RecipientResult<'a>, Broken> {
        // SAFETY: by the caller's promise.
        let raw = unsafe { &*self.first.add(index) };
        // SAFETY: text in it is valid as long as it is.
        let (recipient, reason) = unsafe { (text(raw.recipient)?, text(raw.reason)?) };
        let result = match raw.result {
            EM_RESULT_DELIVERED => Outgoing::Delivered,
            EM_RESULT_FAILED => Outgoing::Failed,
            EM_RESULT_RELAYED => Outgoing::Relayed,
            EM_RESULT_HELD => Outgoing::Held,
            EM_RESULT_DROPPED => Outgoing::Dropped,
            // The contract wants an unknown one taken for EM_RESULT_DEFERRED.
            _ => Outgoing::Deferred,
        };
        let enhanced = (raw.enhanced_class, raw.enhanced_subject, raw.enhanced_detail);
        Ok(RecipientResult { recipient, result, enhanced, reason })
    }
}
