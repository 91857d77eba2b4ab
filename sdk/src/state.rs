//! What the plug-in keeps beyond the process: values by key, durable.
//! Knows no key.

use std::fmt;
use std::future::Future;

use stagepost_abi::{
    EM_ERR_LIMIT, EM_STATE_KEY_MAX, EM_STATE_VALUE_MAX, ERR_NOT_FOUND, EmHost, EmRequest,
    EmStateService, EmToken, NOERROR, STATUS,
};

use crate::call::{Refusal, check};
use crate::host::Host;
use crate::pending::Pending;
use crate::request::Asking;
use crate::text::lend;

/// The plug-in's durable state. Keys have 1 to 256 octets and their octets' order, values up to 65,536.
///
/// What ends in `_wait` waits for the disk: for handlers of class blocking and threads of the plug-in's own; in line, and in
/// [`start`](crate::Plugin::start), it is [`Reason::NotHere`](crate::Reason::NotHere). The others are for
/// [`AsyncPlugin`](crate::AsyncPlugin): they begin at once, and their futures are to be awaited in the handler whose `call`
/// they are given.
/// [`Reason::Unreadable`](crate::Reason::Unreadable) says that the disk fails: whether a change was made is then not known.
#[derive(Clone, Copy)]
pub struct State {
    host: Host,
    table: &'static EmStateService,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Host {
    /// The plug-in's durable state; a host may be without it.
    pub fn state(&self) -> Option<State> {
        let table = self.services().state?;
        Some(State { host: *self, table })
    }
}

impl State {
    /// Reads a value; `None` when there is none.
    pub fn get_wait(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let mut value = vec![0; EM_STATE_VALUE_MAX as usize];
        let mut length = 0;
        // SAFETY: host and table belong together; the key is lent for the call; the buffer has room for its length.
        let status = unsafe {
            (self.table.get_wait)(
                self.host.handle(),
                lend(key),
                value.as_mut_ptr().cast(),
                value.len() as u64,
                &raw mut length,
            )
        };
        found("get_wait", status, value, length)
    }

    /// Puts a value in the place of any other; it is on disk when this returns.
    pub fn put_wait(&self, key: &[u8], value: &[u8]) -> Result<(), Refusal> {
        // SAFETY: host and table belong together; key and value are lent for the call.
        let status = unsafe { (self.table.put_wait)(self.host.handle(), lend(key), lend(value)) };
        check("put_wait", status)
    }

    /// Removes a value, if there is one; that is on disk when this returns.
    pub fn remove_wait(&self, key: &[u8]) -> Result<(), Refusal> {
        // SAFETY: host and table belong together; the key is lent for the call.
        check("remove_wait", unsafe { (self.table.remove_wait)(self.host.handle(), lend(key)) })
    }

    /// Finds the first key behind `after` that begins with `prefix`; both may be empty.
    pub fn next_wait(&self, prefix: &[u8], after: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let mut key = vec![0; EM_STATE_KEY_MAX as usize];
        let mut length = 0;
        // SAFETY: host and table belong together; prefix and after are lent for the call; the buffer has room for its
        // length.
        let status = unsafe {
            (self.table.next_wait)(
                self.host.handle(),
                lend(prefix),
                lend(after),
                key.as_mut_ptr().cast(),
                key.len() as u64,
                &raw mut length,
            )
        };
        found("next_wait", status, key, length)
    }

    /// As [`get_wait`](Self::get_wait), without a thread that waits.
    ///
    /// # Errors
    /// What the host says, and [`Reason::Limit`](crate::Reason::Limit) for more than 256 requests at once.
    pub fn get(
        &self,
        call: &Pending,
        key: &[u8],
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Refusal>> + Send + use<> {
        self.begin("get", call, |host, token, request| {
            // SAFETY: host and table belong together; the key is lent for the call; a token may be any number.
            unsafe { (self.table.get)(host, token, lend(key), request) }
        })
    }

    /// As [`put_wait`](Self::put_wait), without a thread that waits.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn put(
        &self,
        call: &Pending,
        key: &[u8],
        value: &[u8],
    ) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
        changed(self.begin("put", call, |host, token, request| {
            // SAFETY: as in `get`; the value is lent for the call too.
            unsafe { (self.table.put)(host, token, lend(key), lend(value), request) }
        }))
    }

    /// As [`remove_wait`](Self::remove_wait), without a thread that waits.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove(
        &self,
        call: &Pending,
        key: &[u8],
    ) -> impl Future<Output = Result<(), Refusal>> + Send + use<> {
        changed(self.begin("remove", call, |host, token, request| {
            // SAFETY: as in `get`.
            unsafe { (self.table.remove)(host, token, lend(key), request) }
        }))
    }

    /// As [`next_wait`](Self::next_wait), without a thread that waits.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn next(
        &self,
        call: &Pending,
        prefix: &[u8],
        after: &[u8],
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Refusal>> + Send + use<> {
        self.begin("next", call, |host, token, request| {
            // SAFETY: as in `get`, for prefix and after.
            unsafe { (self.table.next)(host, token, lend(prefix), lend(after), request) }
        })
    }

    fn begin(
        &self,
        name: &'static str,
        call: &Pending,
        ask: impl FnOnce(*mut EmHost, EmToken, *mut EmRequest) -> STATUS,
    ) -> Asking<Self, Option<Vec<u8>>> {
        let ask = |token, request| ask(self.host.handle(), token, request);
        Asking::begin(name, call, ask, *self, Self::result)
    }

    /// Takes the result of a request: first how long it is, then the whole.
    fn result(&self, request: EmRequest) -> Result<Option<Vec<u8>>, STATUS> {
        let (mut octets, mut length) = (Vec::<u8>::new(), 0);
        loop {
            // SAFETY: host and table belong together; a request may be any number; the buffer has room for its length.
            let status = unsafe {
                (self.table.result)(
                    self.host.handle(),
                    request,
                    octets.as_mut_ptr().cast(),
                    octets.len() as u64,
                    &raw mut length,
                )
            };
            match status {
                NOERROR if length == octets.len() as u64 => return Ok(Some(octets)),
                ERR_NOT_FOUND => return Ok(None),
                EM_ERR_LIMIT if octets.is_empty() && length <= EM_STATE_VALUE_MAX => {
                    octets.resize(length as usize, 0);
                }
                // It has broken its contract.
                NOERROR => return Err(EM_ERR_LIMIT),
                status => return Err(status),
            }
        }
    }
}

async fn changed(asking: Asking<State, Option<Vec<u8>>>) -> Result<(), Refusal> {
    asking.await.map(drop)
}

/// What a waiting call has written to its buffer.
fn found(
    call: &'static str,
    status: STATUS,
    mut buffer: Vec<u8>,
    length: u64,
) -> Result<Option<Vec<u8>>, Refusal> {
    if status == ERR_NOT_FOUND {
        return Ok(None);
    }
    check(call, status)?;
    // A host that writes more than there is room for has broken its contract.
    let length = usize::try_from(length).ok().filter(|length| *length <= buffer.len());
    let Some(length) = length else {
        return check(call, EM_ERR_LIMIT).map(|()| None);
    };
    buffer.truncate(length);
    Ok(Some(buffer))
}
