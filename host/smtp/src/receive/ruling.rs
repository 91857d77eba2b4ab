//! What a plug-in decision means where it was made. Pure; a decision that can't stand there defers.
//! Dispatch has sorted such decisions out before; the session does not rely on it.

use crate::{Class, Decision, Enhanced, Event, Reply};

/// A decision that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Do the core's own work.
    Proceed,
    /// Leave it undone and reply positively.
    Handled(Option<Reply>),
    /// Leave it undone and send this 4xx or 5xx.
    Refuse(Reply),
    /// Send this 4xx or 5xx and close.
    Disconnect(Reply),
}

/// Rules on a decision about `event`. `answerable`: others than the core may carry it out; where they may not,
/// *handled* can't stand.
pub(crate) fn rule(event: Event, answerable: bool, decision: Decision) -> Ruling {
    let negative = |reply: &Reply| matches!(reply.class(), Class::Transient | Class::Permanent);
    match decision {
        Decision::Continue => Ruling::Proceed,
        Decision::Handled(reply) => {
            let stands = matches!(
                event,
                Event::Command
                    | Event::Auth
                    | Event::MessageAccept
                    | Event::Etrn
                    | Event::Atrn
                    | Event::Vrfy
                    | Event::Verb
            );
            let sound = reply.as_ref().is_none_or(|reply| answers_handled(event, reply));
            if stands && answerable && sound {
                Ruling::Handled(reply)
            } else {
                Ruling::Refuse(trouble_at(event))
            }
        }
        // RFC 5321 section 3.8: 421 says that the connection closes, so it does.
        Decision::Reject(reply) | Decision::Defer(reply) if reply.code() == 421 => {
            Ruling::Disconnect(reply)
        }
        Decision::Reject(reply) if reply.class() == Class::Permanent => Ruling::Refuse(reply),
        Decision::Defer(reply) if reply.class() == Class::Transient => Ruling::Refuse(reply),
        Decision::Disconnect(reply) if negative(&reply) => Ruling::Disconnect(reply),
        Decision::Disconnect(_) => Ruling::Disconnect(unavailable(trouble_at(event))),
        Decision::Reject(_) | Decision::Defer(_) => Ruling::Refuse(trouble_at(event)),
    }
}

/// Whether a reply can say that somebody else than the core has done the work. By its code a client must not take the session for
/// another than it is: 235 alone says that it is logged in (RFC 4954 section 6), and says so nowhere else; 250 alone that the connection
/// is reversed (RFC 2645 section 5.2).
///
/// - `event`: whose work was done.
pub fn answers_handled(event: Event, reply: &Reply) -> bool {
    match event {
        Event::Auth => reply.code() == 235,
        Event::Atrn => reply.code() == 250,
        _ => reply.class() == Class::Positive && !reply.tells_what_follows(),
    }
}

/// A fault that is not the client's: never a 5xx.
pub(crate) fn trouble() -> Reply {
    trouble_at(Event::Command)
}

/// The same at an event.
fn trouble_at(event: Event) -> Reply {
    // RFC 3207 section 4 and RFC 4954 section 6: they have a code of their own for it.
    let code = if matches!(event, Event::StartTls | Event::Auth) { 454 } else { 451 };
    Reply::new(code, Some((4, 3, 0)), "Temporary trouble, try again later")
}

/// A refusal as a greeting: 554 or 421 with the same words (RFC 5321 sections 3.1 and 4.2.3), without an enhanced code
/// (RFC 2034 section 4).
pub(crate) fn greeting(refusal: &Reply) -> Reply {
    let code = if refusal.class() == Class::Permanent { 554 } else { 421 };
    Reply::new(code, None, refusal.text().to_owned())
}

/// The same words with 421, which is what announces a closed connection (RFC 5321 section 4.2.3).
pub(crate) fn unavailable(reply: Reply) -> Reply {
    let transient = |enhanced: Enhanced| Enhanced { class: 4, ..enhanced };
    let enhanced = reply.enhanced().map(transient);
    Reply::checked(421, enhanced, reply.text()).unwrap_or(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_change_to_421() {
        let reply = unavailable(Reply::new(500, Some((5, 5, 2)), "Line too long"));
        let mut out = Vec::new();
        reply.write(true, &mut out);
        assert_eq!(out, b"421 4.5.2 Line too long\r\n");
    }

    #[test]
    fn no_decision_accepts_or_bounces_by_accident() {
        let reply = |code| Reply::new(code, None, "x");
        let shown = |event, answerable, decision| match rule(event, answerable, decision) {
            Ruling::Proceed => "proceed".to_owned(),
            Ruling::Handled(reply) => format!("handled {:?}", reply.map(|reply| reply.code())),
            Ruling::Refuse(reply) => format!("refuse {}", reply.code()),
            Ruling::Disconnect(reply) => format!("disconnect {}", reply.code()),
        };
        use Decision::{Continue, Defer, Disconnect, Handled, Reject};
        let cases = [
            (Event::Mail, true, Continue, "proceed"),
            (Event::Mail, true, Reject(reply(550)), "refuse 550"),
            (Event::Mail, true, Reject(reply(450)), "refuse 451"),
            (Event::Mail, true, Reject(reply(250)), "refuse 451"),
            (Event::Mail, true, Defer(reply(450)), "refuse 450"),
            (Event::Mail, true, Defer(reply(550)), "refuse 451"),
            (Event::Mail, true, Defer(reply(421)), "disconnect 421"),
            (Event::Mail, true, Reject(reply(421)), "disconnect 421"),
            (Event::MessageAccept, true, Defer(reply(421)), "disconnect 421"),
            (Event::Command, false, Defer(reply(421)), "disconnect 421"),
            (Event::Mail, true, Disconnect(reply(421)), "disconnect 421"),
            (Event::Mail, true, Disconnect(reply(550)), "disconnect 550"),
            (Event::Mail, true, Disconnect(reply(250)), "disconnect 421"),
            (Event::Connect, true, Handled(None), "refuse 451"),
            (Event::Ehlo, true, Handled(None), "refuse 451"),
            (Event::Mail, true, Handled(None), "refuse 451"),
            (Event::Rcpt, true, Handled(None), "refuse 451"),
            (Event::Data, true, Handled(None), "refuse 451"),
            (Event::Headers, true, Handled(None), "refuse 451"),
            (Event::Body, true, Handled(None), "refuse 451"),
            (Event::Command, true, Handled(None), "handled None"),
            (Event::Command, false, Handled(None), "refuse 451"),
            (Event::Command, true, Handled(Some(reply(214))), "handled Some(214)"),
            (Event::Command, true, Handled(Some(reply(354))), "refuse 451"),
            (Event::Etrn, true, Handled(Some(reply(251))), "handled Some(251)"),
            (Event::Atrn, true, Handled(Some(reply(250))), "handled Some(250)"),
            (Event::Atrn, true, Handled(Some(reply(251))), "refuse 451"),
            (Event::Atrn, false, Handled(None), "refuse 451"),
            (Event::Vrfy, true, Handled(Some(reply(250))), "handled Some(250)"),
            (Event::StartTls, true, Handled(None), "refuse 454"),
            (Event::StartTls, true, Reject(reply(554)), "refuse 554"),
            (Event::Auth, true, Handled(Some(reply(235))), "handled Some(235)"),
            (Event::Auth, true, Handled(Some(reply(250))), "refuse 454"),
            (Event::Auth, false, Handled(None), "refuse 454"),
            (Event::Vrfy, true, Handled(Some(reply(235))), "refuse 451"),
            (Event::Command, true, Handled(Some(reply(220))), "refuse 451"),
            (Event::Command, true, Handled(Some(reply(221))), "refuse 451"),
            (Event::Rset, true, Handled(None), "refuse 451"),
            (Event::Quit, true, Handled(None), "refuse 451"),
            (Event::Timeout, true, Handled(None), "refuse 451"),
            (Event::MessageAccept, true, Handled(Some(reply(550))), "refuse 451"),
        ];
        for (event, answerable, decision, wanted) in cases {
            let case = format!("{event:?} {answerable} {decision:?}");
            assert_eq!(shown(event, answerable, decision), wanted, "{case}");
        }
    }
}
