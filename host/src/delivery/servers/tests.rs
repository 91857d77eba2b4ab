//! Which servers a domain's records lead to.
//! Knows the finder by its public method; the DNS is a table.

use std::collections::BTreeMap;

use super::*;
use crate::dns::{Alias, Asking};

/// What the DNS says of a name and type; it does not have others.
struct Table(BTreeMap<(Kind, &'static str), Vec<&'static str>>);

/// In the place of the first record: DNSSEC vouches for the others.
const SECURE: &str = "secure";

impl Names for Table {
    fn ask(&self, kind: Kind, name: &str) -> Asking {
        let answer = match self.0.get(&(kind, name)) {
            Some(records) if records == &["trouble"] => Answer::Trouble,
            Some(records) => {
                let (secure, records) = match &records[..] {
                    [SECURE, rest @ ..] => (true, rest),
                    all => (false, all),
                };
                // `alias NAME [SECURE]`: what the name leads to.
                let alias = records.iter().find_map(|text| {
                    let (target, rest) = text.strip_prefix("alias ")?.split_once(' ')?;
                    Some(Alias { target: target.into(), secure: rest == SECURE })
                });
                let records = records.iter().filter(|text| !text.starts_with("alias "));
                let records = records.map(|text| data(kind, text)).collect();
                Answer::Found(Found { records, secure, alias })
            }
            None if self.0.keys().any(|(_, known)| *known == name) => Answer::NoData,
            None => Answer::NoName,
        };
        Box::pin(std::future::ready(answer))
    }
}

fn data(kind: Kind, text: &str) -> Data {
    match kind {
        Kind::A | Kind::Aaaa => Data::Address(text.parse().unwrap()),
        Kind::Mx => {
            let (preference, name) = text.split_once(' ').unwrap();
            Data::Exchange { preference: preference.parse().unwrap(), name: name.into() }
        }
        Kind::Txt | Kind::Tlsa => unreachable!("servers are not found by certificates"),
    }
}

/// What one name has of a type.
type Zone = (Kind, &'static str, &'static [&'static str]);

fn finder(records: &[(Kind, &'static str, &[&'static str])]) -> Finder {
    let table = records.iter().map(|(of, name, values)| ((*of, *name), values.to_vec()));
    let table = Arc::new(Table(table.collect()));
    Finder::new(table, "Us.test", 25, Duration::from_secs(5))
}

async fn found(finder: &Finder, domain: &str) -> Result<Vec<String>, NoServer> {
    let servers = finder.find(Servers::Mx(domain)).await?;
    Ok(servers.into_iter().map(|server| server.shown.into()).collect())
}

use Kind::{A, Aaaa, Mx};

#[tokio::test]
async fn servers_come_by_preference_with_both_kinds_of_addresses() {
    let finder = finder(&[
        (Mx, "x.test", &["20 c.test", "10 a.test", "10 gone.test"]),
        (A, "a.test", &["192.0.2.1", "192.0.2.2"]),
        (Aaaa, "a.test", &["2001:db8::1", "2001:db8::2", "2001:db8::3"]),
        (A, "c.test", &["192.0.2.3"]),
        (Aaaa, "c.test", &["trouble"]),
    ]);
    let wanted = [
        "a.test[2001:db8::1]:25",
        "a.test[2001:db8::2]:25",
        "a.test[192.0.2.1]:25",
        "a.test[192.0.2.2]:25",
        "c.test[192.0.2.3]:25",
    ];
    assert_eq!(found(&finder, "x.test").await.unwrap(), wanted);
}

#[tokio::test]
async fn equal_preferences_share_the_load() {
    let finder = finder(&[
        (Mx, "x.test", &["10 a.test", "10 b.test", "10 c.test"]),
        (A, "a.test", &["192.0.2.1"]),
        (A, "b.test", &["192.0.2.2"]),
        (A, "c.test", &["192.0.2.3"]),
    ]);
    let mut orders: BTreeMap<Vec<String>, u32> = BTreeMap::new();
    for _ in 0..6000 {
        *orders.entry(found(&finder, "x.test").await.unwrap()).or_default() += 1;
    }
    // Each of the six orders a sixth of the time: 1000 give or take 29, so by chance one of them is as far off once in 10^10.
    assert_eq!(orders.len(), 6, "{orders:?}");
    assert!(orders.values().all(|times| times.abs_diff(1000) < 200), "{orders:?}");
}

/// Names of ours that the DNS has are many; where they lead is known.
#[tokio::test]
async fn what_leads_back_here_is_a_loop_whatever_it_is_called() {
    let finder = finder(&[
        (Mx, "alias.test", &["10 another-name.test"]),
        (A, "another-name.test", &["192.0.2.1", "127.0.0.1"]),
        (
            Mx,
            "backup.test",
            &["5 bare.test", "10 another-name.test", "10 late.test", "20 late.test"],
        ),
        (A, "bare.test", &["192.0.2.5"]),
        (A, "late.test", &["192.0.2.9"]),
        (A, "implicit.test", &["127.0.0.1"]),
        (Mx, "later.test", &["5 broken-host.test", "10 another-name.test"]),
        (A, "broken-host.test", &["trouble"]),
        (Mx, "beside.test", &["10 beside-us.test"]),
        (A, "beside-us.test", &["127.0.0.2"]),
    ]);
    let finder = finder.listening(&["127.0.0.1:25".parse().unwrap()]);
    for (domain, wanted) in [
        ("alias.test", Err(NoServer::Loop)),
        ("backup.test", Ok(vec!["bare.test[192.0.2.5]:25".to_owned()])),
        ("implicit.test", Err(NoServer::Loop)),
        ("later.test", Err(NoServer::Trouble)),
        ("beside.test", Ok(vec!["beside-us.test[127.0.0.2]:25".to_owned()])),
        ("[127.0.0.1]", Err(NoServer::Loop)),
        ("[0.0.0.0]", Err(NoServer::Loop)),
        ("[IPv6:::ffff:127.0.0.1]", Err(NoServer::Loop)),
        ("[127.0.0.2]", Ok(vec!["127.0.0.2:25".to_owned()])),
    ] {
        // Equal ones come in any order.
        for _ in 0..20 {
            assert_eq!(found(&finder, domain).await, wanted, "{domain}");
        }
    }
    let host = |host: &str, port| NextHop { host: host.to_owned(), port };
    let hosts = [host("127.0.0.1", 25), host("127.0.0.1", 26)];
    let others = |hosts: Vec<Server>| finder.others(hosts).map(|others| others.len());
    let named = finder.find(Servers::Hosts(&hosts)).await.unwrap();
    assert_eq!(others(named.clone()), Ok(1));
    let itself = NoServer::Host("127.0.0.1:25: it is this server itself".into());
    assert_eq!(others(named[..1].to_vec()), Err(itself));
}

#[tokio::test]
async fn what_the_dns_does_not_say_has_a_status() {
    use NoServer::{Loop, MxWithoutAddress, NoAddress, NoDomain, NullMx, Trouble};
    let finder = finder(&[
        (Mx, "null.test", &["0 "]),
        (Aaaa, "bare.test", &["2001:db8::1"]),
        (Kind::Tlsa, "empty.test", &[]),
        (Mx, "dangling.test", &["10 gone.test"]),
        (Mx, "mixed.test", &["0 ", "10 bare.test"]),
        (Mx, "broken.test", &["trouble"]),
        (Mx, "later.test", &["10 broken-host.test", "20 gone.test"]),
        (A, "broken-host.test", &["trouble"]),
        (Mx, "numbers.test", &["10 192.0.2.1"]),
        (Mx, "own.test", &["10 us.test", "20 bare.test"]),
        (Mx, "backup.test", &["5 bare.test", "10 us.test", "10 late.test", "20 late.test"]),
    ]);
    let bare = || Ok(vec!["bare.test[2001:db8::1]:25".to_owned()]);
    let cases = [
        ("null.test", Err(NullMx), "5.1.10"),
        ("bare.test", bare(), ""),
        ("empty.test", Err(NoAddress), "5.4.4"),
        ("nobody.test", Err(NoDomain), "5.1.2"),
        ("dangling.test", Err(MxWithoutAddress), "5.4.4"),
        ("mixed.test", bare(), ""),
        ("broken.test", Err(Trouble), "4.4.3"),
        ("later.test", Err(Trouble), "4.4.3"),
        ("numbers.test", Err(MxWithoutAddress), "5.4.4"),
        ("own.test", Err(Loop), "5.4.6"),
        ("backup.test", bare(), ""),
        ("[192.0.2.7]", Ok(vec!["192.0.2.7:25".to_owned()]), ""),
        ("[ipv6:2001:db8::7]", Ok(vec!["[2001:db8::7]:25".to_owned()]), ""),
    ];
    for (domain, wanted, status) in cases {
        let found = found(&finder, domain).await;
        assert_eq!(found, wanted, "{domain}");
        if let Err(error) = found {
            let (class, subject, detail) = error.status();
            assert_eq!(format!("{class}.{subject}.{detail}"), status, "{domain}");
        }
    }
}

#[tokio::test]
async fn servers_are_bounded() {
    let many: Vec<&'static str> = (0..100).map(|n| &*format!("{n} h{n}.test").leak()).collect();
    let hosts: Vec<&'static str> = (0..100).map(|n| &*format!("h{n}.test").leak()).collect();
    let addresses: Vec<&'static str> = (1..10).map(|n| &*format!("192.0.2.{n}").leak()).collect();
    let mut records = vec![(Mx, "x.test", many.as_slice())];
    records.extend(hosts.iter().map(|host| (A, *host, addresses.as_slice())));
    let servers = found(&finder(&records), "x.test").await.unwrap();
    assert_eq!(servers.len(), SERVERS_MAX);
    assert!(servers[4].starts_with("h1.test["), "{servers:?}");
}

#[tokio::test]
async fn named_servers_come_in_their_order_and_one_that_is_unknown_is_passed_over() {
    let finder = finder(&[]);
    let host = |host: &str| NextHop { host: host.to_owned(), port: 2525 };
    // No resolver asks anybody for a label of more than 63 octets.
    let nobody = "x".repeat(64);
    let hosts = [host("127.0.0.2"), host(&nobody), host("127.0.0.1")];
    let servers = finder.find(Servers::Hosts(&hosts)).await.unwrap();
    let shown: Vec<&str> = servers.iter().map(|server| &*server.shown).collect();
    assert_eq!(shown, ["127.0.0.2:2525", "127.0.0.1:2525"]);
    let error = finder.find(Servers::Hosts(&hosts[1..2])).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("{nobody}:2525: its name can't be")), "{error}");
}

/// The bases and owners of a domain's first server.
async fn footing(records: &[Zone]) -> Footing {
    let servers = finder(records).find(Servers::Mx("X.test")).await.unwrap();
    servers[0].footing.clone()
}

#[tokio::test]
async fn only_names_that_dnssec_vouches_for_lead_to_records_of_certificates() {
    let firm = |bases: &[&str], owners: &[&str]| {
        let boxed = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
        Footing::Firm { bases: boxed(bases), owners: boxed(owners) }
    };
    let (address, secure) = (&["192.0.2.1"][..], &[SECURE, "192.0.2.1"][..]);
    let mx = &[SECURE, "10 a.test"][..];
    let cases: [(&[Zone], Footing); 8] = [
        (&[(Mx, "X.test", mx), (A, "a.test", secure)], firm(&["a.test"], &["x.test"])),
        (&[(Mx, "X.test", &["10 a.test"]), (A, "a.test", secure)], Footing::Loose),
        (&[(Mx, "X.test", mx), (A, "a.test", address)], Footing::Loose),
        (
            &[(Mx, "X.test", mx), (A, "a.test", secure), (Aaaa, "a.test", &["2001:db8::1"])],
            Footing::Loose,
        ),
        // The domain itself is another name, and so is the server.
        (
            &[
                (Mx, "X.test", &[SECURE, "alias y.test secure", "10 a.test"]),
                (A, "a.test", &[SECURE, "alias b.test secure", "192.0.2.1"]),
            ],
            firm(&["b.test", "a.test"], &["x.test", "y.test"]),
        ),
        // What the alias leads to is not signed; the alias is, or is not.
        (
            &[(Mx, "X.test", mx), (A, "a.test", &["alias b.test secure", "192.0.2.1"])],
            firm(&["a.test"], &["x.test"]),
        ),
        (&[(Mx, "X.test", mx), (A, "a.test", &["alias b.test no", "192.0.2.1"])], Footing::Loose),
        // Without MX records the domain is its own server.
        (&[(A, "X.test", secure)], firm(&["x.test"], &["x.test"])),
    ];
    for (records, wanted) in cases {
        assert_eq!(footing(records).await, wanted, "{records:?}");
    }
}
