//! A received message to be read before it is committed: from memory, and from the file of a large body.
//! Knows no store: whoever holds this keeps what it reads from, whatever becomes of the message.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use stagepost_smtp::{Content, Kept, Scratch};

use super::core::Core;
use super::scratch::LocalScratch;

/// The most octets read from a file at once.
const CHUNK_OCTETS_MAX: u64 = 64 * 1024;

pub(super) struct LocalContent {
    pub(super) core: Arc<Core>,
    pub(super) header: Arc<Vec<u8>>,
    pub(super) body: LocalOctets,
}

/// Octets in two parts: what a file was given, and what followed.
pub(super) struct LocalOctets {
    /// The file, and how many octets of it.
    pub(super) file: Option<(Arc<File>, u64)>,
    /// The rest.
    pub(super) tail: Arc<Vec<u8>>,
}

impl Kept for LocalOctets {
    fn octets(&self) -> u64 {
        self.in_file() + self.tail.len() as u64
    }

    fn read<'a>(&'a self, offset: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        let in_file = self.in_file();
        if let Some(left) = in_file.checked_sub(offset).filter(|left| *left > 0)
            && let Some((file, _)) = &self.file
        {
            buffer.resize(left.min(CHUNK_OCTETS_MAX) as usize, 0);
            file.read_exact_at(buffer, offset)?;
            return Ok(buffer);
        }
        let from = usize::try_from(offset - in_file).unwrap_or(usize::MAX);
        Ok(self.tail.get(from..).unwrap_or_default())
    }
}

impl LocalOctets {
    fn in_file(&self) -> u64 {
        self.file.as_ref().map_or(0, |(_, octets)| *octets)
    }
}

impl Content for LocalContent {
    fn header(&self) -> &[u8] {
        &self.header
    }

    fn body<'a>(&'a self, offset: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        self.body.read(offset, buffer)
    }

    fn body_octets(&self) -> u64 {
        self.body.octets()
    }

    fn scratch(&self) -> Box<dyn Scratch> {
        Box::new(LocalScratch::new(Arc::clone(&self.core)))
    }
}
