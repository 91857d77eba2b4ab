//! For whom mail is taken of a server that has become our client: of what was asked for, and of nobody else.
//! Knows no route: what the router says of those counts as ever.

use stagepost_extmgr::MailFor;
use stagepost_smtp::Address;

/// The domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted(Vec<MailFor>);

impl Accepted {
    /// None: everybody's mail is taken.
    pub(crate) fn new(accept: Vec<MailFor>) -> Option<Self> {
        (!accept.is_empty()).then_some(Self(accept))
    }

    /// Whether mail is taken for a recipient. The postmaster without a domain is whoever is here.
    pub(crate) fn takes(&self, recipient: &Address) -> bool {
        let Some((_, domain)) = recipient.as_str().rsplit_once('@') else { return true };
        self.0.iter().any(|of| match of {
            MailFor::Domain(name) => name.eq_ignore_ascii_case(domain),
            MailFor::Below(name) => is_below(domain, name),
            MailFor::Queue(_) => false,
        })
    }
}

/// Whether a domain is another one, or below it.
fn is_below(domain: &str, name: &str) -> bool {
    let Some(at) = domain.len().checked_sub(name.len()) else { return false };
    let (Some(head), Some(tail)) = (domain.get(..at), domain.get(at..)) else { return false };
    tail.eq_ignore_ascii_case(name) && (head.is_empty() || head.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_taken_for_what_was_asked_for() {
        let accept = ["a.test", "@b.test"].map(MailFor::parse);
        let accepted = Accepted::new(accept.to_vec()).unwrap();
        for (recipient, wanted) in [
            ("x@a.test", true),
            ("x@A.TEST", true),
            ("x@y.a.test", false),
            ("x@b.test", true),
            ("x@y.B.test", true),
            ("x@yb.test", false),
            ("x@test", false),
            ("postmaster", true),
        ] {
            let recipient = Address::parse(recipient).unwrap();
            assert_eq!(accepted.takes(&recipient), wanted, "{}", recipient.as_str());
        }
        assert_eq!(Accepted::new(Vec::new()), None);
    }
}
