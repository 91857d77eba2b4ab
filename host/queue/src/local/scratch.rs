//! Octets that may become part of a message, kept beside it: in memory while they are few, then in a file without a name.
//! Knows no message. The file goes with whoever reads it last, and with a crash.

use std::fs::File;
use std::io;
use std::sync::Arc;

use stagepost_smtp::{Kept, Scratch};

use super::content::LocalOctets;
use super::core::Core;
use crate::{BODY_MEMORY_OCTETS_MAX, StoreError};

pub(super) struct LocalScratch {
    core: Arc<Core>,
    /// The file, and how many octets it was given.
    file: Option<(Arc<File>, u64)>,
    /// What it was not given yet.
    pending: Vec<u8>,
}

impl LocalScratch {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, file: None, pending: Vec::new() }
    }

    /// Moves what is in memory to the file.
    fn spill(&mut self) -> io::Result<()> {
        self.core.check_space().map_err(|error| match error {
            StoreError::NoSpace { .. } => io::Error::new(io::ErrorKind::StorageFull, error),
            other => io::Error::other(other),
        })?;
        let (file, octets) = match self.file.take() {
            Some(file) => file,
            None => (Arc::new(self.core.bodies.scratch()?), 0),
        };
        self.core.bodies.write(&file, &self.pending)?;
        self.file = Some((file, octets + self.pending.len() as u64));
        self.pending.clear();
        Ok(())
    }
}

impl Scratch for LocalScratch {
    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut rest = octets;
        while self.pending.len() + rest.len() > BODY_MEMORY_OCTETS_MAX {
            let (head, tail) = rest.split_at(BODY_MEMORY_OCTETS_MAX - self.pending.len());
            self.pending.extend_from_slice(head);
            rest = tail;
            self.spill()?;
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    fn finish(mut self: Box<Self>, last: &[u8]) -> Arc<dyn Kept> {
        self.pending.extend_from_slice(last);
        Arc::new(LocalOctets { file: self.file, tail: Arc::new(self.pending) })
    }
}
