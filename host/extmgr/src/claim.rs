//! What plug-ins claim of the protocol: whether each can have it, and what of it works.
//! Knows registrations; knows no session.

use std::fmt;

use stagepost_abi as abi;
use stagepost_smtp::{Claim, ClaimError, Claims, Event};

use crate::host::Host;

/// The most claims of one plug-in.
const CLAIMS_MAX: usize = 64;

/// What one plug-in claims.
#[derive(Default)]
pub(crate) struct OwnClaims {
    granted: Vec<Claim>,
    /// The first that is the server's own.
    of_core: Option<String>,
}

/// A kind of claim as a plug-in asks for it.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    make: fn(&str, &str) -> Result<Claim, ClaimError>,
    words: &'static str,
}

pub(crate) const VERB: Kind = Kind { make: |name, _| Claim::verb(name), words: "verb" };
pub(crate) const KEYWORD: Kind = Kind { make: Claim::keyword, words: "EHLO keyword" };
pub(crate) const MAIL: Kind =
    Kind { make: |name, _| Claim::mail_parameter(name), words: "MAIL parameter" };
pub(crate) const RCPT: Kind =
    Kind { make: |name, _| Claim::rcpt_parameter(name), words: "RCPT parameter" };

/// A claim that refuses its plug-in.
#[derive(Debug, thiserror::Error)]
pub enum ClaimFault {
    /// Somebody has it already.
    #[error("claims: wanted for itself {claim}, found it claimed by {by}")]
    Taken {
        /// What is claimed.
        claim: String,
        /// Who has it.
        by: Claimant,
    },
    /// There is no handler that would ever see it.
    #[error("claims: wanted a handler before {} for the {claim}, found none", .event.to_ascii_uppercase())]
    Unserved {
        /// What is claimed.
        claim: String,
        /// Where it would be seen.
        event: &'static str,
    },
    /// The reply to EHLO would be too long for clients.
    #[error(
        "claims: wanted at most {} EHLO keywords of {} octets, of all plug-ins together, found more",
        Claims::KEYWORDS_MAX,
        Claims::KEYWORDS_OCTETS_MAX
    )]
    Keywords,
}

/// Who has a claim already.
#[derive(Debug)]
pub enum Claimant {
    /// The server itself.
    Core,
    /// Another plug-in.
    Plugin(String),
}

impl fmt::Display for Claimant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core => out.write_str("the server itself"),
            Self::Plugin(name) => write!(out, "plug-in {name}"),
        }
    }
}

impl OwnClaims {
    /// Keeps a claim. One made twice counts once, the parameters of a keyword as they were given last.
    ///
    /// # Errors
    /// The status for the plug-in; that a claim is the server's own is remembered.
    pub(crate) fn claim(
        &mut self,
        kind: Kind,
        name: &str,
        parameters: &str,
    ) -> Result<(), abi::STATUS> {
        let claim = (kind.make)(name, parameters).map_err(|error| match error {
            ClaimError::Form => abi::ERR_MISC_INVALID_ARGS,
            ClaimError::Core => {
                self.of_core
                    .get_or_insert_with(|| format!("{} {}", kind.words, name.to_ascii_uppercase()));
                abi::EM_ERR_CLAIMED
            }
        })?;
        self.granted.retain(|known| !known.clashes_with(&claim));
        if self.granted.len() >= CLAIMS_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        self.granted.push(claim);
        Ok(())
    }
}

/// Whether a plug-in that has started can have what it claims beside those loaded before.
pub(crate) fn check(host: &Host, loaded: &[&'static Host]) -> Result<(), ClaimFault> {
    let own = host.claims();
    if let Some(claim) = &own.of_core {
        return Err(ClaimFault::Taken { claim: claim.clone(), by: Claimant::Core });
    }
    for claim in &own.granted {
        for other in loaded {
            if other.claims().granted.iter().any(|taken| taken.clashes_with(claim)) {
                let by = Claimant::Plugin(other.name.to_string());
                return Err(ClaimFault::Taken { claim: claim.to_string(), by });
            }
        }
        let place = served_at(claim);
        if let Some(event) = place.filter(|event| !serves(host, *event)) {
            return Err(ClaimFault::Unserved { claim: claim.to_string(), event: event.name() });
        }
    }
    let others = loaded.iter().flat_map(|other| other.claims().granted.clone());
    let all = Claims::new(own.granted.iter().cloned().chain(others));
    if all.fit() { Ok(()) } else { Err(ClaimFault::Keywords) }
}

/// What of all claims works: a plug-in that has ended its registrations carries nothing out any more.
pub(crate) fn working(plugins: &[&'static Host]) -> Claims {
    let works = |host: &Host, claim: &Claim| match served_at(claim) {
        Some(event) => serves(host, event),
        // A keyword stands for the verb or the parameter of its name, or for the plug-in as a whole.
        None => {
            let own = host.claims();
            let mut named = own
                .granted
                .iter()
                .filter(|known| known.name() == claim.name() && served_at(known).is_some());
            !host.registrations().is_empty()
                && named.all(|known| served_at(known).is_none_or(|event| serves(host, event)))
        }
    };
    let of_host = |host: &&'static Host| {
        let granted = host.claims().granted.clone();
        granted.into_iter().filter(|claim| works(host, claim)).collect::<Vec<_>>()
    };
    Claims::new(plugins.iter().flat_map(of_host))
}

/// The event at which a plug-in sees what it claims.
fn served_at(claim: &Claim) -> Option<Event> {
    match claim {
        Claim::Verb(_) => Some(Event::Verb),
        Claim::MailParameter(_) => Some(Event::Mail),
        Claim::RcptParameter(_) => Some(Event::Rcpt),
        Claim::Keyword { .. } => None,
    }
}

fn serves(host: &Host, event: Event) -> bool {
    let before = |flags: u32| flags & abi::EM_REG_BEFORE != 0;
    host.registrations().iter().any(|known| known.event == event && before(known.flags))
}
