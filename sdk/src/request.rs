//! A request under way: what a service was asked for with the call's token, as a future of its handler.
//! Knows no service; how the result is read is given to it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use stagepost_abi::{EM_PENDING, EmRequest, EmToken, STATUS};

use crate::call::{Refusal, check};
use crate::pending::{Pending, PendingCall};

/// A request, begun when it is made. The host wakes the call when it is done.
pub(crate) struct Asking<S, T> {
    call: Arc<PendingCall>,
    /// The function that was called, for what is refused.
    name: &'static str,
    request: EmRequest,
    refused: Option<Refusal>,
    /// What names this future among those that wait in the call.
    waiter: u64,
    service: S,
    read: Read<S, T>,
}

/// Takes the result of a request, or says why there is none.
type Read<S, T> = fn(&S, EmRequest) -> Result<T, STATUS>;

impl<S, T> Asking<S, T> {
    /// Asks with the token of the call.
    pub(crate) fn begin(
        name: &'static str,
        call: &Pending,
        ask: impl FnOnce(EmToken, *mut EmRequest) -> STATUS,
        service: S,
        read: Read<S, T>,
    ) -> Self {
        let call = call.call.clone();
        let mut request = 0;
        let refused = check(name, ask(call.token, &raw mut request)).err();
        let waiter = call.waiter();
        Self { call, name, request, refused, waiter, service, read }
    }
}

impl<S: Unpin, T> Future for Asking<S, T> {
    type Output = Result<T, Refusal>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(refusal) = self.refused {
            return Poll::Ready(Err(refusal));
        }
        match (self.read)(&self.service, self.request) {
            Ok(found) => Poll::Ready(Ok(found)),
            Err(EM_PENDING) => {
                self.call.wait(self.waiter, None, context.waker());
                Poll::Pending
            }
            Err(status) => Poll::Ready(Err(Refusal::of(self.name, status))),
        }
    }
}

impl<S, T> Drop for Asking<S, T> {
    fn drop(&mut self) {
        self.call.forget(self.waiter);
    }
}
