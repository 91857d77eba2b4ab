//! The outbound session service: sessions with other servers that plug-ins begin.

use std::ffi::c_char;
use std::time::Duration;

use stagepost_abi as abi;
use stagepost_smtp::{Credentials, Secret};

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::host::Host;
use crate::mail::MailFor;
use crate::outbound::{
    Doing, OutboundError, OutboundReversal, OutboundSession, OutboundTarget, OutboundText,
    OutboundTls, is_command,
};
use crate::request::check_may_wait;

/// The most requests of one plug-in that are under way or not read.
pub(crate) const REQUESTS_MAX: usize = 64;
/// For all of the opening where the plug-in does not say.
const DEADLINE: Duration = Duration::from_secs(60);
const DEADLINE_MS_MAX: u32 = 600_000;
/// The longest name of a host, and of a listener.
const NAME_OCTETS_MAX: usize = 255;
/// The longest user's name and the longest password.
const CREDENTIAL_OCTETS_MAX: u64 = 1024;
/// The most domains of a reversal.
const DOMAINS_MAX: usize = 100;

pub(super) static TABLE: abi::EmOutboundService = abi::EmOutboundService {
    size: size_of_u32::<abi::EmOutboundService>(),
    reserved: 0,
    begin,
    open_wait,
    auth_wait,
    command_wait,
    push_wait,
    reverse_wait,
    quit_wait,
    open,
    auth,
    command,
    push,
    reverse,
    quit,
    result,
    text,
    progress,
    close,
};

/// One of the things that are done with a session.
enum Asked {
    Open,
    LogIn(Credentials, bool),
    Command(Box<str>),
    Push(MailFor),
    Reverse(OutboundReversal),
    Quit,
}

impl Asked {
    /// Whether a plug-in may ask for it.
    fn check(&self, plugin: &Host) -> Result<(), abi::STATUS> {
        match self {
            Self::Push(_) if plugin.descriptor.edits & abi::EM_EDIT_QUEUE == 0 => {
                Err(abi::ERR_EM_NOTAUTHORIZED)
            }
            _ => Ok(()),
        }
    }

    fn of(self, session: &dyn OutboundSession) -> Doing {
        match self {
            Self::Open => session.open(),
            Self::LogIn(credentials, cram) => session.log_in(credentials, cram),
            Self::Command(line) => session.command(&line),
            Self::Push(of) => session.push(of),
            Self::Reverse(reversal) => session.reverse(reversal),
            Self::Quit => session.quit(),
        }
    }
}

/// The plug-in behind a handle, if it may talk to others.
///
/// # Safety
/// `host` is what em_entry was given.
unsafe fn plugin(host: *mut abi::EmHost) -> Result<&'static Host, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
    if plugin.descriptor.edits & abi::EM_EDIT_OUTBOUND == 0 {
        return Err(abi::ERR_EM_NOTAUTHORIZED);
    }
    Ok(plugin)
}

/// Does something and waits.
///
/// # Safety
/// As [`plugin`]; `read` gets what it wants.
unsafe fn do_and_wait(
    host: *mut abi::EmHost,
    session: abi::EmOutbound,
    read: impl FnOnce() -> Result<Asked, abi::STATUS>,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: by the caller's promise.
        let plugin = unsafe { plugin(host) }?;
        let asked = read()?;
        asked.check(plugin)?;
        check_may_wait()?;
        let exchange = plugin.loaded()?.exchange()?;
        let in_hand = plugin.outbound.take(session)?;
        let doing = asked.of(in_hand.session());
        exchange.wait(in_hand, doing)
    })
}

/// Does something for later.
///
/// # Safety
/// As [`plugin`]; `request` is NULL or a place of the plug-in's. `read` gets what it wants.
unsafe fn begin_doing(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    session: abi::EmOutbound,
    read: impl FnOnce() -> Result<Asked, abi::STATUS>,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    let find = || {
        // SAFETY: by the caller's promise.
        let plugin = unsafe { plugin(host) }?;
        let asked = read()?;
        asked.check(plugin)?;
        let in_hand = plugin.outbound.take(session)?;
        plugin.outbound_requests.begin(plugin, token, move || {
            let doing = asked.of(in_hand.session());
            async move {
                let done = doing.await;
                drop(in_hand);
                done.map_err(OutboundError::status)
            }
        })
    };
    // SAFETY: by the caller's promise.
    unsafe { super::hand_out(request, find) }
}

/// Checks that a struct of a plug-in's can be read as far as we know it.
///
/// # Safety
/// `place` is NULL or points to a struct whose size comes first.
unsafe fn sized<T: Copy>(place: *const T) -> Result<T, abi::STATUS> {
    if place.is_null() || !place.is_aligned() {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    // SAFETY: not NULL; the size comes first.
    let size = unsafe { place.cast::<u32>().read() };
    if (size as usize) < size_of::<T>() {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    // SAFETY: as long as ours at least, by its size.
    Ok(unsafe { place.read() })
}

/// A name of a plug-in's: printable, without blanks, of bounded length.
///
/// # Safety
/// The text is lent for the call.
unsafe fn name<'a>(of: abi::EmText) -> Result<&'a str, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let name = unsafe { super::text(of) }?;
    let sound = name.len() <= NAME_OCTETS_MAX && name.bytes().all(|octet| octet.is_ascii_graphic());
    if sound { Ok(name) } else { Err(abi::ERR_MISC_INVALID_ARGS) }
}

/// Reads a target.
///
/// # Safety
/// `target` is NULL or a target of the plug-in's whose texts are lent for the call.
unsafe fn target(
    plugin: &Host,
    target: *const abi::EmOutboundTarget,
) -> Result<OutboundTarget, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let target = unsafe { sized(target) }?;
    // SAFETY: by the caller's promise.
    let host = unsafe { name(target.host) }?;
    let tls = match target.tls {
        abi::EM_OUTBOUND_TLS_NONE => OutboundTls::None,
        abi::EM_OUTBOUND_TLS_OFFERED => OutboundTls::Offered,
        abi::EM_OUTBOUND_TLS_REQUIRED => OutboundTls::Required,
        abi::EM_OUTBOUND_TLS_VERIFIED => OutboundTls::Verified,
        _ => return Err(abi::ERR_MISC_INVALID_ARGS),
    };
    let implicit = target.flags & abi::EM_OUTBOUND_IMPLICIT_TLS != 0;
    let must = matches!(tls, OutboundTls::Required | OutboundTls::Verified);
    let deadline = match target.deadline_ms {
        0 => DEADLINE,
        milliseconds => Duration::from_millis(milliseconds.into()),
    };
    let sound = !host.is_empty()
        && target.port != 0
        && target.flags & !abi::EM_OUTBOUND_IMPLICIT_TLS == 0
        && target.deadline_ms <= DEADLINE_MS_MAX
        && target.reserved == [0; 3]
        && (must || !implicit);
    if !sound {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    let (plugin, host, port) = (plugin.name.clone(), host.into(), target.port);
    Ok(OutboundTarget { plugin, host, port, tls, implicit, deadline })
}

/// Reads credentials, which are copied to where they are wiped.
///
/// # Safety
/// The texts are lent for the call.
unsafe fn log_in(
    user: abi::EmText,
    password: abi::EmText,
    flags: u32,
) -> Result<Asked, abi::STATUS> {
    let sound = user.len <= CREDENTIAL_OCTETS_MAX
        && password.len <= CREDENTIAL_OCTETS_MAX
        && flags & !abi::EM_OUTBOUND_CRAM_MD5 == 0;
    if !sound {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    // SAFETY: by the caller's promise.
    let (user, password) = unsafe { (super::text(user)?, super::octets(password)?) };
    let credentials = Credentials::new(user, Secret::new(password.to_vec()));
    let credentials = credentials.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
    Ok(Asked::LogIn(credentials, flags & abi::EM_OUTBOUND_CRAM_MD5 != 0))
}

/// Reads a command.
///
/// # Safety
/// The text is lent for the call.
unsafe fn line(of: abi::EmText) -> Result<Asked, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let line = unsafe { super::text(of) }?;
    if !is_command(line) {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    Ok(Asked::Command(line.into()))
}

/// Reads a destination.
///
/// # Safety
/// The text is lent for the call.
unsafe fn destination(of: abi::EmText) -> Result<Asked, abi::STATUS> {
    // SAFETY: by the caller's promise.
    Ok(Asked::Push(MailFor::parse(unsafe { super::text(of) }?)))
}

/// Reads a list of domains, one a line.
///
/// # Safety
/// The text is lent for the call.
unsafe fn domains<'a>(of: abi::EmText) -> Result<Vec<&'a str>, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let all: Vec<_> = unsafe { super::text(of) }?.lines().collect();
    let sound = |domain: &&str| {
        // What separates them in the command, and what ends it, would say something else.
        let graphic = |octet: u8| octet.is_ascii_graphic() && octet != b',';
        (1..=NAME_OCTETS_MAX).contains(&domain.len()) && domain.bytes().all(graphic)
    };
    let sound = all.len() <= DOMAINS_MAX && all.iter().all(sound);
    if sound { Ok(all) } else { Err(abi::ERR_MISC_INVALID_ARGS) }
}

/// Reads how the roles are to be changed.
///
/// # Safety
/// `reversal` is NULL or one of the plug-in's whose texts are lent for the call.
unsafe fn reversal(reversal: *const abi::EmOutboundReversal) -> Result<Asked, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let reversal = unsafe { sized(reversal) }?;
    if reversal.reserved != 0 {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    // SAFETY: by the caller's promise.
    let (asked, accept, listener) = unsafe {
        (domains(reversal.domains)?, domains(reversal.accept)?, name(reversal.listener)?)
    };
    let accept: Vec<_> = accept.into_iter().map(MailFor::parse).collect();
    if accept.iter().any(|of| matches!(of, MailFor::Queue(_))) {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    Ok(Asked::Reverse(OutboundReversal {
        domains: asked.into_iter().map(Into::into).collect(),
        accept,
        listener: (!listener.is_empty()).then(|| listener.into()),
    }))
}

unsafe extern "C" fn begin(
    host: *mut abi::EmHost,
    to: *const abi::EmOutboundTarget,
    session: *mut abi::EmOutbound,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `plugin` and `target` want.
        let plugin = unsafe { plugin(host) }?;
        // SAFETY: as above.
        let target = unsafe { target(plugin, to) }?;
        let exchange = plugin.loaded()?.exchange()?;
        plugin.outbound.add(|| exchange.outbound.begin(target))
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(session, find) }
}

unsafe extern "C" fn open_wait(host: *mut abi::EmHost, session: abi::EmOutbound) -> abi::STATUS {
    // SAFETY: the contract gives what `do_and_wait` wants.
    unsafe { do_and_wait(host, session, || Ok(Asked::Open)) }
}

unsafe extern "C" fn auth_wait(
    host: *mut abi::EmHost,
    session: abi::EmOutbound,
    user: abi::EmText,
    password: abi::EmText,
    flags: u32,
) -> abi::STATUS {
    // SAFETY: the contract gives what `do_and_wait` and `log_in` want.
    unsafe { do_and_wait(host, session, || log_in(user, password, flags)) }
}

unsafe extern "C" fn command_wait(
    host: *mut abi::EmHost,
    session: abi::EmOutbound,
    of: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract gives what `do_and_wait` and `line` want.
    unsafe { do_and_wait(host, session, || line(of)) }
}

unsafe extern "C" fn push_wait(
    host: *mut abi::EmHost,
    session: abi::EmOutbound,
    of: abi::EmText,
) -> abi::STATUS {
    // SAFETY: the contract gives what `do_and_wait` and `destination` want.
    unsafe { do_and_wait(host, session, || destination(of)) }
}

unsafe extern "C" fn reverse_wait(
    host: *mut abi::EmHost,
    session: abi::EmOutbound,
    how: *const abi::EmOutboundReversal,
) -> abi::STATUS {
    // SAFETY: the contract gives what `do_and_wait` and `reversal` want.
    unsafe { do_and_wait(host, session, || reversal(how)) }
}

unsafe extern "C" fn quit_wait(host: *mut abi::EmHost, session: abi::EmOutbound) -> abi::STATUS {
    // SAFETY: the contract gives what `do_and_wait` wants.
    unsafe { do_and_wait(host, session, || Ok(Asked::Quit)) }
}

unsafe extern "C" fn open(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    session: abi::EmOutbound,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `begin_doing` wants.
    unsafe { begin_doing(host, token, session, || Ok(Asked::Open), request) }
}

unsafe extern "C" fn auth(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    session: abi::EmOutbound,
    user: abi::EmText,
    password: abi::EmText,
    flags: u32,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `begin_doing` and `log_in` want.
    unsafe { begin_doing(host, token, session, || log_in(user, password, flags), request) }
}

unsafe extern "C" fn command(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    session: abi::EmOutbound,
    of: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `begin_doing` and `line` want.
    unsafe { begin_doing(host, token, session, || line(of), request) }
}

unsafe extern "C" fn push(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    session: abi::EmOutbound,
    of: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `begin_doing` and `destination` want.
    unsafe { begin_doing(host, token, session, || destination(of), request) }
}

unsafe extern "C" fn reverse(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    session: abi::EmOutbound,
    how: *const abi::EmOutboundReversal,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `begin_doing` and `reversal` want.
    unsafe { begin_doing(host, token, session, || reversal(how), request) }
}

unsafe extern "C" fn quit(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    session: abi::EmOutbound,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `begin_doing` wants.
    unsafe { begin_doing(host, token, session, || Ok(Asked::Quit), request) }
}

unsafe extern "C" fn result(host: *mut abi::EmHost, request: abi::EmRequest) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let requests = unsafe { &plugin(host)?.outbound_requests };
        requests.take(request, |()| Ok(())).ok_or(abi::ERR_MISC_INVALID_ARGS)?
    })
}

unsafe extern "C" fn text(
    host: *mut abi::EmHost,
    session: abi::EmOutbound,
    what: u32,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> abi::STATUS {
    answer(|| {
        super::check_buffer(buffer, capacity, length)?;
        let what = match what {
            abi::EM_OUTBOUND_TOLD => OutboundText::Told,
            abi::EM_OUTBOUND_KEYWORDS => OutboundText::Keywords,
            abi::EM_OUTBOUND_REMOTE => OutboundText::Remote,
            _ => return Err(abi::ERR_MISC_INVALID_ARGS),
        };
        // SAFETY: the contract: `host` is what em_entry was given.
        let text = unsafe { plugin(host) }?.outbound.find(session)?.text(what);
        // SAFETY: the contract gives what `fill` wants.
        unsafe { super::fill(text.as_bytes(), buffer, capacity, length) }
    })
}

unsafe extern "C" fn progress(
    host: *mut abi::EmHost,
    session: abi::EmOutbound,
    progress: *mut abi::EmOutboundProgress,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: a place of the plug-in's whose size comes first.
        let size = unsafe { sized(progress.cast_const()) }?.size;
        // SAFETY: the contract: `host` is what em_entry was given.
        let found = unsafe { plugin(host) }?.outbound.find(session)?.progress();
        // SAFETY: as long as ours at least, by its size.
        unsafe {
            progress.write(abi::EmOutboundProgress {
                size,
                state: found.state as u32,
                code: found.code,
                secured: found.secured.into(),
                reserved: 0,
                pushed: found.pushed,
                done: found.done,
                received: found.received,
            });
        }
        Ok(())
    })
}

unsafe extern "C" fn close(host: *mut abi::EmHost, session: abi::EmOutbound) -> abi::STATUS {
    // SAFETY: the contract: `host` is what em_entry was given.
    answer(|| unsafe { plugin(host) }?.outbound.close(session))
}
