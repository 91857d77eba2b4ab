//! What is asked of the DNS: a host's names, whether a domain exists, and what lists say of an address.
//! Knows no rule; every question is bounded in number and time.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use stagepost_sdk::{DnsError, Pending, Reason, before, together};

use crate::dns_list::{Listing, Zone};
use crate::mailbox::Domain;
use crate::name_index::folded;
use crate::peer::{HostName, Name};
use crate::soundness::{self, Soundness};

/// The most names of one address that count: more come of nobody who means well.
const NAMES_MAX: usize = 8;

/// How long an ordinary question is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets the call last as long as a question and what follows it may take. One that the operator does not give more time
/// ends at its own deadline, as the fault contract says.
fn be_patient(call: &Pending, patience: Duration) {
    let _ = call.extend(patience + Duration::from_secs(2));
}

/// The names of an address, and whether each has the address in turn, where that is wanted.
pub(crate) async fn host_name(call: &Pending, address: IpAddr, confirm: bool) -> HostName {
    be_patient(call, PATIENCE * 2);
    let question = call.dns().ptr(&address.to_string());
    let names = match before(question, call.timer(PATIENCE)).await {
        Some(Ok(names)) if names.is_empty() => return HostName::Missing,
        Some(Ok(names)) => names,
        Some(Err(DnsError::NoName | DnsError::NoData)) => return HostName::Missing,
        Some(Err(DnsError::Trouble | DnsError::Refused(_))) | None => return HostName::Trouble,
    };
    let names = names.into_iter().take(NAMES_MAX).map(|text| async move {
        let confirmed = confirm && is_confirmed(call, &text, address).await;
        Name { text, confirmed }
    });
    HostName::Found(together(names).await)
}

/// Whether a name has the address that has it. Trouble is no confirmation.
async fn is_confirmed(call: &Pending, name: &str, address: IpAddr) -> bool {
    let question = call.dns().has_address(name, address);
    before(question, call.timer(PATIENCE)).await == Some(Ok(true))
}

/// Whether a domain takes mail, or has an address at least (RFC 5321 section 5.1).
pub(crate) async fn domain(call: &Pending, domain: &str) -> Domain {
    be_patient(call, PATIENCE * 2);
    // In the DNS every script is ASCII.
    let domain = &*folded(domain);
    match before(call.dns().mx(domain), call.timer(PATIENCE)).await {
        // RFC 7505 section 3: one record with the root as its host.
        Some(Ok(hosts)) if hosts.len() == 1 && matches!(&*hosts[0].host, "" | ".") => {
            return Domain::TakesNone;
        }
        Some(Ok(hosts)) if !hosts.is_empty() => return Domain::Exists,
        Some(Ok(_) | Err(DnsError::NoData)) => {}
        Some(Err(DnsError::NoName)) => return Domain::Missing,
        // What can't be asked for can't be there.
        Some(Err(DnsError::Refused(refusal))) if refusal.reason == Reason::Invalid => {
            return Domain::Missing;
        }
        Some(Err(DnsError::Trouble | DnsError::Refused(_))) | None => return Domain::Trouble,
    }
    let questions = [true, false].map(|v4| async move {
        let question = async {
            if v4 {
                call.dns().a(domain).await.map(|found| !found.is_empty())
            } else {
                call.dns().aaaa(domain).await.map(|found| !found.is_empty())
            }
        };
        before(question, call.timer(PATIENCE)).await.unwrap_or(Err(DnsError::Trouble))
    });
    let answers = together(questions).await;
    if answers.contains(&Ok(true)) {
        Domain::Exists
    } else if answers
        .iter()
        .any(|answer| matches!(answer, Err(DnsError::Trouble | DnsError::Refused(_))))
    {
        Domain::Trouble
    } else {
        Domain::Missing
    }
}

/// Lets the call last until the slowest of these zones has answered.
pub(crate) fn wait_for_zones<'z>(call: &Pending, zones: impl Iterator<Item = &'z Zone>) {
    let slowest = zones.map(|zone| zone.timeout_ms).max().unwrap_or(0);
    be_patient(call, Duration::from_millis(slowest.into()));
}

/// What a zone says of an address.
pub(crate) async fn listing(call: &Pending, zone: &Zone, address: IpAddr) -> Listing {
    answered(call, zone, address, Zone::judge).await
}

/// What a zone says of an address, and whether it can be relied on: asked at once, so that nobody waits for the test.
pub(crate) async fn tested_listing(
    call: &Pending,
    zone: &Zone,
    address: IpAddr,
) -> (Listing, Soundness) {
    let [has, has_not] = soundness::test_points(address);
    let questions = [
        answered(call, zone, address, Zone::judge),
        answered(call, zone, has, Zone::judge_any),
        answered(call, zone, has_not, Zone::judge_any),
    ];
    match together(questions).await[..] {
        [listing, has, has_not] => (listing, soundness::judge(has, has_not)),
        // There are as many answers as questions.
        _ => (Listing::Trouble, Soundness::Unknown),
    }
}

async fn answered(
    call: &Pending,
    zone: &Zone,
    address: IpAddr,
    judge: fn(&Zone, &[Ipv4Addr]) -> Listing,
) -> Listing {
    let question = zone.question(address);
    let timer = call.timer(Duration::from_millis(zone.timeout_ms.into()));
    match before(call.dns().a(&question), timer).await {
        Some(Ok(answers)) => judge(zone, &answers),
        Some(Err(DnsError::NoName | DnsError::NoData)) => Listing::NotListed,
        Some(Err(DnsError::Trouble | DnsError::Refused(_))) | None => Listing::Trouble,
    }
}

/// What a zone says about an address that it lists; empty when it says nothing in time.
pub(crate) async fn reason(call: &Pending, zone: &Zone, address: IpAddr) -> String {
    let timer = call.timer(Duration::from_millis(zone.timeout_ms.into()));
    let question = zone.question(address);
    match before(call.dns().txt(&question), timer).await {
        Some(Ok(texts)) => {
            let text = texts.first().map(|text| String::from_utf8_lossy(text).into_owned());
            text.unwrap_or_default()
        }
        _ => String::new(),
    }
}
