//! A message on its way in: decodes octets, tells header from body, keeps to the limits.
//! Keeps no octet itself; knows neither plug-ins nor the store.

use std::time::Instant;

use super::check;
use super::data::{DataFault, Decoder};
use super::header::{HeaderEnd, Rest};
use super::input::Input;
use super::settings::Limits;
use super::transaction::Transaction;
use crate::{BodyFault, Part, Reply};

/// A message between the 354 and the reply to its dot.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) transaction: Box<Transaction>,
    /// When the 354 was said.
    pub(crate) started: Instant,
    /// Octets decoded, dots removed.
    pub(crate) octets: u64,
    /// Octets have been lent and not been called back.
    pub(crate) lent: bool,
    /// The dot was seen.
    pub(crate) ended: bool,
    refusal: Option<Refusal>,
    decoder: Decoder,
    header: HeaderEnd,
    part: Part,
    header_octets: usize,
    /// Octets at the front of the input that are decoded and not lent yet.
    decoded: usize,
    /// Octets behind them that decoding left over: the removed dots of the last piece.
    gap: usize,
}

/// Why a message is not stored, though it is read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Data(DataFault),
    TooBig,
    HeaderTooBig,
    Loop,
    Body(BodyFault),
}

/// What reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All input is used up or undecided: more is needed.
    Wanting,
    /// So many octets at the front of the input are to be lent.
    Lend { part: Part, octets: usize },
    /// The message has ended, and nothing of it is left in the input.
    Complete,
}

impl Message {
    /// Starts behind the 354.
    pub(crate) fn new(transaction: Box<Transaction>, limits: &Limits, now: Instant) -> Self {
        Self {
            transaction,
            started: now,
            octets: 0,
            lent: false,
            ended: false,
            refusal: None,
            decoder: Decoder::new(limits.text_line_octets_max),
            header: HeaderEnd::default(),
            part: Part::Header,
            header_octets: 0,
            decoded: 0,
            gap: 0,
        }
    }

    /// Reads on. Of a message that is refused already nothing more is lent.
    pub(crate) fn read(&mut self, input: &mut Input, limits: &Limits) -> Reading {
        self.decode(input, limits);
        loop {
            if self.refusal.is_some() {
                input.consume(self.decoded);
                self.decoded = 0;
            }
            if self.decoded == 0 {
                return self.finish(input);
            }
            if self.part == Part::Body {
                return self.lend(self.decoded);
            }
            let scan = self.header.scan(&input.unread()[..self.decoded]);
            self.header_octets += scan.header_octets;
            if self.header_octets > limits.header_octets_max {
                self.refuse(Refusal::HeaderTooBig);
            } else if self.header.hops() > limits.hops_max {
                self.refuse(Refusal::Loop);
            } else if scan.header_octets > 0 {
                return self.lend(scan.header_octets);
            } else if scan.rest == Rest::Body || self.ended {
                self.part = Part::Body;
            } else {
                return Reading::Wanting;
            }
        }
    }

    /// What became of the octets lent last.
    pub(crate) fn taken(&mut self, input: &mut Input, octets: usize, taken: Result<(), BodyFault>) {
        input.consume(octets);
        self.decoded -= octets;
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
        let (code, enhanced, words) = match self.refusal? {
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
        if self.ended || raw.is_empty() {
            return;
        }
        let piece = self.decoder.decode(raw);
        self.decoded += piece.kept;
        self.octets += piece.kept as u64;
        if piece.ended {
            self.ended = true;
            self.gap = piece.read - piece.kept;
        } else {
            input.truncate(self.decoded);
        }
        if let Some(fault) = self.decoder.fault() {
            self.refuse(Refusal::Data(fault));
        }
        if self.octets > limits.message_octets_max {
            self.refuse(Refusal::TooBig);
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
