//! Messages that plug-ins make: who makes which, and that nobody does two things to one at once.
//! Knows no message; what is done to one is the program's.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stagepost_abi as abi;

use crate::mail::{Coming, MailError, Submission};

/// The most messages that one plug-in makes at once.
const SUBMISSIONS_MAX: usize = 64;

/// The messages of one plug-in.
#[derive(Default)]
pub(crate) struct Submissions(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// The last number given out. Never reused, so that a stale one is told.
    last: u64,
    /// None: something is being done to it.
    open: HashMap<u64, Option<Box<dyn Submission>>>,
}

impl Submissions {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a new message.
    ///
    /// # Errors
    /// The status for the plug-in: there are too many.
    pub(crate) fn add(
        &self,
        make: impl FnOnce() -> Result<Box<dyn Submission>, abi::STATUS>,
    ) -> Result<abi::EmSubmission, abi::STATUS> {
        let made = if self.table().open.len() < SUBMISSIONS_MAX {
            make()?
        } else {
            return Err(abi::EM_ERR_LIMIT);
        };
        let mut table = self.table();
        // Others may have begun some meanwhile.
        if table.open.len() >= SUBMISSIONS_MAX {
            drop(table);
            drop(made);
            return Err(abi::EM_ERR_LIMIT);
        }
        table.last += 1;
        let submission = table.last;
        table.open.insert(submission, Some(made));
        Ok(submission)
    }

    /// Takes a message in hand, to do something to it.
    ///
    /// # Errors
    /// The status for the plug-in: there is none, or somebody has it in hand.
    pub(crate) fn take(
        &self,
        submission: abi::EmSubmission,
    ) -> Result<Box<dyn Submission>, abi::STATUS> {
        let mut table = self.table();
        let place = table.open.get_mut(&submission).ok_or(abi::ERR_NOT_FOUND)?;
        place.take().ok_or(abi::EM_ERR_STAGE)
    }

    /// Puts a message back, or forgets it when there is none any more.
    pub(crate) fn put(&self, submission: abi::EmSubmission, left: Option<Box<dyn Submission>>) {
        let mut table = self.table();
        match left {
            Some(left) => drop(table.open.insert(submission, Some(left))),
            None => drop(table.open.remove(&submission)),
        }
    }

    /// Writes octets to a message in hand and puts it back.
    pub(crate) fn write(
        &'static self,
        submission: abi::EmSubmission,
        mut taken: Box<dyn Submission>,
        octets: Vec<u8>,
    ) -> Coming<()> {
        Box::pin(async move {
            let written = taken.write(&octets).await;
            // What could not be kept is lost, and the rest of the message with it.
            self.put(submission, written.is_ok().then_some(taken));
            written
        })
    }

    /// Makes a message in hand durable and forgets it.
    pub(crate) fn commit(
        &'static self,
        submission: abi::EmSubmission,
        taken: Box<dyn Submission>,
    ) -> Coming<String> {
        Box::pin(async move {
            let committed: Result<String, MailError> = taken.commit().await;
            self.put(submission, None);
            committed
        })
    }
}
