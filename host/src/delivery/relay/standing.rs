//! What the answers to a message say of the server that gave them: whether it does well, or wants less.
//! Knows no lane.

use stagepost_smtp::{Cause, Class, Outcome, Reply, Step};

use crate::delivery::lane::Standing;

/// How a server stands that has said something of a message.
pub(super) fn of_outcomes(outcomes: &[Outcome]) -> Standing {
    let mut standing = Standing::Unknown;
    for outcome in outcomes {
        match outcome {
            Outcome::Deferred(cause) if wants_less(cause) => return Standing::Busy,
            Outcome::Deferred(_) => {}
            Outcome::Delivered(_) | Outcome::Failed(_) => standing = Standing::Well,
        }
    }
    standing
}

/// How a server stands that would not talk about a message. `own`: nobody but the sender of the message wants TLS.
pub(super) fn of_refusal(outcomes: &[Outcome], own: bool) -> Standing {
    match (outcomes.iter().all(is_for_want_of_tls), own) {
        // What one message wants of TLS says nothing of the next one.
        (true, true) => Standing::Unknown,
        (true, false) => Standing::Untrusted,
        (false, _) => Standing::Down,
    }
}

/// Whether a server was left because TLS came to nothing: what needs none might have gone to it.
pub(super) fn is_for_want_of_tls(outcome: &Outcome) -> bool {
    let Outcome::Deferred(cause) = outcome else { return false };
    match cause {
        Cause::NoTls => true,
        Cause::Replied { step: Step::StartTls, reply } => reply.code() != 421,
        Cause::Malformed { step, .. } => *step == Step::StartTls,
        _ => is_about_tls(outcome),
    }
}

/// Whether a server would not talk at all, so that nothing was said about the message.
pub(super) fn is_about_the_server(outcome: &Outcome) -> bool {
    let Outcome::Deferred(cause) = outcome else { return false };
    match cause {
        Cause::Replied { step, .. }
        | Cause::Timeout(step)
        | Cause::Closed(step)
        | Cause::Malformed { step, .. } => {
            matches!(
                step,
                Step::Greeting | Step::Ehlo | Step::Lhlo | Step::Helo | Step::StartTls | Step::Auth
            )
        }
        Cause::NoTls | Cause::Handshake(_) | Cause::NoMechanism | Cause::Login(_) => true,
        _ => false,
    }
}

/// Whether a server broke the conversation off before the end of the message: another one may be given the message, which this one can't have.
pub(super) fn is_broken_off(outcome: &Outcome) -> bool {
    let Outcome::Deferred(cause) = outcome else { return false };
    let step = match cause {
        Cause::Replied { step, reply } if reply.code() == 421 => step,
        Cause::Timeout(step) | Cause::Closed(step) | Cause::Malformed { step, .. } => step,
        _ => return false,
    };
    matches!(step, Step::Reset | Step::Mail | Step::Recipient | Step::Data)
}

/// Whether TLS came to nothing behind the server's go-ahead.
pub(super) fn is_about_tls(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Deferred(
            Cause::Handshake(_) | Cause::Timeout(Step::StartTls) | Cause::Closed(Step::StartTls)
        )
    )
}

/// Whether a server that puts a message off has too much to do, rather than something against it.
fn wants_less(cause: &Cause) -> bool {
    match cause {
        Cause::Replied { step, reply } => is_about_load(*step, reply),
        Cause::Timeout(_) | Cause::Closed(_) | Cause::Malformed { .. } | Cause::Unasked(_) => true,
        _ => false,
    }
}

fn is_about_load(step: Step, reply: &Reply) -> bool {
    // RFC 5321 section 3.8: the server closes the connection.
    if reply.code() == 421 {
        return true;
    }
    match reply.enhanced() {
        // RFC 3463: about the address, or the mailbox.
        Some(enhanced) if matches!(enhanced.subject, 1 | 2) => false,
        Some(_) => reply.class() == Class::Transient,
        // Of a recipient it may mean anything: that is who servers greylist.
        None => reply.class() == Class::Transient && step != Step::Recipient,
    }
}

#[cfg(test)]
mod tests {
    use stagepost_smtp::Enhanced;

    use super::*;

    #[test]
    fn servers_are_judged_by_what_they_say() {
        let replied = |step, code, enhanced| {
            let reply = Reply::checked(code, Enhanced::parse(enhanced), "words").unwrap();
            Cause::Replied { step, reply }
        };
        use Standing::{Busy, Unknown, Well};
        let cases = [
            (replied(Step::Mail, 421, ""), Busy),
            (replied(Step::Recipient, 421, "4.2.1"), Busy),
            (replied(Step::Mail, 451, ""), Busy),
            (replied(Step::Dot, 451, "4.3.2"), Busy),
            (replied(Step::Dot, 452, "4.2.2"), Unknown),
            (replied(Step::Recipient, 450, "4.7.1"), Busy),
            (replied(Step::Recipient, 450, "4.2.0"), Unknown),
            (replied(Step::Recipient, 450, "4.1.1"), Unknown),
            (replied(Step::Recipient, 451, ""), Unknown),
            (replied(Step::Recipient, 552, "5.5.3"), Unknown),
            (Cause::Timeout(Step::Data), Busy),
            (Cause::Closed(Step::Dot), Busy),
            (Cause::BodyUnavailable, Unknown),
        ];
        for (cause, wanted) in cases {
            let outcomes = [Outcome::Deferred(cause)];
            assert_eq!(of_outcomes(&outcomes), wanted, "{outcomes:?}");
        }
        let failed = || Outcome::Failed(replied(Step::Recipient, 550, "5.1.1"));
        let full = || Outcome::Deferred(replied(Step::Recipient, 452, "4.2.2"));
        let busy = || Outcome::Deferred(replied(Step::Mail, 451, "4.3.2"));
        assert_eq!(of_outcomes(&[full(), failed()]), Well);
        assert_eq!(of_outcomes(&[failed(), busy()]), Busy);
    }

    #[test]
    fn servers_that_are_left_are_judged_by_why() {
        use Standing::{Down, Unknown, Untrusted};
        let replied = |step, code| {
            let reply = Reply::checked(code, None, "words").unwrap();
            Cause::Replied { step, reply }
        };
        let cases = [
            (replied(Step::Greeting, 554), Down, Down),
            (replied(Step::Ehlo, 421), Down, Down),
            (Cause::Timeout(Step::Ehlo), Down, Down),
            (replied(Step::Auth, 535), Down, Down),
            (Cause::NoTls, Untrusted, Unknown),
            (Cause::Handshake("why".into()), Untrusted, Unknown),
            (replied(Step::StartTls, 454), Untrusted, Unknown),
            (replied(Step::StartTls, 501), Untrusted, Unknown),
            // It goes down.
            (replied(Step::StartTls, 421), Down, Down),
            (Cause::Timeout(Step::StartTls), Untrusted, Unknown),
            (Cause::Closed(Step::StartTls), Untrusted, Unknown),
        ];
        for (cause, wanted, of_its_own) in cases {
            let outcomes = [Outcome::Deferred(cause)];
            let found = [false, true].map(|own| of_refusal(&outcomes, own));
            assert_eq!(found, [wanted, of_its_own], "{outcomes:?}");
        }
    }
}
