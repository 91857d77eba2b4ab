//! VRFY where the operator lets it tell who is here (RFC 5321 section 3.5).
//! Knows replies; who is here is for the router to say.

use super::path;
use super::session::Session;
use super::state::Answer;
use crate::{Address, Question, Reply, Route};

/// The reply that is the same for everybody: it is no directory (RFC 5321 section 7.3).
pub(super) fn hidden() -> Reply {
    Reply::new(252, Some((2, 0, 0)), "Send some mail, that will tell")
}

/// The mailbox that an argument names, with or without angle brackets; none: a name of another kind.
pub(super) fn address(argument: &str) -> Option<Address> {
    // RFC 6531 section 3.7.4.2.
    let argument = match argument.rsplit_once(' ') {
        Some((before, word)) if word.eq_ignore_ascii_case("SMTPUTF8") => before,
        _ => argument,
    };
    let inner = argument.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    path::forward_path(inner.unwrap_or(argument), true).ok()
}

impl Session {
    /// Answers what the router says of an address.
    pub(super) fn verified_address(
        &mut self,
        address: &Address,
        route: Route,
        question: Option<Question>,
    ) {
        // RFC 5321 section 3.5.3. Text is ASCII: of others is said that they are here, not who they are.
        let named = if address.is_ascii() { format!("<{address}>") } else { "Ok".to_owned() };
        let reply = match route {
            Route::Local => Reply::new(250, Some((2, 1, 5)), named),
            Route::UnknownUser => {
                self.tally.refusals += 1;
                Reply::new(550, Some((5, 1, 1)), "No such user here")
            }
            // RFC 5321 section 3.5.1.
            Route::Ambiguous => {
                self.tally.refusals += 1;
                Reply::new(553, Some((5, 1, 4)), "Several have this address here")
            }
            Route::Unavailable => {
                Reply::new(451, Some((4, 4, 3)), "Directory not available, try again later")
            }
            Route::Relay | Route::Foreign | Route::Unreachable => hidden(),
        };
        self.conclude(question, Answer::plain(reply));
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_argument_may_name_a_mailbox() {
        let cases = [
            ("a@b.test", Some("a@b.test")),
            ("<a@b.test>", Some("a@b.test")),
            ("<@x:a@b.test>", Some("a@b.test")),
            ("postmaster", Some("postmaster")),
            ("j\u{f6}rg@b.test SMTPUTF8", Some("j\u{f6}rg@b.test")),
            ("a", None),
            ("<a@b.test", None),
            ("A Name <a@b.test>", None),
            ("a@b.test c", None),
        ];
        for (argument, wanted) in cases {
            let found = address(argument);
            assert_eq!(found.as_ref().map(|address| address.as_str()), wanted, "{argument}");
        }
    }
}
