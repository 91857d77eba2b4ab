//! From the records of an answer to those that were asked for, along the aliases between.
//! Knows no server: what an answer has beside them counts for nothing, signed or not.

use std::net::IpAddr;

use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::answer::{Alias, Answer, Data, Found, Tlsa};

/// So many aliases are followed.
const ALIASES_MAX: usize = 8;

/// What an answer says of a name; none: nothing.
pub(super) fn follow(asked: &Name, wanted: RecordType, answers: &[Record]) -> Option<Answer> {
    let (mut name, mut secure, mut first) = (asked, true, None);
    for _ in 0..=ALIASES_MAX {
        let own = || answers.iter().filter(|record| record.name == *name);
        let records: Vec<&Record> = own().filter(|record| record.record_type() == wanted).collect();
        if !records.is_empty() {
            secure &= records.iter().all(|record| record.proof == Proof::Secure);
            let records: Vec<Data> = records.into_iter().filter_map(data).collect();
            let alias = first.map(|secure| Alias { target: text(name).into(), secure });
            let found = Answer::Found(Found { records, secure, alias });
            return Some(found).filter(
                |found| matches!(found, Answer::Found(found) if !found.records.is_empty()),
            );
        }
        let (target, proof) = own().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((&target.0, record.proof)),
            _ => None,
        })?;
        secure &= proof == Proof::Secure;
        first.get_or_insert(proof == Proof::Secure);
        name = target;
    }
    None
}

fn data(record: &Record) -> Option<Data> {
    Some(match &record.data {
        RData::A(address) => Data::Address(IpAddr::V4(address.0)),
        RData::AAAA(address) => Data::Address(IpAddr::V6(address.0)),
        RData::MX(mx) => {
            Data::Exchange { preference: mx.preference, name: text(&mx.exchange).into() }
        }
        RData::TXT(text) => Data::Text(text.txt_data.concat().into()),
        RData::TLSA(tlsa) => Data::Tlsa(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.as_slice().into(),
        }),
        _ => return None,
    })
}

/// A name in small letters and without its last dot.
fn text(name: &Name) -> String {
    let mut text = name.to_ascii().to_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::proto::rr::rdata::{A, CNAME};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn record(owner: &str, data: RData, proof: Proof) -> Record {
        let mut record = Record::from_rdata(name(owner), 60, data);
        record.proof = proof;
        record
    }

    fn address(owner: &str, last: u8, proof: Proof) -> Record {
        record(owner, RData::A(A::new(192, 0, 2, last)), proof)
    }

    fn alias(owner: &str, target: &str, proof: Proof) -> Record {
        record(owner, RData::CNAME(CNAME(name(target))), proof)
    }

    /// The ends of the addresses, whether they are secure, and the alias.
    type Followed = (Vec<u8>, bool, Option<(String, bool)>);

    fn followed(answers: &[Record]) -> Option<Followed> {
        let found = follow(&name("a.test."), RecordType::A, answers)?;
        let Answer::Found(Found { records, secure, alias }) = found else { panic!() };
        let last = |data: &Data| match data {
            Data::Address(IpAddr::V4(address)) => Ipv4Addr::octets(address)[3],
            _ => panic!(),
        };
        let alias = alias.map(|alias| (alias.target.to_string(), alias.secure));
        Some((records.iter().map(last).collect(), secure, alias))
    }

    #[test]
    fn an_answer_is_as_good_as_its_weakest_part() {
        use Proof::{Bogus, Indeterminate, Insecure, Secure};
        let aliased = |to: &str, first| Some((to.to_owned(), first));
        let cases = [
            (vec![], None),
            (vec![address("A.test.", 1, Secure)], Some((vec![1], true, None))),
            (
                vec![address("a.test.", 1, Secure), address("a.test.", 2, Insecure)],
                Some((vec![1, 2], false, None)),
            ),
            (vec![address("a.test.", 1, Indeterminate)], Some((vec![1], false, None))),
            (vec![address("a.test.", 1, Bogus)], Some((vec![1], false, None))),
            // What was not asked for counts for nothing, whoever signed it.
            (vec![address("b.test.", 1, Secure)], None),
            (
                vec![alias("a.test.", "B.test.", Secure), address("b.test.", 1, Secure)],
                Some((vec![1], true, aliased("b.test", true))),
            ),
            (
                vec![alias("a.test.", "b.test.", Secure), address("b.test.", 1, Insecure)],
                Some((vec![1], false, aliased("b.test", true))),
            ),
            (
                vec![
                    address("c.test.", 3, Secure),
                    alias("b.test.", "c.test.", Secure),
                    alias("a.test.", "b.test.", Insecure),
                ],
                Some((vec![3], false, aliased("c.test", false))),
            ),
            (vec![alias("a.test.", "b.test.", Secure), address("c.test.", 1, Secure)], None),
            (vec![alias("a.test.", "a.test.", Secure)], None),
        ];
        for (answers, wanted) in cases {
            assert_eq!(followed(&answers), wanted, "{answers:?}");
        }
    }
}
