//! The recipients of an envelope, with those in the place of aliases for whom they stand (RFC 3461 section 5.2.7).
//! Knows envelopes and what an address comes to; knows no queue.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use stagepost_smtp::{
    Address, Change, Event, LedgerEntry, Made, Notify, Recipient, RecipientWish, Stage, parameter,
    to_xtext,
};

use super::Directory;
use super::expansion::{Expansion, Unexpanded};

/// The most recipients of a message, aliases expanded.
const RECIPIENTS_MAX: usize = 10_000;
/// Who the edit ledger says has made these changes: no plug-in can have this name.
const MADE_BY: &str = "(aliases)";

/// Recipients as they go into the queue.
#[derive(Debug)]
pub(crate) struct Addressed {
    pub(crate) recipients: Vec<Recipient>,
    /// What has changed of the envelope.
    pub(crate) ledger: Vec<LedgerEntry>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unaddressed {
    /// It is not known what an address comes to.
    #[error(transparent)]
    Unexpanded(#[from] Unexpanded),
    /// Nobody is behind an address that was taken for good.
    #[error("nobody is behind {0} any more")]
    Nobody(Address),
    /// There are too many.
    #[error("the recipients come to more than {RECIPIENTS_MAX} addresses")]
    TooMany,
}

impl Unaddressed {
    /// Whether it may be said later.
    pub(crate) fn may_pass(&self) -> bool {
        let known =
            |error: &Unexpanded| matches!(error, Unexpanded::Circle(_) | Unexpanded::TooMany(_));
        match self {
            Self::Unexpanded(error) => !known(error),
            Self::Nobody(_) | Self::TooMany => false,
        }
    }
}

impl Directory {
    /// Those that recipients come to; none: they are all that there are. Inside a tokio runtime.
    ///
    /// # Errors
    /// Why that can't be said now.
    pub(crate) async fn address(
        &self,
        recipients: &[Recipient],
    ) -> Result<Option<Addressed>, Unaddressed> {
        if self.is_plain() {
            return Ok(None);
        }
        let mut found = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let expansion = self.expand(&recipient.address).await?;
            if expansion.recipients.is_empty() {
                return Err(Unaddressed::Nobody(recipient.address.clone()));
            }
            self.tell_of_left_out(&recipient.address, &expansion);
            found.push((recipient.clone(), expansion));
        }
        put_together(found)
    }
}

fn put_together(found: Vec<(Recipient, Expansion)>) -> Result<Option<Addressed>, Unaddressed> {
    if found.iter().all(|(_, expansion)| expansion.steps.is_empty()) {
        return Ok(None);
    }
    let asked = asked(&found);
    let as_asked = |address: Address, came: &Recipient| {
        let parameters = asked.get(&key(&address)).unwrap_or(&came.parameters).clone();
        Recipient { address, parameters }
    };
    // Who was named keeps its place.
    let named = found.iter().filter(|(_, expansion)| expansion.steps.is_empty());
    let mut taken: HashSet<String> = named.map(|(recipient, _)| key(&recipient.address)).collect();
    let (mut recipients, mut changes) = (Vec::new(), Vec::new());
    for (recipient, expansion) in found {
        let place =
            |recipients: &Vec<Recipient>| u32::try_from(recipients.len()).unwrap_or(u32::MAX);
        if expansion.steps.is_empty() {
            let to = as_asked(recipient.address.clone(), &recipient);
            if to != recipient {
                let (index, to) = (place(&recipients), to.clone());
                changes.push(Change::RecipientReplaced { index, from: recipient, to });
            }
            recipients.push(to);
            continue;
        }
        let mut first = true;
        for address in expansion.recipients {
            if !taken.insert(key(&address)) {
                continue;
            }
            let to = as_asked(address, &recipient);
            let index = place(&recipients);
            changes.push(match std::mem::take(&mut first) {
                true => {
                    Change::RecipientReplaced { index, from: recipient.clone(), to: to.clone() }
                }
                false => Change::RecipientAdded { index, recipient: to.clone() },
            });
            recipients.push(to);
        }
        // All whom it stands for were named themselves.
        if first {
            changes.push(Change::RecipientRemoved { index: place(&recipients), recipient });
        }
        if recipients.len() > RECIPIENTS_MAX {
            return Err(Unaddressed::TooMany);
        }
    }
    let made =
        Made { event: Event::Queue, stage: Stage::Before, at: SystemTime::now(), spent: None };
    let plugin: Arc<str> = MADE_BY.into();
    let entry = |change| LedgerEntry { plugin: plugin.clone(), made, change };
    Ok(Some(Addressed { recipients, ledger: changes.into_iter().map(entry).collect() }))
}

/// What was asked for each, by key, at its own name and at all that stand for it.
fn asked(found: &[(Recipient, Expansion)]) -> HashMap<String, Box<str>> {
    let mut asked: HashMap<String, Box<str>> = HashMap::new();
    let (named, aliases): (Vec<_>, Vec<_>) =
        found.iter().partition(|(_, expansion)| expansion.steps.is_empty());
    for (recipient, _) in named {
        asked.insert(key(&recipient.address), recipient.parameters.clone());
    }
    for (alias, expansion) in aliases {
        let is_new = |address: &Address| !asked.contains_key(&key(address));
        let first = expansion.recipients.iter().position(is_new).unwrap_or(0);
        for (number, address) in expansion.recipients.iter().enumerate() {
            let parameters = passed_on(alias, number == first);
            let known = asked.entry(key(address)).or_insert_with(|| parameters.clone());
            if let Some(both) = merged(known, &parameters) {
                *known = both;
            }
        }
    }
    asked
}

/// What is asked for whom two names stand for: to be told of what either wants to be told of, since a sender who asked at one of
/// them has no word from the other; as of the first that wants any. None: the first wants all of it already.
fn merged(first: &str, second: &str) -> Option<Box<str>> {
    let [one, other] = [first, second].map(RecipientWish::of_parameters);
    let (wanted, further) = (one.wanted(), other.wanted());
    let both = Notify {
        success: wanted.success || further.success,
        failure: wanted.failure || further.failure,
        delay: wanted.delay || further.delay,
    };
    if both == wanted {
        return None;
    }
    let orcpt = if wanted == Notify::default() { other.orcpt } else { one.orcpt };
    let is_kept = |word: &&str| {
        let name = word.split('=').next().unwrap_or_default();
        !["", "NOTIFY", "ORCPT"].iter().any(|other| name.eq_ignore_ascii_case(other))
    };
    let mut words: Vec<String> = first.split(' ').filter(is_kept).map(str::to_owned).collect();
    words.push(format!("NOTIFY={both}"));
    words.extend(orcpt.map(|orcpt| format!("ORCPT={orcpt}")));
    Some(words.join(" ").into())
}

/// What was asked for at an alias holds for those that it stands for. Of success only the first of them tells: who has sent one
/// message waits for one answer (RFC 3461 section 5.2.7.3). Whom the sender meant is said, unless it was said already (section 5.2.1).
fn passed_on(alias: &Recipient, first: bool) -> Box<str> {
    let asked = RecipientWish::of(alias).notify.filter(|notify| notify.success && !first);
    let parameters: Box<str> = match asked {
        None => alias.parameters.clone(),
        Some(notify) => {
            let less = format!("NOTIFY={}", Notify { success: false, ..notify });
            let is_notify = |word: &&str| {
                word.split_once('=').is_some_and(|(name, _)| name.eq_ignore_ascii_case("NOTIFY"))
            };
            let words = alias.parameters.split(' ').filter(|word| !word.is_empty());
            let words = words.map(|word| if is_notify(&word) { less.as_str() } else { word });
            words.collect::<Vec<_>>().join(" ").into()
        }
    };
    let address = &alias.address;
    if parameter(&parameters, "ORCPT").is_some()
        || !address.is_ascii()
        || address.domain().is_empty()
    {
        return parameters;
    }
    let orcpt = format!("ORCPT=rfc822;{}", to_xtext(address.as_str()));
    if parameters.is_empty() { orcpt.into() } else { format!("{parameters} {orcpt}").into() }
}

fn key(address: &Address) -> String {
    format!("{}@{}", address.local_unquoted().to_lowercase(), address.domain_key())
}

#[cfg(test)]
mod tests {
    use stagepost_smtp::{BodyKind, Envelope, ReversePath, as_it_came};

    use super::super::expansion::{By, Step};
    use super::*;

    fn recipient(address: &str, parameters: &str) -> Recipient {
        Recipient { address: Address::parse(address).unwrap(), parameters: parameters.into() }
    }

    fn expansion(of: &str, to: &[&str]) -> Expansion {
        let address = |text: &&str| Address::parse(text).unwrap();
        let recipients: Vec<Address> = to.iter().map(address).collect();
        let step = Step { from: address(&of), to: recipients.clone(), by: By::Alias(1) };
        let steps = if to == [of] { Vec::new() } else { vec![step] };
        Expansion { recipients, steps, ..Expansion::default() }
    }

    fn envelope(recipients: Vec<Recipient>) -> Envelope {
        let (sender, parameters) = (ReversePath::Null, "".into());
        Envelope { sender, parameters, body: BodyKind::SevenBit, recipients }
    }

    #[test]
    fn what_was_asked_for_goes_on_and_each_is_there_once() {
        let came = vec![
            recipient("sales@a.test", "NOTIFY=SUCCESS,FAILURE"),
            recipient("bob@a.test", "X=1 NOTIFY=NEVER ORCPT=rfc822;b@x.test"),
            recipient("one+x@a.test", "ORCPT=rfc822;o@x.test"),
            recipient("both@a.test", ""),
            recipient("none@a.test", ""),
        ];
        let to: [&[&str]; 5] = [
            &["alice@a.test", "bob@a.test", "carol@b.test"],
            &["bob@a.test"],
            &["one@a.test"],
            &["ALICE@a.test", "dora@a.test"],
            &["alice@a.test", "bob@a.test"],
        ];
        let found = came
            .iter()
            .zip(to)
            .map(|(recipient, to)| (recipient.clone(), expansion(recipient.address.as_str(), to)));
        let addressed = put_together(found.collect()).unwrap().unwrap();
        let shown: Vec<String> = addressed
            .recipients
            .iter()
            .map(|recipient| format!("{} {}", recipient.address, recipient.parameters))
            .collect();
        let wanted = [
            // Of two names the first is told of, and of what either wants.
            "alice@a.test NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;sales@a.test",
            "carol@b.test NOTIFY=FAILURE ORCPT=rfc822;sales@a.test",
            "bob@a.test X=1 NOTIFY=FAILURE,DELAY ORCPT=rfc822;sales@a.test",
            "one@a.test ORCPT=rfc822;o@x.test",
            "dora@a.test ORCPT=rfc822;both@a.test",
        ];
        assert_eq!(shown, wanted);
        // The ledger leads back to what came.
        let is = envelope(addressed.recipients);
        assert_eq!(as_it_came(&is, &addressed.ledger), envelope(came));
    }

    #[test]
    fn who_is_behind_two_names_is_told_of_as_either_wants() {
        let cases = [
            ("", "NOTIFY=NEVER", None),
            ("NOTIFY=SUCCESS,FAILURE,DELAY", "NOTIFY=SUCCESS", None),
            ("NOTIFY=DELAY,FAILURE ORCPT=rfc822;a@x.test", "ORCPT=rfc822;b@x.test", None),
            ("NOTIFY=NEVER", "NOTIFY=NEVER ORCPT=rfc822;b@x.test", None),
            ("", "NOTIFY=SUCCESS", Some("NOTIFY=SUCCESS,FAILURE,DELAY")),
            (
                "notify=SUCCESS orcpt=rfc822;a@x.test",
                "NOTIFY=FAILURE ORCPT=rfc822;b@x.test",
                Some("NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@x.test"),
            ),
            (
                "NOTIFY=NEVER ORCPT=rfc822;a@x.test",
                "NOTIFY=SUCCESS ORCPT=rfc822;b@x.test",
                Some("NOTIFY=SUCCESS ORCPT=rfc822;b@x.test"),
            ),
        ];
        for (first, second, wanted) in cases {
            assert_eq!(merged(first, second).as_deref(), wanted, "{first} and {second}");
        }
    }

    #[test]
    fn plus_and_equals_of_an_address_survive_the_way() {
        let passed = passed_on(&recipient("a+b=c@a.test", ""), false);
        assert_eq!(&*passed, "ORCPT=rfc822;a+2Bb+3Dc@a.test");
    }

    #[test]
    fn of_success_one_of_many_tells() {
        for (asked, first, others) in [
            ("NOTIFY=SUCCESS ORCPT=rfc822;o@x.test", "NOTIFY=SUCCESS", "NOTIFY=NEVER"),
            ("notify=Delay,Success ORCPT=rfc822;o@x.test", "notify=Delay,Success", "NOTIFY=DELAY"),
            ("NOTIFY=FAILURE ORCPT=rfc822;o@x.test", "NOTIFY=FAILURE", "NOTIFY=FAILURE"),
            ("NOTIFY=NEVER ORCPT=rfc822;o@x.test", "NOTIFY=NEVER", "NOTIFY=NEVER"),
        ] {
            let passed = |first| passed_on(&recipient("sales@a.test", asked), first);
            let wanted = |notify| format!("{notify} ORCPT=rfc822;o@x.test");
            assert_eq!(
                (&*passed(true), &*passed(false)),
                (&*wanted(first), &*wanted(others)),
                "{asked}"
            );
        }
    }
}
