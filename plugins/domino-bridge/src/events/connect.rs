//! EM_SMTPCONNECT: a client has connected.

use stagepost_sdk::{AfterEdits, Answer, Connect, DnsError, Edits, Fault, Outcome, Pending};

use super::{Kept, Words, buffer, leave, outcome, refusal, reworded, seat};
use crate::arguments::{Arguments, Buffer};
use crate::bridge::Bridge;
use crate::registry::{AFTER, BEFORE, CONNECT};
use crate::status::{ERR_EM_CONTINUE, NOERROR};
use crate::visit;

/// Room for an address, and for a name, as MAXPATH has it.
const IP_OCTETS: usize = 64;
const NAME_OCTETS: usize = 256;

/// Before the server's own controls:
///
/// - ERR_EM_CONTINUE: they run.
/// - NOERROR: they are skipped, relaying and lists; whether the client may relay is what PossibleRelay was left as.
/// - anything else: the client is refused, and so is every command of it.
pub(crate) async fn before(
    bridge: &'static Bridge,
    event: &Connect<'_>,
    edits: &mut Edits<'_>,
    call: &Pending,
) -> Outcome {
    let session = event.session;
    // A proxy has told of another client: for add-ins the one before is gone.
    leave(bridge, &session)?;
    let seat = seat(bridge, &session)?;
    let asked = [BEFORE, AFTER].map(|stage| bridge.registry.chain(CONNECT, stage));
    if asked.iter().all(Vec::is_empty) {
        return Ok(Answer::Continue);
    }
    let at_first = possible_relay(bridge, &session);
    let host = host_name(event, call).await;
    session.slot(|kept: &mut Kept| kept.host.clone_from(&host))?;
    let arguments = Arguments::Connect {
        session: seat.id,
        ip: Buffer::new(event.remote_ip.as_bytes(), IP_OCTETS),
        host: Buffer::new(host.as_bytes(), NAME_OCTETS),
        possible_relay: at_first.into(),
        greeting: None,
    };
    let (status, arguments) = visit::ask(bridge, &seat, call, arguments).await?;
    session.slot(|kept: &mut Kept| kept.connect = Some(status))?;
    let Arguments::Connect { possible_relay, .. } = arguments else { return Ok(Answer::Continue) };
    let possible_relay = possible_relay != 0;
    let flag = if possible_relay { "1" } else { "0" };
    match status {
        ERR_EM_CONTINUE => {
            if possible_relay != at_first {
                edits.attribute("possible_relay", flag)?;
            }
            Ok(Answer::Continue)
        }
        NOERROR => {
            edits.attribute("possible_relay", flag)?;
            edits.attribute("skip_lists", "1")?;
            if !possible_relay {
                edits.grant_relay()?;
            }
            Ok(Answer::Continue)
        }
        status => Ok(refusal(status, 554, "Access denied")),
    }
}

/// After the greeting is composed, which may be changed in place.
pub(crate) fn after(
    bridge: &'static Bridge,
    event: &Connect<'_>,
    edits: &mut AfterEdits<'_>,
) -> Result<(), Fault> {
    let session = event.session;
    let seat = seat(bridge, &session)?;
    let (ended, host) =
        session.slot(|kept: &mut Kept| (kept.connect.take(), std::mem::take(&mut kept.host)))?;
    let Some(reply) = edits.reply().copied() else { return Ok(()) };
    if bridge.registry.chain(CONNECT, AFTER).is_empty() {
        return Ok(());
    }
    let arguments = Arguments::Connect {
        session: seat.id,
        ip: Buffer::new(event.remote_ip.as_bytes(), IP_OCTETS),
        host: Buffer::new(host.as_bytes(), NAME_OCTETS),
        possible_relay: possible_relay(bridge, &session).into(),
        greeting: Some(buffer(&reply)),
    };
    let status = outcome(ended, Some(&reply));
    let left = visit::tell(bridge, &seat, status, arguments);
    // A client that is turned away is not told who does so.
    let words = if reply.code == 220 { Words::Greeting } else { Words::Free };
    reworded(bridge, &session, edits, words, left);
    Ok(())
}

/// PossibleRelay, as plug-ins before the bridge or the configuration have it.
fn possible_relay(bridge: &Bridge, session: &stagepost_sdk::Session<'_>) -> bool {
    match session.attribute("possible_relay") {
        Some(flag) => flag == "1",
        None => bridge.settings().possible_relay && !session.relay_granted(),
    }
}

/// RemoteHost: what a trusted proxy has told, else what the address's owner says; empty when nobody does.
async fn host_name(event: &Connect<'_>, call: &Pending) -> String {
    if let Some(name) = event.session.remote_name() {
        return name.to_owned();
    }
    let found: Result<Vec<String>, DnsError> = call.dns().ptr(event.remote_ip).await;
    let name = found.ok().and_then(|names| names.into_iter().next()).unwrap_or_default();
    let name = name.trim_end_matches('.');
    // What is longer is no name (RFC 1035 section 2.3.4), and add-ins copy it to where that has room.
    if name.len() < NAME_OCTETS { name.to_owned() } else { String::new() }
}
