//! How an edit ledger is encoded inside the row of its message.
//! Knows no engine. What an older or newer server wrote and this one can't read is told, and keeps no mail from going out.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stagepost_smtp::{
    BodyKind, Change, Event, LedgerEntry, Made, MailParameters, ParametersChange, Recipient,
    ReversePath, Span, Stage,
};

use super::record::{from_ms, to_ms};
use super::row::{Reader, RecordError, Writer};

const VERSION: u8 = 1;
/// A time that was not measured.
const NOT_MEASURED: u64 = u64::MAX;

// The kinds of changes. 5 was a replacement without parameters.
const HEADER: u8 = 1;
const SENDER: u8 = 2;
const RECIPIENT_ADDED: u8 = 3;
const RECIPIENT_REMOVED: u8 = 4;
const RECIPIENT_REPLACED: u8 = 10;
const BODY: u8 = 6;
const HOLD: u8 = 7;
const COMMAND: u8 = 8;
const TAG: u8 = 9;

/// Encodes a ledger; an empty one is nothing.
pub(crate) fn encode(ledger: &[LedgerEntry]) -> Vec<u8> {
    if ledger.is_empty() {
        return Vec::new();
    }
    let mut row = Writer::new(VERSION, 128 * ledger.len());
    row.u32(ledger.len() as u32);
    for LedgerEntry { plugin, made, change } in ledger {
        row.text(plugin);
        // By name: numbers of events are this build's own.
        row.text(made.event.name());
        row.flag(made.stage == Stage::After);
        row.u64(to_ms(made.at));
        row.u64(made.spent.map_or(NOT_MEASURED, |spent| spent.as_micros().min(1 << 60) as u64));
        write_change(&mut row, change);
    }
    row.end()
}

/// Reads a ledger.
pub(crate) fn decode(octets: &[u8]) -> Result<Vec<LedgerEntry>, RecordError> {
    if octets.is_empty() {
        return Ok(Vec::new());
    }
    let (_, mut row) = Reader::new(octets, VERSION)?;
    let mut plugins: Vec<Arc<str>> = Vec::new();
    // An entry has 30 octets at least: a greater count can't be true.
    let entries = row.list(30, |row| {
        let name = row.text()?;
        let plugin = match plugins.iter().find(|known| ***known == *name) {
            Some(known) => known.clone(),
            None => {
                plugins.push(name.into());
                plugins[plugins.len() - 1].clone()
            }
        };
        let event = row.text()?;
        let event = Event::ALL.into_iter().find(|known| known.name() == &*event);
        let event = event.ok_or(RecordError::Value)?;
        let stage = if row.flag()? { Stage::After } else { Stage::Before };
        let at: SystemTime = from_ms(row.u64()?);
        let spent = match row.u64()? {
            NOT_MEASURED => None,
            micros => Some(Duration::from_micros(micros)),
        };
        let made = Made { event, stage, at, spent };
        Ok(LedgerEntry { plugin, made, change: read_change(row)? })
    })?;
    row.end(entries)
}

fn write_change(row: &mut Writer, change: &Change) {
    match change {
        Change::Header { position, from, to } => {
            row.u8(HEADER);
            row.u32(*position);
            for field in [from, to] {
                row.flag(field.is_some());
                if let Some(field) = field {
                    row.block(field);
                }
            }
        }
        Change::Sender { from, to, parameters } => {
            row.u8(SENDER);
            row.reverse_path(from);
            row.reverse_path(to);
            row.flag(parameters.is_some());
            if let Some(changed) = parameters {
                for parameters in [&changed.from, &changed.to] {
                    row.text(&parameters.text);
                    row.body_kind(parameters.body);
                }
            }
        }
        Change::RecipientAdded { index, recipient } => {
            write_recipient(row, RECIPIENT_ADDED, *index, recipient);
        }
        Change::RecipientRemoved { index, recipient } => {
            write_recipient(row, RECIPIENT_REMOVED, *index, recipient);
        }
        Change::RecipientReplaced { index, from, to } => {
            write_recipient(row, RECIPIENT_REPLACED, *index, from);
            row.text(to.address.as_str());
            row.text(&to.parameters);
        }
        Change::Body { offset, from, to } => {
            row.u8(BODY);
            row.u64(*offset);
            for span in [from, to] {
                row.u64(span.octets);
                row.block(&span.sha256);
            }
        }
        Change::Command { from, to } => {
            row.u8(COMMAND);
            row.text(from);
            row.text(to);
        }
        Change::Tag { name } => {
            row.u8(TAG);
            row.text(name);
        }
        Change::Hold { reason } => {
            row.u8(HOLD);
            row.text(reason);
        }
    }
}

fn write_recipient(row: &mut Writer, kind: u8, index: u32, recipient: &Recipient) {
    row.u8(kind);
    row.u32(index);
    row.text(recipient.address.as_str());
    row.text(&recipient.parameters);
}

fn read_change(row: &mut Reader<'_>) -> Result<Change, RecordError> {
    Ok(match row.u8()? {
        HEADER => {
            Change::Header { position: row.u32()?, from: read_field(row)?, to: read_field(row)? }
        }
        SENDER => {
            let (from, to): (ReversePath, ReversePath) = (row.reverse_path()?, row.reverse_path()?);
            let parameters = if row.flag()? {
                let (from, to) = (read_parameters(row)?, read_parameters(row)?);
                Some(Box::new(ParametersChange { from, to }))
            } else {
                None
            };
            Change::Sender { from, to, parameters }
        }
        RECIPIENT_ADDED => {
            Change::RecipientAdded { index: row.u32()?, recipient: read_recipient(row)? }
        }
        RECIPIENT_REMOVED => {
            Change::RecipientRemoved { index: row.u32()?, recipient: read_recipient(row)? }
        }
        RECIPIENT_REPLACED => Change::RecipientReplaced {
            index: row.u32()?,
            from: read_recipient(row)?,
            to: read_recipient(row)?,
        },
        BODY => Change::Body { offset: row.u64()?, from: read_span(row)?, to: read_span(row)? },
        COMMAND => Change::Command { from: row.text()?, to: row.text()? },
        TAG => Change::Tag { name: row.text()? },
        HOLD => Change::Hold { reason: row.text()? },
        _ => return Err(RecordError::Value),
    })
}

fn read_field(row: &mut Reader<'_>) -> Result<Option<Box<[u8]>>, RecordError> {
    Ok(if row.flag()? { Some(row.block()?.into()) } else { None })
}

fn read_parameters(row: &mut Reader<'_>) -> Result<MailParameters, RecordError> {
    let (text, body): (Box<str>, BodyKind) = (row.text()?, row.body_kind()?);
    Ok(MailParameters { text, body })
}

fn read_recipient(row: &mut Reader<'_>) -> Result<Recipient, RecordError> {
    Ok(Recipient { address: row.address()?, parameters: row.text()? })
}

fn read_span(row: &mut Reader<'_>) -> Result<Span, RecordError> {
    let octets = row.u64()?;
    let sha256 = row.block()?.try_into().map_err(|_| RecordError::Value)?;
    Ok(Span { octets, sha256 })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use stagepost_smtp::Address;

    use super::*;

    fn address() -> impl Strategy<Value = Address> {
        "[a-z]{1,10}@[a-z]{1,10}\\.example".prop_map(|text| Address::parse(&text).unwrap())
    }

    fn sender() -> impl Strategy<Value = ReversePath> {
        option::of(address()).prop_map(|it| it.map_or(ReversePath::Null, ReversePath::Address))
    }

    fn text() -> impl Strategy<Value = Box<str>> {
        "\\PC{0,30}".prop_map(Into::into)
    }

    fn recipient() -> impl Strategy<Value = Recipient> {
        (address(), text()).prop_map(|(address, parameters)| Recipient { address, parameters })
    }

    fn parameters() -> impl Strategy<Value = MailParameters> {
        (text(), any::<bool>()).prop_map(|(text, eight)| {
            let body = if eight { BodyKind::EightBitMime } else { BodyKind::SevenBit };
            MailParameters { text, body }
        })
    }

    fn field() -> impl Strategy<Value = Option<Box<[u8]>>> {
        option::of(any::<Vec<u8>>().prop_map(Into::into))
    }

    fn span() -> impl Strategy<Value = Span> {
        any::<(u64, [u8; 32])>().prop_map(|(octets, sha256)| Span { octets, sha256 })
    }

    fn change() -> impl Strategy<Value = Change> {
        let index = any::<u32>;
        let both = option::of((parameters(), parameters()));
        let both = both.prop_map(|it| it.map(|(from, to)| Box::new(ParametersChange { from, to })));
        prop_oneof![
            (index(), field(), field()).prop_map(|(position, from, to)| Change::Header {
                position,
                from,
                to
            }),
            (sender(), sender(), both).prop_map(|(from, to, parameters)| Change::Sender {
                from,
                to,
                parameters
            }),
            (index(), recipient())
                .prop_map(|(index, recipient)| Change::RecipientAdded { index, recipient }),
            (index(), recipient())
                .prop_map(|(index, recipient)| Change::RecipientRemoved { index, recipient }),
            (index(), recipient(), recipient())
                .prop_map(|(index, from, to)| Change::RecipientReplaced { index, from, to }),
            (any::<u64>(), span(), span()).prop_map(|(offset, from, to)| Change::Body {
                offset,
                from,
                to
            }),
            text().prop_map(|reason| Change::Hold { reason }),
            text().prop_map(|name| Change::Tag { name }),
            (text(), text()).prop_map(|(from, to)| Change::Command { from, to }),
        ]
    }

    fn entry() -> impl Strategy<Value = LedgerEntry> {
        let event = 0..Event::ALL.len();
        let times = (0..1u64 << 55, option::of(0..1u64 << 60));
        ("[a-z]{1,9}", event, any::<bool>(), times, change()).prop_map(
            |(plugin, event, after, (at, spent), change)| LedgerEntry {
                plugin: plugin.into(),
                made: Made {
                    event: Event::ALL[event],
                    stage: if after { Stage::After } else { Stage::Before },
                    at: from_ms(at),
                    spent: spent.map(Duration::from_micros),
                },
                change,
            },
        )
    }

    proptest! {
        #[test]
        fn ledgers_come_back_as_they_were(ledger in vec(entry(), 0..8)) {
            let octets = encode(&ledger);
            prop_assert_eq!(octets.is_empty(), ledger.is_empty());
            prop_assert_eq!(decode(&octets), Ok(ledger));
        }

        #[test]
        fn random_octets_are_refused_without_panic(mut octets in any::<Vec<u8>>()) {
            octets.insert(0, VERSION);
            let crc = crc32c::crc32c(&octets);
            octets.extend_from_slice(&crc.to_be_bytes());
            let _ = decode(&octets);
        }
    }
}
