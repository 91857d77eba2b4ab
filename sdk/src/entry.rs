//! The entry of a Rust plug-in: layouts, services, start, registrations, in this order.
//! Knows no plug-in in particular. Nothing unwinds out of it.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use stagepost_abi::{
    EID, EM_FAULT, EM_LOG_ERROR, EM_REG_SUBMITTED, EM_SMTPBODY, EM_SMTPHEADERS,
    EM_SMTPMESSAGEACCEPT, EMRECORD, EmBase, EmHost, EmLogService, HEMREGISTRATION, NOERROR, STATUS,
};

use crate::boundary;
use crate::filter::Filter;
use crate::handler::{Started, handle};
use crate::host::Host;
use crate::plugin::Plugin;
use crate::service::{self, Services};
use crate::stage::Stages;
use crate::start::StartError;
use crate::text::lend;

/// What `export_plugin!` says of a plug-in.
pub struct Exported {
    /// Its name, as in the descriptor.
    pub name: &'static str,
    /// What it is registered for.
    pub stages: Stages,
    /// What of it is answered by asynchronous handlers.
    pub async_stages: Stages,
    /// The handler of those.
    pub handle_async: Option<Handler>,
}

/// A C handler.
pub type Handler = unsafe extern "C" fn(record: *const EMRECORD) -> STATUS;

/// Does the work of em_entry.
///
/// # Safety
///
/// `base` and `host` are as the contract gives them to em_entry.
pub unsafe fn enter<P: Plugin>(
    base: *const EmBase,
    host: *mut EmHost,
    exported: &'static Exported,
) -> STATUS {
    boundary::remember_places();
    // SAFETY: the base table is valid until the process ends.
    let base = match unsafe { sized_base(base) } {
        Ok(base) => base,
        // Without a base there is no log either; the status has to do.
        Err(error) => return error.status(),
    };
    // SAFETY: base and host are those of em_entry.
    let log = match unsafe { service::log(base, host) } {
        Ok(log) => log,
        Err(error) => return error.status(),
    };
    // SAFETY: as above; the log is this host's.
    let (reason, status) =
        match boundary::catch(|| unsafe { start::<P>(log, base, host, exported) }) {
            Ok(Ok(())) => return NOERROR,
            Ok(Err(error)) => (error.to_string(), error.status()),
            Err(panic) => (format!("it panicked{panic}"), EM_FAULT),
        };
    let line = format!("{}: cannot start: {reason}", exported.name);
    // SAFETY: the log is this host's; no session; the line is lent for the call.
    unsafe { (log.write)(host, ptr::null(), EM_LOG_ERROR, lend(line.as_bytes())) };
    status
}

/// # Safety
///
/// `base` is NULL or valid until the process ends, as far as its size says.
unsafe fn sized_base(base: *const EmBase) -> Result<&'static EmBase, StartError> {
    let wanted = size_of::<EmBase>();
    if base.is_null() {
        return Err(StartError::OldBase { wanted, found: 0 });
    }
    // SAFETY: not NULL; the size comes first in every version.
    let found = unsafe { (&raw const (*base).size).read() };
    if (found as usize) < wanted {
        return Err(StartError::OldBase { wanted, found });
    }
    // SAFETY: as long as ours at least.
    Ok(unsafe { &*base })
}

/// # Safety
///
/// `base` and `host` are those of em_entry, and the log is theirs.
unsafe fn start<P: Plugin>(
    log: &'static EmLogService,
    base: &EmBase,
    host: *mut EmHost,
    exported: &'static Exported,
) -> Result<(), StartError> {
    // SAFETY: base and host are those of em_entry.
    if let Some(layout) = unsafe { service::layout(base, host) } {
        let offer = ptr::from_ref(stagepost_layout::offer()).cast();
        // SAFETY: the offer is what this service takes, and static.
        let status = unsafe { (layout.check)(host, offer) };
        if status != NOERROR {
            return Err(StartError::Layout(status));
        }
    }
    // SAFETY: base and host are those of em_entry, and the services were found with them.
    let services = unsafe { Services::find(log, base, host, exported.handle_async.is_some()) }?;
    // SAFETY: the services are this host's.
    let host_side = unsafe { Host::new(host, services) };
    let plugin = P::start(host_side)?;
    let filter = plugin.filter();
    // SAFETY: base and host are those of em_entry.
    let submitted = if plugin.sees_submitted() { unsafe { recursion(base, host) }? } else { 0 };
    let unused = plugin.unused();
    let started = Arc::new(Started { plugin, host: host_side, name: exported.name });
    let stages = exported.stages.without(unused);
    let async_stages = exported.async_stages.without(unused);
    let plain = stages.registrations().map(|stage| (stage, handle::<P> as Handler));
    let asynchronous = exported
        .handle_async
        .into_iter()
        .flat_map(|handler| async_stages.registrations().map(move |stage| (stage, handler)));
    for ((event, flags), handler) in plain.chain(asynchronous) {
        // SAFETY: base and host are those of em_entry, and both handlers take what is registered with them.
        let registration =
            unsafe { register(base, host, (event, flags, submitted), handler, &started) }?;
        if !filter.is_all() {
            // SAFETY: as above.
            unsafe { narrow(base, host, registration, &filter) }?;
        }
    }
    Ok(())
}

/// Makes the id by which nothing that the plug-in has caused comes to it.
///
/// # Safety
///
/// `base` and `host` are those of em_entry.
unsafe fn recursion(base: &EmBase, host: *mut EmHost) -> Result<u16, StartError> {
    let mut id = 0;
    // SAFETY: base and host are those of em_entry, and there is room for the id.
    match unsafe { (base.EMCreateRecursionID)(host, &raw mut id) } {
        NOERROR => Ok(id),
        status => Err(StartError::Recursion(status)),
    }
}

/// - submitted: a recursion id, when the plug-in sees messages that plug-ins make; else 0.
///
/// # Safety
///
/// `base` and `host` are those of em_entry; the handler takes an `Arc<Started<P>>` for user data.
unsafe fn register<P: Plugin>(
    base: &EmBase,
    host: *mut EmHost,
    (event, flags, submitted): (EID, u32, u16),
    handler: Handler,
    started: &Arc<Started<P>>,
) -> Result<HEMREGISTRATION, StartError> {
    let user_data = Arc::into_raw(Arc::clone(started));
    let of_message = matches!(event, EM_SMTPHEADERS | EM_SMTPBODY | EM_SMTPMESSAGEACCEPT);
    let seen = if submitted != 0 && of_message { EM_REG_SUBMITTED } else { 0 };
    let mut registration = 0;
    // SAFETY: handler and `release` take what `into_raw` gives, of the same P.
    let status = unsafe {
        (base.EMRegister)(
            host,
            event,
            flags | seen,
            Some(handler),
            user_data.cast_mut().cast(),
            Some(release::<P>),
            submitted,
            &raw mut registration,
        )
    };
    if status != NOERROR {
        // SAFETY: made by `into_raw` above; the host does not release what it did not register.
        drop(unsafe { Arc::from_raw(user_data) });
        return Err(StartError::Registration { event, status });
    }
    Ok(registration)
}

/// # Safety
///
/// `base` and `host` are those of em_entry.
unsafe fn narrow(
    base: &EmBase,
    host: *mut EmHost,
    registration: HEMREGISTRATION,
    filter: &Filter,
) -> Result<(), StartError> {
    // SAFETY: base and host are those of em_entry.
    let service = unsafe { service::filter(base, host) }?;
    let lent = filter.lent();
    // SAFETY: the filter and its text are lent for the call.
    match unsafe { (service.narrow)(host, registration, &raw const lent) } {
        NOERROR => Ok(()),
        status => Err(StartError::Filter(status)),
    }
}

/// # Safety
///
/// `user_data` is what `register` gave to the host, which calls this once.
unsafe extern "C" fn release<P: Plugin>(user_data: *mut c_void) {
    // SAFETY: made by `into_raw` in `register`; the host gives it back once.
    let started = unsafe { Arc::from_raw(user_data.cast::<Started<P>>().cast_const()) };
    let (host, name) = (started.host, started.name);
    if let Err(panic) = boundary::catch(|| drop(started)) {
        host.log(crate::Level::Error, format_args!("{name}: dropping it panicked{panic}"));
    }
}
