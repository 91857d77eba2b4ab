//! Which addresses a user who has logged in may send as: its own, and those that the operator gives it.
//! Decides; knows neither a session nor how a header is read.

use std::collections::BTreeMap;

use crate::entry::{local_key, mailbox_key};
use crate::list::List;

/// What users who have logged in are held to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Authenticated {
    /// Nothing: they send as anybody.
    #[default]
    Any,
    /// Their own addresses, in MAIL.
    Envelope,
    /// Their own addresses, in MAIL and in the fields From and Sender.
    Message,
}

/// The rules about the addresses of users.
#[derive(Clone, Debug)]
pub(crate) struct OwnAddressRules {
    pub(crate) authenticated: Authenticated,
    /// What users have beside their own, by their names in small letters.
    pub(crate) given: BTreeMap<String, List>,
}

impl OwnAddressRules {
    /// What a user has beside its own.
    pub(crate) fn given_to(&self, user: &str) -> Option<&List> {
        self.given.get(&user.to_lowercase())
    }

    /// Whether a user may send as an address.
    ///
    /// - is_local: whether the address is one of ours, so that a user's name alone can be meant by it. member: whether the
    ///   address is in a group, by the directory.
    pub(crate) fn owns(
        &self,
        user: &str,
        address: &str,
        is_local: impl FnOnce() -> bool,
        member: impl Fn(&str) -> bool,
    ) -> bool {
        let user = user.to_lowercase();
        let Some((local, domain)) = address.rsplit_once('@') else { return false };
        // A user's name is an address, or what stands before the @ of one.
        let own = match user.rsplit_once('@') {
            Some((name, of)) => mailbox_key(name, of) == mailbox_key(local, domain),
            None => user == local_key(local) && is_local(),
        };
        let given = self.given_to(&user);
        own || given.is_some_and(|list| list.find_mailbox(local, domain, &member).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written::tests::mailboxes;

    #[test]
    fn users_own_their_addresses_and_what_they_are_given() {
        let given = mailboxes("sender.own.joe", &["sales@example.org", "@team.example.org"]);
        let rules = OwnAddressRules {
            authenticated: Authenticated::Envelope,
            given: BTreeMap::from([("joe".to_owned(), given)]),
        };
        for (user, address, wanted) in [
            ("joe", "joe@example.org", true),
            ("Joe", "JOE@Example.ORG", true),
            ("joe", "joe@elsewhere.net", false),
            ("joe", "\"joe\"@example.org", true),
            ("joe", "ann@example.org", false),
            ("joe", "joe+x@example.org", false),
            ("joe", "sales@example.org", true),
            ("joe", "any@team.example.org", true),
            ("joe", "any@sub.team.example.org", false),
            ("ann", "sales@example.org", false),
            ("ann@far.net", "Ann@far.net", true),
            ("ann@far.net", "ann@example.org", false),
            ("joe", "", false),
            ("joe", "joe", false),
        ] {
            let owns = rules.owns(
                user,
                address,
                || address.to_lowercase().ends_with("example.org"),
                |_| false,
            );
            assert_eq!(owns, wanted, "{user} as {address}");
        }
    }
}
