//! EM_SMTPCOMMAND: a command line has come.

use stagepost_sdk::{AfterEdits, Answer, Command, Edits, Fault, Outcome, Pending};

use super::{Kept, Words, buffer, outcome, refusal, reworded, seat};
use crate::arguments::{Arguments, Buffer};
use crate::bridge::Bridge;
use crate::registry::{AFTER, BEFORE, COMMAND};
use crate::status::{ERR_EM_CONTINUE, NOERROR};
use crate::visit;

/// Room for a command line: that of RFC 5321 section 4.5.3.1.4 and of the extensions, and what add-ins put in its place.
const COMMAND_OCTETS: usize = 2048;

/// Before the line is parsed:
///
/// - ERR_EM_CONTINUE: it is carried out, as the add-ins have left it.
/// - NOERROR: it is not, and answered 250. A fault for commands that change what comes next.
/// - anything else: it is refused.
pub(crate) async fn before(
    bridge: &'static Bridge,
    event: &Command<'_>,
    edits: &mut Edits<'_>,
    call: &Pending,
) -> Outcome {
    if bridge.registry.chain(COMMAND, BEFORE).is_empty() {
        return Ok(Answer::Continue);
    }
    let session = event.session;
    let seat = seat(bridge, &session)?;
    let command = Buffer::new(event.line, COMMAND_OCTETS.max(event.line.len() + 512));
    let came = command.text().to_owned();
    let arguments = Arguments::Command { session: seat.id, command, reply: None };
    let (status, arguments) = visit::ask(bridge, &seat, call, arguments).await?;
    session.slot(|kept: &mut Kept| kept.command = Some(status))?;
    let Arguments::Command { command, .. } = arguments else { return Ok(Answer::Continue) };
    match status {
        ERR_EM_CONTINUE => {
            if command.text() != came {
                edits.command_replace(without_line_end(command.text()))?;
            }
            Ok(Answer::Continue)
        }
        NOERROR => Ok(Answer::Handled),
        status => Ok(refusal(status, 554, "Command rejected")),
    }
}

/// After the reply is composed, whoever composed it.
pub(crate) fn after(
    bridge: &'static Bridge,
    event: &Command<'_>,
    edits: &mut AfterEdits<'_>,
) -> Result<(), Fault> {
    if bridge.registry.chain(COMMAND, AFTER).is_empty() {
        return Ok(());
    }
    let session = event.session;
    let ended = session.slot(|kept: &mut Kept| kept.command.take())?;
    let Some(reply) = edits.reply().copied() else { return Ok(()) };
    let seat = seat(bridge, &session)?;
    let arguments = Arguments::Command {
        session: seat.id,
        command: Buffer::new(event.line, COMMAND_OCTETS.max(event.line.len() + 1)),
        reply: Some(buffer(&reply)),
    };
    let left = visit::tell(bridge, &seat, outcome(ended, Some(&reply)), arguments);
    reworded(bridge, &session, edits, words(event.line, reply.code), left);
    Ok(())
}

/// Whose words the reply to a command has.
fn words(line: &[u8], code: u16) -> Words {
    let verb = line.get(..4).unwrap_or_default();
    let hello = verb.eq_ignore_ascii_case(b"EHLO") || verb.eq_ignore_ascii_case(b"HELO");
    if hello && code == 250 { Words::Hello } else { Words::Free }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
