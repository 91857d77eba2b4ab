//! The record in the DNS that tells of a domain's policy (RFC 8461 section 3.1), as text.
//! Knows no resolver, and nothing of the policy but its name.

/// So many octets the name of a policy has at most.
const ID_OCTETS_MAX: usize = 32;

/// What is wrong with the record of a domain that tells of its policy: it counts for nothing then. Always the domain's to put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordFault {
    #[error("its TXT record (_mta-sts) has no id of 1 to {ID_OCTETS_MAX} letters and digits")]
    Id,
    #[error("its TXT record (_mta-sts) has a part that is no name=value")]
    Field,
    #[error("it has more than one TXT record of a policy (_mta-sts)")]
    Several,
}

/// The name of the policy that a record tells of, behind its version (RFC 8461 section 3.1).
fn id(fields: &str) -> Result<Box<str>, RecordFault> {
    // The last one may have an end.
    let fields = fields.trim_end_matches([' ', '\t']);
    let fields = fields.strip_suffix(';').unwrap_or(fields);
    let mut found = None;
    for field in fields.split(';').map(|field| field.trim_matches([' ', '\t'])) {
        let (name, value) = field.split_once('=').ok_or(RecordFault::Field)?;
        if !is_field(name, value) {
            return Err(if name == "id" { RecordFault::Id } else { RecordFault::Field });
        }
        if name == "id" {
            found.get_or_insert(value);
        }
    }
    let sound = |id: &&str| {
        id.len() <= ID_OCTETS_MAX && id.bytes().all(|octet| octet.is_ascii_alphanumeric())
    };
    found.filter(sound).map(Into::into).ok_or(RecordFault::Id)
}

/// Whether a field is one of those that there are, or may be one day.
fn is_field(name: &str, value: &str) -> bool {
    let inside = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet);
    let named = (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(inside);
    named
        && !value.is_empty()
        && value.bytes().all(|octet| octet.is_ascii_graphic() && !b"=;".contains(&octet))
}

/// The name of the policy that TXT records tell of; none: there is no policy (RFC 8461 section 3.1).
pub(super) fn id_of<'r>(
    records: impl Iterator<Item = &'r [u8]>,
) -> Result<Option<Box<str>>, RecordFault> {
    let own = |record: &'r [u8]| {
        let rest = record.strip_prefix(b"v=STSv1")?;
        rest.trim_ascii_start().strip_prefix(b";")
    };
    let mut own = records.filter_map(own);
    match (own.next(), own.next()) {
        (None, _) => Ok(None),
        (Some(fields), None) => {
            id(std::str::from_utf8(fields).map_err(|_| RecordFault::Field)?).map(Some)
        }
        (Some(_), Some(_)) => Err(RecordFault::Several),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_tells_of_a_policy() {
        use RecordFault::{Field, Id, Several};
        let of = |records: &[&str]| id_of(records.iter().map(|record| record.as_bytes()));
        for (records, wanted) in [
            (&["v=STSv1; id=20160831085700Z;"][..], Ok(Some("20160831085700Z"))),
            (&["v=STSv1;id=a"], Ok(Some("a"))),
            (&["v=STSv1 ; id=a ; "], Ok(Some("a"))),
            (&["v=STSv1; x-Y.1_=~; id=a; id=b"], Ok(Some("a"))),
            (
                &["v=STSv1; id=12345678901234567890123456789012"],
                Ok(Some("12345678901234567890123456789012")),
            ),
            // Those of something else count for nothing.
            (
                &["other", "v=STSv10; id=b;", " v=STSv1; id=b;", "v=STSv1", "v=STSv1; id=a;"],
                Ok(Some("a")),
            ),
            (&["v=STSv10; id=a;"], Ok(None)),
            (&["v=STSv1"], Ok(None)),
            (&["V=STSV1; id=a;"], Ok(None)),
            (&[], Ok(None)),
            (&["v=STSv1; id=a;", "v=STSv1; id=a;"], Err(Several)),
            (&["v=STSv1; id=a;", "v=STSv1;"], Err(Several)),
            (&["v=STSv1; id=;"], Err(Id)),
            (&["v=STSv1; id=a b;"], Err(Id)),
            (&["v=STSv1; id= a;"], Err(Id)),
            (&["v=STSv1; id=\u{e9};"], Err(Id)),
            (&["v=STSv1; id=a-b;"], Err(Id)),
            (&["v=STSv1; id=123456789012345678901234567890123;"], Err(Id)),
            (&["v=STSv1; x=y;"], Err(Id)),
            (&["v=STSv1;"], Err(Field)),
            (&["v=STSv1;; id=a;"], Err(Field)),
            (&["v=STSv1; id=a; nonsense"], Err(Field)),
            (&["v=STSv1; id=a; -x=y"], Err(Field)),
            (&["v=STSv1; id=a; x=y=z"], Err(Field)),
            (&["v=STSv1; id=a; x=\u{1b}"], Err(Field)),
        ] {
            let wanted = wanted.map(|id: Option<&str>| id.map(Into::into));
            assert_eq!(of(records), wanted, "{records:?}");
        }
        assert_eq!(id_of([&b"v=STSv1; id=a; x=\xff"[..]].into_iter()), Err(Field));
        // As many as an answer can hold.
        assert_eq!(of(&["v=STSv1; id=a;"; 10_000]), Err(Several));
        assert_eq!(of(&["x"; 10_000]), Ok(None));
    }
}
