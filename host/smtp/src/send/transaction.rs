//! One message on its way out: its envelope as commands, and what became of each recipient.
//! Knows the order of the commands, not when they may be sent.

use super::offers::Offers;
use super::outcome::{Cause, Outcome, Step};
use super::settings::Protocol;
use crate::{
    Address, BodyKind, DeliverBy, Late, Notify, RecipientWish, Reply, ReversePath, SenderWish,
};

/// One message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Who it is from.
    pub sender: ReversePath,
    /// What the sender wants: passed on to a server that knows of it. The time that it may take counts from when the
    /// transaction is started.
    pub wish: SenderWish,
    /// Who it is for.
    pub recipients: Vec<Addressee>,
    /// Its size in octets, lines ended by CRLF.
    pub size_octets: u64,
    /// What its octets are, in header and body.
    pub body: BodyKind,
    /// Addresses of it are UTF-8, or header fields, as its sender has declared (RFC 6531).
    pub utf8: bool,
}

/// One recipient of a message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressee {
    /// The address.
    pub address: Address,
    /// What the sender wants to be told of it; passed on to a server that knows DSN.
    pub wish: RecipientWish,
}

/// A group of commands is closed when it reaches this many octets (RFC 2920 section 3.1): group and replies fit
/// into the buffers between the two sides, so neither can end up waiting for the other to read.
const GROUP_OCTETS: usize = 4096;

/// A message of at most this many octets may go with its envelope, before it is known that somebody gets it.
const EAGER_OCTETS_MAX: u64 = 64 * 1024;

/// How the message follows its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Behind DATA, as lines, when the server says so.
    Lines,
    /// By BDAT, once a recipient is taken (RFC 3030).
    Chunks,
    /// By BDAT, in one go with the envelope: the server answers all of it after one round trip.
    EagerChunks,
}

impl Form {
    /// The one for a message to this server. `fresh`: the server was heard a moment ago, so it will not have hung up meanwhile.
    pub(super) fn of(
        transaction: &Transaction,
        offers: &Offers,
        protocol: Protocol,
        fresh: bool,
    ) -> Self {
        let small = transaction.size_octets <= EAGER_OCTETS_MAX;
        // How many replies LMTP has for the end depends on those before.
        let eager = offers.pipelining && protocol == Protocol::Smtp && small && fresh;
        match transaction.body {
            _ if !offers.chunking => Self::Lines,
            _ if eager => Self::EagerChunks,
            BodyKind::BinaryMime => Self::Chunks,
            BodyKind::SevenBit | BodyKind::EightBitMime => Self::Lines,
        }
    }
}

/// Where one recipient stands.
#[derive(Debug)]
enum Standing {
    Unanswered,
    /// The next hop took it at RCPT; the final dot decides.
    Accepted,
    Settled(Outcome),
}

/// The command to be written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Reset,
    Mail,
    /// The RCPT of the recipient with this index.
    Recipient(usize),
    Data,
    /// The message itself, by BDAT.
    Content,
    Nothing,
}

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Open {
    transaction: Transaction,
    standings: Vec<Standing>,
    next: Next,
    form: Form,
    /// How many RCPT commands were answered.
    answered: usize,
}

impl Open {
    /// Begins a transaction; `reset` clears first what an earlier one left.
    pub(super) fn new(transaction: Transaction, form: Form, reset: bool) -> Self {
        let standings = transaction.recipients.iter().map(|_| Standing::Unanswered);
        Self {
            standings: standings.collect(),
            transaction,
            next: if reset { Next::Reset } else { Next::Mail },
            form,
            answered: 0,
        }
    }

    /// Fails the transaction when the next hop can't take such a message, or nobody can any more.
    pub(super) fn check(&mut self, offers: &Offers, secured: bool) {
        let by = self.transaction.wish.deliver_by;
        if self.transaction.wish.require_tls && !secured {
            // Whoever has begun in clear text knows whether that has an end.
            return self.settle(&Outcome::Deferred(Cause::NoTls));
        }
        if by.is_some_and(|by| by.late == Late::Return && by.is_over()) {
            // Whoever knows its age says what becomes of it (RFC 2852 section 4.1.3).
            self.settle(&Outcome::Deferred(Cause::Late));
        } else if let Some(cause) = self.against(offers) {
            self.settle(&Outcome::Failed(cause));
        }
    }

    fn against(&self, offers: &Offers) -> Option<Cause> {
        let Transaction { size_octets, body, utf8, .. } = self.transaction;
        let max = offers.size_octets_max.filter(|&max| size_octets > max);
        match body {
            BodyKind::EightBitMime if !offers.eight_bit => Some(Cause::EightBit),
            BodyKind::BinaryMime if !(offers.binary && offers.chunking) => Some(Cause::Binary),
            _ if utf8 && !offers.utf8 => Some(Cause::Utf8),
            _ if self.transaction.wish.require_tls && !offers.require_tls => {
                Some(Cause::RequireTls)
            }
            _ if self.is_late_for(offers) => Some(Cause::DeliverBy),
            _ => max.map(|max| Cause::TooLarge { size_octets, max }),
        }
    }

    /// Whether nobody would see to it that a message comes in time or not at all (RFC 2852 section 4.1.4.1).
    fn is_late_for(&self, offers: &Offers) -> bool {
        let by = self.transaction.wish.deliver_by.filter(|by| by.late == Late::Return);
        by.is_some_and(|by| offers.deliver_by_min_s.is_none_or(|least| by.seconds < least))
    }

    /// Whether the message comes next, by BDAT, when these steps are sent and not yet answered.
    pub(super) fn wants_content(&self, unanswered: &[Step]) -> bool {
        let may = unanswered.is_empty() || self.form == Form::EagerChunks;
        self.next == Next::Content && may
    }

    /// Whether the message goes by BDAT.
    pub(super) fn is_chunked(&self) -> bool {
        self.form != Form::Lines
    }

    /// Whether any octets may be in it.
    pub(super) fn is_binary(&self) -> bool {
        self.transaction.body == BodyKind::BinaryMime
    }

    /// Writes the commands that may be sent now, one, or a group where the next hop takes groups, and what each is.
    pub(super) fn write_group(&mut self, offers: &Offers) -> (Vec<u8>, Vec<Step>) {
        let (mut out, mut steps) = (Vec::new(), Vec::new());
        while let Some(step) = self.write_next(offers, &mut out) {
            steps.push(step);
            if !offers.pipelining || out.len() >= GROUP_OCTETS {
                break;
            }
        }
        (out, steps)
    }

    fn write_next(&mut self, offers: &Offers, out: &mut Vec<u8>) -> Option<Step> {
        match self.next {
            Next::Reset => {
                out.extend_from_slice(b"RSET\r\n");
                self.next = Next::Mail;
                Some(Step::Reset)
            }
            Next::Mail => {
                let mut line = format!("MAIL FROM:{}", self.transaction.sender);
                if offers.size {
                    line.push_str(&format!(" SIZE={}", self.transaction.size_octets));
                }
                line.push_str(match self.transaction.body {
                    BodyKind::SevenBit => "",
                    BodyKind::EightBitMime => " BODY=8BITMIME",
                    BodyKind::BinaryMime => " BODY=BINARYMIME",
                });
                if self.transaction.utf8 {
                    line.push_str(" SMTPUTF8");
                }
                line.push_str(&sender_words(&self.transaction.wish, offers));
                line.push_str("\r\n");
                out.extend_from_slice(line.as_bytes());
                self.next = Next::Recipient(0);
                Some(Step::Mail)
            }
            Next::Recipient(index) => {
                let recipient = self.transaction.recipients.get(index)?;
                let mut line = format!("RCPT TO:<{}>", recipient.address);
                if offers.dsn {
                    let by = self.transaction.wish.deliver_by;
                    let promise_ends =
                        offers.deliver_by_min_s.is_none() && by.is_some_and(is_told_when_late);
                    line.push_str(&recipient_words(&recipient.wish, promise_ends));
                }
                line.push_str("\r\n");
                out.extend_from_slice(line.as_bytes());
                self.next = match index + 1 {
                    further if further < self.transaction.recipients.len() => {
                        Next::Recipient(further)
                    }
                    _ if self.is_chunked() => Next::Content,
                    _ => Next::Data,
                };
                Some(Step::Recipient)
            }
            Next::Data => {
                out.extend_from_slice(b"DATA\r\n");
                self.next = Next::Nothing;
                Some(Step::Data)
            }
            Next::Content | Next::Nothing => None,
        }
    }

    /// Notes the reply to MAIL, DATA, BDAT or the final dot: it counts for every recipient that is not settled yet.
    pub(super) fn answer_all(&mut self, step: Step, reply: Reply) {
        if let Some(outcome) = Outcome::of(step, reply) {
            self.settle(&outcome);
        }
    }

    /// Notes a reply to the final dot in LMTP: it is for the first recipient taken that has none yet.
    pub(super) fn answer_accepted(&mut self, reply: Reply) {
        let accepted = |standing: &&mut Standing| matches!(standing, Standing::Accepted);
        if let Some(standing) = self.standings.iter_mut().find(accepted)
            && let Some(outcome) = Outcome::of(Step::Dot, reply)
        {
            *standing = Standing::Settled(outcome);
        }
    }

    /// How many recipients the server has taken.
    pub(super) fn accepted(&self) -> usize {
        let accepted = |standing: &&Standing| matches!(standing, Standing::Accepted);
        self.standings.iter().filter(accepted).count()
    }

    /// Notes the reply to the next RCPT.
    pub(super) fn answer_recipient(&mut self, reply: Reply) {
        if let Some(standing @ Standing::Unanswered) = self.standings.get_mut(self.answered) {
            *standing =
                Outcome::of(Step::Recipient, reply).map_or(Standing::Accepted, Standing::Settled);
        }
        self.answered += 1;
    }

    /// Settles every recipient that is not settled yet.
    pub(super) fn settle(&mut self, outcome: &Outcome) {
        for standing in &mut self.standings {
            if !matches!(standing, Standing::Settled(_)) {
                *standing = Standing::Settled(outcome.clone());
            }
        }
    }

    /// Whether nothing is left to decide.
    pub(super) fn is_settled(&self) -> bool {
        let settled = |standing: &Standing| matches!(standing, Standing::Settled(_));
        self.standings.iter().all(settled)
    }

    /// The outcomes in the order of the recipients; every one must be settled.
    pub(super) fn into_outcomes(self) -> Vec<Outcome> {
        debug_assert!(self.is_settled(), "{self:?}");
        let outcome = |standing| match standing {
            Standing::Settled(outcome) => Some(outcome),
            Standing::Unanswered | Standing::Accepted => None,
        };
        self.standings.into_iter().filter_map(outcome).collect()
    }
}

/// The parameters of MAIL (RFC 3461 section 5.2.1: as they were received) that a server knows.
fn sender_words(wish: &SenderWish, offers: &Offers) -> String {
    let ret = wish.ret.filter(|_| offers.dsn).map(|ret| format!(" RET={ret}"));
    let envid = wish.envid.as_deref().filter(|_| offers.dsn).map(|it| format!(" ENVID={it}"));
    let priority = wish.priority.filter(|_| offers.priority);
    let priority = priority.map(|level| format!(" MT-PRIORITY={level}"));
    let by = wish.deliver_by.filter(|_| offers.deliver_by_min_s.is_some());
    let by = by.map(|by| format!(" BY={by}"));
    let tls = (wish.require_tls && offers.require_tls).then(|| " REQUIRETLS".to_owned());
    [ret, envid, priority, by, tls].into_iter().flatten().collect()
}

/// Whether the sender is to be told when the message is late, which it is not yet.
fn is_told_when_late(by: DeliverBy) -> bool {
    by.late == Late::Notify && !by.is_over()
}

/// The parameters of RCPT, likewise. `promise_ends`: nobody will tell of a time that is over, so the next server is to tell of
/// delays as it sees them, unless nothing is to be told at all (RFC 2852 section 4.1.4.2).
fn recipient_words(wish: &RecipientWish, promise_ends: bool) -> String {
    let asked = wish.wanted();
    let notify = match wish.notify {
        _ if promise_ends && !asked.is_never() => Some(Notify { delay: true, ..asked }),
        said => said,
    };
    let notify = notify.map(|notify| format!(" NOTIFY={notify}"));
    let orcpt = wish.orcpt.as_deref().map(|orcpt| format!(" ORCPT={orcpt}"));
    notify.into_iter().chain(orcpt).collect()
}
