//! A message's octets on their way: behind DATA with dots doubled, or in chunks by BDAT (RFC 3030).
//! Knows no reply.

use super::outcome::Step;
use super::stuff::{ContentFault, Stuffer};

/// So many chunks may be on their way unanswered where commands may be sent in groups.
const CHUNKS_MAX: usize = 16;

/// Writes one message.
#[derive(Debug)]
pub(super) enum Writer {
    /// Behind DATA.
    Lines(Stuffer),
    /// By BDAT.
    Chunks(Chunks),
}

/// The state of a message that is sent in chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Sees to it that there are whole lines; none: any octets will do.
    lines: Option<Stuffer>,
    /// Commands that go out with the first chunk, and what they are.
    before: (Vec<u8>, Vec<Step>),
    /// So many may be on their way unanswered.
    max: usize,
    /// The next one is asked for when one before it is answered.
    pub(super) waiting: bool,
}

/// Some of it, ready to be written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) octets: Vec<u8>,
    /// What is to be answered, but for the end of the message.
    pub(super) steps: Vec<Step>,
}

impl Chunks {
    /// `before`: commands to go out with the first chunk, and what they are. `grouped`: the server takes groups of commands.
    pub(super) fn new(binary: bool, grouped: bool, before: (Vec<u8>, Vec<Step>)) -> Self {
        let lines = (!binary).then(Stuffer::plain);
        Self { lines, before, max: if grouped { CHUNKS_MAX } else { 1 }, waiting: false }
    }

    fn write(&mut self, parts: &[&[u8]], last: bool) -> Result<Written, ContentFault> {
        let mut chunk = Vec::with_capacity(count(parts) + 2);
        for octets in parts {
            match &mut self.lines {
                Some(lines) => lines.push(octets, &mut chunk)?,
                None => chunk.extend_from_slice(octets),
            }
        }
        if last && let Some(lines) = &mut self.lines {
            std::mem::take(lines).finish(&mut chunk)?;
        }
        if chunk.is_empty() && !last {
            return Ok(Written::default());
        }
        let (mut out, mut steps) = std::mem::take(&mut self.before);
        let line = format!("BDAT {}{}\r\n", chunk.len(), if last { " LAST" } else { "" });
        out.reserve_exact(line.len() + chunk.len());
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(&chunk);
        if !last {
            steps.push(Step::Chunk);
        }
        Ok(Written { octets: out, steps })
    }

    /// Whether a further chunk may follow so many that are unanswered.
    pub(super) fn has_room(&self, unanswered: usize) -> bool {
        unanswered < self.max
    }
}

impl Writer {
    /// Writes the next octets, one part behind the other; `last`: there are no more.
    ///
    /// # Errors
    /// They are no lines.
    pub(super) fn write(&mut self, parts: &[&[u8]], last: bool) -> Result<Written, ContentFault> {
        match self {
            Self::Lines(stuffer) => {
                let octets = count(parts);
                // Room for a dot in every 32 octets: more is rare.
                let mut out = Vec::with_capacity(octets + octets / 32 + 8);
                for octets in parts {
                    stuffer.push(octets, &mut out)?;
                }
                if last {
                    std::mem::take(stuffer).finish(&mut out)?;
                }
                Ok(Written { octets: out, steps: Vec::new() })
            }
            Self::Chunks(chunks) => chunks.write(parts, last),
        }
    }
}

fn count(parts: &[&[u8]]) -> usize {
    parts.iter().map(|octets| octets.len()).sum()
}
