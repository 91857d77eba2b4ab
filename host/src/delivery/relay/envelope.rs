//! The envelope of a queued message as a sending session wants it.
//! Knows no server.

use std::time::SystemTime;

use stagepost_queue::StoredMessage;
use stagepost_smtp::{Addressee, RecipientWish, ReversePath, SenderWish, Transaction, parameter};

use super::error::RelayError;
use crate::delivery::octets::MessageOctets;

/// A transaction as it begins now, with what is left of the message's time.
pub(super) fn in_time(transaction: &Transaction, message: &StoredMessage) -> Transaction {
    let mut transaction = transaction.clone();
    let by = &mut transaction.wish.deliver_by;
    *by = by.map(|by| by.passed_on(message.received_at, SystemTime::now()));
    transaction
}

/// The message's envelope as the sending session wants it; the time that it may take counts from its receipt.
pub(super) async fn transaction(
    message: &StoredMessage,
    recipients: &[u32],
) -> Result<Transaction, RelayError> {
    let addressee = |&index: &u32| {
        let recipient = message.envelope.recipients.get(index as usize);
        let recipient = recipient.ok_or(RelayError::Recipient(index))?;
        let wish = RecipientWish::of(recipient);
        Ok::<_, RelayError>(Addressee { address: recipient.address.clone(), wish })
    };
    let envelope = &message.envelope;
    let recipients: Vec<Addressee> = recipients.iter().map(addressee).collect::<Result<_, _>>()?;
    // Fields in some other character set are older than SMTPUTF8, and servers pass them on without it.
    let fields =
        !message.header.is_ascii() && parameter(&envelope.parameters, "SMTPUTF8").is_some();
    let ascii = if fields { None } else { in_ascii(&envelope.sender, &recipients) };
    let utf8 = ascii.is_none();
    let (sender, recipients) = ascii.unwrap_or_else(|| (envelope.sender.clone(), recipients));
    Ok(Transaction {
        sender,
        wish: SenderWish::of(&envelope.parameters),
        size_octets: MessageOctets::count(message),
        // What the octets are, not what the sender declared: many declare 8BITMIME for all they send, and a next hop
        // without it can take what is plain.
        body: MessageOctets::kind(message).await?,
        utf8,
        recipients,
    })
}

/// The envelope as every server takes it; none: a local part is not ASCII, whoever has put it there.
fn in_ascii(
    sender: &ReversePath,
    recipients: &[Addressee],
) -> Option<(ReversePath, Vec<Addressee>)> {
    let addressee = |known: &Addressee| {
        Some(Addressee { address: known.address.to_ascii()?, wish: known.wish.clone().in_ascii() })
    };
    let recipients = recipients.iter().map(addressee).collect::<Option<_>>()?;
    Some((sender.to_ascii()?, recipients))
}
