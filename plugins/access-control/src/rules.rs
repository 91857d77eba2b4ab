//! All rules together, as one section of the configuration makes them, and what is odd about it.
//! Knows no session; what a rule decides stands with the rule.

use std::fmt::Display;
use std::sync::Arc;

use stagepost_sdk::{Config, ConfigError};

use crate::connection::ConnectionRules;
use crate::dns_list::Zone;
use crate::entry::{Kind, Meaning, Place};
use crate::helo::HeloRules;
use crate::list::List;
use crate::mailbox::{RecipientRules, SenderRules};
use crate::name_index::{Ending, folded};
use crate::own_address::OwnAddressRules;
use crate::peer::Trust;
use crate::relay::{Internal, RelayRules};
use crate::section::{self, Action, DnsLists, Entries, PrivateList, Section};
use crate::watch::Watched;
use crate::words::Words;
use crate::written::{self, Groups, ListError, Warning, Written};

/// How long an answer of a DNS list is waited for, unless the zone says otherwise.
const TIMEOUT_MS: u32 = 3000;
const TIMEOUT_MS_MAX: u32 = 30_000;

/// The most zones, white and black: a call has so many questions, and some for their tests and for names.
const ZONES_MAX: usize = 32;

/// The rules.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Each that come in force have the next number, from 0.
    pub(crate) number: u64,
    pub(crate) connection: ConnectionRules,
    pub(crate) relay: RelayRules,
    pub(crate) sender: SenderRules,
    pub(crate) own_address: OwnAddressRules,
    pub(crate) recipient: RecipientRules,
    pub(crate) private_white: HostFilter,
    pub(crate) private_black: HostFilter,
    pub(crate) dns_white: DnsFilter,
    pub(crate) dns_black: DnsFilter,
    pub(crate) limits: section::Limits,
    pub(crate) helo: HeloRules,
    pub(crate) greylist: section::Greylist,
    /// The files that are to be watched.
    pub(crate) files: Vec<Watched>,
}

impl Rules {
    /// The lists in the DNS, white ones first.
    pub(crate) fn zones(&self) -> impl Iterator<Item = &Zone> + Clone {
        self.dns_white.zones.iter().chain(&self.dns_black.zones)
    }
}

/// A private list, and what a hit in it does.
#[derive(Clone, Debug)]
pub(crate) struct HostFilter {
    pub(crate) list: List,
    pub(crate) action: Action,
    pub(crate) words: Words,
}

/// Zones, and what an address that they list comes to.
#[derive(Clone, Debug)]
pub(crate) struct DnsFilter {
    pub(crate) zones: Vec<Zone>,
    pub(crate) threshold: i32,
    pub(crate) action: Action,
    pub(crate) words: Words,
}

/// Why a section makes no rules. The operator is to blame; the text begins with the place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RulesError(String);

impl From<ConfigError> for RulesError {
    fn from(error: ConfigError) -> Self {
        Self(error.to_string())
    }
}

impl From<ListError> for RulesError {
    fn from(error: ListError) -> Self {
        Self(error.to_string())
    }
}

/// What a section makes: rules, and what an administrator may want to know.
pub(crate) struct Made {
    pub(crate) rules: Rules,
    pub(crate) warnings: Vec<Warning>,
}

/// Where a key of the section stands.
pub(crate) trait Places {
    /// The place of a key, or of the table that it would stand in; elements of arrays are `key[0]`.
    fn place_near(&self, key: &str) -> Option<Place>;
}

impl Places for Config {
    fn place_near(&self, key: &str) -> Option<Place> {
        let place = Self::place_near(self, key)?;
        Some(Place { file: place.file.into(), line: place.line, column: place.column })
    }
}

/// Makes rules of the plug-in's section.
pub(crate) fn read(config: &Config) -> Result<Made, RulesError> {
    make(&config.section()?, config)
}

/// Makes rules of a section.
pub(crate) fn make(section: &Section, places: &dyn Places) -> Result<Made, RulesError> {
    let mut making = Making::new(places, section)?;
    let rules = making.rules(section)?;
    Ok(Made { rules, warnings: making.warnings })
}

/// A key as places have it: quoted where TOML would need quotes.
fn quoted(key: &str) -> String {
    let bare = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
    if key.bytes().all(bare) { key.to_owned() } else { format!("{key:?}") }
}

fn at(places: &dyn Places, key: &str, problem: impl Display) -> String {
    match places.place_near(key) {
        Some(place) => format!("{place}: {problem}"),
        None => problem.to_string(),
    }
}

struct Making<'m> {
    places: &'m dyn Places,
    ending: Ending,
    trust: Trust,
    groups: Groups,
    warnings: Vec<Warning>,
    /// Those that were read.
    files: Vec<Watched>,
}

impl<'m> Making<'m> {
    fn new(places: &'m dyn Places, section: &Section) -> Result<Self, RulesError> {
        let names = &section.names;
        let mut making = Self {
            places,
            ending: if names.raw_suffix { Ending::Letters } else { Ending::Labels },
            trust: if names.forward_confirm { Trust::Confirmed } else { Trust::Claimed },
            groups: Groups::default(),
            warnings: Vec::new(),
            files: Vec::new(),
        };
        for (name, members) in &section.groups {
            let key = format!("groups.{}", quoted(name));
            let written = making.written(&key, members);
            making.groups.add(name, making.place(&key), written)?;
        }
        Ok(making)
    }

    fn place(&self, key: &str) -> Place {
        let nowhere = || Place { file: Arc::from("the configuration"), line: 0, column: 0 };
        self.places.place_near(key).unwrap_or_else(nowhere)
    }

    fn error(&self, key: &str, problem: impl Display) -> RulesError {
        RulesError(at(self.places, key, format_args!("`{key}` {problem}")))
    }

    fn written(&self, key: &str, entries: &Entries) -> Vec<Written> {
        match entries {
            Entries::One(text) => vec![Written { text: text.clone(), place: self.place(key) }],
            Entries::Many(texts) => (0..)
                .zip(texts)
                .map(|(index, text): (usize, _)| Written {
                    text: text.clone(),
                    place: self.place(&format!("{key}[{index}]")),
                })
                .collect(),
        }
    }

    /// A list of what is written under a key, and in the file beside it.
    fn list(
        &mut self,
        key: &str,
        kind: Kind,
        entries: &Entries,
        file: Option<&String>,
        file_key: &str,
    ) -> Result<List, RulesError> {
        let written = self.written(key, entries);
        self.list_of(key, kind, written, file, file_key)
    }

    fn list_of(
        &mut self,
        key: &str,
        kind: Kind,
        mut written: Vec<Written>,
        file: Option<&String>,
        file_key: &str,
    ) -> Result<List, RulesError> {
        if let Some(file) = file {
            let (text, watched) = written::file(file, &self.place(file_key))?;
            written.push(text);
            self.files.push(watched);
        }
        Ok(written::list(key, kind, &written, &self.groups, &mut self.warnings)?)
    }

    fn hosts(
        &mut self,
        key: &str,
        entries: &Entries,
        file: Option<&String>,
    ) -> Result<List, RulesError> {
        let kind = Kind::Hosts { ending: self.ending };
        self.list(key, kind, entries, file, &format!("{key}_file"))
    }

    fn mailboxes(
        &mut self,
        key: &str,
        entries: &Entries,
        file: Option<&String>,
    ) -> Result<List, RulesError> {
        self.list(key, Kind::Mailboxes, entries, file, &format!("{key}_file"))
    }

    fn rules(&mut self, section: &Section) -> Result<Rules, RulesError> {
        let rules = Rules {
            number: 0,
            connection: self.connection(&section.connection)?,
            relay: self.relay(&section.relay)?,
            sender: self.sender(&section.sender)?,
            own_address: self.own_address(&section.sender)?,
            recipient: self.recipient(&section.recipient)?,
            private_white: self.private("private_white", &section.private_white, Colour::White)?,
            private_black: self.private("private_black", &section.private_black, Colour::Black)?,
            dns_white: self.dns("dns_white", &section.dns_white, Colour::White)?,
            dns_black: self.dns("dns_black", &section.dns_black, Colour::Black)?,
            limits: section.limits.clone(),
            helo: self.helo(&section.helo)?,
            greylist: self.greylist(&section.greylist)?,
            files: if section.watch_files { std::mem::take(&mut self.files) } else { Vec::new() },
        };
        if !(1..=86_400).contains(&rules.limits.window_s) {
            return Err(self.error("limits.window_s", "must be 1 to 86400"));
        }
        if rules.zones().count() > ZONES_MAX {
            let problem = format!("and those of dns_white are more than {ZONES_MAX}");
            return Err(self.error("dns_black.zones", problem));
        }
        let (c, r) = (&section.connection, &section.relay);
        for (allow, file) in [
            (&rules.connection.allow, &c.allow_file),
            (&rules.relay.allow_sources, &r.allow_sources_file),
            (&rules.relay.allow_destinations, &r.allow_destinations_file),
            (&rules.sender.allow, &section.sender.allow_file),
            (&rules.recipient.allow, &section.recipient.allow_file),
        ] {
            self.not_lost(allow, file.as_deref())?;
        }
        for (allow, deny) in [
            (&rules.connection.allow, &rules.connection.deny),
            (&rules.relay.allow_sources, &rules.relay.deny_sources),
            (&rules.relay.allow_destinations, &rules.relay.deny_destinations),
            (&rules.sender.allow, &rules.sender.deny),
            (&rules.recipient.allow, &rules.recipient.deny),
        ] {
            written::warn_of_conflicts(allow, deny, &mut self.warnings);
        }
        Ok(rules)
    }

    /// Refuses a list of who is allowed whose file has lost its entries: without any everybody is.
    fn not_lost(&self, allow: &List, file: Option<&str>) -> Result<(), RulesError> {
        match file {
            Some(file) if allow.is_empty() => {
                let problem = format!(
                    "is {file:?}, which has no entry: everybody would be allowed; write * there if that is meant"
                );
                Err(self.error(&format!("{}_file", allow.name()), problem))
            }
            _ => Ok(()),
        }
    }

    fn connection(&mut self, c: &section::Connection) -> Result<ConnectionRules, RulesError> {
        Ok(ConnectionRules {
            allow: self.hosts("connection.allow", &c.allow, c.allow_file.as_ref())?,
            deny: self.hosts("connection.deny", &c.deny, c.deny_file.as_ref())?,
            strict_deny: c.strict_deny,
            verify_host_name: c.verify_host_name,
            trust: self.trust,
            refuse_at: c.refuse_at,
        })
    }

    fn relay(&mut self, r: &section::Relay) -> Result<RelayRules, RulesError> {
        let (from, not_from) = ("relay.allow_sources", "relay.deny_sources");
        let (allow, deny) = ("relay.allow_destinations", "relay.deny_destinations");
        let file = r.allow_destinations_file.as_ref();
        let allow_destinations = self.list(
            allow,
            Kind::Destinations,
            &r.allow_destinations,
            file,
            &format!("{allow}_file"),
        )?;
        let denied = match &r.deny_destinations {
            Some(entries) => self.written(deny, entries),
            None if !allow_destinations.is_empty() => Vec::new(),
            // Closed, unless somebody opens it: never an open relay by default.
            None => {
                let place = Place { file: "the default".into(), line: 0, column: 0 };
                vec![Written { text: "*".to_owned(), place }]
            }
        };
        let (file, file_key) = (r.deny_destinations_file.as_ref(), format!("{deny}_file"));
        let deny_destinations = self.list_of(deny, Kind::Destinations, denied, file, &file_key)?;
        Ok(RelayRules {
            enforce: r.enforce,
            internal: self.internal(&r.internal_domains)?,
            exclude: self.hosts("relay.exclude", &r.exclude, r.exclude_file.as_ref())?,
            authenticated: r.authenticated,
            allow_destinations,
            deny_destinations,
            allow_sources: self.hosts(from, &r.allow_sources, r.allow_sources_file.as_ref())?,
            deny_sources: self.hosts(not_from, &r.deny_sources, r.deny_sources_file.as_ref())?,
            deny_wins: r.deny_wins,
            trust: self.trust,
        })
    }

    fn internal(&self, domains: &[String]) -> Result<Internal, RulesError> {
        for (index, domain) in domains.iter().enumerate() {
            // Of one label, as some have it at home, it looks like the name of a group.
            let sound = match (Kind::Hosts { ending: Ending::Labels }).read(domain) {
                Ok(Meaning::Name(..)) => true,
                Ok(Meaning::Group(name)) => !name.is_empty() && !name.contains(' '),
                _ => false,
            };
            if !sound {
                let key = format!("relay.internal_domains[{index}]");
                return Err(self.error(&key, format_args!("{domain:?} is no domain")));
            }
        }
        Ok(Internal::new(domains.iter().map(String::as_str)))
    }

    fn sender(&mut self, s: &section::Sender) -> Result<SenderRules, RulesError> {
        Ok(SenderRules {
            verify_domain: s.verify_domain,
            allow: self.mailboxes("sender.allow", &s.allow, s.allow_file.as_ref())?,
            deny: self.mailboxes("sender.deny", &s.deny, s.deny_file.as_ref())?,
        })
    }

    fn own_address(&mut self, s: &section::Sender) -> Result<OwnAddressRules, RulesError> {
        let given = s.own.iter().map(|(user, entries)| {
            let list = self.mailboxes(&format!("sender.own.{}", quoted(user)), entries, None)?;
            Ok((user.to_lowercase(), list))
        });
        let given = given.collect::<Result<_, RulesError>>()?;
        Ok(OwnAddressRules { authenticated: s.authenticated, given })
    }

    fn recipient(&mut self, r: &section::Recipient) -> Result<RecipientRules, RulesError> {
        Ok(RecipientRules {
            allow: self.mailboxes("recipient.allow", &r.allow, r.allow_file.as_ref())?,
            deny: self.mailboxes("recipient.deny", &r.deny, r.deny_file.as_ref())?,
        })
    }

    fn helo(&mut self, h: &section::Helo) -> Result<HeloRules, RulesError> {
        let deny = self.hosts("helo.deny", &h.deny, h.deny_file.as_ref())?;
        Ok(HeloRules { deny, full_name: h.full_name, verify: h.verify })
    }

    fn greylist(&self, g: &section::Greylist) -> Result<section::Greylist, RulesError> {
        if g.window_s > 30 * 24 * 3600 {
            return Err(self.error("greylist.window_s", "must be at most 30 days, 2592000"));
        }
        if g.delay_s >= g.window_s {
            return Err(self.error("greylist.delay_s", "must be under `window_s`"));
        }
        Ok(g.clone())
    }

    fn private(
        &mut self,
        key: &str,
        list: &PrivateList,
        colour: Colour,
    ) -> Result<HostFilter, RulesError> {
        let kind = Kind::Hosts { ending: self.ending };
        let (entries, file) = (format!("{key}.entries"), format!("{key}.file"));
        Ok(HostFilter {
            list: self.list(&entries, kind, &list.entries, list.file.as_ref(), &file)?,
            action: self.action(key, list.action, colour)?,
            words: self.words(&format!("{key}.text"), list.text.as_deref())?,
        })
    }

    fn dns(&self, key: &str, lists: &DnsLists, colour: Colour) -> Result<DnsFilter, RulesError> {
        let zones = lists.zones.iter().enumerate();
        let zones = zones.map(|(index, zone)| self.zone(&format!("{key}.zones[{index}]"), zone));
        let threshold = lists.threshold.unwrap_or(1);
        if threshold < 1 {
            return Err(self.error(&format!("{key}.threshold"), "must be 1 or more"));
        }
        Ok(DnsFilter {
            zones: zones.collect::<Result<_, _>>()?,
            threshold,
            action: self.action(key, lists.action, colour)?,
            words: self.words(&format!("{key}.text"), lists.text.as_deref())?,
        })
    }

    fn zone(&self, key: &str, zone: &section::Zone) -> Result<Zone, RulesError> {
        let plain;
        let table = match zone {
            section::Zone::Table(table) => table,
            section::Zone::Name(name) => {
                plain = section::ZoneTable::named(name);
                &plain
            }
        };
        let name = folded(&table.name);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
        };
        // Behind 32 nibbles with their dots a zone has that much room (RFC 1035 section 2.3.4).
        if name.len() > 253 - 64 || !name.contains('.') || !name.split('.').all(label) {
            return Err(self.error(key, format_args!("{:?} is no domain of a list", table.name)));
        }
        let answers = table.answers.iter().map(|answer| {
            answer
                .parse()
                .map_err(|error| self.error(key, format_args!("has a wrong answer: {error}")))
        });
        let timeout_ms = table.timeout_ms.unwrap_or(TIMEOUT_MS);
        if !(1..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
            let problem = format!("must have a timeout_ms of 1 to {TIMEOUT_MS_MAX}");
            return Err(self.error(key, problem));
        }
        let words = table.text.as_deref().map(|text| self.words(key, Some(text))).transpose()?;
        let answers = answers.collect::<Result<_, _>>()?;
        let (weight, test) = (table.weight.unwrap_or(1), table.test.unwrap_or(true));
        Ok(Zone { name, answers, weight, timeout_ms, test, words })
    }

    fn action(
        &self,
        key: &str,
        action: Option<Action>,
        colour: Colour,
    ) -> Result<Action, RulesError> {
        match (colour, action) {
            (Colour::White, None) => Ok(Action::Silent),
            (Colour::Black, None) => Ok(Action::Log),
            (Colour::White, Some(Action::Reject)) => Err(self.error(
                &format!("{key}.action"),
                "can't be \"reject\" for a white list: \"silent\", \"log\" or \"tag\"",
            )),
            (Colour::Black, Some(Action::Silent)) => Err(self.error(
                &format!("{key}.action"),
                "can't be \"silent\" for a black list: \"log\", \"tag\" or \"reject\"",
            )),
            (_, Some(action)) => Ok(action),
        }
    }

    fn words(&self, key: &str, text: Option<&str>) -> Result<Words, RulesError> {
        let text = text.unwrap_or("Connection denied for policy reasons");
        text.parse().map_err(|error| self.error(key, error))
    }
}

/// Whether a list speaks for a host or against it.
#[derive(Clone, Copy)]
enum Colour {
    White,
    Black,
}

#[cfg(test)]
pub(crate) mod tests;
