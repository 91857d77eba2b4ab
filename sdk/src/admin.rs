//! Admin verbs: what the plug-in does for an operator who calls it by `stagepost plugin call`.
//! Knows no verb.

use std::ffi::c_void;

use stagepost_abi::{EM_FAULT, EmAdminCall, EmAdminService, EmText, NOERROR, STATUS};

use crate::answer::Fault;
use crate::boundary;
use crate::call::{Refusal, check};
use crate::host::Host;
use crate::text::{lend, text};

type Act = Box<dyn Fn(&str) -> Result<String, Fault> + Send + Sync>;

/// What a verb's user data points to.
struct Verb {
    table: &'static EmAdminService,
    act: Act,
}

impl Host {
    /// Makes an admin verb. In `Plugin::start`; refused later.
    ///
    /// - name: 1 to 32 of a-z, 0-9 and '-', beginning with a letter.
    /// - help: what it does and takes, 1 to 256 octets in one line.
    /// - act: takes JSON, `null` when the operator gave none, and gives JSON of at most 1 MiB. An error goes to the operator,
    ///   and so does a panic. It may block, whatever the plug-in's class; up to four run at once, beside handlers.
    pub fn admin_verb(
        &self,
        name: &str,
        help: &str,
        act: impl Fn(&str) -> Result<String, Fault> + Send + Sync + 'static,
    ) -> Result<(), Refusal> {
        let table = self.services().admin;
        let verb = Box::into_raw(Box::new(Verb { table, act: Box::new(act) }));
        let (name, help) = (lend(name.as_bytes()), lend(help.as_bytes()));
        // SAFETY: host and table belong together; the texts are lent for the call; handler and release take what `into_raw`
        // gave.
        let status = unsafe {
            (table.verb)(self.handle(), name, help, Some(handle), verb.cast(), Some(release))
        };
        if status != NOERROR {
            // SAFETY: made by `into_raw` above, and the host has not kept it.
            drop(unsafe { Box::from_raw(verb) });
        }
        check("admin_verb", status)
    }
}

/// # Safety
///
/// The host calls it with a call of its own, arguments lent for it, and what `admin_verb` gave as user data.
unsafe extern "C" fn handle(
    call: *mut EmAdminCall,
    arguments: EmText,
    user_data: *mut c_void,
) -> STATUS {
    // SAFETY: the user data is released only when nobody can call any more.
    let Some(verb) = (unsafe { user_data.cast::<Verb>().as_ref() }) else { return EM_FAULT };
    let acted = boundary::catch(|| {
        // SAFETY: the arguments are lent until we return.
        let arguments = unsafe { text(arguments) }?;
        (verb.act)(arguments)
    });
    let failure = match acted {
        Ok(Ok(json)) => {
            // SAFETY: the call is this one's; the answer is lent for the call.
            match unsafe { (verb.table.answer)(call, lend(json.as_bytes())) } {
                NOERROR => return NOERROR,
                status => match check("the verb's answer", status) {
                    Err(refusal) => refusal.to_string(),
                    Ok(()) => return NOERROR,
                },
            }
        }
        Ok(Err(Fault(reason))) => reason,
        Err(panic) => format!("the plug-in panicked{panic}"),
    };
    // SAFETY: the call is this one's; the message is lent for the call. Without a message the status has to do.
    unsafe { (verb.table.fail)(call, lend(failure.as_bytes())) };
    EM_FAULT
}

/// # Safety
///
/// `user_data` is what `admin_verb` gave to the host, which calls this once.
unsafe extern "C" fn release(user_data: *mut c_void) {
    // SAFETY: made by `into_raw` in `admin_verb`; the host gives it back once.
    let verb = unsafe { Box::from_raw(user_data.cast::<Verb>()) };
    // A panic has nobody to be told to here, and must not go on into the host.
    let _ = boundary::catch(|| drop(verb));
}
