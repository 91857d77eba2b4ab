//! What the four events of add-ins have to do with the host's stages, and what the bridge keeps for a session between them.
//! Knows no thread and no pointer.

pub(crate) mod command;
pub(crate) mod connect;
pub(crate) mod message;

use std::sync::Arc;

use stagepost_sdk::{AfterEdits, Answer, Fault, Level, Reply, Session};

use crate::arguments::{Arguments, Buffer, InHand};
use crate::bridge::Bridge;
use crate::note::Note;
use crate::reply::{self, Parts, ReplyError};
use crate::seat::Seat;
use crate::status::{ERR_EM_CONTINUE, ERR_HOOK_SMTP_ERROR, ERR_HOOK_SMTP_TRANSIENT, NOERROR};
use crate::visit;

/// Room for a reply or greeting, at least.
const REPLY_OCTETS: usize = 2048;

/// What is kept for a session.
#[derive(Default)]
struct Kept {
    /// None: no add-in knows of the session.
    seat: Option<Arc<Seat>>,
    /// RemoteHost, once it was looked up.
    host: String,
    /// What ended the chain before the event whose end is still to come, for each of three events.
    connect: Option<u16>,
    command: Option<u16>,
    message: Option<u16>,
    /// The message's note, and as it came.
    note: Option<(Arc<InHand>, Note)>,
}

/// The session's place among add-ins, made when there is none.
fn seat(bridge: &Bridge, session: &Session<'_>) -> Result<Arc<Seat>, Fault> {
    // Low digits of a number that only grows: never twice at once, and the same in the log. Never 0, which names none.
    let id = (session.id() as u32).max(1);
    let make = || Arc::new(Seat::new(id, bridge.add_ins.len()));
    Ok(session.slot(|kept: &mut Kept| Arc::clone(kept.seat.get_or_insert_with(make)))?)
}

/// The session is over, or its client is another one from now on.
pub(crate) fn leave(bridge: &'static Bridge, session: &Session<'_>) -> Result<(), Fault> {
    let kept = session.slot(|kept: &mut Kept| std::mem::take(kept))?;
    if let Some(seat) = kept.seat {
        visit::disconnect(bridge, &seat);
    }
    Ok(())
}

/// The answer that refuses: for now, if the add-in says so, else for good.
fn refusal(status: u16, permanent: u16, words: &'static str) -> Answer {
    match status {
        ERR_HOOK_SMTP_TRANSIENT => Answer::defer(451, "4.7.1", "Not now, try again later"),
        _ => Answer::reject(permanent, "5.7.1", words),
    }
}

/// Status in a record after an event: what ended the chain before it, else what the reply says.
fn outcome(ended: Option<u16>, reply: Option<&Reply<'_>>) -> u16 {
    match (ended.filter(|status| *status != ERR_EM_CONTINUE), reply) {
        (Some(status), _) => status,
        (None, Some(reply)) if reply.code >= 500 => ERR_HOOK_SMTP_ERROR,
        (None, Some(reply)) if reply.code >= 400 => ERR_HOOK_SMTP_TRANSIENT,
        _ => NOERROR,
    }
}

/// A reply as an add-in may change it.
fn buffer(reply: &Reply<'_>) -> Buffer {
    let lines = reply::lines(reply);
    Buffer::new(&lines, REPLY_OCTETS.max(lines.len() + 512))
}

/// Which words of a reply are the host's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    /// None.
    Free,
    /// The server's name, which comes first.
    Greeting,
    /// The same, and all lines behind the first.
    Hello,
}

/// Sends what add-ins have made of a reply. What can't be sent is told, and the reply stays.
///
/// - left: what they have made of it, and the last that has.
fn reworded(
    bridge: &Bridge,
    session: &Session<'_>,
    edits: &mut AfterEdits<'_>,
    words: Words,
    left: (Arguments, Option<usize>),
) {
    let (arguments, changed_by) = left;
    let (Some(came), Some(left), Some(add_in)) =
        (edits.reply().copied(), arguments.reply(), changed_by)
    else {
        return;
    };
    let done = match reply::changed(&came, left.text()) {
        Ok(None) => Ok(()),
        Ok(Some(parts)) => set_reply(edits, &came, words, &parts),
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        let name = bridge.name(add_in);
        session.log(Level::Warn, format_args!("add-in {name} changes a reply in vain: {error}"));
    }
}

fn set_reply(
    edits: &mut AfterEdits<'_>,
    came: &Reply<'_>,
    words: Words,
    parts: &Parts,
) -> Result<(), ReplyError> {
    let divided = |text: &str| -> (String, String) {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        (first.to_owned(), rest.to_owned())
    };
    let mut text = parts.text.clone();
    if words == Words::Hello {
        let (first, keywords) = divided(&text);
        if keywords != divided(came.text).1 {
            return Err(ReplyError::Keywords);
        }
        text = first;
    }
    if words != Words::Free {
        // The name is the server's and stays; what follows it is put behind it.
        let name = came.text.split([' ', '\n']).next().unwrap_or_default();
        let behind = text.strip_prefix(name).map(|rest| rest.trim_start().to_owned());
        text = behind.unwrap_or(text);
    }
    let known = came.enhanced.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}"));
    let enhanced = parts.enhanced.as_str();
    let enhanced = if known.is_some_and(|known| known != enhanced) { enhanced } else { "" };
    let code = parts.code.filter(|code| *code != came.code).unwrap_or(0);
    match (code, enhanced, text.as_str()) {
        (0, "", "") => Ok(()),
        (0, "", text) => Ok(edits.reply_text(text)?),
        (code, enhanced, text) => Ok(edits.reply_change(code, enhanced, text)?),
    }
}
