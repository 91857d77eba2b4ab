//! Filters of LDAP with places for values (RFC 4515): checked when they are read, filled with what strangers write.
//! Knows no server. A value never becomes part of a filter's form.

use ldap3::{dn_escape, ldap_escape, parse_filter};

/// What a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A whole address.
    Address,
    /// What stands before its `@`.
    Local,
    /// What stands behind it.
    Domain,
    /// The distinguished name of an entry.
    Dn,
    /// The name that somebody logs in with.
    Name,
}

/// What there is of each, as it is written.
const SLOTS: [(&str, Slot); 5] = [
    ("{address}", Slot::Address),
    ("{local}", Slot::Local),
    ("{domain}", Slot::Domain),
    ("{dn}", Slot::Dn),
    ("{name}", Slot::Name),
];

/// A filter with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterTemplate(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Slot),
}

/// The distinguished name of an entry with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DnTemplate(Vec<Part>);

/// Takes a text with places apart.
fn parts(text: &str, allowed: &[Slot]) -> Result<Vec<Part>, String> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('{') {
        parts.push(Part::Text(rest[..at].to_owned()));
        let known = SLOTS.iter().find(|(name, _)| rest[at..].starts_with(name));
        let Some((name, slot)) = known.filter(|(_, slot)| allowed.contains(slot)) else {
            let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
            let (places, wrong) = (named(allowed), &rest[at..end]);
            return Err(format!(
                "{wrong:?} is nothing that could stand here\nwrite {places}; a brace itself is written \\7b"
            ));
        };
        parts.push(Part::Value(*slot));
        rest = &rest[at + name.len()..];
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

impl DnTemplate {
    /// Parses a name of an entry that has the place of a login.
    ///
    /// # Errors
    /// What is wrong with it, and on the next line what to write.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts = parts(text, &[Slot::Name])?;
        if parts.contains(&Part::Value(Slot::Name)) && text.contains('=') {
            return Ok(Self(parts));
        }
        Err(format!(
            "{text:?} is not the name of everybody's entry\nwrite one such as \"uid={{name}},ou=people,dc=example,dc=org\""
        ))
    }

    /// The name with values in its places, each escaped (RFC 4514 section 2.4).
    pub(crate) fn fill<'v>(&self, value: impl Fn(Slot) -> &'v str) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(slot) => dn_escape(value(*slot)).into_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

impl FilterTemplate {
    /// Parses a filter that has one of `needed`, and no other places than `allowed`.
    ///
    /// # Errors
    /// What is wrong with it, and on the next line what to write.
    pub(super) fn parse(text: &str, needed: &[Slot], allowed: &[Slot]) -> Result<Self, String> {
        let parts = parts(text, allowed)?;
        let template = Self(parts);
        if !needed.iter().any(|slot| template.0.contains(&Part::Value(*slot))) {
            let places = named(needed);
            return Err(format!("{text:?} finds the same for everybody\nwrite {places} in it"));
        }
        match parse_filter(template.fill(|_| "x")) {
            Ok(_) => Ok(template),
            Err(_) => Err(format!(
                "{text:?} is not a filter\nwrite one in the form of RFC 4515, such as \"(mail={{address}})\""
            )),
        }
    }

    /// The filter with values in its places, each escaped (RFC 4515 section 3).
    pub(crate) fn fill<'v>(&self, value: impl Fn(Slot) -> &'v str) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(slot) => ldap_escape(value(*slot)).into_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

fn named(slots: &[Slot]) -> String {
    let of =
        |slot: &Slot| SLOTS.iter().find(|(_, known)| known == slot).map_or("", |(name, _)| name);
    slots.iter().map(of).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: [Slot; 3] = [Slot::Address, Slot::Local, Slot::Domain];

    fn parse(text: &str) -> Result<FilterTemplate, String> {
        FilterTemplate::parse(text, &ADDRESS[..2], &ADDRESS)
    }

    #[test]
    fn a_filter_is_checked_when_it_is_read() {
        for (text, wanted) in [
            ("(mail={address})", None),
            ("(&(objectClass=person)(|(mail={address})(uid={local})))", None),
            ("(mail=*)", Some("finds the same for everybody")),
            ("(domain={domain})", Some("finds the same for everybody")),
            ("(mail={adress})", Some("\"{adress}\" is nothing")),
            ("(member={dn})", Some("\"{dn}\" is nothing")),
            ("(mail={address}", Some("is not a filter")),
            ("mail={address}))", Some("is not a filter")),
            ("", Some("finds the same for everybody")),
        ] {
            let error = parse(text).err();
            match (&error, wanted) {
                (None, None) => {}
                (Some(error), Some(wanted)) => assert!(error.contains(wanted), "{text}: {error}"),
                _ => panic!("{text}: {error:?}"),
            }
        }
    }

    #[test]
    fn no_name_becomes_part_of_another() {
        let template = DnTemplate::parse("uid={name},dc=test").unwrap();
        for (name, wanted) in [
            ("alice", "uid=alice,dc=test"),
            ("alice,dc=other", "uid=alice\\2cdc\\3dother,dc=test"),
            ("#a+b", "uid=\\23a\\2bb,dc=test"),
            ("{name}", "uid={name},dc=test"),
        ] {
            assert_eq!(template.fill(|_| name), wanted);
        }
        for wrong in ["dc=test", "uid={dn},dc=test", "{name}", ""] {
            assert!(DnTemplate::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_value_becomes_part_of_the_form() {
        let template = parse("(|(mail={address})(&(uid={local})(dc={domain})))").unwrap();
        let fill = |local: &str| {
            let address = format!("{local}@b.test");
            template.fill(|slot| match slot {
                Slot::Address => &address,
                Slot::Local => local,
                _ => "b.test",
            })
        };
        for (local, escaped) in [
            ("alice", "alice"),
            ("*", "\\2a"),
            ("a)(uid=*", "a\\29\\28uid=\\2a"),
            ("a\\2a", "a\\5c2a"),
            ("\0", "\\00"),
            // Filled in once: what a value looks like makes no difference.
            ("{domain}", "{domain}"),
            ("j\u{f6}rg", "j\u{f6}rg"),
        ] {
            let wanted = format!("(|(mail={escaped}@b.test)(&(uid={escaped})(dc=b.test)))");
            assert_eq!(fill(local), wanted, "{local:?}");
            assert!(parse_filter(fill(local)).is_ok(), "{local:?}");
        }
    }
}
