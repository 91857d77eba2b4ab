//! The admin verb `test`: what would become of a client, control by control, without a connection and without the DNS.
//! Asks the same rules as a session does; changes and counts nothing.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use stagepost_sdk::{Fault, Reason, Route};

use crate::AccessControl;
use crate::connection::{Connection, Verified};
use crate::helo::Helo;
use crate::list::{Hit, List};
use crate::mailbox::{self, Listed};
use crate::own_address::Authenticated;
use crate::peer::{HostName, Name, Peer, Trust};
use crate::relay::{self, By, Exempt, Subject};
use crate::rules::Rules;
use crate::section::Action;

/// Who is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    ip: IpAddr,
    /// The host's name, as if the DNS confirmed it; none: the host has no name.
    ptr: Option<String>,
    /// What it calls itself.
    helo: Option<String>,
    /// Whether the name is a claim alone.
    #[serde(default)]
    unconfirmed: bool,
    from: Option<String>,
    to: Option<String>,
    /// The user who has logged in.
    auth: Option<String>,
}

/// What one control says.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Step {
    control: &'static str,
    decision: &'static str,
    /// The entry with its place, or the setting.
    by: String,
}

/// What all controls say; the last one that refuses decides.
#[derive(Debug, Serialize)]
struct Explained {
    accepted: bool,
    steps: Vec<Step>,
}

fn step(control: &'static str, decision: &'static str, by: impl Into<String>) -> Step {
    Step { control, decision, by: by.into() }
}

fn by(hit: Option<Hit<'_>>) -> String {
    hit.map_or_else(|| "no entry against it".to_owned(), |hit| hit.to_string())
}

fn not_listed(list: &List) -> String {
    match list.len() {
        1 => format!("{}: 1 entry, which does not fit", list.name()),
        entries => format!("{}: {entries} entries, none fits", list.name()),
    }
}

impl AccessControl {
    /// Answers the verb: JSON in, JSON out.
    pub(crate) fn explain(&self, arguments: &str) -> Result<String, Fault> {
        let asked: Asked = serde_json::from_str(arguments).map_err(|error| {
            Fault::new(format!(
                "{error}; give {{\"ip\": ADDRESS}} and as you like \"ptr\", \"unconfirmed\", \"helo\", \"from\", \"to\", \"auth\""
            ))
        })?;
        let directory = self.host.directory();
        for address in asked.from.iter().chain(&asked.to).filter(|address| !address.is_empty()) {
            self.wait_for(address);
            let route = directory.as_ref().map(|directory| directory.route(address));
            if let Some(Err(refusal)) = route
                && refusal.reason == Reason::Invalid
            {
                return Err(Fault::new(format!("{address:?} is no address of mail")));
            }
        }
        let route = |address: &str| {
            let directory = directory.as_ref();
            directory.and_then(|directory| directory.route(address).ok()).unwrap_or(Route::Foreign)
        };
        let member = |address: &str, group: &str| self.is_member(address, group);
        let steps = explain(&self.rules(), &asked, &route, &member);
        let accepted = steps.iter().all(|step| !matches!(step.decision, "refused" | "deferred"));
        Ok(serde_json::to_string(&Explained { accepted, steps })?)
    }
}

fn explain(
    rules: &Rules,
    asked: &Asked,
    route: &dyn Fn(&str) -> Route,
    member: &dyn Fn(&str, &str) -> bool,
) -> Vec<Step> {
    let name = asked.ptr.as_ref().map_or(HostName::Missing, |name| {
        HostName::Found(vec![Name { text: name.clone(), confirmed: !asked.unconfirmed }])
    });
    let peer = Peer { address: asked.ip.to_canonical(), name: &name };
    let mut steps = vec![connection(rules, peer), verified(rules, &name)];
    let (subject, first) = subject(rules, peer, asked.auth.as_deref());
    steps.push(first);
    let mut white = false;
    if subject {
        steps.extend(asked.helo.as_deref().map(|name| helo(rules, name)));
        white = lists(rules, peer, &mut steps);
    }
    if let Some(from) = &asked.from {
        steps.extend(
            asked.auth.as_ref().and_then(|user| own_address(rules, user, from, route, member)),
        );
        steps.push(sender(rules, from, member));
        steps.extend(sender_domain(rules, from));
    }
    if let Some(to) = &asked.to {
        steps.push(relay(rules, peer, to, route(to), subject));
        steps.push(recipient(rules, to, route(to), member));
        if subject && !white && rules.greylist.enabled {
            steps.push(step("greylist", "not asked", "a client that is not known is put off once"));
        }
    }
    steps.extend(limits(rules));
    steps
}

fn connection(rules: &Rules, peer: Peer<'_>) -> Step {
    match rules.connection.decide(peer) {
        Connection::Accepted(hit) => step("connection", "accepted", by(hit)),
        Connection::Denied(hit) => step("connection", "refused", hit.to_string()),
        Connection::NotAllowed(list) => step("connection", "refused", not_listed(list)),
        // The name was given, or that there is none.
        Connection::NameUnknown(list) => step("connection", "deferred", list.name()),
        Connection::NeedsName => step("connection", "deferred", "the host's name"),
    }
}

fn verified(rules: &Rules, name: &HostName) -> Step {
    let setting = "connection.verify_host_name";
    match rules.connection.verify(name) {
        Verified::Yes if rules.connection.verify_host_name => {
            step("host name", "accepted", setting)
        }
        Verified::Yes => step("host name", "accepted", "not verified"),
        Verified::No => step("host name", "refused", setting),
        Verified::Trouble | Verified::NeedsName => step("host name", "deferred", setting),
    }
}

fn subject(rules: &Rules, peer: Peer<'_>, user: Option<&str>) -> (bool, Step) {
    let control = "relay enforcement";
    if user.is_some() && rules.relay.authenticated == relay::Authenticated::Allow {
        return (false, step(control, "exempt", "relay.authenticated"));
    }
    match rules.relay.subject(peer) {
        Subject::Yes | Subject::NeedsName => (true, step(control, "subject", "relay.enforce")),
        Subject::No(Exempt::NotEnforced) => (false, step(control, "exempt", "relay.enforce")),
        Subject::No(Exempt::Internal) => (false, step(control, "exempt", "relay.internal_domains")),
        Subject::No(Exempt::Excluded(hit)) => (false, step(control, "exempt", hit.to_string())),
    }
}

fn helo(rules: &Rules, name: &str) -> Step {
    match rules.helo.decide(name) {
        Helo::Accepted => step("EHLO name", "accepted", "nothing against it"),
        Helo::Denied(hit) => step("EHLO name", "refused", hit.to_string()),
        Helo::NotFull if rules.helo.full_name => step("EHLO name", "refused", "helo.full_name"),
        Helo::NotFull => step("EHLO name", "refused", "helo.verify: it is no full name"),
        Helo::MustExist(name) => step("EHLO name", "not asked", name),
    }
}

/// The private and DNS lists, up to the first that has the host. Whether that is a white one.
fn lists(rules: &Rules, peer: Peer<'_>, steps: &mut Vec<Step>) -> bool {
    let private = [
        (&rules.private_white, rules.relay.trust, "private white list", true),
        (&rules.private_black, Trust::Claimed, "private black list", false),
    ];
    for (filter, trust, control, white) in private {
        if filter.list.is_empty() {
            continue;
        }
        let Some(hit) = peer.find(&filter.list, trust) else {
            steps.push(step(control, "not listed", not_listed(&filter.list)));
            continue;
        };
        steps.push(step(control, listed_as(filter.action), hit.to_string()));
        return white;
    }
    let dns = [(&rules.dns_white, "DNS white lists"), (&rules.dns_black, "DNS black lists")];
    for (filter, control) in dns.into_iter().filter(|(filter, _)| !filter.zones.is_empty()) {
        let questions: Vec<_> =
            filter.zones.iter().map(|zone| zone.question(peer.address)).collect();
        steps.push(step(control, "not asked", questions.join(" ")));
    }
    false
}

fn listed_as(action: Action) -> &'static str {
    match action {
        Action::Reject => "refused",
        Action::Tag => "tagged",
        Action::Silent | Action::Log => "listed",
    }
}

fn own_address(
    rules: &Rules,
    user: &str,
    from: &str,
    route: &dyn Fn(&str) -> Route,
    member: &dyn Fn(&str, &str) -> bool,
) -> Option<Step> {
    if rules.own_address.authenticated == Authenticated::Any || from.is_empty() {
        return None;
    }
    let is_local = || matches!(route(from), Route::Local | Route::UnknownUser | Route::Ambiguous);
    let owns = rules.own_address.owns(user, from, is_local, |group| member(from, group));
    let decision = if owns { "accepted" } else { "refused" };
    Some(step("own address", decision, "sender.authenticated"))
}

fn sender(rules: &Rules, from: &str, member: &dyn Fn(&str, &str) -> bool) -> Step {
    if from.is_empty() {
        return step("sender", "accepted", "the null sender always may");
    }
    let (allow, deny) = (&rules.sender.allow, &rules.sender.deny);
    listed("sender", mailbox::decide(allow, deny, from, |group| member(from, group)))
}

fn sender_domain(rules: &Rules, from: &str) -> Option<Step> {
    let (_, domain) = from.rsplit_once('@')?;
    let asked = rules.sender.verify_domain && !domain.starts_with('[');
    asked.then(|| step("sender's domain", "not asked", format!("sender.verify_domain: {domain}")))
}

fn recipient(rules: &Rules, to: &str, route: Route, member: &dyn Fn(&str, &str) -> bool) -> Step {
    let (allow, deny) = (&rules.recipient.allow, &rules.recipient.deny);
    match (mailbox::decide(allow, deny, to, |group| member(to, group)), route) {
        // The server's own to say, once nothing here is against it.
        (Listed::Accepted(_), Route::UnknownUser) => {
            step("recipient", "refused", "there is no such mailbox here")
        }
        (Listed::Accepted(_), Route::Ambiguous) => {
            step("recipient", "refused", "several in the directory have this address")
        }
        (decided, _) => listed("recipient", decided),
    }
}

/// How much in what time is counted, and nobody has come.
fn limits(rules: &Rules) -> Option<Step> {
    let limits = &rules.limits;
    let set: Vec<_> = [
        ("limits.messages_per_client", limits.messages_per_client),
        ("limits.recipients_per_client", limits.recipients_per_client),
        ("limits.messages_per_sender", limits.messages_per_sender),
        ("limits.recipients_per_sender", limits.recipients_per_sender),
    ]
    .into_iter()
    .filter_map(|(name, limit)| (limit > 0).then_some(name))
    .collect();
    (!set.is_empty()).then(|| step("limits", "not asked", set.join(" ")))
}

fn listed(control: &'static str, listed: Listed<'_>) -> Step {
    match listed {
        Listed::Accepted(hit) => step(control, "accepted", by(hit)),
        Listed::Denied(hit) => step(control, "refused", hit.to_string()),
        Listed::NotAllowed(list) => step(control, "refused", not_listed(list)),
    }
}

/// Of mail that might be relayed and can't be.
const NO_ROUTE: &str = "none of the server's routes leads there";

fn relay(rules: &Rules, peer: Peer<'_>, to: &str, route: Route, subject: bool) -> Step {
    let control = "relay";
    match route {
        Route::Local | Route::UnknownUser | Route::Ambiguous => {
            return step(control, "not needed", "a local domain");
        }
        Route::Relay => return step(control, "not needed", "a route of the operator's"),
        Route::Unavailable => return step(control, "deferred", "the directory can't be asked"),
        Route::Unreachable if !subject => return step(control, "refused", NO_ROUTE),
        _ if !subject => return step(control, "granted", "not subject to the check"),
        _ => {}
    }
    let domain = to.rsplit_once('@').map_or("", |(_, domain)| domain);
    let decided = rules.relay.decide(peer, domain);
    if decided.granted && route == Route::Unreachable {
        return step(control, "refused", NO_ROUTE);
    }
    let decision = if decided.granted { "granted" } else { "refused" };
    match decided.by {
        By::Entry(hit) => step(control, decision, hit.to_string()),
        By::NotListed(list) => step(control, decision, not_listed(list)),
        By::NoRule => step(control, decision, "no rule against it"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::tests::made;

    #[test]
    fn every_control_says_what_it_would_do() {
        let rules = made(json!({
            "connection": { "deny": ["[192.0.2.9]"] },
            "relay": { "internal_domains": ["corp.example"], "allow_destinations": ["partner.org"] },
            "private_black": { "entries": ["bad.example"], "action": "reject" },
            "dns_black": { "zones": ["list.test"] },
            "sender": { "deny": ["spam.org"] },
            "recipient": { "deny": ["team"] },
        }))
        .rules;
        let explained = |asked: serde_json::Value, route: Route| -> Vec<String> {
            let asked: Asked = serde_json::from_value(asked).unwrap();
            let member = |address: &str, group: &str| group == "team" && address.starts_with("t@");
            let steps = explain(&rules, &asked, &|_| route, &member);
            steps.iter().map(|s| format!("{}: {}, {}", s.control, s.decision, s.by)).collect()
        };
        let steps = explained(
            json!({ "ip": "192.0.2.1", "ptr": "a.bad.example", "from": "x@spam.org", "to": "y@partner.org" }),
            Route::Foreign,
        );
        let wanted = [
            "connection: accepted, no entry against it",
            "host name: accepted, not verified",
            "relay enforcement: subject, relay.enforce",
            r#"private black list: refused, private_black.entries "bad.example" (t.toml:25:1)"#,
            r#"sender: refused, sender.deny "spam.org" (t.toml:15:1)"#,
            r#"relay: granted, relay.allow_destinations "partner.org" (t.toml:28:1)"#,
            "recipient: accepted, no entry against it",
        ];
        assert_eq!(steps, wanted);
        let steps = explained(
            json!({ "ip": "::ffff:192.0.2.9", "ptr": "pc.corp.example", "to": "t@here.org" }),
            Route::Local,
        );
        assert!(steps[0].starts_with("connection: refused, connection.deny"), "{steps:?}");
        assert_eq!(steps[2], "relay enforcement: exempt, relay.internal_domains");
        assert_eq!(steps[3], "relay: not needed, a local domain");
        assert!(steps[4].starts_with("recipient: refused, recipient.deny"), "{steps:?}");
        let steps = explained(
            json!({ "ip": "192.0.2.1", "ptr": "pc.corp.example", "unconfirmed": true, "to": "z@any.org" }),
            Route::Foreign,
        );
        assert_eq!(steps[2], "relay enforcement: subject, relay.enforce");
        assert_eq!(steps[4], "DNS black lists: not asked, 1.2.0.192.list.test");
        assert_eq!(
            steps[5],
            "relay: refused, relay.allow_destinations: 1 entry, which does not fit"
        );
        let steps = explained(
            json!({ "ip": "192.0.2.1", "auth": "joe", "to": "z@any.org" }),
            Route::Foreign,
        );
        assert_eq!(steps[3], "relay: granted, not subject to the check");
        let steps = explained(
            json!({ "ip": "192.0.2.1", "auth": "joe", "to": "z@any.org" }),
            Route::Unreachable,
        );
        assert_eq!(steps[3], "relay: refused, none of the server's routes leads there");
        let steps = explained(json!({ "ip": "192.0.2.1", "to": "z@here.org" }), Route::UnknownUser);
        assert_eq!(steps.last().unwrap(), "recipient: refused, there is no such mailbox here");
        let own =
            json!({ "sender": { "authenticated": "envelope", "own": { "joe": "sales@any.org" } } });
        let rules = made(own).rules;
        for (from, wanted) in [("sales@any.org", "accepted"), ("joe@any.org", "refused")] {
            let asked = json!({ "ip": "192.0.2.1", "auth": "joe", "from": from });
            let asked: Asked = serde_json::from_value(asked).unwrap();
            let steps = explain(&rules, &asked, &|_| Route::Foreign, &|_, _| false);
            let own = steps.iter().find(|step| step.control == "own address").unwrap();
            assert_eq!((own.decision, &*own.by), (wanted, "sender.authenticated"), "{from}");
        }
    }

    /// As in a session, the first list that has a client is the last that is looked at.
    #[test]
    fn lists_end_at_the_first_hit() {
        let rules = made(json!({
            "private_white": { "entries": ["[192.0.2.1]"] },
            "private_black": { "entries": ["[192.0.2.0/24]"], "action": "reject" },
            "dns_black": { "zones": ["list.test"] },
            "sender": { "verify_domain": true },
            "greylist": { "enabled": true },
            "limits": { "messages_per_client": 5 },
        }))
        .rules;
        let explained = |ip: &str| -> Vec<String> {
            let asked = json!({ "ip": ip, "from": "x@spam.org", "to": "y@here.org" });
            let asked: Asked = serde_json::from_value(asked).unwrap();
            let steps = explain(&rules, &asked, &|_| Route::Local, &|_, _| false);
            steps[3..].iter().map(|s| format!("{}: {}", s.control, s.decision)).collect()
        };
        let last = ["limits: not asked".to_owned()];
        let mail = ["sender: accepted", "sender's domain: not asked"].map(str::to_owned);
        let rcpt = ["relay: not needed", "recipient: accepted"].map(str::to_owned);
        let grey = ["greylist: not asked".to_owned()];
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let white = list(&["private white list: listed"]);
        assert_eq!(explained("192.0.2.1"), [&white[..], &mail, &rcpt, &last].concat());
        let black = list(&["private white list: not listed", "private black list: refused"]);
        assert_eq!(explained("192.0.2.2"), [&black[..], &mail, &rcpt, &grey, &last].concat());
        let none = list(&[
            "private white list: not listed",
            "private black list: not listed",
            "DNS black lists: not asked",
        ]);
        assert_eq!(explained("203.0.113.1"), [&none[..], &mail, &rcpt, &grey, &last].concat());
    }
}
