//! Events by number and by name, and what each allows.
//! The one table where the contract's numbers meet the session's words.

use stagepost_abi as abi;
use stagepost_smtp::{Event, Question, Stage, is_for_session_alone};

/// One row of the table.
struct Row {
    event: Event,
    number: abi::EID,
    /// The descriptor's EM_STAGE_... bit.
    stage_bit: u64,
}

const ROWS: [Row; Event::ALL.len()] = [
    row(Event::Connect, abi::EM_SMTPCONNECT, abi::EM_STAGE_CONNECT),
    row(Event::Command, abi::EM_SMTPCOMMAND, abi::EM_STAGE_COMMAND),
    row(Event::Ehlo, abi::EM_SMTPEHLO, abi::EM_STAGE_EHLO),
    row(Event::StartTls, abi::EM_SMTPSTARTTLS, abi::EM_STAGE_STARTTLS),
    row(Event::Auth, abi::EM_SMTPAUTH, abi::EM_STAGE_AUTH),
    row(Event::Mail, abi::EM_SMTPMAIL, abi::EM_STAGE_MAIL),
    row(Event::Rcpt, abi::EM_SMTPRCPT, abi::EM_STAGE_RCPT),
    row(Event::Data, abi::EM_SMTPDATA, abi::EM_STAGE_DATA),
    row(Event::Headers, abi::EM_SMTPHEADERS, abi::EM_STAGE_HEADERS),
    row(Event::Body, abi::EM_SMTPBODY, abi::EM_STAGE_BODY),
    row(Event::MessageAccept, abi::EM_SMTPMESSAGEACCEPT, abi::EM_STAGE_MESSAGEACCEPT),
    row(Event::Etrn, abi::EM_SMTPETRN, abi::EM_STAGE_ETRN),
    row(Event::Atrn, abi::EM_SMTPATRN, abi::EM_STAGE_ATRN),
    row(Event::Vrfy, abi::EM_SMTPVRFY, abi::EM_STAGE_VRFY),
    row(Event::Rset, abi::EM_SMTPRSET, abi::EM_STAGE_RSET),
    row(Event::Verb, abi::EM_SMTPVERB, abi::EM_STAGE_VERB),
    row(Event::Quit, abi::EM_SMTPQUIT, abi::EM_STAGE_QUIT),
    row(Event::Timeout, abi::EM_SMTPTIMEOUT, abi::EM_STAGE_TIMEOUT),
    row(Event::Disconnect, abi::EM_SMTPDISCONNECT, abi::EM_STAGE_DISCONNECT),
    row(Event::Queue, abi::EM_SMTPQUEUE, abi::EM_STAGE_QUEUE),
    row(Event::Route, abi::EM_SMTPROUTE, abi::EM_STAGE_ROUTE),
    row(Event::Deliver, abi::EM_SMTPDELIVER, abi::EM_STAGE_DELIVER),
    row(Event::Bounce, abi::EM_SMTPBOUNCE, abi::EM_STAGE_BOUNCE),
    row(Event::Expire, abi::EM_SMTPEXPIRE, abi::EM_STAGE_EXPIRE),
];

const fn row(event: Event, number: abi::EID, stage_bit: u64) -> Row {
    Row { event, number, stage_bit }
}

/// The event of a number, with its descriptor bit.
pub(crate) fn by_number(number: abi::EID) -> Option<(Event, u64)> {
    ROWS.iter().find(|row| row.number == number).map(|row| (row.event, row.stage_bit))
}

/// The number of an event.
pub(crate) fn number(event: Event) -> abi::EID {
    ROWS[event as usize].number
}

/// Whether edits of the header block are allowed here: while a transaction is being built, and before the message or
/// notification is queued.
pub(crate) fn takes_header_edits(event: Event, stage: Stage) -> bool {
    let last = matches!(event, Event::Queue | Event::Bounce) && stage == Stage::Before;
    last || takes_message_edits(event, stage)
}

/// Whether a message can be held here: wherever it is one's to be decided about.
pub(crate) fn takes_hold(event: Event, stage: Stage) -> bool {
    let behind = event.is_behind_session() && stage == Stage::Before;
    behind || takes_message_edits(event, stage)
}

/// Whether a message can be dropped here in silence.
pub(crate) fn takes_discard(event: Event, stage: Stage) -> bool {
    let routed = event == Event::Route && stage == Stage::Before;
    routed || takes_message_edits(event, stage)
}

/// Whether all edits of a message are allowed here: while a transaction is being built.
pub(crate) fn takes_message_edits(event: Event, stage: Stage) -> bool {
    let open = matches!(
        event,
        Event::Mail
            | Event::Rcpt
            | Event::Data
            | Event::Headers
            | Event::Body
            | Event::MessageAccept
    );
    open && stage == Stage::Before
}

/// Whether the session goes on behind the reply to a fault here; where it does not, that is 421.
pub(crate) fn goes_on(event: Event) -> bool {
    !matches!(event, Event::Connect | Event::Quit | Event::Timeout)
}

/// The code of the reply to a fault here, when the session goes on.
pub(crate) fn fault_code(event: Event) -> u16 {
    // RFC 3207 section 4 and RFC 4954 section 6: they have one of their own.
    if matches!(event, Event::StartTls | Event::Auth) { 454 } else { 451 }
}

/// Whether *handled* leaves client and server in step at this question.
pub(crate) fn takes_handled(question: &Question) -> bool {
    match question {
        Question::MessageAccept { .. }
        | Question::Etrn { .. }
        | Question::Atrn { .. }
        | Question::Vrfy { .. }
        | Question::Verb { .. }
        | Question::Queue { .. }
        | Question::Deliver { .. }
        | Question::Bounce(_)
        | Question::Expire { .. } => true,
        // By the others the client finds out that the server has no keys of its own.
        Question::Auth { mechanism, .. } => mechanism.shows_password(),
        Question::Command { line } => !is_for_session_alone(line),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_events() {
        for (event, row) in Event::ALL.into_iter().zip(&ROWS) {
            assert_eq!(event, row.event);
            assert_eq!(by_number(number(event)), Some((event, row.stage_bit)));
        }
        assert_eq!(by_number(1), None);
    }

    #[test]
    fn handled_is_for_commands_that_change_nothing() {
        let command = |line: &[u8]| takes_handled(&Question::Command { line: line.into() });
        for line in [&b"VRFY x"[..], b"XFOO", b"NOOP", b"DATABASE", b"DATA\t"] {
            assert!(command(line), "{line:?}");
        }
        for line in [
            &b"data"[..],
            b"DATA",
            b"BDAT 5",
            b"Auth PLAIN",
            b"STARTTLS",
            b"xclient ADDR=192.0.2.1",
            b"ATRN x",
            b"RCPT TO:<a@b>",
            b"quit",
            b"RSET",
        ] {
            assert!(!command(line), "{line:?}");
        }
        assert!(!takes_handled(&Question::Data { chunk: None }));
        assert!(takes_handled(&Question::MessageAccept { octets: 0 }));
    }
}
