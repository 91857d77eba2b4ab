//! A message on its way in: decodes octets, tells header from body, keeps to the limits, and says what is due next.
//! Keeps no octet itself; knows neither plug-ins nor the store.

use std::sync::Arc;
use std::time::Instant;

use super::check;
use super::chunk::Chunks;
use super::data::{DataFault, Decoder};
use super::header::{HeaderEnd, Rest, Scan};
use super::input::Input;
use super::settings::Limits;
use super::transaction::Transaction;
use crate::{BodyFault, Chunk, Event, Interest, Part, Question, Reply, Stage, empty_line_before};

/// The body is shown to plug-ins in chunks of so many octets at least, but for the last one.
const CHUNK_OCTETS_MIN: usize = 32 * 1024;
/// And of so many at most.
const CHUNK_OCTETS_MAX: usize = 64 * 1024;

/// A message between the 354 and the reply to its dot, or between its first chunk and the reply to its last one.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) transaction: Box<Transaction>,
    /// When the 354 was said, or the first chunk begun.
    pub(crate) started: Instant,
    /// Octets decoded, dots removed.
    pub(crate) octets: u64,
    /// Octets have been lent and not been called back.
    pub(crate) lent: bool,
    /// The dot was seen, or all of the last chunk.
    pub(crate) ended: bool,
    /// When plug-ins were asked about it last: no time runs until they have answered.
    paused: Instant,
    refusal: Option<Refusal>,
    frame: Frame,
    header: HeaderEnd,
    part: Part,
    header_octets: usize,
    /// Octets at the front of the input that are decoded and not lent yet.
    decoded: usize,
    /// Octets behind them that decoding left over: the removed dots of the last piece.
    gap: usize,
    /// Octets at the front of the decoded ones that plug-ins were shown.
    shown: usize,
    /// Octets of the body that plug-ins were shown before those.
    shown_before: u64,
    /// Plug-ins were shown the end of the body.
    shown_last: bool,
}

/// What tells the octets of a message from the commands behind them.
#[derive(Debug)]
enum Frame {
    /// DATA: a dot.
    Dot(Decoder),
    /// BDAT: their number.
    Chunks {
        chunks: Chunks,
        /// The chunk in hand, or the last one that was.
        chunk: Option<Chunk>,
        /// It is the first one.
        first: bool,
        /// Octets of earlier chunks that are decoded and not lent yet.
        carried: Vec<u8>,
    },
}

/// What is to be known of a message for the reply to its end, or to a chunk of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// Octets decoded.
    pub(crate) octets: u64,
    /// The chunk that is answered; none: the dot is.
    pub(crate) chunk: Option<Chunk>,
    /// It is the first one.
    pub(crate) first: bool,
}

/// Why a message is not stored, though it is read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    Data(DataFault),
    TooBig,
    HeaderTooBig,
    Loop,
    Body(BodyFault),
    Plugin(Reply),
}

/// What reading came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All input is used up or undecided: more is needed.
    Wanting,
    /// So many octets at the front of the input are to be lent.
    Lend { part: Part, octets: usize },
    /// Plug-ins are to be asked, since some want to be; then it goes on.
    Ask(Question),
    /// The chunk in hand is at its end, and nothing of it is left in the input. Others follow.
    ChunkRead,
    /// The message has ended, and nothing of it is left in the input.
    Complete,
}

impl Message {
    /// Starts behind the 354.
    pub(crate) fn new(transaction: Box<Transaction>, limits: &Limits, now: Instant) -> Self {
        let frame = Frame::Dot(Decoder::new(limits.text_line_octets_max));
        Self::framed(transaction, frame, now)
    }

    /// Starts before the first chunk.
    pub(crate) fn in_chunks(transaction: Box<Transaction>, limits: &Limits, now: Instant) -> Self {
        let chunks = Chunks::new(transaction.is_binary(), limits.text_line_octets_max);
        let frame = Frame::Chunks { chunks, chunk: None, first: false, carried: Vec::new() };
        Self::framed(transaction, frame, now)
    }

    fn framed(transaction: Box<Transaction>, frame: Frame, now: Instant) -> Self {
        Self {
            transaction,
            started: now,
            octets: 0,
            lent: false,
            ended: false,
            paused: now,
            refusal: None,
            frame,
            header: HeaderEnd::default(),
            part: Part::Header,
            header_octets: 0,
            decoded: 0,
            gap: 0,
            shown: 0,
            shown_before: 0,
            shown_last: false,
        }
    }

    /// A chunk of it stands at the front of the input, or will.
    pub(crate) fn begin_chunk(&mut self, next: Chunk, input: &mut Input) {
        if let Frame::Chunks { chunks, chunk, first, carried } = &mut self.frame {
            *first = chunk.is_none();
            *chunk = Some(next);
            chunks.begin(next);
            self.decoded = carried.len();
            input.put_back(&std::mem::take(carried));
        }
    }

    /// What is to be known of it once it is gone.
    pub(crate) fn tail(&self) -> Tail {
        let (chunk, first) = match &self.frame {
            Frame::Dot(_) => (None, false),
            Frame::Chunks { chunk, first, .. } => (*chunk, *first),
        };
        Tail { octets: self.octets, chunk, first }
    }

    /// Reads on. Of a message that is refused already nothing more is shown or lent.
    pub(crate) fn read(
        &mut self,
        input: &mut Input,
        limits: &Limits,
        interest: Interest,
    ) -> Reading {
        self.decode(input, limits);
        match self.read_decoded(input, limits, interest) {
            Reading::Wanting => self.carry(input),
            reading => reading,
        }
    }

    fn read_decoded(&mut self, input: &mut Input, limits: &Limits, interest: Interest) -> Reading {
        loop {
            if self.refusal.is_some() {
                input.consume(std::mem::take(&mut self.decoded));
                self.shown = 0;
                return self.finish(input);
            }
            if self.part == Part::Body {
                return self.read_body(input, interest);
            }
            let decoded = &input.unread()[..self.decoded];
            let scan = self.header.scan(decoded);
            self.header_octets += scan.header_octets;
            let fault = self.check_parts(decoded, scan);
            if let Some(fault) = fault {
                self.refuse(Refusal::Data(fault));
            } else if self.header_octets > limits.header_octets_max {
                self.refuse(Refusal::HeaderTooBig);
            } else if self.header.hops() > limits.hops_max {
                self.refuse(Refusal::Loop);
            } else if scan.header_octets > 0 {
                return self.lend(scan.header_octets);
            } else if scan.rest == Rest::Body || self.ended {
                self.part = Part::Body;
                if interest.contains(Event::Headers, Stage::Before) {
                    return Reading::Ask(Question::Headers);
                }
            } else {
                return Reading::Wanting;
            }
        }
    }

    /// Reads on in the body: what plug-ins want to see is gathered, shown, and lent then.
    fn read_body(&mut self, input: &mut Input, interest: Interest) -> Reading {
        if self.shown > 0 {
            return self.lend(self.shown);
        }
        if interest.contains(Event::Body, Stage::Before) && !self.shown_last {
            if !self.ended && self.decoded < CHUNK_OCTETS_MIN {
                return Reading::Wanting;
            }
            return Reading::Ask(self.show(input));
        }
        if self.decoded > 0 {
            return self.lend(self.decoded);
        }
        self.finish(input)
    }

    /// The next chunk of the body, for plug-ins.
    fn show(&mut self, input: &Input) -> Question {
        self.shown = self.decoded.min(CHUNK_OCTETS_MAX);
        self.shown_last = self.ended && self.shown == self.decoded;
        let (octets, offset) = (&input.unread()[..self.shown], self.shown_before);
        let octets: Arc<[u8]> = match empty_line_before(octets) {
            missing if offset == 0 && !missing.is_empty() => [missing, octets].concat().into(),
            _ => octets.into(),
        };
        self.shown_before += octets.len() as u64;
        Question::Body { octets, offset, last: self.shown_last }
    }

    /// Plug-ins are asked about it, at `now`.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.paused = now;
    }

    /// They have answered, at `now`.
    pub(crate) fn resume(&mut self, now: Instant) {
        self.started += now.saturating_duration_since(self.paused);
        self.paused = now;
    }

    /// Plug-ins don't want it: it is read to its end all the same, and answered then.
    pub(crate) fn turn_down(&mut self, reply: Reply) {
        self.refuse(Refusal::Plugin(reply));
    }

    /// Whether it was plug-ins that did not want it.
    pub(crate) fn is_turned_down(&self) -> bool {
        matches!(self.refusal, Some(Refusal::Plugin(_)))
    }

    /// What became of the octets lent last.
    pub(crate) fn taken(&mut self, input: &mut Input, octets: usize, taken: Result<(), BodyFault>) {
        input.consume(octets);
        self.decoded -= octets;
        self.shown = 0;
        if let Err(fault) = taken {
            self.refuse(Refusal::Body(fault));
        }
    }

    /// Whether octets were lent that will not be stored; says so once.
    pub(crate) fn take_abandoned(&mut self) -> bool {
        self.refusal.is_some() && std::mem::take(&mut self.lent)
    }

    /// The reply to a message that can't be stored.
    pub(crate) fn check(&self, limits: &Limits) -> Option<Reply> {
        let (code, enhanced, words) = match self.refusal.as_ref()? {
            Refusal::Plugin(reply) => return Some(reply.clone()),
            Refusal::TooBig => return Some(check::too_big(limits)),
            Refusal::Data(DataFault::BareCr) => (550, (5, 5, 2), "Bare <CR> in the message"),
            Refusal::Data(DataFault::BareLf) => (550, (5, 5, 2), "Bare <LF> in the message"),
            Refusal::Data(DataFault::Nul) => (550, (5, 6, 0), "NUL in the message"),
            Refusal::Data(DataFault::LineTooLong) => {
                (550, (5, 6, 0), "Line too long in the message")
            }
            Refusal::HeaderTooBig => (552, (5, 3, 4), "Header too big"),
            // RFC 5321 section 6.3; RFC 3463 section 3.5: routing loop detected.
            Refusal::Loop => (554, (5, 4, 6), "Too many hops: the message goes round in a loop"),
            Refusal::Body(BodyFault::NoSpace) => (452, (4, 3, 1), "No room for the message now"),
            Refusal::Body(BodyFault::Unavailable) => {
                (451, (4, 3, 0), "Can't store the message now")
            }
        };
        Some(Reply::new(code, Some(enhanced), words))
    }

    fn decode(&mut self, input: &mut Input, limits: &Limits) {
        let raw = &mut input.unread_mut()[self.decoded..];
        if self.ended {
            return;
        }
        let fault = match &mut self.frame {
            Frame::Dot(decoder) => {
                let piece = decoder.decode(raw);
                self.decoded += piece.kept;
                self.octets += piece.kept as u64;
                if piece.ended {
                    self.ended = true;
                    self.gap = piece.read - piece.kept;
                } else {
                    input.truncate(self.decoded);
                }
                decoder.fault()
            }
            Frame::Chunks { chunks, .. } => {
                let read = chunks.read(raw);
                self.decoded += read;
                self.octets += read as u64;
                self.ended = chunks.is_ended();
                chunks.fault()
            }
        };
        if let Some(fault) = fault {
            self.refuse(Refusal::Data(fault));
        }
        if self.octets > limits.message_octets_max {
            self.refuse(Refusal::TooBig);
        }
    }

    /// Checks the header block of a message whose octets are not all text, and what the body begins with.
    fn check_parts(&mut self, decoded: &[u8], scan: Scan) -> Option<DataFault> {
        let Frame::Chunks { chunks, .. } = &mut self.frame else { return None };
        let (header, rest) = decoded.split_at(scan.header_octets);
        chunks.check_header(header);
        if header.is_empty() && (scan.rest == Rest::Body || self.ended) {
            chunks.check_body(rest);
        }
        chunks.fault()
    }

    /// Between two chunks nothing of a message stays in the input: the next command stands there.
    fn carry(&mut self, input: &mut Input) -> Reading {
        match &mut self.frame {
            Frame::Chunks { chunks, carried, .. } if chunks.is_read() => {
                let decoded = std::mem::take(&mut self.decoded);
                *carried = input.unread()[..decoded].to_vec();
                input.consume(decoded);
                Reading::ChunkRead
            }
            _ => Reading::Wanting,
        }
    }

    fn lend(&mut self, octets: usize) -> Reading {
        self.lent = true;
        let part = self.part;
        Reading::Lend { part, octets }
    }

    fn finish(&mut self, input: &mut Input) -> Reading {
        if !self.ended {
            return Reading::Wanting;
        }
        input.consume(std::mem::take(&mut self.gap));
        Reading::Complete
    }

    /// The first reason counts.
    fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }
}
