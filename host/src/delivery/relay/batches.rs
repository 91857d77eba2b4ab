//! A message to more recipients than a server takes at a time: one transaction behind the other, over one connection.
//! Knows neither which server it is nor when what it does not take is tried again.

use stagepost_queue::StoredMessage;
use stagepost_smtp::{Outcome, Transaction};

use super::connection::Connection;
use super::envelope::in_time;
use crate::delivery::octets::MessageOctets;

/// The most transactions for one message: a server takes 100 recipients at least (RFC 5321 section 4.5.3.1.8), and a message has
/// 10,000 at most when all aliases are expanded.
const TRANSACTIONS_MAX: usize = 100;

/// Sends a message; one outcome for each of its recipients.
///
/// Those that a server has called too many go in a further transaction at once, and not after a wait that is meant for servers
/// with no room (section 4.5.3.1.10); as long as it takes some of them each time.
///
/// - octets: the message, of which nothing was read.
pub(super) async fn send(
    connection: &mut Connection,
    transaction: &Transaction,
    message: &StoredMessage,
    octets: &mut MessageOctets<'_>,
) -> Vec<Outcome> {
    let mut outcomes = connection.send(in_time(transaction, message), octets).await;
    let mut sent: Vec<usize> = (0..outcomes.len()).collect();
    for _ in 1..TRANSACTIONS_MAX {
        let taken = |&at: &usize| matches!(outcomes[at], Outcome::Delivered(_));
        let some = sent.iter().any(taken);
        sent.retain(|&at| outcomes[at].is_one_too_many());
        if !some || sent.is_empty() || !connection.is_ready() {
            break;
        }
        let recipients = sent.iter().map(|&at| transaction.recipients[at].clone()).collect();
        let rest = Transaction { recipients, ..in_time(transaction, message) };
        let further = connection.send(rest, &mut MessageOctets::new(message)).await;
        sent.iter().zip(further).for_each(|(&at, outcome)| outcomes[at] = outcome);
    }
    outcomes
}
