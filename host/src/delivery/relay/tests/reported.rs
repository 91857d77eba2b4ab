//! What is counted of sessions with the servers of a domain, for reports to it.
//! Knows the relay by its public methods, and the counts by their form.

use serde_json::Value;

use super::sts::{Domain, NAMES, clear, untold};
use super::tls::offering_tls;
use super::*;
use crate::config::TlsReport;
use crate::dns::signed::Written;
use crate::https::Https;
use crate::sts::site::{Page, Site};
use crate::tls::authority::{Authority, Shown, sha256_hex};

/// One delivery, and what was counted: `KIND SUCCESSES FAILURE COUNT` for each policy.
async fn counted(
    domain: &Domain,
    tls: TlsPolicy,
    header: &str,
    script: Vec<Turn>,
    records: &dyn Fn(u16) -> Vec<(String, String)>,
) -> Vec<String> {
    let scripts = if script.is_empty() { vec![] } else { vec![script] };
    let (address, heard) = next_hop(scripts).await;
    let further = records(address.port());
    let further = further.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let records: Vec<Written<'_>> = NAMES.iter().copied().chain(further).collect();
    let (root, relay) = domain.relay(address.port(), &records).await;
    let names = root.resolver();
    let https = Https::new(names.clone(), outbound(""), 443, Duration::from_secs(60));
    let contact = stagepost_smtp::Address::parse("tls@us.test").unwrap();
    let settings = TlsReport { organization: "Us".to_owned(), contact };
    let folder = domain.folder.path().join("tls-reports");
    let reports = Arc::new(TlsReports::new(settings, "mx.us.test", folder, names, https));
    let relay = relay.counted(Some(reports.clone()));
    let message = message(&["u@x.test"], header, &[b"\r\n"]);
    let servers = Servers::Mx("x.test");
    let hop = Hop { servers, protocol: Protocol::Smtp, tls, login: None };
    relay.deliver(hop, &message, &[0]).await;
    drop(relay);
    heard.await.unwrap();
    shown(&reports.counts())
}

fn shown(counts: &Value) -> Vec<String> {
    let of = |counted: &Value| {
        let failures = counted["failures"].as_array().unwrap().iter();
        let failures = failures.map(|one| format!(" {} {}", text(&one[0]["kind"]), one[1]));
        let kind = text(&counted["policy"]["kind"]);
        format!("{kind} {}{}", counted["successes"], failures.collect::<String>())
    };
    counts["domains"]["x.test"]
        .as_array()
        .map(|all| all.iter().map(of).collect())
        .unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn nothing(_: u16) -> Vec<(String, String)> {
    Vec::new()
}

#[tokio::test]
async fn sessions_count_by_what_a_policy_makes_of_them() {
    let strange = Shown::alone(&["mx.test"], 2100);
    for (mode, mx, names, until, wanted) in [
        ("enforce", "mx.test", "mx.test", 2100, "sts 1"),
        ("enforce", "mx.test", "other.test", 2100, "sts 0 certificate-host-mismatch 1"),
        ("enforce", "mx.test", "mx.test", 2010, "sts 0 certificate-expired 1"),
        ("enforce", "mx.test", "", 0, "sts 0 certificate-not-trusted 1"),
        ("testing", "mx.test", "mx.test", 2100, "sts 1"),
        ("testing", "mx.test", "other.test", 2100, "sts 0 certificate-host-mismatch 1"),
        ("testing", "other.test", "mx.test", 2100, "sts 0 validation-failure 1"),
        ("none", "other.test", "", 0, "no-policy-found 1"),
    ] {
        let domain = Domain::new(mode, mx).await;
        let own = domain.authority.server(&[names], until.max(2001));
        let shown = if names.is_empty() { &strange } else { &own };
        let script = offering_tls(&shown.acceptor());
        let tls = TlsPolicy::Opportunistic;
        let found = counted(&domain, tls, "A: b\r\n", script, &nothing).await;
        assert_eq!(found, [wanted], "{mode} {mx} {names}");
    }
    // Without TLS, or without a server that is named.
    for (mode, mx, script, wanted) in [
        ("enforce", "mx.test", untold(), "sts 0 starttls-not-supported 1"),
        ("testing", "mx.test", clear(), "sts 0 starttls-not-supported 1"),
        ("none", "mx.test", clear(), "no-policy-found 0 starttls-not-supported 1"),
        ("enforce", "other.test", vec![], "sts 0 validation-failure 1"),
    ] {
        let domain = Domain::new(mode, mx).await;
        let tls = TlsPolicy::Opportunistic;
        let found = counted(&domain, tls, "A: b\r\n", script, &nothing).await;
        assert_eq!(found, [wanted], "{mode} {mx}");
    }
    // A route without TLS says nothing of theirs, and what goes whatever comes of TLS is left out.
    let domain = Domain::new("enforce", "mx.test").await;
    let found = counted(&domain, TlsPolicy::None, "A: b\r\n", clear(), &nothing).await;
    assert_eq!(found, [""; 0]);
    let header = "TLS-Required: No\r\n";
    let found = counted(&domain, TlsPolicy::Opportunistic, header, clear(), &nothing).await;
    assert_eq!(found, [""; 0]);
}

#[tokio::test]
async fn policies_that_cant_be_had_count() {
    let good = Page::policy("enforce", "mx.test", 1000);
    let html = Page::of("text/html", "version: STSv1\n");
    for (page, strange, wanted) in [
        (Page::status("500 No"), false, "sts-policy-fetch-error"),
        (html, false, "sts-policy-invalid"),
        (good, true, "sts-webpki-invalid"),
    ] {
        let mut domain = Domain::new("enforce", "mx.test").await;
        if strange {
            let shown = Authority::new().server(&["mta-sts.x.test"], 2100);
            domain.site = Site::start(&shown, page).await;
        } else {
            domain.site.show(page);
        }
        let script = offering_tls(&Shown::alone(&["mx.test"], 2100).acceptor());
        let tls = TlsPolicy::Opportunistic;
        let found = counted(&domain, tls, "A: b\r\n", script, &nothing).await;
        assert_eq!(found, [format!("sts 0 {wanted} 1"), "no-policy-found 1".to_owned()]);
    }
}

#[tokio::test]
async fn sessions_count_by_what_the_dns_vouches_for() {
    let (own, other) = (Shown::alone(&["mx.test"], 2100), Shown::alone(&["mx.test"], 2100));
    let digest = sha256_hex(&own.chain[0]);
    let usable = |port| vec![(format!("_{port}._tcp.mx.test."), format!("TLSA 3 0 1 {digest}"))];
    let unusable = |port| vec![(format!("_{port}._tcp.mx.test."), format!("TLSA 1 0 1 {digest}"))];
    let broken = |port| {
        vec![(format!("_{port}._tcp.mx.test."), format!("CNAME _{port}._tcp.mx.broken.test."))]
    };
    type Records<'r> = &'r dyn Fn(u16) -> Vec<(String, String)>;
    let cases: [(TlsPolicy, Option<&Shown>, Records<'_>, &str); 5] = [
        (TlsPolicy::Opportunistic, Some(&own), &usable, "tlsa 1"),
        (TlsPolicy::Opportunistic, Some(&other), &usable, "tlsa 0 certificate-not-trusted 1"),
        (TlsPolicy::Dane, None, &unusable, "tlsa 0 tlsa-invalid 1"),
        (TlsPolicy::Dane, None, &nothing, "no-policy-found 0 dane-required 1"),
        (TlsPolicy::Opportunistic, None, &broken, "tlsa 0 dnssec-invalid 1"),
    ];
    for (tls, shown, records, wanted) in cases {
        let domain = Domain::new("none", "mx.test").await;
        let script = shown.map(|shown| offering_tls(&shown.acceptor())).unwrap_or_default();
        let found = counted(&domain, tls, "A: b\r\n", script, records).await;
        assert_eq!(found, [wanted], "{tls:?}");
    }
}
