//! Asynchronous handlers: the future of one call, polled by the host on the session's thread.
//! Knows no runtime; nothing unwinds out of it.

use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use stagepost_abi::{
    EM_FAULT, EM_PENDING, EM_POLL_WOKEN, EM_SMTPATRN, EM_SMTPAUTH, EM_SMTPBODY, EM_SMTPBOUNCE,
    EM_SMTPCOMMAND, EM_SMTPCONNECT, EM_SMTPDATA, EM_SMTPDELIVER, EM_SMTPEHLO, EM_SMTPETRN,
    EM_SMTPEXPIRE, EM_SMTPHEADERS, EM_SMTPMAIL, EM_SMTPMESSAGEACCEPT, EM_SMTPQUEUE, EM_SMTPQUIT,
    EM_SMTPRCPT, EM_SMTPROUTE, EM_SMTPRSET, EM_SMTPSTARTTLS, EM_SMTPTIMEOUT, EM_SMTPVERB,
    EM_SMTPVRFY, EMRECORD, ERR_EM_CONTINUE, EmAsyncService, EmToken, STATUS,
};

use crate::answer::Fault;
use crate::async_plugin::AsyncPlugin;
use crate::boundary;
use crate::call::check;
use crate::handler::{Call, Started};
use crate::pending::{Pending, PendingCall};

/// What a handler comes to.
type Answering = Pin<Box<dyn Future<Output = STATUS> + Send>>;

/// The future of one call, which the host keeps by a pointer from `pending` to `release`.
struct Task {
    /// Borrows what the host lends the call: dropped before the call ends.
    answering: Option<Answering>,
    /// Whom parts of the future wait with, once there is a token.
    pending: Option<Arc<PendingCall>>,
    waker: Waker,
    /// For what goes wrong outside the handler; valid as long as the call, and used no longer.
    call: Call<'static>,
}

/// The C handler of asynchronous stages.
///
/// # Safety
///
/// The host calls it with a record of its own whose user data is an `Arc<Started<P>>`, as the registration gave it.
pub unsafe extern "C" fn handle_async<P: AsyncPlugin>(record: *const EMRECORD) -> STATUS {
    if record.is_null() {
        return EM_FAULT;
    }
    // SAFETY: not NULL. Valid until the call ends, and all that borrows from it is dropped before: see `Task`.
    let record: &'static EMRECORD = unsafe { &*record };
    let started = record.UserData.cast::<Started<P>>().cast_const();
    if started.is_null() {
        return EM_FAULT;
    }
    // SAFETY: made by `Arc::into_raw` when it was registered, and not released while a call lasts.
    let started = unsafe {
        Arc::increment_strong_count(started);
        Arc::from_raw(started)
    };
    // SAFETY: the future that uses it keeps the `Arc`, whose content does not move.
    let kept: &'static Started<P> = unsafe { &*Arc::as_ptr(&started) };
    // SAFETY: the record and what it points to are valid until the call ends, and come from this plug-in's host.
    let Some(call) = (unsafe { Call::read(record, &kept.host, kept.name) }) else {
        return EM_FAULT;
    };
    let Some(table) = kept.host.services().pending else { return EM_FAULT };
    let task =
        Box::new(Task { answering: None, pending: None, waker: Waker::noop().clone(), call });
    let task = Box::into_raw(task);
    let token = match take_token(table, &call, task) {
        Ok(token) => token,
        Err(fault) => {
            // SAFETY: made by `into_raw` above, and the host has not kept it.
            drop(unsafe { Box::from_raw(task) });
            return call.failed(&fault);
        }
    };
    let pending = Arc::new(PendingCall::new(kept.host, table, token));
    // SAFETY: released only once the call has ended, which it does after this function, or in it by `complete` below; no
    // poll is called while it runs.
    let now = unsafe { &mut *task };
    now.waker = Waker::from(pending.clone());
    now.pending = Some(pending.clone());
    now.answering = Some(answer(started, kept, call, Pending { call: pending.clone() }));
    match now.poll() {
        EM_PENDING => {}
        status => {
            pending.complete(status);
        }
    }
    EM_PENDING
}

fn take_token(table: &EmAsyncService, call: &Call<'_>, task: *mut Task) -> Result<EmToken, Fault> {
    let mut token = 0;
    // SAFETY: the sheet is this call's; poll and release take the task.
    let status = unsafe {
        (table.pending)(call.sheet(), Some(poll), task.cast(), Some(release), &raw mut token)
    };
    check("to wait for an asynchronous handler", status)?;
    Ok(token)
}

/// The handler's future. It keeps the plug-in, and borrows from the call.
fn answer<P: AsyncPlugin>(
    started: Arc<Started<P>>,
    kept: &'static Started<P>,
    call: Call<'static>,
    pending: Pending,
) -> Answering {
    macro_rules! arms {
        ($($number:ident $before:ident)*) => {
            match call.number() {
                $($number => Box::pin(async move {
                    let _started = started;
                    let answered = async {
                        let (event, mut edits) = (call.event()?, call.edits());
                        let plugin = &kept.plugin;
                        let answer =
                            AsyncPlugin::$before(plugin, &event, &mut edits, &pending).await?;
                        Call::conclude(answer, &mut edits)
                    };
                    answered.await.unwrap_or_else(|fault: Fault| call.failed(&fault))
                }),)*
                // Not registered for, so only a newer host's mistake could bring it.
                _ => Box::pin(std::future::ready(ERR_EM_CONTINUE)),
            }
        };
    }
    arms! {
        EM_SMTPCONNECT before_connect
        EM_SMTPCOMMAND before_command
        EM_SMTPEHLO before_ehlo
        EM_SMTPSTARTTLS before_starttls
        EM_SMTPAUTH before_auth
        EM_SMTPMAIL before_mail
        EM_SMTPRCPT before_rcpt
        EM_SMTPDATA before_data
        EM_SMTPHEADERS before_headers
        EM_SMTPBODY before_body
        EM_SMTPMESSAGEACCEPT before_message_accept
        EM_SMTPETRN before_etrn
        EM_SMTPATRN before_atrn
        EM_SMTPVRFY before_vrfy
        EM_SMTPVERB before_verb
        EM_SMTPRSET before_rset
        EM_SMTPQUIT before_quit
        EM_SMTPTIMEOUT before_timeout
        EM_SMTPQUEUE before_queue
        EM_SMTPROUTE before_route
        EM_SMTPDELIVER before_deliver
        EM_SMTPBOUNCE before_bounce
        EM_SMTPEXPIRE before_expire
    }
}

impl Task {
    /// Polls the future; what it borrowed is given back as soon as it is ready.
    fn poll(&mut self) -> STATUS {
        let Some(answering) = &mut self.answering else { return EM_FAULT };
        let mut context = Context::from_waker(&self.waker);
        let pending = &self.pending;
        let polled = boundary::catch(|| {
            if let Some(pending) = pending {
                pending.wake_waiters();
            }
            answering.as_mut().poll(&mut context)
        });
        match polled {
            Ok(Poll::Pending) => EM_PENDING,
            Ok(Poll::Ready(status)) => self.drop_future().unwrap_or(status),
            Err(panic) => {
                let status = self.call.panicked(&panic);
                self.drop_future();
                status
            }
        }
    }

    /// Drops the future; the status if that failed.
    fn drop_future(&mut self) -> Option<STATUS> {
        let answering = self.answering.take();
        boundary::catch(|| drop(answering)).err().map(|panic| self.call.panicked(&panic))
    }
}

/// # Safety
///
/// `data` is what `handle_async` gave to the host, which has not released it, and does not call this twice at once.
unsafe extern "C" fn poll(_: *const EMRECORD, data: *mut c_void, reason: u32) -> STATUS {
    // SAFETY: by the caller's promise.
    let task = unsafe { &mut *data.cast::<Task>() };
    if reason == EM_POLL_WOKEN {
        return task.poll();
    }
    // Nobody waits any more; no thread of ours has what the future borrowed, since it has it itself.
    task.drop_future();
    EM_FAULT
}

/// # Safety
///
/// `data` is what `handle_async` gave to the host, which calls this once.
unsafe extern "C" fn release(data: *mut c_void) {
    // SAFETY: made by `into_raw` in `handle_async`; the host gives it back once.
    let task = unsafe { Box::from_raw(data.cast::<Task>()) };
    debug_assert!(task.answering.is_none(), "a future is dropped before its call ends");
    drop(task);
}
