//! The one C handler of a plug-in: reads the record, calls the trait's method, and turns what comes back into a status.
//! Knows no plug-in in particular. Nothing unwinds out of it.

use std::fmt;

use stagepost_abi::{
    EID, EM_AFTER, EM_BEFORE, EM_CONFIG, EM_FAULT, EM_SMTPATRN, EM_SMTPAUTH, EM_SMTPBODY,
    EM_SMTPBOUNCE, EM_SMTPCOMMAND, EM_SMTPCONNECT, EM_SMTPDATA, EM_SMTPDELIVER, EM_SMTPDISCONNECT,
    EM_SMTPEHLO, EM_SMTPETRN, EM_SMTPEXPIRE, EM_SMTPHEADERS, EM_SMTPMAIL, EM_SMTPMESSAGEACCEPT,
    EM_SMTPQUEUE, EM_SMTPQUIT, EM_SMTPRCPT, EM_SMTPROUTE, EM_SMTPRSET, EM_SMTPSTARTTLS,
    EM_SMTPTIMEOUT, EM_SMTPVERB, EM_SMTPVRFY, EM_START, EM_STOP, EM_VERDICT, EMRECORD,
    ERR_EM_CONTINUE, EmConfig, EmEdits, EmEvent, NOERROR, STATUS,
};

use crate::answer::{Answer, Fault, Outcome};
use crate::boundary::{self, Panic};
use crate::config::Config;
use crate::edits::{AfterEdits, Edits};
use crate::event::{Disconnect, Event, Reply};
use crate::host::{Host, Level};
use crate::plugin::Plugin;
use crate::session::Session;
use crate::stage::handler_name;
use crate::text::Broken;

/// A plug-in that has started, as each of its registrations holds it.
pub(crate) struct Started<P> {
    pub(crate) plugin: P,
    pub(crate) host: Host,
    pub(crate) name: &'static str,
}

/// # Safety
///
/// The host calls it with a record of its own whose user data is an `Arc<Started<P>>`, as `registration` gave it.
pub(crate) unsafe extern "C" fn handle<P: Plugin>(record: *const EMRECORD) -> STATUS {
    // SAFETY: the record is valid until we return.
    let Some(record) = (unsafe { record.as_ref() }) else {
        return EM_FAULT;
    };
    // SAFETY: the user data is what the registration gave, and is released only when nobody can call any more.
    let Some(started) = (unsafe { record.UserData.cast::<Started<P>>().as_ref() }) else {
        return EM_FAULT;
    };
    // SAFETY: the record and what it points to are valid until we return, and come from this plug-in's host.
    let Some(call) = (unsafe { Call::read(record, &started.host, started.name) }) else {
        return EM_FAULT;
    };
    match boundary::catch(|| call.dispatch(&started.plugin)) {
        Ok(Ok(status)) => status,
        Ok(Err(fault)) => call.failed(&fault),
        Err(panic) => call.panicked(&panic),
    }
}

/// One call of the host's.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    record: &'a EMRECORD,
    event: &'a EmEvent,
    session: Session<'a>,
    host: &'a Host,
    /// The plug-in's name.
    name: &'static str,
}

// SAFETY: what a record lends may be read from any thread until the call has ended; user data is an `Arc<Started<P>>`,
// whose P is Send and Sync.
unsafe impl Send for Call<'_> {}
// SAFETY: as above.
unsafe impl Sync for Call<'_> {}

impl<'a> Call<'a> {
    /// # Safety
    ///
    /// What the record points to is valid during `'a`, and comes from `host`.
    pub(crate) unsafe fn read(
        record: &'a EMRECORD,
        host: &'a Host,
        name: &'static str,
    ) -> Option<Self> {
        // SAFETY: every event struct starts with an EmEvent.
        let event = match unsafe { sized::<EmEvent>(record) } {
            Ok(event) => event,
            Err(broken) => {
                let handler = handler_name(record.EId, record.NotificationType == EM_BEFORE);
                host.log(Level::Error, format_args!("{name}: {handler}: {broken}"));
                return None;
            }
        };
        // SAFETY: the session came with the record.
        let session = unsafe { Session::new(event.session, host) };
        Some(Self { record, event, session, host, name })
    }

    pub(crate) fn number(&self) -> EID {
        self.record.EId
    }

    pub(crate) fn sheet(&self) -> *mut EmEdits {
        self.event.edits
    }

    fn before(&self) -> bool {
        self.record.NotificationType == EM_BEFORE
    }

    fn dispatch<P: Plugin>(&self, plugin: &P) -> Result<STATUS, Fault> {
        macro_rules! arms {
            ($($number:ident $before:ident $after:ident)*) => {
                match (self.record.EId, self.record.NotificationType) {
                    $(
                        ($number, EM_BEFORE) => {
                            self.ask(|event, edits| plugin.$before(event, edits))
                        }
                        ($number, EM_AFTER) => {
                            self.tell(|event, edits| plugin.$after(event, edits))
                        }
                    )*
                    (EM_SMTPHEADERS, EM_BEFORE) => {
                        self.ask(|event, edits| plugin.before_headers(event, edits))
                    }
                    (EM_SMTPBODY, EM_BEFORE) => {
                        self.ask(|event, edits| plugin.before_body(event, edits))
                    }
                    (EM_SMTPTIMEOUT, EM_BEFORE) => {
                        self.ask(|event, edits| plugin.before_timeout(event, edits))
                    }
                    (EM_SMTPDISCONNECT, EM_BEFORE) => {
                        self.end(|event| plugin.before_disconnect(event))
                    }
                    (EM_SMTPDISCONNECT, EM_AFTER) => {
                        self.end(|event| plugin.after_disconnect(event))
                    }
                    (EM_START, EM_BEFORE) => done(plugin.before_start()),
                    (EM_START, EM_AFTER) => done(plugin.after_start()),
                    (EM_CONFIG, EM_BEFORE) => done(plugin.before_config(&self.section()?)),
                    (EM_CONFIG, EM_AFTER) => done(plugin.after_config(&self.section()?)),
                    (EM_STOP, EM_BEFORE) => done(plugin.before_stop()),
                    // Not registered for, so only a newer host's mistake could bring it.
                    _ => Ok(ERR_EM_CONTINUE),
                }
            };
        }
        arms! {
            EM_SMTPCONNECT before_connect after_connect
            EM_SMTPCOMMAND before_command after_command
            EM_SMTPEHLO before_ehlo after_ehlo
            EM_SMTPSTARTTLS before_starttls after_starttls
            EM_SMTPAUTH before_auth after_auth
            EM_SMTPMAIL before_mail after_mail
            EM_SMTPRCPT before_rcpt after_rcpt
            EM_SMTPDATA before_data after_data
            EM_SMTPMESSAGEACCEPT before_message_accept after_message_accept
            EM_SMTPETRN before_etrn after_etrn
            EM_SMTPATRN before_atrn after_atrn
            EM_SMTPVRFY before_vrfy after_vrfy
            EM_SMTPRSET before_rset after_rset
            EM_SMTPVERB before_verb after_verb
            EM_SMTPQUIT before_quit after_quit
            EM_SMTPQUEUE before_queue after_queue
            EM_SMTPROUTE before_route after_route
            EM_SMTPDELIVER before_deliver after_deliver
            EM_SMTPBOUNCE before_bounce after_bounce
            EM_SMTPEXPIRE before_expire after_expire
        }
    }

    fn ask<E: Event<'a>>(
        &self,
        handler: impl FnOnce(&E, &mut Edits<'a>) -> Outcome,
    ) -> Result<STATUS, Fault> {
        let mut edits = self.edits();
        Self::conclude(handler(&self.event()?, &mut edits)?, &mut edits)
    }

    /// Turns an answer into a status, and its verdict into an entry of the sheet.
    pub(crate) fn conclude(answer: Answer, edits: &mut Edits<'_>) -> Result<STATUS, Fault> {
        match answer {
            Answer::Continue => Ok(ERR_EM_CONTINUE),
            Answer::Handled => Ok(NOERROR),
            Answer::Verdict(verdict) => {
                edits.verdict(&verdict)?;
                Ok(EM_VERDICT)
            }
        }
    }

    fn tell<E: Event<'a>>(
        &self,
        handler: impl FnOnce(&E, &mut AfterEdits<'a>) -> Result<(), Fault>,
    ) -> Result<STATUS, Fault> {
        // SAFETY: the reply came with the record.
        let reply = unsafe { Reply::read(self.event.reply) }?;
        handler(&self.event()?, &mut AfterEdits::new(self.edits(), reply))?;
        Ok(ERR_EM_CONTINUE)
    }

    fn end(
        &self,
        handler: impl FnOnce(&Disconnect<'a>) -> Result<(), Fault>,
    ) -> Result<STATUS, Fault> {
        handler(&self.event()?)?;
        Ok(ERR_EM_CONTINUE)
    }

    /// The section that EM_CONFIG is about.
    fn section(&self) -> Result<Config, Broken> {
        // SAFETY: the event number says that the record points to an EmConfig.
        let event = unsafe { sized::<EmConfig>(self.record) }?;
        // SAFETY: the handle came with the record, for the configuration service.
        Ok(unsafe { Config::new(event.section, self.host.services().config) })
    }

    pub(crate) fn event<E: Event<'a>>(&self) -> Result<E, Broken> {
        // SAFETY: the event number, by which `dispatch` chose E, says that the record points to E's struct.
        let raw = unsafe { sized::<E::Raw>(self.record) }?;
        // SAFETY: the struct and what it points to are valid during 'a.
        unsafe { E::read(raw, self.session) }
    }

    pub(crate) fn edits(&self) -> Edits<'a> {
        // SAFETY: the sheet came with the record, and each call of this function is the only one of its handler call.
        unsafe { Edits::new(self.event.edits, self.host) }
    }

    /// Logs that a handler failed, and tells the host.
    pub(crate) fn failed(&self, Fault(reason): &Fault) -> STATUS {
        self.fault(format_args!("failed: {reason}"))
    }

    /// Logs that a handler panicked, and tells the host.
    pub(crate) fn panicked(&self, panic: &Panic) -> STATUS {
        self.fault(format_args!("panicked{panic}"))
    }

    fn fault(&self, what: fmt::Arguments<'_>) -> STATUS {
        let (name, handler) = (self.name, handler_name(self.record.EId, self.before()));
        self.session.log(Level::Error, format_args!("{name}: {handler} {what}"));
        EM_FAULT
    }
}

fn done(result: Result<(), Fault>) -> Result<STATUS, Fault> {
    result.map(|()| ERR_EM_CONTINUE)
}

/// Takes the event struct of a record, when it is as long as it must be.
///
/// # Safety
///
/// The event is NULL or valid as long as the record, as far as its size says; `T` is EmEvent or the struct of the
/// record's event.
unsafe fn sized<T>(record: &EMRECORD) -> Result<&T, Broken> {
    if record.Event.is_null() {
        return Err(Broken::Pointer);
    }
    // SAFETY: every event struct starts with its size.
    let found = unsafe { record.Event.cast::<u32>().read() };
    let wanted = size_of::<T>();
    if (found as usize) < wanted {
        return Err(Broken::Size { wanted, found });
    }
    // SAFETY: as long as `T` at least; the rest is the caller's promise.
    Ok(unsafe { &*record.Event.cast::<T>() })
}
