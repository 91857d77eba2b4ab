//! EM_SMTPMESSAGEACCEPT: the whole message has come. Add-ins have it as a note; what they change in it is carried over.

use std::io::{Read, Write};
use std::sync::Arc;

use stagepost_sdk::{AfterEdits, Answer, Edits, Fault, MessageAccept, Outcome, Pending, Refusal};

use super::{Kept, Words, buffer, outcome, refusal, reworded, seat};
use crate::arguments::{Arguments, InHand};
use crate::bridge::Bridge;
use crate::note::changes::{self, Change};
use crate::note::{Note, ORIGINATOR, RECIPIENTS};
use crate::registry::{AFTER, BEFORE, MESSAGE_ACCEPT};
use crate::status::{ERR_EM_CONTINUE, NOERROR};
use crate::visit;

/// Before the message is stored:
///
/// - ERR_EM_CONTINUE: it is, as the add-ins have left its note.
/// - NOERROR: it is acknowledged and not stored.
/// - anything else: it is refused.
pub(crate) async fn before(
    bridge: &'static Bridge,
    event: &MessageAccept<'_>,
    edits: &mut Edits<'_>,
    call: &Pending,
) -> Outcome {
    let asked = [BEFORE, AFTER].map(|stage| bridge.registry.chain(MESSAGE_ACCEPT, stage));
    if asked.iter().all(Vec::is_empty) {
        return Ok(Answer::Continue);
    }
    let session = event.session;
    let seat = seat(bridge, &session)?;
    let came = note(event)?;
    let too_many = || Fault::new("add-ins keep too many notes open");
    let in_hand = Arc::new(InHand::new(bridge, came.clone()).ok_or_else(too_many)?);
    session.slot(|kept: &mut Kept| {
        kept.note = Some((Arc::clone(&in_hand), came.clone()));
        kept.message = None;
    })?;
    let arguments =
        Arguments::Message { session: seat.id, note: Some(Arc::clone(&in_hand)), reply: None };
    let (status, _) = visit::ask(bridge, &seat, call, arguments).await?;
    session.slot(|kept: &mut Kept| kept.message = Some(status))?;
    match status {
        ERR_EM_CONTINUE => {
            if let Some(left) = in_hand.note() {
                carry_over(edits, &came, &left)?;
            }
            Ok(Answer::Continue)
        }
        NOERROR => Ok(Answer::Handled),
        status => Ok(refusal(status, 554, "Message rejected")),
    }
}

/// After it was stored, or refused by whomever.
pub(crate) fn after(
    bridge: &'static Bridge,
    event: &MessageAccept<'_>,
    edits: &mut AfterEdits<'_>,
) -> Result<(), Fault> {
    let session = event.session;
    let (ended, note) = session.slot(|kept: &mut Kept| (kept.message.take(), kept.note.take()))?;
    let Some(reply) = edits.reply().copied() else { return Ok(()) };
    if bridge.registry.chain(MESSAGE_ACCEPT, AFTER).is_empty() {
        return Ok(());
    }
    let seat = seat(bridge, &session)?;
    let note = note.map(|(in_hand, _)| in_hand);
    let arguments = Arguments::Message { session: seat.id, note, reply: Some(buffer(&reply)) };
    let left = visit::tell(bridge, &seat, outcome(ended, Some(&reply)), arguments);
    reworded(bridge, &session, edits, Words::Free, left);
    Ok(())
}

/// The message as a note.
fn note(event: &MessageAccept<'_>) -> Result<Note, Fault> {
    let session = event.session;
    let mut body = Vec::with_capacity(usize::try_from(event.octets).unwrap_or(0).min(1 << 20));
    event.message.text().read_to_end(&mut body)?;
    let recipients = session.recipients().map(|path| path.as_bytes().to_vec()).collect();
    let sender = session.sender().unwrap_or_default();
    Ok(Note::of_message(event.message.header()?, body, sender, recipients))
}

/// Has the host make of the message what add-ins have made of its note.
fn carry_over(edits: &mut Edits<'_>, came: &Note, left: &Note) -> Result<(), Fault> {
    for change in changes::between(came, left) {
        match change {
            Change::Delete(name, number) => edits.header_delete(&name, number)?,
            Change::Insert(place, field) => {
                edits.header_insert(place, &field.name, &field.value)?
            }
            Change::Body => edits.body_replace()?.write_all(&left.body)?,
            Change::Sender(path) => {
                edits.sender(bare(&path)?, "").map_err(refused(ORIGINATOR, &path))?;
            }
            Change::AddRecipient(path) => {
                edits.recipient_add(bare(&path)?, "").map_err(refused(RECIPIENTS, &path))?;
            }
            Change::RemoveRecipient(path) => {
                edits.recipient_remove(bare(&path)?).map_err(refused(RECIPIENTS, &path))?;
            }
            Change::Hold(state) => edits.hold(&format!("RoutingState is {state}"))?,
        }
    }
    Ok(())
}

/// What is told of an item that the host does not take as it was left.
fn refused(item: &str, path: &[u8]) -> impl FnOnce(Refusal) -> Fault {
    let left = path[..path.len().min(256)].escape_ascii();
    move |refusal| Fault::new(format_args!("{item} was left as \"{left}\": {refusal}"))
}

/// A path without the brackets that an add-in may have put around it.
fn bare(path: &[u8]) -> Result<&str, Fault> {
    let path = str::from_utf8(path)
        .map_err(|_| Fault::new("an add-in has given a path that is no UTF-8"))?;
    let path = path.trim();
    Ok(path.strip_prefix('<').and_then(|path| path.strip_suffix('>')).unwrap_or(path))
}
