//! Admin verbs: what plug-ins do for an operator who asks for it, on threads that may block.
//! Knows what goes in and comes out; knows no way by which an operator asks.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stagepost_abi as abi;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pool::Out;
use crate::release::LifeRelease;

/// The most verbs of one plug-in.
pub(crate) const VERBS_MAX: usize = 32;
/// The most calls of one plug-in's verbs at once.
pub const ADMIN_CALLS_MAX: usize = 4;
/// How long an operator waits.
const CALL_MAX: Duration = Duration::from_secs(30);
/// The most octets of arguments, and of an answer.
pub const VERB_JSON_OCTETS_MAX: usize = 1 << 20;
/// How deep arguments and answers may be nested: so deep as the JSON library reads.
const JSON_DEPTH_MAX: usize = 127;
/// The most octets of why a call failed.
const MESSAGE_OCTETS_MAX: usize = 4096;

/// Marks an `AdminCall` while its handler runs, so that a pointer kept beyond that, or a wrong one, is mostly told.
const MAGIC: u64 = 0x5354_4147_4541_444d;

/// A verb's handler, known not to be NULL.
pub(crate) type Handler = unsafe extern "C" fn(
    call: *mut abi::EmAdminCall,
    arguments: abi::EmText,
    user_data: *mut c_void,
) -> abi::STATUS;

/// A verb. Dropping the last reference, on any thread, gives the user data back to the plug-in.
pub(crate) struct AdminVerb {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) handler: Handler,
    pub(crate) user_data: *mut c_void,
    /// Dropped with it.
    pub(crate) release: Option<LifeRelease>,
}

// SAFETY: the contract makes user data, handler and release of a verb usable from any thread; the host itself never looks
// into the user data.
unsafe impl Send for AdminVerb {}
// SAFETY: as above; the members are never changed once others see them.
unsafe impl Sync for AdminVerb {}

impl AdminVerb {
    /// Whether name and help can be.
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-');
        (1..=32).contains(&self.name.len())
            && self.name.starts_with(|first: char| first.is_ascii_lowercase())
            && self.name.bytes().all(sound)
            && (1..=256).contains(&self.help.len())
            && !self.help.chars().any(char::is_control)
    }

    /// Calls the handler, on this thread.
    fn call(&self, arguments: &str) -> Result<String, AdminVerbError> {
        let mut call = AdminCall::new();
        let arguments = crate::arguments::lend(arguments);
        // SAFETY: the handler came with this user data; call and arguments outlive the handler's run. What is written to the
        // call is behind its lock.
        let status = unsafe { (self.handler)(call.handle(), arguments, self.user_data) };
        let Said { answer, failure } = call.over();
        match status {
            abi::NOERROR => Ok(answer.unwrap_or_else(|| "null".to_owned())),
            status => Err(AdminVerbError::Failed { status, message: failure }),
        }
    }
}

/// One call under way. `EmAdminCall *` points to one of these while the handler runs.
pub(crate) struct AdminCall {
    magic: u64,
    /// Locked, since a handler may have others of its threads answer.
    said: Mutex<Said>,
}

/// What a verb says.
#[derive(Debug, Default)]
struct Said {
    answer: Option<String>,
    failure: Option<String>,
}

impl AdminCall {
    fn new() -> Self {
        Self { magic: MAGIC, said: Mutex::default() }
    }

    /// The handle that the handler is given. The contract has it without const; nothing is written but behind the lock.
    fn handle(&self) -> *mut abi::EmAdminCall {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// The call behind a handle that came from a plug-in.
    ///
    /// # Safety
    /// `handle` is NULL or points to readable memory of an `AdminCall`'s size, and the result is used only until the handler
    /// returns that it was given to.
    pub(crate) unsafe fn from_handle<'h>(handle: *const abi::EmAdminCall) -> Option<&'h Self> {
        let call = handle.cast::<Self>();
        if !call.is_aligned() {
            return None;
        }
        // SAFETY: by the caller's promise.
        let call = unsafe { call.as_ref() }?;
        (call.magic == MAGIC).then_some(call)
    }

    pub(crate) fn set_answer(&self, json: &str) -> Result<(), abi::STATUS> {
        if json.len() > VERB_JSON_OCTETS_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        if !is_json(json) {
            let status = |deep| if deep { abi::EM_ERR_LIMIT } else { abi::ERR_MISC_INVALID_ARGS };
            return Err(status(is_deep(json)));
        }
        self.said().answer = Some(json.to_owned());
        Ok(())
    }

    pub(crate) fn set_failure(&self, message: &str) {
        let end = message.floor_char_boundary(MESSAGE_OCTETS_MAX.min(message.len()));
        self.said().failure = Some(message[..end].to_owned());
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the call: what was said, and no more.
    fn over(&mut self) -> Said {
        // SAFETY: a place of our own. Volatile, since nothing that the compiler knows of reads it any more.
        unsafe { (&raw mut self.magic).write_volatile(0) };
        std::mem::take(&mut *self.said())
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

/// Whether a text that is JSON, or begins so, is nested deeper than it may be.
fn is_deep(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for octet in text.bytes() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH_MAX {
            return true;
        }
    }
    false
}

/// Why a verb has no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminVerbError {
    /// The operator asks for what is not there.
    #[error("there is no plug-in {0:?}")]
    NoPlugin(String),
    /// The operator asks for what is not there.
    #[error("plug-in {plugin} has no verb {verb:?}")]
    NoVerb {
        /// Whose.
        plugin: String,
        /// What.
        verb: String,
    },
    /// The operator's arguments are not JSON.
    #[error("the arguments are not JSON")]
    NotJson,
    /// The operator's arguments are not text.
    #[error("the arguments are not UTF-8")]
    NotUtf8,
    /// The operator's arguments are nested too deep.
    #[error("the arguments are nested more than {JSON_DEPTH_MAX} deep")]
    TooDeep,
    /// The operator's arguments are too large.
    #[error("the arguments have more than {VERB_JSON_OCTETS_MAX} octets")]
    TooLarge,
    /// Earlier calls of the plug-in's verbs have not returned.
    #[error("no verb of the plug-in became free within {} s ({ADMIN_CALLS_MAX} calls are out)", CALL_MAX.as_secs())]
    Busy,
    /// The plug-in did not answer in time.
    #[error("the plug-in did not answer within {} s; its call goes on", CALL_MAX.as_secs())]
    Late,
    /// The plug-in says no.
    #[error("{}", .message.clone().unwrap_or_else(|| format!("the plug-in answers status {status:#06x}")))]
    Failed {
        /// What it returned.
        status: u16,
        /// What it said.
        message: Option<String>,
    },
    /// The host's own code failed around the call.
    #[error("the call could not be made: {0}")]
    Host(String),
}

/// An admin verb, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminVerbState {
    /// Its name.
    pub name: String,
    /// What it does and takes.
    pub help: String,
}

/// Whether arguments can be handed to a verb.
pub(crate) fn check_arguments(arguments: &str) -> Result<(), AdminVerbError> {
    match arguments {
        long if long.len() > VERB_JSON_OCTETS_MAX => Err(AdminVerbError::TooLarge),
        json if is_json(json) => Ok(()),
        deep if is_deep(deep) => Err(AdminVerbError::TooDeep),
        _ => Err(AdminVerbError::NotJson),
    }
}

/// Calls a verb on a thread that may block, and waits for a bounded time.
pub(crate) async fn call(
    verb: Arc<AdminVerb>,
    arguments: String,
    free: Arc<Semaphore>,
) -> Result<String, AdminVerbError> {
    let deadline = tokio::time::Instant::now() + CALL_MAX;
    let permit: OwnedSemaphorePermit =
        match tokio::time::timeout_at(deadline, free.acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(closed)) => return Err(AdminVerbError::Host(closed.to_string())),
            Err(_) => return Err(AdminVerbError::Busy),
        };
    let task = tokio::task::spawn_blocking(move || {
        let out = Out::begin();
        let answer = verb.call(&arguments);
        // The last reference begins the plug-in's release, which is counted before this call is over.
        drop(verb);
        drop(out);
        drop(permit);
        answer
    });
    match tokio::time::timeout_at(deadline, task).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failed)) => Err(AdminVerbError::Host(failed.to_string())),
        Err(_) => Err(AdminVerbError::Late),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use super::*;

    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    /// Waits until the test opens the gate.
    unsafe extern "C" fn wait_at_gate(
        _: *mut abi::EmAdminCall,
        _: abi::EmText,
        _: *mut c_void,
    ) -> abi::STATUS {
        let (open, changed) = &GATE;
        let open = open.lock().unwrap();
        drop(changed.wait_while(open, |open| !*open).unwrap());
        abi::NOERROR
    }

    fn verb(name: &str, help: &str) -> AdminVerb {
        AdminVerb {
            name: name.to_owned(),
            help: help.to_owned(),
            handler: wait_at_gate,
            user_data: std::ptr::null_mut(),
            release: None,
        }
    }

    #[test]
    fn names_are_words_of_a_command_line() {
        let (longest, longer) = ("n".repeat(32), "n".repeat(33));
        for name in ["a", "forget", "show-2", &longest] {
            assert!(verb(name, "help").is_sound(), "{name}");
        }
        for name in ["", "2a", "-a", "A", "a_b", "a/b", "ä", &longer] {
            assert!(!verb(name, "help").is_sound(), "{name}");
        }
        assert!(!verb("a", "").is_sound() && !verb("a", "two\nlines").is_sound());
    }

    #[test]
    fn an_answer_is_json_of_a_bounded_size() {
        let mut call = AdminCall::new();
        for json in ["", "{", "1 2", "'x'"] {
            assert_eq!(call.set_answer(json), Err(abi::ERR_MISC_INVALID_ARGS), "{json:?}");
        }
        let large = format!("\"{}\"", "x".repeat(VERB_JSON_OCTETS_MAX));
        assert_eq!(call.set_answer(&large), Err(abi::EM_ERR_LIMIT));
        assert!(call.said().answer.is_none());
        assert_eq!(call.set_answer(" [1, {\"a\": null}] "), Ok(()));
        call.set_failure(&"ä".repeat(MESSAGE_OCTETS_MAX));
        assert_eq!(call.over().failure.unwrap().len(), MESSAGE_OCTETS_MAX);
        assert_eq!(check_arguments("nil"), Err(AdminVerbError::NotJson));
        assert_eq!(check_arguments(&large), Err(AdminVerbError::TooLarge));
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check_arguments(&nested(JSON_DEPTH_MAX)), Ok(()));
        assert_eq!(check_arguments(&nested(JSON_DEPTH_MAX + 1)), Err(AdminVerbError::TooDeep));
        let text = format!("\"{}\\\"{}\" nil", "[".repeat(200), "{".repeat(200));
        assert_eq!(check_arguments(&text), Err(AdminVerbError::NotJson));
        let call = AdminCall::new();
        assert_eq!(call.set_answer(&nested(JSON_DEPTH_MAX + 1)), Err(abi::EM_ERR_LIMIT));
    }

    #[test]
    fn a_call_is_answered_from_several_threads() {
        unsafe extern "C" fn answer_from_threads(
            call: *mut abi::EmAdminCall,
            _: abi::EmText,
            _: *mut c_void,
        ) -> abi::STATUS {
            let call = call as usize;
            std::thread::scope(|scope| {
                for number in 0..4 {
                    scope.spawn(move || {
                        let handle = call as *const abi::EmAdminCall;
                        // SAFETY: the handler's own, which has not returned.
                        let call = unsafe { AdminCall::from_handle(handle) }.unwrap();
                        for _ in 0..100 {
                            call.set_answer(&number.to_string()).unwrap();
                            call.set_failure("none");
                        }
                    });
                }
            });
            abi::NOERROR
        }
        let verb = AdminVerb { handler: answer_from_threads, ..verb("v", "help") };
        let answer = verb.call("null").unwrap();
        assert!(["0", "1", "2", "3"].contains(&&*answer), "{answer}");
    }

    #[tokio::test]
    async fn a_call_waits_for_its_place_and_leaves_it() {
        let free = Arc::new(Semaphore::new(1));
        let made = Arc::new(verb("v", "help"));
        let first = tokio::spawn(call(made.clone(), "null".to_owned(), free.clone()));
        while free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let second = tokio::spawn(call(made, "null".to_owned(), free.clone()));
        tokio::task::yield_now().await;
        assert!(!first.is_finished() && !second.is_finished());
        *GATE.0.lock().unwrap() = true;
        GATE.1.notify_all();
        assert_eq!(first.await.unwrap(), Ok("null".to_owned()));
        assert_eq!(second.await.unwrap(), Ok("null".to_owned()));
        assert_eq!(free.available_permits(), 1);
    }
}
