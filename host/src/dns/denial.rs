//! Whether an answer without records can be believed where answers are validated (RFC 4035 section 5.4).
//! Knows no policy; the proofs of signed zones are checked before.

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NoRecords;
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::rr::{Name, Record, RecordType};

/// Whether a denial is proved, or comes from a place where nothing is.
///
/// hickory lets one pass whose every record is from a zone that nobody has signed, whichever that is: so whoever can forge an answer could
/// deny what he likes by the word of his own zone.
pub(super) async fn is_believed(client: &TokioResolver, denial: &NoRecords) -> bool {
    let name = denial.query.name();
    let authorities = denial.authorities.as_deref().unwrap_or_default();
    let proves = |record: &Record| {
        let kind = record.record_type();
        record.proof == Proof::Secure && matches!(kind, RecordType::NSEC | RecordType::NSEC3)
    };
    let is_above = |record: &Record| record.proof == Proof::Insecure && record.name.zone_of(name);
    if authorities.iter().any(|record| proves(record) || is_above(record)) {
        return true;
    }
    // Some servers of zones that are not signed say nothing at all.
    is_unsigned(client, name).await
}

/// Whether the zone that a name is in is not signed, as far as its SOA record says.
async fn is_unsigned(client: &TokioResolver, name: &Name) -> bool {
    let mut zone = name.clone();
    while !zone.is_root() {
        if let Ok(found) = client.lookup(zone.clone(), RecordType::SOA).await {
            let mut own = found.answers().iter().filter(|record| record.name == zone);
            if let Some(own) = own.find(|record| record.record_type() == RecordType::SOA) {
                return own.proof == Proof::Insecure;
            }
        }
        zone = zone.base_name();
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::dns::signed::{LIES, SignedRoot};
    use crate::dns::{Answer, Kind, Names};

    #[tokio::test]
    async fn nobody_denies_anything_by_the_word_of_another_zone() {
        let root = SignedRoot::start(&[
            ("mx.test.", "A 127.0.0.1"),
            ("host.plain.test.", "A 127.0.0.1"),
            ("host.mute.plain.test.", "A 127.0.0.1"),
        ])
        .await;
        let resolver = root.resolver();
        for lie in LIES {
            for kind in [Kind::Tlsa, Kind::Mx] {
                let answer = resolver.ask(kind, &format!("x.{lie}")).await;
                assert_eq!(answer, Answer::Trouble, "{kind:?} {lie}");
            }
        }
        for (kind, name, wanted) in [
            (Kind::Tlsa, "_25._tcp.mx.test", Answer::NoName),
            (Kind::Tlsa, "mx.test", Answer::NoData),
            (Kind::Mx, "nobody.test", Answer::NoName),
            // Nothing is signed here, and nothing proved.
            (Kind::Mx, "host.plain.test", Answer::NoData),
            (Kind::Mx, "nobody.plain.test", Answer::NoName),
            // Its server has no more to say of it.
            (Kind::Aaaa, "host.mute.plain.test", Answer::NoData),
        ] {
            assert_eq!(resolver.ask(kind, name).await, wanted, "{kind:?} {name}");
        }
    }
}
