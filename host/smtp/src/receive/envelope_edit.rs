//! Envelope edits as plug-ins write them: held to the form that MAIL and RCPT are held to.
//! Knows no session: where an edit may be made, and whether its recipient has a route, is for others to say.

use super::extensions::{Extension, Extensions};
use super::grammar::Grammar;
use super::{parameter, path};
use crate::{Claims, Class, Edit, MailParameters, Recipient, Reply, ReversePath};

/// Whether addresses may be of any script.
const UTF8: bool = Extensions::WORKING.contains(Extension::SmtpUtf8);

/// A path or parameters that MAIL or RCPT would not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not a path, without its angle brackets.
    #[error("no path that the command would take")]
    Path,
    /// Parameters that the command does not take.
    #[error("parameters that the command would not take")]
    Parameters,
}

impl Edit {
    /// Replaces the sender: a path without angle brackets, empty for the null path, and the parameters of MAIL; empty ones
    /// leave those received. `claims`: whose parameters count beside the core's.
    ///
    /// # Errors
    /// What the MAIL command would not take.
    pub fn sender(path: &str, parameters: &str, claims: &Claims) -> Result<Self, EnvelopeError> {
        let sender = path::reverse_path(path, UTF8).map_err(|_| EnvelopeError::Path)?;
        let parse = || -> Result<MailParameters, Reply> {
            let (_, body) = parameter::mail_parameters(parameters, Grammar::new(claims))?;
            Ok(MailParameters { text: parameters.into(), body })
        };
        let parameters = match parameters {
            "" => None,
            _ => Some(parse().map_err(|_| EnvelopeError::Parameters)?),
        };
        Ok(Self::Sender { sender, parameters })
    }

    /// Adds a recipient: a path without angle brackets, and the parameters of RCPT. `claims` as in `sender`.
    ///
    /// # Errors
    /// What the RCPT command would not take.
    pub fn add_recipient(
        path: &str,
        parameters: &str,
        claims: &Claims,
    ) -> Result<Self, EnvelopeError> {
        let address = path::forward_path(path, UTF8).map_err(|_| EnvelopeError::Path)?;
        parameter::rcpt_parameters(parameters, Grammar::new(claims))
            .map_err(|_| EnvelopeError::Parameters)?;
        Ok(Self::AddRecipient(Recipient { address, parameters: parameters.into() }))
    }

    /// Takes a recipient out.
    ///
    /// # Errors
    /// What is no path.
    pub fn remove_recipient(path: &str) -> Result<Self, EnvelopeError> {
        path::forward_path(path, UTF8).map(Self::RemoveRecipient).map_err(|_| EnvelopeError::Path)
    }

    /// Refuses the message for a recipient.
    ///
    /// # Errors
    /// What is no path. A reply that does not refuse, or that closes the connection, counts as no parameters would.
    pub fn refuse_recipient(path: &str, reply: Reply) -> Result<Self, EnvelopeError> {
        let refuses = matches!(reply.class(), Class::Transient | Class::Permanent);
        if !refuses || reply.tells_what_follows() {
            return Err(EnvelopeError::Parameters);
        }
        let recipient = path::forward_path(path, UTF8).map_err(|_| EnvelopeError::Path)?;
        Ok(Self::RefuseRecipient { recipient, reply })
    }

    /// Puts a recipient in the place of another, or, where `replaced` is none, of the one in hand, with the parameters of
    /// RCPT; empty ones leave those that there are. `claims` as in `sender`.
    ///
    /// # Errors
    /// What the RCPT command would not take.
    pub fn replace_recipient(
        replaced: Option<&str>,
        path: &str,
        parameters: &str,
        claims: &Claims,
    ) -> Result<Self, EnvelopeError> {
        let parse = |path| path::forward_path(path, UTF8).map_err(|_| EnvelopeError::Path);
        let (replaced, recipient) = (replaced.map(parse).transpose()?, parse(path)?);
        parameter::rcpt_parameters(parameters, Grammar::new(claims))
            .map_err(|_| EnvelopeError::Parameters)?;
        let parameters = (!parameters.is_empty()).then(|| parameters.into());
        Ok(Self::ReplaceRecipient { replaced, recipient, parameters })
    }

    /// Whether it changes what the facts tell of a transaction.
    pub(crate) fn is_in_facts(&self) -> bool {
        matches!(
            self,
            Self::Sender { .. }
                | Self::AddRecipient(_)
                | Self::RemoveRecipient(_)
                | Self::ReplaceRecipient { .. }
                | Self::Tag { .. }
        )
    }
}

impl ReversePath {
    /// Octets of the address.
    pub(crate) fn octets(&self) -> usize {
        self.as_str().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BodyKind;

    #[test]
    fn plug_ins_are_held_to_the_form_of_the_commands() {
        use EnvelopeError::{Parameters, Path};
        let sender = |path, parameters| match Edit::sender(path, parameters, Claims::none()) {
            Ok(Edit::Sender { sender, parameters }) => {
                Ok((sender.to_string(), parameters.map(|given| (given.text, given.body))))
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        };
        let given = ("SIZE=5 BODY=8BITMIME".into(), BodyKind::EightBitMime);
        assert_eq!(sender("", ""), Ok(("<>".to_owned(), None)));
        assert_eq!(sender("a@b", "SIZE=5 BODY=8BITMIME"), Ok(("<a@b>".to_owned(), Some(given))));
        for path in ["a", "a@b>", "a@b c", "<a@b>", "a@b\r\nRCPT TO:<x@y>", "Postmaster"] {
            assert_eq!(sender(path, ""), Err(Path), "{path}");
        }
        for parameters in ["FOO", "BODY=9", "SIZE=", "SIZE=1\r\n", "BODY=7BIT BODY=7BIT"] {
            assert_eq!(sender("a@b", parameters), Err(Parameters), "{parameters}");
        }
        assert!(Edit::add_recipient("Postmaster", "", Claims::none()).is_ok());
        assert_eq!(Edit::add_recipient("", "", Claims::none()), Err(Path));
        assert_eq!(Edit::add_recipient("a@b", "NOTIFY=SOON", Claims::none()), Err(Parameters));
        assert_eq!(Edit::remove_recipient("a@b>"), Err(Path));
        let replace = |replaced, path, given| {
            Edit::replace_recipient(replaced, path, given, Claims::none()).map(drop)
        };
        assert_eq!(replace(None, "a@b@c", ""), Err(Path));
        assert_eq!(replace(Some("a@b@c"), "a@b", ""), Err(Path));
        assert_eq!(replace(Some("a@b"), "c@d", "NOTIFY=SOON"), Err(Parameters));
        assert_eq!(replace(Some("a@b"), "c@d", ""), Ok(()));
        let refuse =
            |path, code| Edit::refuse_recipient(path, Reply::new(code, None, "No")).map(drop);
        assert_eq!((refuse("a@b", 550), refuse("a@b", 451)), (Ok(()), Ok(())));
        assert_eq!(refuse("a@b@c", 550), Err(Path));
        for code in [250, 354, 421] {
            assert_eq!(refuse("a@b", code), Err(Parameters), "{code}");
        }
    }
}
