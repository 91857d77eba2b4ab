//! What the queue's part of the admin API answers, as JSON. A later version only adds fields.
//! Knows neither who asks nor how it looks to a person.

use std::time::{Duration, SystemTime};

use super::lane::LaneStatus;
use crate::delivery::Lanes;
use serde::{Deserialize, Serialize};
use stagepost_queue::{
    Count, Counts, Destinations, Inspection, Mark, MeantPage, Page, QueueId, QueueName,
    RecipientState,
};
use stagepost_smtp::{Change, LedgerEntry, Recipient, ReversePath, Span, as_it_came};

/// Some messages of the queue, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessagePage {
    /// The messages.
    pub(crate) messages: Vec<MessageLine>,
    /// There are more: they come behind this.
    pub(crate) next: Option<String>,
}

/// One message of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageLine {
    /// Its id.
    pub(crate) id: String,
    /// When it was taken over (RFC 3339).
    pub(crate) received_at: String,
    /// Octets of header block and body.
    pub(crate) octets: u64,
    /// Its sender, empty for the null path.
    pub(crate) sender: String,
    /// Recipients to be tried.
    pub(crate) queued: u64,
    /// Recipients on hold.
    pub(crate) held: u64,
    /// When the next of them is due (RFC 3339).
    pub(crate) due: Option<String>,
    /// Why one of them was last not delivered: a reply, or the reason of a hold, which may be over.
    pub(crate) reply: String,
    /// Changes that plug-ins made.
    pub(crate) edits: u64,
    /// The tags that plug-ins marked it with.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// Why it can't be read; all else is unknown then.
    pub(crate) damaged: Option<String>,
}

/// Everything that is known of one message but its octets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageReport {
    /// Its id.
    pub(crate) id: String,
    /// When it was taken over (RFC 3339).
    pub(crate) received_at: String,
    /// Octets of header block and body.
    pub(crate) octets: u64,
    /// The client's address.
    pub(crate) client: String,
    /// The name it gave.
    pub(crate) helo: String,
    /// The session's id.
    pub(crate) session: u64,
    /// Sender and recipients as the client gave them.
    pub(crate) came: Envelope,
    /// Sender and recipients as they are, with those that are done with.
    pub(crate) is: Envelope,
    /// The tags that plug-ins marked it with.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// What is left to do, and what is done, in the order of the recipients that there are.
    pub(crate) recipients: Vec<RecipientLine>,
    /// What plug-ins changed, in the order of the changes; none: it can't be read.
    pub(crate) ledger: Option<Vec<LedgerLine>>,
}

/// Sender and recipients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    /// Empty for the null path.
    pub(crate) sender: String,
    /// Those of MAIL.
    pub(crate) parameters: String,
    /// The recipients.
    pub(crate) recipients: Vec<EnvelopeRecipient>,
}

/// A recipient and the parameters of its RCPT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EnvelopeRecipient {
    /// The address.
    pub(crate) address: String,
    /// Those of RCPT.
    pub(crate) parameters: String,
}

/// One recipient and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecipientLine {
    /// The address.
    pub(crate) address: String,
    /// `queued`, `held` or `done`.
    pub(crate) state: String,
    /// Where to, as long as it is not done.
    pub(crate) destination: Option<String>,
    /// The queue that it is in, as long as it is not done and if it is in one that has a name.
    #[serde(default)]
    pub(crate) queue: Option<String>,
    /// The route that an operator has chosen for it.
    #[serde(default)]
    pub(crate) route: Option<String>,
    /// When it is due (RFC 3339), if it is queued.
    pub(crate) due: Option<String>,
    /// How often it was tried, as long as it is not done.
    pub(crate) attempts: Option<u32>,
    /// Why it was last not delivered: a reply, or the reason of a hold, which may be over.
    pub(crate) reply: String,
}

/// One change that a plug-in made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerLine {
    /// Who.
    pub(crate) plugin: String,
    /// At which event.
    pub(crate) event: String,
    /// `before` or `after`.
    pub(crate) stage: String,
    /// When (RFC 3339).
    pub(crate) at: String,
    /// How long the handler took, in microseconds, if it was measured.
    pub(crate) spent_us: Option<u64>,
    /// What: `header_add`, `header_change`, `header_delete`, `sender`, `recipient_add`, `recipient_remove`,
    /// `recipient_replace`, `command`, `body`, `tag`, `hold`.
    pub(crate) what: String,
    /// The place: fields before a header field, recipients before a recipient, octets before a part of the body.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) position: Option<u64>,
    /// What there was: a whole field with its last CRLF, an address, a digest (`sha256:` and hexadecimal).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) from: Option<Octets>,
    /// What there is now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) to: Option<Octets>,
    /// Parameters of MAIL or RCPT that went.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) from_parameters: Option<String>,
    /// Parameters of MAIL or RCPT that came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) to_parameters: Option<String>,
    /// Octets of the body that went.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) from_octets: Option<u64>,
    /// Octets of the body that came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) to_octets: Option<u64>,
}

/// Octets in JSON: text where they are UTF-8, else `{"hex": "..."}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Octets {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Hex {
        /// Two digits for each octet.
        hex: String,
    },
}

/// What an order came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Which mail was meant, as it was written.
    pub(crate) of: String,
    /// How many deliveries were changed.
    pub(crate) count: u64,
}

/// One line about an order that is being carried out; one with neither `of` nor `error` is not the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Progress {
    /// It could not be carried out to its end.
    Failed {
        /// How many deliveries were changed.
        count: u64,
        /// What is wrong.
        error: String,
        /// What to do about it.
        remedy: String,
    },
    /// It was.
    Done(Done),
    /// It is under way.
    Under {
        /// How many deliveries were changed so far.
        count: u64,
    },
}

/// What waits for a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DestinationReport {
    /// A domain, with `@` before it a domain and everything below, or with `#` before it a queue.
    pub(crate) destination: String,
    /// Deliveries to be tried.
    pub(crate) queued: u64,
    /// Deliveries of which all recipients are on hold.
    pub(crate) held: u64,
    /// Octets of both.
    pub(crate) octets: u64,
    /// How its servers stand; none of a queue, and of destinations counted together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) lane: Option<LaneStatus>,
}

/// What waits for destinations and in queues, each by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DestinationPage {
    /// Queues with a name first, then destinations in the order of their labels from the last to the first; or, where those
    /// with the most mail were asked for, these in the order of that.
    pub(crate) destinations: Vec<DestinationReport>,
    /// There are more: they come behind this one.
    pub(crate) next: Option<String>,
    /// Of those with the most mail: so many others have some too.
    #[serde(skip_serializing_if = "is_none", default)]
    pub(crate) others: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl DestinationReport {
    pub(crate) fn new(destination: String, Count { queued, held, octets }: Count) -> Self {
        Self { destination, queued, held, octets, lane: None }
    }
}

impl DestinationPage {
    /// A page of what waits, with how the lanes of the destinations stand.
    pub(crate) fn new(counts: &Counts, lanes: &Lanes) -> Self {
        let name = |place: &Destinations| match place {
            Destinations::One(name) => name.to_string(),
            Destinations::Below(name) => format!("@{name}"),
            Destinations::Queue(name) => format!("#{name}"),
            Destinations::All => "@".to_owned(),
        };
        let last = counts.places.last().filter(|_| counts.more);
        Self {
            next: last.map(|(place, _)| name(place)),
            others: 0,
            destinations: counts
                .places
                .iter()
                .map(|(place, count)| DestinationReport {
                    lane: match place {
                        Destinations::One(name) => Some(lanes.report(name).into()),
                        _ => None,
                    },
                    ..DestinationReport::new(name(place), *count)
                })
                .collect(),
        }
    }
}

/// Which mail an order is for, and what it needs: one of `destination`, `sender` and `id`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OrderRequest {
    /// A domain, with `@` before it a domain and everything below, or with `#` before it a queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) destination: Option<String>,
    /// An address, with `@` before it a domain and everything below, or `<>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sender: Option<String>,
    /// A message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Of a hold: why, for whoever looks at the queue; of a removal with `bounce`: why, for the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Of a removal: senders are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bounce: Option<bool>,
    /// Of a requeueing: the route, as it is written in the configuration; none: that of each destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
}

impl From<&[u8]> for Octets {
    fn from(octets: &[u8]) -> Self {
        match std::str::from_utf8(octets) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex { hex: hex(octets) },
        }
    }
}

impl From<&Page> for MessagePage {
    fn from(page: &Page) -> Self {
        let last = page.messages.last().filter(|_| page.more);
        Self {
            messages: page.messages.iter().map(line).collect(),
            next: last.map(|(id, _)| id.to_string()),
        }
    }
}

impl From<&MeantPage> for MessagePage {
    fn from(page: &MeantPage) -> Self {
        Self {
            messages: page.messages.iter().map(line).collect(),
            next: page.next.as_ref().map(Mark::to_string),
        }
    }
}

fn line((id, found): &(QueueId, Result<Inspection, std::sync::Arc<str>>)) -> MessageLine {
    let message = match found {
        Ok(message) => message,
        Err(reason) => {
            let damaged = Some(reason.to_string());
            return MessageLine { id: id.to_string(), damaged, ..MessageLine::default() };
        }
    };
    let left = || message.deliveries.iter().flat_map(|delivery| &delivery.recipients);
    let held = left().filter(|recipient| recipient.held).count() as u64;
    let queued = |recipient: &RecipientState| !recipient.held;
    let due = message.deliveries.iter().filter(|delivery| delivery.recipients.iter().any(queued));
    MessageLine {
        id: id.to_string(),
        received_at: time(message.received_at),
        octets: message.octets,
        sender: message.envelope.sender.as_str().to_owned(),
        queued: left().count() as u64 - held,
        held,
        due: due.map(|delivery| delivery.due).min().map(time),
        reply: left()
            .map(|recipient| &*recipient.reply)
            .find(|it| !it.is_empty())
            .unwrap_or("")
            .into(),
        edits: message.ledger.as_ref().map_or(0, |ledger| ledger.len() as u64),
        tags: tags(message),
        damaged: None,
    }
}

fn tags(message: &Inspection) -> Vec<String> {
    let tag = |entry: &LedgerEntry| match &entry.change {
        Change::Tag { name } => Some(name.to_string()),
        _ => None,
    };
    message.ledger.iter().flatten().filter_map(tag).collect()
}

impl From<&Inspection> for MessageReport {
    fn from(message: &Inspection) -> Self {
        let ledger = message.ledger.as_deref();
        Self {
            id: message.id.to_string(),
            received_at: time(message.received_at),
            octets: message.octets,
            client: message.origin.client.to_string(),
            helo: message.origin.helo.to_string(),
            session: message.origin.session,
            came: envelope(&as_it_came(&message.envelope, ledger.unwrap_or_default())),
            is: envelope(&message.envelope),
            tags: tags(message),
            recipients: (0..)
                .zip(&message.envelope.recipients)
                .map(|it| recipient(message, it))
                .collect(),
            ledger: ledger.map(|ledger| ledger.iter().map(LedgerLine::from).collect()),
        }
    }
}

fn envelope(envelope: &stagepost_smtp::Envelope) -> Envelope {
    let recipient = |Recipient { address, parameters }: &Recipient| EnvelopeRecipient {
        address: address.as_str().to_owned(),
        parameters: parameters.to_string(),
    };
    Envelope {
        sender: envelope.sender.as_str().to_owned(),
        parameters: envelope.parameters.to_string(),
        recipients: envelope.recipients.iter().map(recipient).collect(),
    }
}

fn recipient(message: &Inspection, (index, known): (u32, &Recipient)) -> RecipientLine {
    let left = message.deliveries.iter().find_map(|delivery| {
        let state = delivery.recipients.iter().find(|state| state.index == index)?;
        Some((delivery, state))
    });
    let address = known.address.as_str().to_owned();
    let Some((delivery, state)) = left else {
        let (state, reply) = ("done".to_owned(), String::new());
        return RecipientLine {
            address,
            state,
            destination: None,
            queue: None,
            route: None,
            due: None,
            attempts: None,
            reply,
        };
    };
    RecipientLine {
        address,
        state: if state.held { "held" } else { "queued" }.to_owned(),
        destination: Some(delivery.destination.to_string()),
        queue: delivery.queue.as_ref().map(QueueName::to_string),
        route: delivery.route.as_deref().map(str::to_owned),
        due: (!state.held).then(|| time(delivery.due)),
        attempts: Some(delivery.attempts),
        reply: state.reply.to_string(),
    }
}

impl From<&LedgerEntry> for LedgerLine {
    fn from(LedgerEntry { plugin, made, change }: &LedgerEntry) -> Self {
        let base = Self {
            plugin: plugin.to_string(),
            event: made.event.name().to_owned(),
            stage: made.stage.name().to_owned(),
            at: time(made.at),
            spent_us: made.spent.map(micros),
            ..Self::default()
        };
        let text = |text: &str| Some(Octets::Text(text.to_owned()));
        let path = |path: &ReversePath| text(path.as_str());
        let what = |what: &str| what.to_owned();
        match change {
            Change::Header { position, from, to } => Self {
                what: what(header_word(from.is_some(), to.is_some())),
                position: Some((*position).into()),
                from: from.as_deref().map(Octets::from),
                to: to.as_deref().map(Octets::from),
                ..base
            },
            Change::Sender { from, to, parameters } => Self {
                what: what("sender"),
                from: path(from),
                to: path(to),
                from_parameters: parameters.as_ref().map(|it| it.from.text.to_string()),
                to_parameters: parameters.as_ref().map(|it| it.to.text.to_string()),
                ..base
            },
            Change::RecipientAdded { index, recipient } => Self {
                what: what("recipient_add"),
                position: Some((*index).into()),
                to: text(recipient.address.as_str()),
                to_parameters: Some(recipient.parameters.to_string()),
                ..base
            },
            Change::RecipientRemoved { index, recipient } => Self {
                what: what("recipient_remove"),
                position: Some((*index).into()),
                from: text(recipient.address.as_str()),
                from_parameters: Some(recipient.parameters.to_string()),
                ..base
            },
            Change::RecipientReplaced { index, from, to } => Self {
                what: what("recipient_replace"),
                position: Some((*index).into()),
                from: text(from.address.as_str()),
                to: text(to.address.as_str()),
                from_parameters: Some(from.parameters.to_string()),
                to_parameters: Some(to.parameters.to_string()),
                ..base
            },
            Change::Body { offset, from, to } => Self {
                what: what("body"),
                position: Some(*offset),
                from: text(&digest(from)),
                to: text(&digest(to)),
                from_octets: Some(from.octets),
                to_octets: Some(to.octets),
                ..base
            },
            Change::Command { from, to } => {
                Self { what: what("command"), from: text(from), to: text(to), ..base }
            }
            Change::Tag { name } => Self { what: what("tag"), to: text(name), ..base },
            Change::Hold { reason } => Self { what: what("hold"), to: text(reason), ..base },
        }
    }
}

/// What was done to a header field: whether it was there before, and whether it is after.
fn header_word(was: bool, is: bool) -> &'static str {
    match (was, is) {
        (false, _) => "header_add",
        (_, false) => "header_delete",
        _ => "header_change",
    }
}

fn micros(spent: Duration) -> u64 {
    u64::try_from(spent.as_micros()).unwrap_or(u64::MAX)
}

fn digest(span: &Span) -> String {
    format!("sha256:{}", hex(&span.sha256))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A time as RFC 3339 has it, in UTC.
pub(super) fn time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or_default().to_string()
}
