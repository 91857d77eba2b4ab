//! Who may send: the lists of senders that are allowed and denied, and whether a sender's domain exists.
//! Decides; knows neither the DNS nor a session. The null sender is nobody's, and always may.

use crate::list::{Hit, List};

/// The rules about senders.
#[derive(Clone, Debug)]
pub(crate) struct SenderRules {
    /// Whether the sender's domain must exist.
    pub(crate) verify_domain: bool,
    /// Without entries everybody may send who is not denied.
    pub(crate) allow: List,
    pub(crate) deny: List,
}

/// The rules about recipients.
#[derive(Clone, Debug)]
pub(crate) struct RecipientRules {
    /// Without entries everybody may receive who is not denied.
    pub(crate) allow: List,
    pub(crate) deny: List,
}

/// What a pair of lists says of an address of mail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listed<'l> {
    /// By which entry, or because nothing speaks against it.
    Accepted(Option<Hit<'l>>),
    Denied(Hit<'l>),
    /// Some are allowed, and this one is not among them.
    NotAllowed(&'l List),
}

/// What the DNS says of a sender's domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// It takes mail, or has an address.
    Exists,
    /// There is no such domain, or it has neither.
    Missing,
    /// It says itself that it takes no mail (RFC 7505): nobody can answer it.
    TakesNone,
    Trouble,
}

/// Decides by a pair of lists; denial wins.
///
/// - member: whether the address is in a group, by the directory.
pub(crate) fn decide<'l>(
    allow: &'l List,
    deny: &'l List,
    address: &str,
    member: impl Fn(&str) -> bool,
) -> Listed<'l> {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    if let Some(hit) = deny.find_mailbox(local, domain, &member) {
        return Listed::Denied(hit);
    }
    match allow.find_mailbox(local, domain, &member) {
        Some(hit) => Listed::Accepted(Some(hit)),
        None if allow.is_empty() => Listed::Accepted(None),
        None => Listed::NotAllowed(allow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written::tests::mailboxes;

    #[test]
    fn pairs_of_lists_decide() {
        let word = |listed: Listed<'_>| match listed {
            Listed::Accepted(None) => "accepted".to_owned(),
            Listed::Accepted(Some(hit)) => format!("accepted by {}", hit.entry.text),
            Listed::Denied(hit) => format!("denied by {}", hit.entry.text),
            Listed::NotAllowed(list) => format!("not in {}", list.name()),
        };
        let cases: [(&[&str], &[&str], &str, &str); 9] = [
            (&[], &[], "a@b.org", "accepted"),
            (&["acme.com"], &[], "x@serv1.acme.com", "accepted by acme.com"),
            (&["acme.com"], &[], "x@other.com", "not in allow"),
            (&["smith@acme.com"], &[], "jsmith@acme.com", "not in allow"),
            (&["smith@acme.com"], &[], "Smith@ACME.com", "accepted by smith@acme.com"),
            (&[], &["acme.com"], "x@acme.com", "denied by acme.com"),
            (&[], &["acme.com"], "x@xacme.com", "accepted"),
            (&["acme.com"], &["x@acme.com"], "x@acme.com", "denied by x@acme.com"),
            (&["staff"], &[], "ann@any.org", "accepted by staff"),
        ];
        for (allow, deny, address, wanted) in cases {
            let (allow, deny) = (mailboxes("allow", allow), mailboxes("deny", deny));
            let member = |group: &str| group == "staff" && address.starts_with("ann@");
            assert_eq!(word(decide(&allow, &deny, address, member)), wanted, "{address}");
        }
    }
}
