//! Turns questions behind the session into the structs that their events promise.
//! Knows the contract's layouts; makes no call.

use stagepost_abi as abi;
use stagepost_smtp::{Attempt, RecipientFate, RecipientResult, Telling};

use crate::arguments::lend;

/// A struct and the list that it points into.
pub(crate) struct WithResults<T> {
    pub(crate) event: T,
    /// Never changed: the struct has its address.
    _results: Box<[abi::EmRecipientResult]>,
}

pub(crate) fn queue(
    event: abi::EmEvent,
    id: &str,
    octets: u64,
    message: *const abi::EmMessage,
) -> abi::EmQueue {
    abi::EmQueue { event, id: lend(id), octets, message }
}

pub(crate) fn route(
    event: abi::EmEvent,
    attempt: &Attempt,
    next_hop: &str,
    message: *const abi::EmMessage,
) -> abi::EmRoute {
    abi::EmRoute {
        event,
        id: lend(&*attempt.id),
        destination: lend(&*attempt.destination),
        next_hop: lend(next_hop),
        age_s: attempt.age_s,
        attempts: attempt.attempts,
        reserved: 0,
        message,
    }
}

pub(crate) fn deliver(
    event: abi::EmEvent,
    attempt: &Attempt,
    next_hop: &str,
    results: &[RecipientResult],
    message: *const abi::EmMessage,
) -> Box<WithResults<abi::EmDeliver>> {
    let lent = lend_results(results);
    let (results, results_count) = list(&lent);
    let event = abi::EmDeliver {
        event,
        id: lend(&*attempt.id),
        destination: lend(&*attempt.destination),
        next_hop: lend(next_hop),
        results,
        results_count,
        attempts: attempt.attempts,
        age_s: attempt.age_s,
        message,
    };
    Box::new(WithResults { event, _results: lent })
}

pub(crate) fn bounce(
    event: abi::EmEvent,
    telling: &Telling,
    message: *const abi::EmMessage,
) -> Box<WithResults<abi::EmBounce>> {
    let lent = lend_results(&telling.results);
    let (results, results_count) = list(&lent);
    let event = abi::EmBounce {
        event,
        id: lend(&*telling.id),
        notification: lend(&*telling.notification),
        to: lend(telling.to.as_str()),
        results,
        results_count,
        reserved: 0,
        message,
    };
    Box::new(WithResults { event, _results: lent })
}

pub(crate) fn expire(
    event: abi::EmEvent,
    attempt: &Attempt,
    message: *const abi::EmMessage,
) -> abi::EmExpire {
    abi::EmExpire {
        event,
        id: lend(&*attempt.id),
        destination: lend(&*attempt.destination),
        age_s: attempt.age_s,
        attempts: attempt.attempts,
        reserved: 0,
        message,
    }
}

fn list(lent: &[abi::EmRecipientResult]) -> (*const abi::EmRecipientResult, u32) {
    let first = if lent.is_empty() { std::ptr::null() } else { lent.as_ptr() };
    (first, u32::try_from(lent.len()).unwrap_or(u32::MAX))
}

fn lend_results(results: &[RecipientResult]) -> Box<[abi::EmRecipientResult]> {
    let lent = |result: &RecipientResult| abi::EmRecipientResult {
        recipient: lend(result.recipient.as_str()),
        reason: lend(&*result.reason),
        result: match result.fate {
            RecipientFate::Delivered => abi::EM_RESULT_DELIVERED,
            RecipientFate::Relayed => abi::EM_RESULT_RELAYED,
            RecipientFate::Failed => abi::EM_RESULT_FAILED,
            RecipientFate::Deferred => abi::EM_RESULT_DEFERRED,
            RecipientFate::Held => abi::EM_RESULT_HELD,
            RecipientFate::Dropped => abi::EM_RESULT_DROPPED,
        },
        enhanced_class: result.status.class,
        reserved: [0; 3],
        enhanced_subject: result.status.subject,
        enhanced_detail: result.status.detail,
        reserved_2: 0,
    };
    results.iter().map(lent).collect()
}
