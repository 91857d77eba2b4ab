//! A message in memory, for plug-ins to read and to write into.
//! Knows no plug-in.

use std::io;
use std::sync::Arc;

use stagepost_smtp::{Content, Kept, Scratch};

/// A message, or text for one.
pub(crate) struct Memory {
    pub(crate) header: &'static [u8],
    pub(crate) body: Vec<u8>,
}

impl Content for Memory {
    fn header(&self) -> &[u8] {
        self.header
    }

    fn body<'a>(&'a self, offset: u64, _: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        Ok(behind(&self.body, offset))
    }

    fn body_octets(&self) -> u64 {
        self.body.len() as u64
    }

    fn scratch(&self) -> Box<dyn Scratch> {
        Box::new(Self { header: b"", body: Vec::new() })
    }
}

impl Scratch for Memory {
    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.body.extend_from_slice(octets);
        Ok(())
    }

    fn finish(mut self: Box<Self>, last: &[u8]) -> Arc<dyn Kept> {
        self.body.extend_from_slice(last);
        Arc::new(*self)
    }
}

impl Kept for Memory {
    fn octets(&self) -> u64 {
        self.body.len() as u64
    }

    fn read<'a>(&'a self, offset: u64, _: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        Ok(behind(&self.body, offset))
    }
}

fn behind(octets: &[u8], offset: u64) -> &[u8] {
    usize::try_from(offset).ok().and_then(|offset| octets.get(offset..)).unwrap_or_default()
}
