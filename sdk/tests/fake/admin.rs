//! The admin service of the fake host, and the operator who calls its verbs.

use std::ffi::c_void;

use stagepost_abi::*;

use super::{Fake, fake, read, text};

pub(super) static ADMIN: EmAdminService = EmAdminService {
    size: size_of::<EmAdminService>() as u32,
    reserved: 0,
    verb: admin_verb,
    answer: admin_answer,
    fail: admin_fail,
};

/// A verb that the plug-in made.
pub(crate) struct Verb {
    name: String,
    handler: EmAdminVerb,
    user_data: *mut c_void,
    release: EmRelease,
}

impl Fake {
    /// Calls a verb as an operator does: its status, and what it said.
    pub(crate) fn call_verb(&self, name: &str, arguments: &'static [u8]) -> (STATUS, Vec<String>) {
        let verbs = self.verbs.lock().unwrap();
        let verb = verbs.iter().find(|verb| verb.name == name).expect("the plug-in has the verb");
        let mut said: Vec<String> = Vec::new();
        let call = (&raw mut said).cast();
        // SAFETY: the call is valid until the handler returns; handler and user data belong together.
        let status = unsafe { verb.handler.unwrap()(call, text(arguments), verb.user_data) };
        (status, said)
    }

    /// Gives the verbs back, as the host does when it stops.
    pub(crate) fn drop_verbs(&self) {
        for verb in self.verbs.lock().unwrap().drain(..) {
            // SAFETY: each once, with what was given.
            unsafe { verb.release.unwrap()(verb.user_data) };
        }
    }
}

unsafe extern "C" fn admin_verb(
    host: *mut EmHost,
    name: EmText,
    help: EmText,
    handler: EmAdminVerb,
    user_data: *mut c_void,
    release: EmRelease,
) -> STATUS {
    if read(help).is_empty() {
        return ERR_MISC_INVALID_ARGS;
    }
    let verb = Verb { name: read(name), handler, user_data, release };
    fake(host).verbs.lock().unwrap().push(verb);
    NOERROR
}

fn say(call: *mut EmAdminCall, line: String) -> STATUS {
    // SAFETY: the handle is what `call_verb` made of a list of its own.
    unsafe { &mut *call.cast::<Vec<String>>() }.push(line);
    NOERROR
}

unsafe extern "C" fn admin_answer(call: *mut EmAdminCall, json: EmText) -> STATUS {
    match read(json).as_str() {
        "no json" => ERR_MISC_INVALID_ARGS,
        json => say(call, format!("answer {json}")),
    }
}

unsafe extern "C" fn admin_fail(call: *mut EmAdminCall, message: EmText) -> STATUS {
    say(call, format!("fail {}", read(message)))
}
