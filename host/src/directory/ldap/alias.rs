//! Aliases in LDAP, and groups that get mail: whom the entry of an address stands for.
//! Knows entries and their attributes; that aliases come to an end is for others to see to.

use std::collections::HashSet;

use ldap3::Scope;
use stagepost_smtp::Address;

use super::Lookups;
use super::client::{Entry, LdapFault, Query};
use crate::directory::aliases::{TARGETS_MAX, mailbox};

/// Entries that are one alias.
const ENTRIES_MAX: usize = 16;
/// Members of a group, each of which is a search.
const MEMBERS_MAX: usize = 200;
/// No such entry (RFC 4511 section 4.1.9).
const NO_SUCH_OBJECT: u32 = 32;

impl Lookups {
    /// Whom an alias stands for, with the members of groups; none: there is no such alias.
    pub(super) async fn alias(
        &self,
        filter: &str,
        domain: &str,
    ) -> Result<Option<Vec<Address>>, LdapFault> {
        let attributes = self.alias_attributes();
        let (entries, more) = self.search(filter, &attributes, ENTRIES_MAX).await?;
        if more {
            return Err(LdapFault::TooMuch(ENTRIES_MAX, "entries of one alias"));
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let mut targets = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = Vec::new();
        for entry in &entries {
            seen.insert(entry.dn.to_ascii_lowercase());
            self.take(entry, domain, &mut targets, &mut waiting);
        }
        let mut members = 0;
        while let Some(dn) = waiting.pop() {
            if !seen.insert(dn.to_ascii_lowercase()) {
                continue;
            }
            members += 1;
            if members > MEMBERS_MAX {
                return Err(LdapFault::TooMuch(MEMBERS_MAX, "members of one group"));
            }
            let Some(entry) = self.entry(&dn, &attributes).await? else { continue };
            match entry.values(&self.settings.mailbox_attribute).first() {
                // A group that has an address is asked about by that.
                Some(value) => targets.extend(address(value, domain)),
                None => self.take(&entry, domain, &mut targets, &mut waiting),
            }
        }
        if targets.len() > TARGETS_MAX {
            return Err(LdapFault::TooMuch(TARGETS_MAX, "addresses of one alias"));
        }
        Ok(Some(targets))
    }

    /// Takes what an entry stands for: addresses, and entries that are to be looked at.
    fn take(
        &self,
        entry: &Entry,
        domain: &str,
        targets: &mut Vec<Address>,
        waiting: &mut Vec<String>,
    ) {
        for attribute in &self.settings.alias_attributes {
            for value in entry.values(attribute) {
                match address(value, domain) {
                    Some(found) => targets.push(found),
                    None => {
                        tracing::warn!(entry = entry.dn, value, "no address in an alias of LDAP")
                    }
                }
            }
        }
        for attribute in &self.settings.member_attributes {
            // The last one is looked at first.
            waiting.extend(entry.values(attribute).into_iter().rev().map(str::to_owned));
        }
    }

    /// An entry by its name; none: there is none.
    async fn entry(&self, dn: &str, attributes: &[&str]) -> Result<Option<Entry>, LdapFault> {
        let (base, scope, filter) = (dn, Scope::Base, "(objectClass=*)");
        let query = Query { base, scope, filter, attributes, entries_max: 1 };
        match self.client.search(query).await {
            Ok((entries, _)) => Ok(entries.into_iter().next()),
            Err(LdapFault::Answer { code: NO_SUCH_OBJECT, .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// What is read of an alias.
    fn alias_attributes(&self) -> Vec<&str> {
        let settings = &self.settings;
        let all = settings.alias_attributes.iter().chain(&settings.member_attributes);
        all.chain([&settings.mailbox_attribute]).map(String::as_str).collect()
    }
}

/// An address, or a name at the domain of the alias.
fn address(value: &str, domain: &str) -> Option<Address> {
    match value.contains('@') {
        true => Address::parse_international(value).ok(),
        false => mailbox(value, domain),
    }
}
