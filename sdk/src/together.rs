//! Waits for many futures at once, and for one no longer than a time.
//! Knows no runtime: each is polled by whoever polls the whole.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Waits until all futures are done, in any order; their outputs in that of the futures.
pub async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut under_way: Vec<_> =
        futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut all = true;
        for (future, output) in &mut under_way {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *output = Some(done),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    under_way.into_iter().filter_map(|(_, output)| output).collect()
}

/// Waits for a future no longer than another takes, such as [`Pending::timer`](crate::Pending::timer); none when that one is
/// done first.
pub async fn before<F: Future, T: Future>(future: F, timer: T) -> Option<F::Output> {
    let (mut future, mut timer) = (pin!(future), pin!(timer));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        Pin::as_mut(&mut timer).poll(context).map(|_| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::{Context, Waker};

    use super::*;

    fn now<F: Future>(future: F) -> Option<F::Output> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn all_are_waited_for_in_their_order() {
        assert_eq!(now(together([ready(1), ready(2)])), Some(vec![1, 2]));
        assert_eq!(now(together(Vec::<std::future::Ready<u8>>::new())), Some(vec![]));
        let mut turns = 0;
        let late = poll_fn(|context| {
            turns += 1;
            context.waker().wake_by_ref();
            if turns < 3 { Poll::Pending } else { Poll::Ready(7) }
        });
        let mut whole = pin!(together([late]));
        let context = &mut Context::from_waker(Waker::noop());
        assert_eq!(whole.as_mut().poll(context), Poll::Pending);
        assert_eq!(whole.as_mut().poll(context), Poll::Pending);
        assert_eq!(whole.as_mut().poll(context), Poll::Ready(vec![7]));
    }

    #[test]
    fn a_timer_ends_what_takes_too_long() {
        assert_eq!(now(before(pending::<()>(), ready(()))), Some(None));
        assert_eq!(now(before(ready(1), pending::<()>())), Some(Some(1)));
        assert_eq!(now(before(ready(1), ready(()))), Some(Some(1)));
    }
}
