//! The session service: facts, attributes and the plug-in's slots.

use std::ffi::c_void;

use stagepost_abi as abi;
use stagepost_smtp::{Facts, Helo, ReversePath};

use crate::arguments::{lend, size_of_u32};
use crate::base::answer;
use crate::frame::CallSession;
use crate::slots::Slots;

pub(super) static TABLE: abi::EmSessionService = abi::EmSessionService {
    size: size_of_u32::<abi::EmSessionService>(),
    reserved: 0,
    text,
    number,
    recipient,
    attribute,
    slot,
    slot_set,
    tag,
    message_slot,
    message_slot_set,
};

/// A fact in the form it has.
enum Fact<'a> {
    Text(&'a str),
    Number(u64),
}

/// Looks a fact up; none: not known now, or no such fact.
fn fact(facts: &Facts, fact: u32) -> Option<Fact<'_>> {
    let peer = &facts.peer;
    let helo = facts.helo.as_ref();
    let extended = |helo: &Helo| Fact::Number(u64::from(helo.extended));
    Some(match fact {
        abi::EM_FACT_ID => Fact::Number(facts.id),
        abi::EM_FACT_REMOTE_IP => Fact::Text(&peer.remote_text),
        abi::EM_FACT_REMOTE_PORT => Fact::Number(peer.remote.port().into()),
        abi::EM_FACT_LOCAL_IP => Fact::Text(&peer.local_text),
        abi::EM_FACT_LOCAL_PORT => Fact::Number(peer.local.port().into()),
        abi::EM_FACT_LISTENER => Fact::Text(&peer.listener),
        abi::EM_FACT_HELO => Fact::Text(&helo?.name),
        abi::EM_FACT_EXTENDED => helo.map(extended)?,
        abi::EM_FACT_SENDER => Fact::Text(facts.sender.as_ref().map(ReversePath::as_str)?),
        abi::EM_FACT_RECIPIENTS => Fact::Number(facts.recipients.len() as u64),
        abi::EM_FACT_TLS => Fact::Number(u64::from(facts.tls.is_some())),
        abi::EM_FACT_TLS_VERSION => Fact::Text(&facts.tls.as_ref()?.version),
        abi::EM_FACT_TLS_CIPHER => Fact::Text(&facts.tls.as_ref()?.cipher),
        abi::EM_FACT_TLS_SERVER_NAME => Fact::Text(facts.tls.as_ref()?.server_name.as_ref()?),
        abi::EM_FACT_TLS_CLIENT_SUBJECT => {
            Fact::Text(&facts.tls.as_ref()?.client.as_ref()?.subject)
        }
        abi::EM_FACT_TLS_CLIENT_SHA256 => Fact::Text(&facts.tls.as_ref()?.client.as_ref()?.sha256),
        abi::EM_FACT_REMOTE_NAME => Fact::Text(peer.name.as_ref()?),
        abi::EM_FACT_PROXY_IP => Fact::Text(&peer.proxy.as_ref()?.text),
        abi::EM_FACT_PROXY_PORT => Fact::Number(peer.proxy.as_ref()?.address.port().into()),
        abi::EM_FACT_AUTHENTICATED => Fact::Number(u64::from(facts.authenticated.is_some())),
        abi::EM_FACT_IDENTITY => Fact::Text(&facts.authenticated.as_ref()?.identity),
        abi::EM_FACT_MECHANISM => Fact::Text(facts.authenticated.as_ref()?.mechanism_name()),
        abi::EM_FACT_TAGS => Fact::Number(facts.tags.len() as u64),
        _ => return None,
    })
}

/// The session that a handler asks about.
///
/// # Safety
/// `session` came with the record of the handler that is running.
unsafe fn asked<'a>(session: *const abi::EmSession) -> Result<&'a CallSession<'a>, abi::STATUS> {
    // SAFETY: by the caller's promise.
    unsafe { CallSession::from_handle(session) }.ok_or(abi::ERR_MISC_INVALID_ARGS)
}

unsafe extern "C" fn text(
    session: *const abi::EmSession,
    id: u32,
    value: *mut abi::EmText,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        match fact(unsafe { asked(session) }?.facts, id) {
            Some(Fact::Text(text)) => Ok(lend(text)),
            Some(Fact::Number(_)) => Err(abi::EM_ERR_TYPE),
            None => Err(abi::ERR_NOT_FOUND),
        }
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}

unsafe extern "C" fn number(
    session: *const abi::EmSession,
    id: u32,
    value: *mut u64,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        match fact(unsafe { asked(session) }?.facts, id) {
            Some(Fact::Number(number)) => Ok(number),
            Some(Fact::Text(_)) => Err(abi::EM_ERR_TYPE),
            None => Err(abi::ERR_NOT_FOUND),
        }
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}

unsafe extern "C" fn recipient(
    session: *const abi::EmSession,
    index: u64,
    value: *mut abi::EmText,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        let facts = unsafe { asked(session) }?.facts;
        let known = usize::try_from(index).ok().and_then(|index| facts.recipients.get(index));
        known.map(|recipient| lend(recipient.as_str())).ok_or(abi::ERR_NOT_FOUND)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}

unsafe extern "C" fn attribute(
    session: *const abi::EmSession,
    name: abi::EmText,
    value: *mut abi::EmText,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants, and lends text for the call.
        let (session, name) = unsafe { (asked(session)?, super::text(name)?) };
        session.facts.attribute(name).map(|known| lend(&*known.value)).ok_or(abi::ERR_NOT_FOUND)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}

unsafe extern "C" fn slot(session: *const abi::EmSession, value: *mut *mut c_void) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        let session = unsafe { asked(session) }?;
        Ok(of_plugin(session.context.slots(), session))
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}

unsafe extern "C" fn slot_set(
    session: *const abi::EmSession,
    value: *mut c_void,
    release: abi::EmRelease,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract gives what `asked` wants.
        let session = unsafe { asked(session) }?;
        session.context.slots_made().set(session.called(), value, release);
        Ok(())
    })
}

/// The pointer of the plug-in that is called.
fn of_plugin(slots: Option<&Slots>, session: &CallSession<'_>) -> *mut c_void {
    slots.map_or(std::ptr::null_mut(), |slots| slots.get(session.called().plugin.index))
}

unsafe extern "C" fn message_slot(
    session: *const abi::EmSession,
    value: *mut *mut c_void,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        let session = unsafe { asked(session) }?;
        let message = session.facts.slots.as_ref().ok_or(abi::ERR_NOT_FOUND)?;
        Ok(of_plugin(message.get(), session))
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}

unsafe extern "C" fn message_slot_set(
    session: *const abi::EmSession,
    value: *mut c_void,
    release: abi::EmRelease,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract gives what `asked` wants.
        let session = unsafe { asked(session) }?;
        let message = session.facts.slots.as_ref().ok_or(abi::ERR_NOT_FOUND)?;
        // Nobody else keeps anything there.
        let slots = message.get_or_make(|| session.context.new_slots());
        slots.ok_or(abi::EM_FAULT)?.set(session.called(), value, release);
        Ok(())
    })
}

unsafe extern "C" fn tag(
    session: *const abi::EmSession,
    index: u64,
    value: *mut abi::EmText,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        let facts = unsafe { asked(session) }?.facts;
        let known = usize::try_from(index).ok().and_then(|index| facts.tags.get(index));
        known.map(|tag| lend(&**tag)).ok_or(abi::ERR_NOT_FOUND)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(value, find) }
}
