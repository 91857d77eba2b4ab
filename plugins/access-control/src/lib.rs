//! access-control: who may connect, relay, send and receive.
//! Takes the configuration and the handlers' calls; the rules stand in their own files.

mod address_index;
mod author;
mod cause;
mod client;
mod connection;
mod counters;
mod dns_list;
mod entry;
mod explain;
mod greylist;
mod helo;
mod known;
mod list;
mod lists;
mod look_up;
mod mailbox;
pub mod measured;
mod name_index;
mod own_address;
mod pattern;
mod peer;
mod rates;
mod refusal;
mod relay;
mod rules;
mod section;
mod soundness;
mod stages;
mod statistics;
mod watch;
mod window;
mod words;
mod written;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use stagepost_sdk::{
    AsyncPlugin, Config, Connect, Edits, Fault, Headers, Host, Level, Mail, Outcome, Pending,
    Plugin, Rcpt, StartError, export_plugin,
};

use counters::Counters;
use greylist::Greylist;
use rates::Rates;
use rules::{Made, Rules};
use soundness::Tested;
use statistics::Statistics;

/// The most warnings about entries that are told one by one: a long list may have the same slip in every line.
const WARNINGS_TOLD: usize = 20;

/// The plug-in: the host has it, and its admin verb.
struct Exported(Arc<AccessControl>);

/// What both work with.
pub(crate) struct AccessControl {
    host: Host,
    /// Those in force; a session keeps none, so that a reload is in force for every command to come.
    rules: RwLock<Arc<Rules>>,
    /// Held by whoever makes others: what was made later is in force later.
    making: Mutex<()>,
    rates: Rates,
    greylist: Greylist,
    /// What is known of the lists in the DNS.
    tested: Tested,
    counters: Counters,
    statistics: Statistics,
}

impl AccessControl {
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes rules of the section that is in force, and puts them in force too; what is wrong leaves the old ones.
    pub(crate) fn put_in_force(&self) -> Result<(), rules::RulesError> {
        let making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at by whoever has the turn: the section may have changed while it was waited for.
        let mut rules = read(&self.host, &self.host.config())?;
        rules.number = self.rules().number + 1;
        let rules = Arc::new(rules);
        self.rates.follow(&rules.limits);
        self.tested.keep(rules.zones());
        let old = {
            let mut in_force = self.rules.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *in_force, rules)
        };
        drop(making);
        drop(old);
        Ok(())
    }
}

/// Makes rules, and tells what is odd about them.
fn read(host: &Host, section: &Config) -> Result<Rules, rules::RulesError> {
    let Made { rules, warnings } = rules::read(section)?;
    for warning in warnings.iter().take(WARNINGS_TOLD) {
        host.log(Level::Warn, format_args!("{}: {}", warning.place, warning.text));
    }
    if let Some(more @ 1..) = warnings.len().checked_sub(WARNINGS_TOLD) {
        host.log(Level::Warn, format_args!("{more} more entries are to be warned of"));
    }
    Ok(rules)
}

impl Plugin for Exported {
    fn start(host: Host) -> Result<Self, StartError> {
        let rules = read(&host, &host.config()).map_err(StartError::failed)?;
        let (rates, counters) = (Rates::new(&rules.limits), Counters::new(&host)?);
        let (rules, tested) = (RwLock::new(Arc::new(rules)), Tested::default());
        let (statistics, greylist) = (Statistics::default(), Greylist::new());
        let shared = Arc::new(AccessControl {
            host,
            rules,
            making: Mutex::new(()),
            rates,
            greylist,
            tested,
            counters,
            statistics,
        });
        watch::begin(&shared).map_err(StartError::failed)?;
        let asked = Arc::clone(&shared);
        let help = "what would become of a client: {\"ip\", \"ptr\", \"helo\", \"from\", \"to\", \"auth\"}";
        host.admin_verb("test", help, move |arguments| asked.explain(arguments))?;
        let counted = Arc::clone(&shared);
        let help = "how often each list, zone and rule had somebody, since the start";
        host.admin_verb("statistics", help, move |_| {
            Ok(serde_json::to_string(&counted.statistics.all())?)
        })?;
        Ok(Self(shared))
    }

    fn before_config(&self, section: &Config) -> Result<(), Fault> {
        rules::read(section)?;
        Ok(())
    }

    fn after_config(&self, _: &Config) -> Result<(), Fault> {
        // Read again rather than kept: what is refused in between, of any plug-in, must leave nothing.
        Ok(self.0.put_in_force()?)
    }
}

impl AsyncPlugin for Exported {
    async fn before_connect(
        &self,
        event: &Connect<'_>,
        _: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        self.0.judge_connection(event, call).await
    }

    async fn before_mail(
        &self,
        event: &Mail<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        self.0.judge_sender(event, edits, call).await
    }

    async fn before_rcpt(
        &self,
        event: &Rcpt<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        self.0.judge_recipient(event, edits, call).await
    }

    async fn before_headers(
        &self,
        event: &Headers<'_>,
        _: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        self.0.judge_author(event, call).await
    }
}

export_plugin! {
    type = Exported,
    name = "access-control",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [before_config, after_config],
    async_stages = [before_connect, before_mail, before_rcpt, before_headers],
    edits = [verdict, attribute, header],
}
