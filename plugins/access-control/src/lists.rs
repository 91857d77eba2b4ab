//! The private and DNS lists, in Domino's order: private white, private black, DNS white, DNS black; the first hit ends it.
//! Judges clients that are subject to the relay check; who those are stands elsewhere.

use std::net::IpAddr;
use std::time::Instant;

use stagepost_sdk::{Level, Pending, Session, together};

use crate::AccessControl;
use crate::cause::Cause;
use crate::client::Lists;
use crate::dns_list::{Listing, Verdict, Zone, sum};
use crate::look_up;
use crate::peer::{Peer, Trust};
use crate::refusal::Refusal;
use crate::rules::{DnsFilter, Rules};
use crate::section::Action;
use crate::soundness::{Soundness, test_points};
use crate::words::{Values, Words};

/// The most zones that are tested together with one client: each takes two questions more, and a call has 64. Untested ones are asked
/// all the same.
const TESTS_MAX: usize = 8;

/// Whose lists they are, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    PrivateWhite,
    PrivateBlack,
    DnsWhite,
    DnsBlack,
}

impl Filter {
    pub(crate) const ALL: [Self; 4] =
        [Self::PrivateWhite, Self::PrivateBlack, Self::DnsWhite, Self::DnsBlack];

    /// Its table in the configuration.
    fn key(self) -> &'static str {
        match self {
            Self::PrivateWhite => "private_white",
            Self::PrivateBlack => "private_black",
            Self::DnsWhite => "dns_white",
            Self::DnsBlack => "dns_black",
        }
    }

    /// What the log calls it.
    fn words(self) -> &'static str {
        match self {
            Self::PrivateWhite => "private white list",
            Self::PrivateBlack => "private black list",
            Self::DnsWhite => "DNS white list",
            Self::DnsBlack => "DNS black list",
        }
    }

    /// The header field of its tag, with the name of Domino's item.
    fn header(self) -> &'static str {
        match self {
            Self::PrivateWhite => "X-PrivateWL",
            Self::PrivateBlack => "X-PrivateBL",
            Self::DnsWhite => "X-DNSWLSite",
            Self::DnsBlack => "X-DNSBLSite",
        }
    }
}

/// A hit, as it is logged, tagged and answered.
struct Found<'f> {
    filter: Filter,
    action: Action,
    words: &'f Words,
    site: &'f str,
    txt: String,
    /// The entry with its place, or the zone with its answer.
    by: Cause,
}

impl AccessControl {
    /// Looks at the lists until one has the host.
    pub(crate) async fn look_at_lists(
        &self,
        session: Session<'_>,
        peer: Peer<'_>,
        rules: &Rules,
        call: &Pending,
    ) -> Lists {
        let named;
        let mut peer = peer;
        if peer.name_matters(&rules.private_white.list)
            || peer.name_matters(&rules.private_black.list)
        {
            let confirm = rules.relay.trust == Trust::Confirmed;
            named = look_up::host_name(call, peer.address, confirm).await;
            peer = Peer { address: peer.address, name: &named };
        }
        let (white, black) = (&rules.private_white, &rules.private_black);
        for (private, trust, counter, filter) in [
            (white, rules.relay.trust, &self.counters.private_white, Filter::PrivateWhite),
            (black, Trust::Claimed, &self.counters.private_black, Filter::PrivateBlack),
        ] {
            if let Some(hit) = peer.find(&private.list, trust) {
                counter.increment();
                self.statistics.hit(filter);
                let (site, by) = (&*hit.entry.text, hit.into());
                let (action, words) = (private.action, &private.words);
                let found = Found { filter, action, words, site, txt: String::new(), by };
                return self::found(session, peer, found);
            }
        }
        self.look_at_zones(session, peer, rules, call).await
    }

    /// Asks all zones at once: white ones speak first, however late they answer.
    async fn look_at_zones(
        &self,
        session: Session<'_>,
        peer: Peer<'_>,
        rules: &Rules,
        call: &Pending,
    ) -> Lists {
        let (white, black) = (&rules.dns_white, &rules.dns_black);
        look_up::wait_for_zones(call, rules.zones());
        let mut tests = TESTS_MAX;
        let questions = rules.zones().map(|zone| {
            let known = self.tested.known(zone, peer.address, Instant::now());
            let test = known.is_none() && zone.test && tests > 0;
            tests -= usize::from(test);
            self.ask(zone, peer.address, call, known, test)
        });
        let said: Vec<_> = rules.zones().zip(together(questions).await).collect();
        let (said_white, said_black) = said.split_at(white.zones.len());
        let verdict = sum(said_white.iter().copied());
        if let Some(found) = over(white, &verdict, Filter::DnsWhite) {
            self.counters.dns_white.increment();
            self.statistics.zone_hit(Filter::DnsWhite, found.site);
            return self::found(session, peer, found);
        }
        let verdict = sum(said_black.iter().copied());
        let Some(mut found) = over(black, &verdict, Filter::DnsBlack) else {
            return Lists::default();
        };
        self.counters.dns_black.increment();
        self.statistics.zone_hit(Filter::DnsBlack, found.site);
        if found.action == Action::Reject
            && found.words.wants_txt()
            && let Some(zone) = black.zones.iter().find(|zone| zone.name == found.site)
        {
            found.txt = look_up::reason(call, zone, peer.address).await;
        }
        self::found(session, peer, found)
    }

    /// What a zone says of an address; one that fails its test, or refuses us, says nothing of anybody.
    ///
    /// - known: what is known of the zone. test: whether it is tested with this client.
    async fn ask(
        &self,
        zone: &Zone,
        address: IpAddr,
        call: &Pending,
        known: Option<Soundness>,
        test: bool,
    ) -> Listing {
        let (listing, found) = match known {
            Some(Soundness::RefusesUs(_)) => return Listing::NotListed,
            Some(unsound @ (Soundness::ListsAll | Soundness::ListsNone)) => {
                (Listing::NotListed, unsound)
            }
            None if test => {
                let (listing, found) = look_up::tested_listing(call, zone, address).await;
                self.found_out(zone, address, found);
                (listing, found)
            }
            Some(Soundness::Sound | Soundness::Unknown) | None => {
                (look_up::listing(call, zone, address).await, Soundness::Sound)
            }
        };
        match (listing, found) {
            (_, Soundness::ListsAll | Soundness::ListsNone) => {
                self.counters.dns_unsound.increment();
                return Listing::NotListed;
            }
            (Listing::Blocked(answer), _) => {
                self.counters.dns_blocked.increment();
                self.found_out(zone, address, Soundness::RefusesUs(answer));
            }
            (Listing::Trouble, _) => self.counters.dns_trouble.increment(),
            (Listing::Listed(_) | Listing::NotListed, _) => {}
        }
        listing
    }

    /// Keeps what was found out about a zone, and tells of it when it is new.
    fn found_out(&self, zone: &Zone, address: IpAddr, soundness: Soundness) {
        if self.tested.found(zone, address, soundness, Instant::now()) {
            self.tell(zone, address, soundness);
        }
    }

    /// Tells the operator what the test of a zone came to.
    fn tell(&self, zone: &Zone, address: IpAddr, soundness: Soundness) {
        let [has, has_not] = test_points(address);
        let name = &zone.name;
        match soundness {
            Soundness::Sound => {
                self.host.log(Level::Info, format_args!("{name} is tested, and asked from now on"));
            }
            Soundness::ListsAll => self.host.log(
                Level::Warn,
                format_args!("{name} is not asked: it lists {has_not}, and so everybody (RFC 5782)"),
            ),
            Soundness::ListsNone => self.host.log(
                Level::Warn,
                format_args!("{name} is not asked: it does not list {has}, as every list in use does (RFC 5782); for one of your own that does not, write test = false"),
            ),
            Soundness::RefusesUs(answer) => self.host.log(
                Level::Warn,
                format_args!("{name} does not answer us ({answer}): it sees too many questions, or a resolver that many share; it is asked again in ten minutes"),
            ),
            // That the DNS is in trouble is counted by itself.
            Soundness::Unknown => {}
        }
    }
}

/// What a hit comes to; it is logged, unless nobody is to see it.
fn found(session: Session<'_>, peer: Peer<'_>, found: Found<'_>) -> Lists {
    let Found { filter, action, words, site, txt, by } = found;
    let white = matches!(filter, Filter::PrivateWhite | Filter::DnsWhite);
    let mut lists = Lists { white, ..Lists::default() };
    if action == Action::Silent {
        return lists;
    }
    let host = peer.name.names(Trust::Claimed).next().unwrap_or_default();
    let (address, words_of) = (peer.address, filter.words());
    let known = if host.is_empty() { String::new() } else { format!(" [{host}]") };
    session.log(Level::Info, format_args!("{address}{known} is in a {words_of}: {by}"));
    match action {
        Action::Silent | Action::Log => {}
        Action::Tag => lists.tag = Some((filter.header(), site.to_owned())),
        Action::Reject => {
            let text = words.say(Values { ip: peer.address, site, txt: &txt, host });
            lists.refusal = Some(Refusal::listed(text, by));
        }
    }
    lists
}

/// What zones come to, when it is enough.
fn over<'f>(zones: &'f DnsFilter, verdict: &Verdict<'f>, filter: Filter) -> Option<Found<'f>> {
    let (site, answer) = verdict.first?;
    if verdict.weight < zones.threshold {
        return None;
    }
    let own =
        zones.zones.iter().find(|zone| zone.name == site).and_then(|zone| zone.words.as_ref());
    Some(Found {
        filter,
        action: zones.action,
        words: own.unwrap_or(&zones.words),
        site,
        txt: String::new(),
        by: Cause::told(filter.key(), format!("{site} ({answer}), weight {}", verdict.weight)),
    })
}
