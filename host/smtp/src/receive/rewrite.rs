//! Command lines as plug-ins rewrite them: held to the form of lines, and never away from what the client counts on.
//! Knows verbs, no session: how long a line may be is for others to say.

use super::command::{self, Doer};
use super::line::Framing;
use crate::Edit;

/// A line that can't stand in the place of another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// An octet that no command line may hold: only printable ASCII can stand there.
    #[error("a command line can't hold the octet 0x{0:02x}")]
    Octet(u8),
    /// What follows the line, or its reply, is not a command: the client goes by what it has sent.
    #[error("{0} frames what follows it: its line stays as it is, and no other becomes one")]
    Framing(String),
    /// The client and the session both keep what the command says, so it must be that command.
    #[error("{from} must stay {from}, it can't become {to:?}")]
    Verb {
        /// The verb as it was, in capitals.
        from: String,
        /// The verb as it is wanted.
        to: String,
    },
    /// Longer than the session takes from a client.
    #[error("a command line has at most {octets_max} octets with its CRLF, not {octets}")]
    TooLong {
        /// The octets of the line with its CRLF.
        octets: usize,
        /// The session's limit.
        octets_max: usize,
    },
}

impl Edit {
    /// Puts another line, without its CRLF, in the place of the command line in hand.
    ///
    /// # Errors
    /// Octets that no command line may hold.
    pub fn replace_command(line: &[u8]) -> Result<Self, RewriteError> {
        match line.iter().find(|octet| !matches!(octet, b' '..=b'~')) {
            Some(&octet) => Err(RewriteError::Octet(octet)),
            None => Ok(Self::ReplaceCommand(String::from_utf8_lossy(line).into())),
        }
    }
}

/// Whether a plug-in may put the line `to` in the place of `from`, both without CRLF.
///
/// # Errors
/// Why not: client and session would be out of step.
pub fn check_rewrite(from: &[u8], to: &str) -> Result<(), RewriteError> {
    for line in [from, to.as_bytes()] {
        let fixed = command::doer(line) == Doer::Nobody || Framing::of(line) != Framing::Line;
        if fixed {
            return Err(RewriteError::Framing(verb(line).to_ascii_uppercase()));
        }
    }
    let same = verb(from).eq_ignore_ascii_case(&verb(to.as_bytes()));
    let hello = command::is_hello(from) && command::is_hello(to.as_bytes());
    if command::doer(from) == Doer::Core && !same && !hello {
        let (from, to) = (verb(from).to_ascii_uppercase(), verb(to.as_bytes()));
        return Err(RewriteError::Verb { from, to });
    }
    Ok(())
}

/// The verb, cut where no verb goes on.
fn verb(line: &[u8]) -> String {
    let verb = String::from_utf8_lossy(command::verb(line));
    verb.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_printable_ascii_makes_a_line() {
        assert_eq!(Edit::replace_command(b"NOOP ~"), Ok(Edit::ReplaceCommand("NOOP ~".into())));
        for (line, octet) in
            [(&b"NOOP\r\nQUIT"[..], 13), (b"A\tB", 9), (b"\0", 0), (b"\x7f", 127), (b"\xc3", 195)]
        {
            assert_eq!(Edit::replace_command(line), Err(RewriteError::Octet(octet)));
        }
    }

    #[test]
    fn lines_are_rewritten_within_what_the_client_counts_on() {
        let sound = [
            ("MAIL FROM:<a@b> X=1", "mail from:<a@b>"),
            ("RCPT TO:<a+x@b>", "RCPT TO:<a@b>"),
            ("RCPT", "RCPT TO:<a@b>"),
            ("EHLO my_pc.", "EHLO my_pc"),
            ("EHLO a", "HELO a"),
            ("helo a", "EHLO a"),
            ("MAILFROM:<a@b>", "MAIL FROM:<a@b>"),
            ("XFOO", "NOOP"),
            ("", "NOOP"),
            ("NOOP", ""),
            ("VRFY a", "EXPN a"),
            ("XBYE", "QUIT"),
            ("QUIT now", "QUIT"),
            ("NOOP", "RSET"),
            ("DATABASE", "NOOP"),
        ];
        for (from, to) in sound {
            assert_eq!(check_rewrite(from.as_bytes(), to), Ok(()), "{from} -> {to}");
        }
        for verb in ["DATA", "BDAT 5", "BDAT:5", "STARTTLS", "AUTH PLAIN *", "ATRN a"] {
            for (from, to) in [(verb, "NOOP"), ("XFOO", verb), (verb, verb)] {
                let found = check_rewrite(from.to_ascii_lowercase().as_bytes(), to);
                assert!(matches!(found, Err(RewriteError::Framing(_))), "{from} -> {to}");
            }
        }
        for from in ["EHLO a", "HELO a", "MAIL FROM:<>", "RCPT TO:<a@b>", "RSET", "QUIT"] {
            for to in ["NOOP", "VRFY x", "XFOO", "", "MAILFROM:<>", "RSETX"] {
                let found = check_rewrite(from.as_bytes(), to);
                assert!(matches!(found, Err(RewriteError::Verb { .. })), "{from} -> {to}");
            }
        }
        assert!(check_rewrite(b"MAIL FROM:<>", "RCPT TO:<a@b>").is_err());
    }
}
