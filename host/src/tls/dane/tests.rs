//! Which certificates records vouch for.
//! Knows no connection.

use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use sha2::Sha512;

use super::super::authority::{Authority, Shown, sha256};
use super::*;

fn tlsa(usage: u8, selector: u8, matching: u8, data: impl Into<Vec<u8>>) -> Tlsa {
    Tlsa { usage, selector, matching, data: data.into().into() }
}

fn key_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
    EndEntityCert::try_from(certificate).unwrap().subject_public_key_info().to_vec()
}

/// What comes of records for `mx.test`, which takes the mail of `x.test`.
fn check(records: &[Tlsa], shown: &Shown) -> Option<Result<(), DaneFault>> {
    let dane = Dane::of(records, vec!["mx.test".into(), "x.test".into()])?;
    // In the year 2020.
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_600_000_000));
    let algorithms = default_provider().signature_verification_algorithms;
    Some(dane.check(&algorithms, &shown.chain[0], &shown.chain[1..], now))
}

#[test]
fn the_servers_own_certificate_is_known_by_every_form_of_record() {
    // Neither its name nor its time is right.
    let (shown, other) = (Shown::alone(&["else.test"], 2010), Shown::alone(&["mx.test"], 2100));
    let (der, key) = (shown.chain[0].to_vec(), key_of(&shown.chain[0]));
    let digest = |octets: &[u8]| Sha512::digest(octets).to_vec();
    for record in [
        tlsa(3, 0, 0, der.clone()),
        tlsa(3, 0, 1, sha256(&der)),
        tlsa(3, 0, 2, digest(&der)),
        tlsa(3, 1, 0, key.clone()),
        tlsa(3, 1, 1, sha256(&key)),
        tlsa(3, 1, 2, digest(&key)),
    ] {
        let records = [record];
        assert_eq!(check(&records, &shown), Some(Ok(())), "{records:?}");
        assert_eq!(check(&records, &other), Some(Err(DaneFault::NoMatch)), "{records:?}");
    }
    // Of several one has to match.
    let both = [tlsa(3, 1, 1, sha256(&key_of(&other.chain[0]))), tlsa(3, 1, 1, sha256(&key))];
    assert_eq!(check(&both, &shown), Some(Ok(())));
}

#[test]
fn an_authority_vouches_for_names_and_times() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let key = tlsa(2, 1, 1, sha256(&key_of(authority.der())));
    let cases = [
        (authority.server(&["mx.test"], 2100), Ok(())),
        (authority.server(&["else.test", "x.test"], 2100), Ok(())),
        (authority.server(&["*.test"], 2100), Ok(())),
        (authority.server(&["*.mx.test"], 2100), Err(DaneFault::Name)),
        (authority.server(&["else.test"], 2100), Err(DaneFault::Name)),
        (authority.common("mx.test"), Ok(())),
        (authority.common("else.test"), Err(DaneFault::Name)),
        (stranger.server(&["mx.test"], 2100), Err(DaneFault::NoMatch)),
        // RFC 7671 section 5.2: it is for a certificate above the server's, never for that itself.
        (Shown::alone(&["mx.test"], 2100), Err(DaneFault::NoMatch)),
    ];
    for (number, (shown, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(check(std::slice::from_ref(&key), &shown), Some(wanted), "case {number}");
    }
    let in_vain = |shown: &Shown| {
        let checked = check(std::slice::from_ref(&key), shown);
        assert!(matches!(checked, Some(Err(DaneFault::Path(_)))), "{checked:?}");
    };
    in_vain(&authority.server(&["mx.test"], 2010));

    // The chain has the authority's certificate, but another has signed.
    let mut mixed = stranger.server(&["mx.test"], 2100);
    mixed.chain[1] = authority.der().clone();
    in_vain(&mixed);

    // The whole certificate in the DNS need not be shown; of a digest it has to be.
    let mut bare = authority.server(&["mx.test"], 2100);
    bare.chain.truncate(1);
    assert_eq!(check(&[key], &bare), Some(Err(DaneFault::NoMatch)));
    let whole = tlsa(2, 0, 0, authority.der().to_vec());
    assert_eq!(check(&[whole], &bare), Some(Ok(())));
}

#[test]
fn what_cant_be_used_is_left_out() {
    let shown = Shown::alone(&["mx.test"], 2100);
    let (der, key) = (shown.chain[0].to_vec(), key_of(&shown.chain[0]));
    let good = || tlsa(3, 1, 1, sha256(&key));
    for record in [
        // What needs an authority that everybody believes.
        tlsa(0, 1, 1, sha256(&key)),
        tlsa(1, 1, 1, sha256(&key)),
        tlsa(4, 1, 1, sha256(&key)),
        tlsa(255, 1, 1, sha256(&key)),
        tlsa(3, 2, 1, sha256(&key)),
        tlsa(3, 1, 3, sha256(&key)),
        // Digests of another length.
        tlsa(3, 1, 1, &sha256(&key)[1..]),
        tlsa(3, 1, 2, sha256(&key)),
        tlsa(3, 0, 0, []),
    ] {
        assert_eq!(check(std::slice::from_ref(&record), &shown), None, "{record:?}");
        assert_eq!(check(&[record, good()], &shown), Some(Ok(())));
    }
    assert_eq!(check(&[], &shown), None);

    // However many there are of them, and of others.
    let mut many = vec![tlsa(1, 1, 1, sha256(&key)); 1000];
    many.push(good());
    assert_eq!(check(&many, &shown), Some(Ok(())));
    let strange = |number: u32| tlsa(3, 1, 1, sha256(&number.to_be_bytes()));
    many.extend((0..1000).map(strange));
    assert_eq!(check(&many, &shown), Some(Ok(())));
    let strangers: Vec<Tlsa> = (0..1000).map(strange).chain([good()]).collect();
    assert_eq!(check(&strangers, &shown), Some(Err(DaneFault::NoMatch)));

    // RFC 7671 section 9: beside a stronger digest the weaker one does not count; the whole does.
    let strong = tlsa(3, 1, 2, [0; 64]);
    assert_eq!(check(&[good(), strong.clone()], &shown), Some(Err(DaneFault::NoMatch)));
    assert_eq!(check(&[tlsa(3, 0, 1, sha256(&der)), strong.clone()], &shown), Some(Ok(())));
    assert_eq!(check(&[tlsa(3, 1, 0, key.clone()), strong], &shown), Some(Ok(())));
}

#[test]
fn octets_that_are_no_certificate_are_refused() {
    let mut shown = Shown::alone(&["mx.test"], 2100);
    let record = tlsa(3, 0, 1, sha256(b"nonsense"));
    shown.chain[0] = CertificateDer::from(b"nonsense".to_vec());
    assert_eq!(check(&[record], &shown), Some(Err(DaneFault::Unreadable)));
    // A record with nonsense for an authority, and a chain with some.
    let mut shown = Authority::new().server(&["mx.test"], 2100);
    shown.chain[1] = CertificateDer::from(b"nonsense".to_vec());
    let record = tlsa(2, 0, 0, b"nonsense");
    assert_eq!(check(&[record], &shown), Some(Err(DaneFault::NoMatch)));
}
